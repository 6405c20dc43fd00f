//! The resting orders of one synthetic instrument.
//!
//! Deliberately not the crate's `OrderBook`, which the streams made here are meant to test. The prices of one side
//! lie in a ring of price levels that moves along with the touch, so that every operation is an array access; the
//! price of that is that orders too far behind the touch must leave before it moves on (see [`Resting::in_the_way`]).

use super::rng::Rng;

/// "No order": the end of a queue.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Bid,
    Ask,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Bid, Self::Ask];

    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }

    pub(super) fn letter(self) -> u8 {
        match self {
            Self::Bid => b'B',
            Self::Ask => b'A',
        }
    }

    /// A rank is +ticks for bids and -ticks for asks, so that on both sides the greater rank is the better price.
    pub(super) fn ticks(self, rank: i32) -> i32 {
        match self {
            Self::Bid => rank,
            Self::Ask => -rank,
        }
    }
}

/// Why an order rests, which says how it will leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Short-lived, near the touch: most of the messages.
    Quotes,
    /// Long-lived, anywhere in the book: most of the orders.
    Deep,
}

#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) rank: i32,
    pub(super) size: u32,
    pub(super) side: Side,
    pool: Pool,
    prev: u32,
    next: u32,
    /// Index in its pool.
    place: u32,
}

#[derive(Clone, Copy)]
struct Level {
    head: u32,
    tail: u32,
}

const EMPTY: Level = Level { head: NONE, tail: NONE };

struct Ladder {
    /// The level of a rank is at `rank & mask`.
    levels: Box<[Level]>,
    best: i32,
    orders: u32,
}

pub(super) struct Resting {
    slots: Vec<Order>,
    free: Vec<u32>,
    ladders: [Ladder; 2],
    pools: [Vec<u32>; 2],
    mask: u32,
}

