//! One synthetic instrument: what happens next, and the events of orders that come, change and go.
//! Trades are in `trading.rs`, openings and clears in `opening.rs`.

use super::resting::{NONE, Pool, Resting, Side};
use super::tape::{Entry, Tape};

/// Price increments in 1e-9 units, all exact: 0.01, 0.25, 1/64, 0.005, 0.1, 1/128, 1, 0.0005.
const TICKS: [i64; 8] =
    [10_000_000, 250_000_000, 15_625_000, 5_000_000, 100_000_000, 7_812_500, 1_000_000_000, 500_000];
/// First bids are so many ticks high, and up to so many more. Far enough from zero for every window and every trend.
const FIRST_BID_TICKS_MIN: u32 = 4_096;
const FIRST_BID_TICKS_SPAN: u32 = 36_000;
/// A side that has fallen to so few orders loses no more.
pub(super) const SIDE_ORDERS_MIN: u32 = 8;
/// Order sizes and how often each is drawn.
const SIZES: [(u32, usize); 9] = [(1, 50), (2, 15), (3, 8), (4, 5), (5, 8), (10, 8), (20, 3), (25, 1), (50, 2)];
const SIZE_TABLE: [u32; 100] = size_table();

/// Of 10,000 ordinary events, so many are trades, modifies of a resting order, and so on; the rest add or cancel.
const TRADES: u32 = 130;
const MODIFIES: u32 = 745;
const QUOTES_PERCENT: u32 = 70;
/// Among cancels of more than one lot.
const PARTIAL_CANCELS_PERCENT: u32 = 15;
const BURST_ONE_IN: u32 = 4_000;
const MASS_CANCEL_ONE_IN: u32 = 12_000;
/// The trend is reconsidered at every so many moves of the touch.
const TREND_ONE_IN: u32 = 24;

const fn size_table() -> [u32; 100] {
    let mut table = [0; 100];
    let (mut filled, mut kind) = (0, 0);
    while kind < SIZES.len() {
        let (size, end) = (SIZES[kind].0, filled + SIZES[kind].1);
        while filled < end {
            table[filled] = size;
            filled += 1;
        }
        kind += 1;
    }
    table
}

pub(super) fn draw_size(tape: &mut Tape) -> u32 {
    SIZE_TABLE[tape.rng.below(100) as usize]
}

/// A resting order, and how much of it trades.
pub(super) struct Fill {
    pub(super) slot: u32,
    pub(super) size: u32,
}

pub(super) struct Instrument {
    pub(super) id: u32,
    tick: i64,
    pub(super) resting: Resting,
    /// Orders that rest on average, by pool.
    pub(super) target: [u32; 2],
    /// New orders come at most so many ticks behind the touch.
    pub(super) reach: u32,
    /// The touch is taken away once in so many events.
    move_one_in: u32,
    /// -2 falling … +2 rising.
    trend: i32,
    pub(super) first_bid: i32,
    /// May the book be crossed, as before an open?
    crossed: bool,
    /// Events for which it still may.
    auction: u32,
    /// Events until it may again.
    until_auction: u32,
    /// Records until the next clear.
    pub(super) until_clear: u64,
    /// Is the next clear a recovery, with the same orders again? Every other one is.
    pub(super) recovers: bool,
    /// Orders of the event in hand, kept for its allocation.
    pub(super) fills: Vec<Fill>,
}

impl Instrument {
    /// `ordinal` among the instruments, and `target` resting orders.
    pub(super) fn new(id: u32, ordinal: usize, target: u32, crossed: bool, tape: &mut Tape) -> Self {
        let root = target.isqrt();
        let reach = root * 3 / 2;
        Self {
            id,
            tick: TICKS[ordinal % TICKS.len()],
            resting: Resting::new((2 * reach).next_power_of_two()),
            target: [target / 32 + 2, target - target / 32 - 2],
            reach,
            move_one_in: 20 * root,
            trend: 0,
            first_bid: (FIRST_BID_TICKS_MIN + tape.rng.below(FIRST_BID_TICKS_SPAN)) as i32,
            crossed,
            auction: 0,
            until_auction: 0,
            until_clear: 0,
            recovers: false,
            fills: Vec::new(),
        }
    }

    /// Writes one event, or a run of events that belong together.
    pub(super) fn step(&mut self, tape: &mut Tape) {
        let before = tape.records;
        if self.until_clear == 0 {
            self.clear(tape);
            return;
        }
        if self.crossed && self.auction_step() {
            self.auction_event(tape);
        } else if self.resting.overlap() >= 0 && self.fewest_orders() > SIDE_ORDERS_MIN {
            self.uncross(tape);
        } else {
            self.ordinary_event(tape);
        }
        self.until_clear = self.until_clear.saturating_sub(tape.records - before);
    }

    fn fewest_orders(&self) -> u32 {
        self.resting.orders(Side::Bid).min(self.resting.orders(Side::Ask))
    }

    /// Is the next event part of a period without matching?
    fn auction_step(&mut self) -> bool {
        if self.auction > 0 {
            self.auction -= 1;
            return true;
        }
        if self.resting.overlap() >= 0 {
            return false;
        }
        if self.until_auction == 0 {
            let target = self.target[0] + self.target[1];
            self.auction = 200 + target / 8;
            self.until_auction = 2_000 + 4 * target;
        }
        self.until_auction -= 1;
        false
    }

    fn auction_event(&mut self, tape: &mut Tape) {
        match tape.rng.below(100) {
            0..8 => self.modify(tape),
            8..16 => {
                let side = if tape.rng.one_in(2) { Side::Bid } else { Side::Ask };
                let overlap_max = (self.reach / 8).clamp(1, 6) as i32;
                let rank = self.resting.best(side) + 1 + tape.rng.below(3) as i32;
                if rank + self.resting.best(side.opposite()) <= overlap_max {
                    self.add_at(side, rank, Pool::Quotes, tape);
                } else {
                    self.add_or_cancel(tape);
                }
            }
            _ => self.add_or_cancel(tape),
        }
    }

    fn ordinary_event(&mut self, tape: &mut Tape) {
        if tape.rng.one_in(self.move_one_in) {
            self.move_touch(tape);
            return;
        }
        if tape.rng.one_in(BURST_ONE_IN) {
            let events = 200 + tape.rng.below(700);
            tape.start_burst(events);
        }
        let x = tape.rng.below(10_000);
        if x < TRADES {
            let side = self.side_under_pressure(5, tape);
            self.trade(side, tape);
        } else if x < TRADES + MODIFIES {
            self.modify(tape);
        } else if tape.rng.one_in(MASS_CANCEL_ONE_IN) {
            self.mass_cancel(tape);
        } else {
            self.add_or_cancel(tape);
        }
    }

    /// The side that trades and moves take from: each as often without a trend, `lean` percent more per step of it.
    fn side_under_pressure(&self, lean: i32, tape: &mut Tape) -> Side {
        if tape.rng.percent((50 + lean * self.trend) as u32) { Side::Ask } else { Side::Bid }
    }

    /// Takes the whole touch of one side away: a sweeping trade, or a run of cancels.
    fn move_touch(&mut self, tape: &mut Tape) {
        let bid = self.resting.best(Side::Bid);
        if bid < self.first_bid - self.first_bid / 4 {
            self.trend = 2;
        } else if bid > self.first_bid + self.first_bid / 4 {
            self.trend = -2;
        } else if tape.rng.one_in(TREND_ONE_IN) {
            self.trend = tape.rng.below(5) as i32 - 2;
        }
        let side = self.side_under_pressure(20, tape);
        let events = 50 + tape.rng.below(250);
        tape.start_burst(events);
        if tape.rng.one_in(2) {
            self.sweep(side, tape);
            return;
        }
        let touch = self.resting.best(side);
        while self.resting.best(side) == touch && self.resting.orders(side) > SIDE_ORDERS_MIN {
            self.cancel_whole(self.resting.back_of_touch(side), tape);
        }
    }

    fn add_or_cancel(&mut self, tape: &mut Tape) {
        let pool = if tape.rng.percent(QUOTES_PERCENT) { Pool::Quotes } else { Pool::Deep };
        // A pool above its target loses orders, one below it gains: this keeps the book's size steady.
        let target = i64::from(self.target[pool as usize]);
        let missing = target - i64::from(self.resting.pooled(pool));
        let adds = 500 + (missing * 1_500 / target).clamp(-250, 250);
        if i64::from(tape.rng.below(1_000)) < adds {
            let side = if tape.rng.one_in(2) { Side::Bid } else { Side::Ask };
            let rank = self.place(side, pool, tape);
            self.add_at(side, rank, pool, tape);
        } else {
            self.cancel(pool, tape);
        }
    }

    /// The rank at which a new order comes: mostly behind the touch, sometimes inside the spread.
    fn place(&self, side: Side, pool: Pool, tape: &mut Tape) -> i32 {
        let best = self.resting.best(side);
        let gap = -self.resting.overlap() - 1;
        if gap > 0 {
            let follows = (side == Side::Bid && self.trend > 0) || (side == Side::Ask && self.trend < 0);
            let eagerness = match self.trend {
                0 => 4,
                _ if follows => 8,
                _ => 2,
            };
            if tape.rng.percent((eagerness * gap as u32).min(40)) {
                // Never so far that the window would lose the old best price.
                return best + 1 + tape.rng.below((gap as u32).min(self.reach)) as i32;
            }
        }
        best - self.distance(pool, tape) as i32
    }