impl Resting {
    /// `window`: how many adjacent prices one side can hold; a power of two.
    pub(super) fn new(window: u32) -> Self {
        let ladder = || Ladder { levels: vec![EMPTY; window as usize].into(), best: 0, orders: 0 };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ladders: [ladder(), ladder()],
            pools: [Vec::new(), Vec::new()],
            mask: window - 1,
        }
    }

    pub(super) fn order(&self, slot: u32) -> &Order {
        &self.slots[slot as usize]
    }

    /// Orders of one side.
    pub(super) fn orders(&self, side: Side) -> u32 {
        self.ladders[side as usize].orders
    }

    pub(super) fn pooled(&self, pool: Pool) -> u32 {
        self.pools[pool as usize].len() as u32
    }

    /// The best rank; meaningful while the side has orders.
    pub(super) fn best(&self, side: Side) -> i32 {
        self.ladders[side as usize].best
    }

    /// Best bid minus best ask, in ticks: below zero in an ordinary market, zero locked, above zero crossed.
    pub(super) fn overlap(&self) -> i32 {
        self.ladders[0].best + self.ladders[1].best
    }

    /// The first order in priority.
    pub(super) fn front(&self, side: Side) -> u32 {
        self.level(side, self.best(side)).head
    }

    /// The order at the back of the best queue.
    pub(super) fn back_of_touch(&self, side: Side) -> u32 {
        self.level(side, self.best(side)).tail
    }

    /// The order after this one in price-time priority; NONE after the last.
    pub(super) fn next_in_priority(&self, slot: u32) -> u32 {
        let order = self.order(slot);
        if order.next != NONE {
            return order.next;
        }
        let lowest = self.best(order.side) - self.mask as i32;
        let mut rank = order.rank - 1;
        while rank >= lowest {
            let head = self.level(order.side, rank).head;
            if head != NONE {
                return head;
            }
            rank -= 1;
        }
        NONE
    }

    /// Any order of a pool, each equally likely; NONE if there is none.
    pub(super) fn pick(&self, pool: Pool, rng: &mut Rng) -> u32 {
        let pool = &self.pools[pool as usize];
        if pool.is_empty() { NONE } else { pool[rng.below(pool.len() as u32) as usize] }
    }

    /// An order so far behind that its level would be needed if `rank` became the best price of `side`.
    pub(super) fn in_the_way(&self, side: Side, rank: i32) -> Option<u32> {
        let ladder = &self.ladders[side as usize];
        if ladder.orders == 0 {
            return None;
        }
        (ladder.best + 1..=rank).map(|rank| self.level(side, rank).head).find(|&head| head != NONE)
    }

    /// Appends at the back of the queue at `rank`; -> the slot.
    pub(super) fn insert(&mut self, side: Side, rank: i32, size: u32, id: u64, pool: Pool) -> u32 {
        let members = &mut self.pools[pool as usize];
        let place = members.len() as u32;
        let order = Order { id, rank, size, side, pool, prev: NONE, next: NONE, place };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = order;
                slot
            }
            None => {
                self.slots.push(order);
                (self.slots.len() - 1) as u32
            }
        };
        members.push(slot);
        self.link(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let Order { pool, place, .. } = *self.order(slot);
        let members = &mut self.pools[pool as usize];
        members.swap_remove(place as usize);
        if let Some(&moved) = members.get(place as usize) {
            self.slots[moved as usize].place = place;
        }
        self.free.push(slot);
    }

    /// Changes the size without touching the queue.
    pub(super) fn resize(&mut self, slot: u32, size: u32) {
        self.slots[slot as usize].size = size;
    }

    /// To the back of the queue at `rank`, which may be the one it is in.
    pub(super) fn requeue(&mut self, slot: u32, rank: i32) {
        self.unlink(slot);
        self.slots[slot as usize].rank = rank;
        self.link(slot);
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        for ladder in &mut self.ladders {
            ladder.levels.fill(EMPTY);
            ladder.orders = 0;
        }
        self.pools.iter_mut().for_each(Vec::clear);
    }

    fn level(&self, side: Side, rank: i32) -> Level {
        self.ladders[side as usize].levels[(rank as u32 & self.mask) as usize]
    }

    fn link(&mut self, slot: u32) {
        let order = &mut self.slots[slot as usize];
        let ladder = &mut self.ladders[order.side as usize];
        if ladder.orders == 0 || order.rank > ladder.best {
            ladder.best = order.rank;
        }
        debug_assert!((ladder.best - order.rank) as u32 <= self.mask);
        ladder.orders += 1;
        let level = &mut ladder.levels[(order.rank as u32 & self.mask) as usize];
        let tail = level.tail;
        (order.prev, order.next) = (tail, NONE);
        level.tail = slot;
        match tail {
            NONE => level.head = slot,
            tail => self.slots[tail as usize].next = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Order { side, rank, prev, next, .. } = *self.order(slot);
        let ladder = &mut self.ladders[side as usize];
        ladder.orders -= 1;
        let level = &mut ladder.levels[(rank as u32 & self.mask) as usize];
        match prev {
            NONE => level.head = next,
            prev => self.slots[prev as usize].next = next,
        }
        match next {
            NONE => level.tail = prev,
            next => self.slots[next as usize].prev = prev,
        }
        if level.head == NONE && rank == ladder.best && ladder.orders > 0 {
            let mut best = rank - 1;
            while ladder.levels[(best as u32 & self.mask) as usize].head == NONE {
                best -= 1;
            }
            ladder.best = best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_and_the_best_level_follows() {
        let mut resting = Resting::new(64);
        for n in 0..10_000 {
            let slots: Vec<_> = (0..20).map(|d| resting.insert(Side::Ask, -500 - d, 1, n, Pool::Deep)).rev().collect();
            assert_eq!((resting.best(Side::Ask), resting.orders(Side::Ask)), (-500, 20));
            slots.iter().for_each(|&slot| resting.remove(slot));
        }
        assert_eq!((resting.slots.len(), resting.pooled(Pool::Deep)), (20, 0));
    }

    #[test]
    fn an_order_behind_the_window_is_in_the_way_of_a_better_price() {
        let mut resting = Resting::new(64);
        resting.insert(Side::Bid, 1_000, 1, 1, Pool::Quotes);
        let far = resting.insert(Side::Bid, 940, 1, 2, Pool::Deep);
        assert_eq!(resting.in_the_way(Side::Bid, 1_003), None);
        assert_eq!(resting.in_the_way(Side::Bid, 1_004), Some(far));
        resting.remove(far);
        assert_eq!(resting.in_the_way(Side::Bid, 1_004), None);
    }
}