    /// How many ticks behind the touch a new order comes.
    pub(super) fn distance(&self, pool: Pool, tape: &mut Tape) -> u32 {
        if pool == Pool::Quotes {
            let near = tape.rng.geometric();
            if near < self.reach {
                return near;
            }
        }
        tape.rng.below(self.reach)
    }

    fn add_at(&mut self, side: Side, rank: i32, pool: Pool, tape: &mut Tape) {
        self.make_room(side, rank, tape);
        let (id, size) = (tape.new_order_id(), draw_size(tape));
        self.resting.insert(side, rank, size, id, pool);
        tape.begin(self.id);
        self.write(b'A', side, rank, id, size, tape);
        tape.end();
    }

    /// Cancels what lies too far behind for the window, before `rank` becomes the best of its side.
    pub(super) fn make_room(&mut self, side: Side, rank: i32, tape: &mut Tape) {
        while let Some(slot) = self.resting.in_the_way(side, rank) {
            self.cancel_whole(slot, tape);
        }
    }

    fn cancel(&mut self, pool: Pool, tape: &mut Tape) {
        let slot = self.resting.pick(pool, &mut tape.rng);
        if slot == NONE || self.resting.orders(self.resting.order(slot).side) <= SIDE_ORDERS_MIN {
            return;
        }
        let order = *self.resting.order(slot);
        if order.size == 1 || !tape.rng.percent(PARTIAL_CANCELS_PERCENT) {
            self.cancel_whole(slot, tape);
            return;
        }
        let size = 1 + tape.rng.below(order.size - 1);
        self.resting.resize(slot, order.size - size);
        tape.begin(self.id);
        self.write(b'C', order.side, order.rank, order.id, size, tape);
        tape.end();
    }

    fn cancel_whole(&mut self, slot: u32, tape: &mut Tape) {
        tape.begin(self.id);
        self.write_removal(slot, tape);
        tape.end();
    }

    /// Several cancels in one event, as when a participant's session ends.
    fn mass_cancel(&mut self, tape: &mut Tape) {
        let spare = self.fewest_orders().saturating_sub(SIDE_ORDERS_MIN);
        let cancels = (5 + tape.rng.below(36)).min(spare).min(self.resting.pooled(Pool::Quotes));
        if cancels == 0 {
            return;
        }
        tape.begin(self.id);
        for _ in 0..cancels {
            let slot = self.resting.pick(Pool::Quotes, &mut tape.rng);
            self.write_removal(slot, tape);
        }
        tape.end();
    }

    fn modify(&mut self, tape: &mut Tape) {
        let pool = if tape.rng.percent(60) { Pool::Quotes } else { Pool::Deep };
        let slot = self.resting.pick(pool, &mut tape.rng);
        if slot == NONE {
            return;
        }
        let order = *self.resting.order(slot);
        let (mut rank, mut size) = (order.rank, order.size);
        match tape.rng.below(100) {
            0..50 if order.size > 1 => {
                size = 1 + tape.rng.below(order.size - 1);
                self.resting.resize(slot, size);
            }
            0..25 | 50..75 => {
                size += 1 + tape.rng.below(5);
                self.resting.resize(slot, size);
                self.resting.requeue(slot, rank);
            }
            draw => {
                rank = self.resting.best(order.side) - self.distance(Pool::Quotes, tape) as i32;
                if rank == order.rank {
                    rank -= 1;
                }
                if draw >= 95 {
                    size = draw_size(tape);
                    self.resting.resize(slot, size);
                }
                self.resting.requeue(slot, rank);
            }
        }
        tape.begin(self.id);
        self.write(b'M', order.side, rank, order.id, size, tape);
        tape.end();
    }

    /// Into the open event: the whole order goes.
    pub(super) fn write_removal(&mut self, slot: u32, tape: &mut Tape) {
        let order = *self.resting.order(slot);
        self.resting.remove(slot);
        self.write(b'C', order.side, order.rank, order.id, order.size, tape);
    }

    /// Into the open event: a record about an order at `rank` of `side`.
    pub(super) fn write(&self, action: u8, side: Side, rank: i32, order_id: u64, size: u32, tape: &mut Tape) {
        let price = self.price(side, rank);
        tape.push(&Entry { action, side: side.letter(), order_id, price, size });
    }

    /// In 1e-9 units.
    pub(super) fn price(&self, side: Side, rank: i32) -> i64 {
        i64::from(side.ticks(rank)) * self.tick
    }
}
