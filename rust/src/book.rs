//! One instrument's full-depth book: a `BTreeMap` of price levels per side, a FIFO queue per level.
//!
//! # Invariants ([`OrderBook::check`])
//! 1. Every resting order has a size above zero and is found under its id, once.
//! 2. Every level holds at least one order, or is the one quote of a top-of-book side; its size is the sum of its
//!    queue (and quote), its count the length of its queue; the links of the queue agree in both directions.
//! 3. Every level stands in its side's tree under its own price, and nowhere else.
//! 4. The cached best level of a side is the extreme of its tree.
//! 5. Slots are in use or free, never both and never neither.
//!
//! # Cost
//! An order knows its level, so Cancel and same-price Modify search no tree. A small direct-mapped cache of
//! `price → level` stands in front of the tree, for Adds near the touch; it needs no invalidation, since a level slot
//! says itself which price it holds. The tree is searched when a level is new, dies, or its cache line was taken by
//! another price: a book whose Adds are spread evenly over thousands of levels pays that each time.

use std::collections::{BTreeMap, btree_map};

use crate::{
    id_map::NIL,
    queue::{Found, LevelSlot, OrderSlot, Orders},
    record::{Action, MboMsg, Side, UNDEF_PRICE, flags},
};

/// What a Modify with the same price and the same size does to the order's place in its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSizeModify {
    /// It keeps its place, as in Databento's published example.
    #[default]
    KeepsPlace,
    /// It goes to the back of the queue.
    ToBack,
}

/// Counts of what a book was told and of what was odd about it. All count records, since the book was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Arrived records by [`Action`], `Unknown` last.
    pub by_action: [u64; 8],
    /// Cancels of an order that does not rest.
    pub unknown_cancels: u64,
    /// Modifies of an order that does not rest; treated as Adds.
    pub unknown_modifies: u64,
    /// Adds of an order that rests already; they replace it.
    pub duplicate_adds: u64,
    /// Cancels of more than rests; the order is removed.
    pub over_cancels: u64,
    /// Adds (ignored) and Modifies (removals) of size 0.
    pub zero_sizes: u64,
    /// Refused Adds and Modifies: side neither B nor A.
    pub rejected_side: u64,
    /// Refused Adds and Modifies: no price.
    pub rejected_price: u64,
}

/// All orders at one price, as seen from outside. Price in 1e-9 units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Level {
    /// Price in units of 1e-9.
    pub price: i64,
    /// Sum of the sizes of all orders at this price.
    pub size: u64,
    /// Number of orders; 0 for the quote of a top-of-book feed.
    pub count: u32,
    padding: u32,
}

impl Level {
    /// A level by its parts.
    #[must_use]
    pub fn new(price: i64, size: u64, count: u32) -> Self {
        Self { price, size, count, padding: 0 }
    }

    fn of(level: &LevelSlot) -> Self {
        Self::new(level.price, level.size, level.count)
    }
}

/// One resting order, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The venue's id.
    pub order_id: u64,
    /// The side it rests on.
    pub side: Side,
    /// Price in units of 1e-9.
    pub price: i64,
    /// What is left of it.
    pub size: u32,
    /// ts_event (ns) of the record that gave it its place in the queue.
    pub ts_event: u64,
}

/// Orders and size on either side of an order in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// Orders with priority over it at its price.
    pub orders_ahead: u32,
    /// Their summed size.
    pub size_ahead: u64,
    /// Orders over which it has priority at its price.
    pub orders_behind: u32,
    /// Their summed size.
    pub size_behind: u64,
}

/// A broken invariant: always a bug of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken invariant: {0}")]
pub struct Broken(pub String);

const CACHE_BITS: u32 = 8;

/// The book of one instrument. It changes record by record; [`EventBook`](crate::event::EventBook) makes it change
/// event by event.
#[derive(Clone)]
pub struct OrderBook {
    orders: Orders,
    levels: Vec<LevelSlot>,
    free_level: u32,
    sides: [BTreeMap<i64, u32>; 2],
    best: [u32; 2],
    cache: [u32; 1 << CACHE_BITS],
    /// Per side: size of the top-of-book quote and the level it stands on.
    quotes: [Option<(u64, u32)>; 2],
    same_size: SameSizeModify,
    pub(crate) counters: Counters,
}

impl Default for OrderBook {
    fn default() -> Self {
        Self::new(SameSizeModify::default())
    }
}

impl OrderBook {
    /// An empty book.
    #[must_use]
    pub fn new(same_size: SameSizeModify) -> Self {
        Self {
            orders: Orders::new(),
            levels: Vec::new(),
            free_level: NIL,
            sides: [BTreeMap::new(), BTreeMap::new()],
            best: [NIL; 2],
            cache: [NIL; 1 << CACHE_BITS],
            quotes: [None; 2],
            same_size,
            counters: Counters::default(),
        }
    }

    /// Applies a record that [`Reject::of`](crate::record::Reject::of) lets pass; any other changes nothing.
    #[inline(always)]
    pub fn apply(&mut self, action: Action, record: &MboMsg) {
        match action {
            Action::Add => self.add(record),
            Action::Cancel => self.cancel(record),
            Action::Modify => self.modify(record),
            Action::Clear => self.clear(),
            Action::Trade | Action::Fill | Action::None | Action::Unknown => {}
        }
    }

    #[inline(always)]
    fn add(&mut self, record: &MboMsg) {
        let Some(side) = Side::of(record) else { return };
        if record.flags.raw() & flags::TOB != 0 {
            return self.replace_side(side, record);
        }
        if record.size == 0 {
            self.counters.zero_sizes += 1;
            return;
        }
        if let Some(found) = self.orders.find(record.order_id) {
            self.counters.duplicate_adds += 1;
            self.remove(found);
        }
        self.insert(side, record);
    }

    #[inline(always)]
    fn insert(&mut self, side: Side, record: &MboMsg) {
        self.insert_order(side, record.price, record.order_id, record.hd.ts_event, record.size);
    }

    /// Puts an order that does not rest yet at the back of its queue. The size is above zero.
    #[inline(always)]
    pub(crate) fn insert_order(&mut self, side: Side, price: i64, order_id: u64, ts_event: u64, size: u32) {
        let level = self.level_at(side, price);
        let slot = self.orders.insert(order_id, ts_event, size);
        self.orders.push_back(&mut self.levels[level as usize], level, slot);
    }

    #[inline(always)]
    fn cancel(&mut self, record: &MboMsg) {
        let Some(found) = self.orders.find(record.order_id) else {
            self.counters.unknown_cancels += 1;
            return;
        };
        let order = self.orders.get_mut(found.slot);
        if record.size < order.size {
            order.size -= record.size;
            self.levels[order.level as usize].size -= u64::from(record.size);
        } else {
            self.counters.over_cancels += u64::from(record.size > order.size);
            self.remove(found);
        }
    }

    #[inline(always)]
    fn modify(&mut self, record: &MboMsg) {
        let Some(side) = Side::of(record) else { return };
        let found = self.orders.find(record.order_id);
        if found.is_none() {
            self.counters.unknown_modifies += 1;
        }
        if record.size == 0 {
            self.counters.zero_sizes += 1;
            if let Some(found) = found {
                self.remove(found);
            }
            return;
        }
        let Some(found) = found else { return self.insert(side, record) };
        let order = *self.orders.get(found.slot);
        let level = &mut self.levels[order.level as usize];
        let moves = level.price != record.price || level.side != side as u8;
        let to_back =
            record.size > order.size || (record.size == order.size && self.same_size == SameSizeModify::ToBack);
        if !moves && !to_back {
            self.orders.get_mut(found.slot).size = record.size;
            level.size -= u64::from(order.size - record.size);
            return;
        }
        self.orders.unlink(level, found.slot);
        let target = if moves {
            if level.size == 0 {
                self.remove_level(order.level);
            }
            self.level_at(side, record.price)
        } else {
            order.level
        };
        let moved = self.orders.get_mut(found.slot);
        moved.size = record.size;
        moved.ts_event = record.hd.ts_event;
        self.orders.push_back(&mut self.levels[target as usize], target, found.slot);
    }

    /// Empties the book; counters stay.
    fn clear(&mut self) {
        let levels = &self.levels;
        let alive = self.sides.iter().flat_map(BTreeMap::values).map(|slot| &levels[*slot as usize]);
        self.orders.clear(alive);
        self.levels.clear();
        self.free_level = NIL;
        self.sides.iter_mut().for_each(BTreeMap::clear);
        self.best = [NIL; 2];
        self.cache.fill(NIL);
        self.quotes = [None; 2];
    }

    /// A top-of-book Add: everything on that side goes, and one quote (or nothing) takes its place.
    #[cold]
    fn replace_side(&mut self, side: Side, record: &MboMsg) {
        let is_empty = record.price == UNDEF_PRICE;
        if !is_empty && record.size == 0 {
            self.counters.zero_sizes += 1;
            return;
        }
        let levels: Vec<u32> = self.sides[side as usize].values().copied().collect();
        for level in levels {
            while self.levels[level as usize].head != NIL {
                let slot = self.levels[level as usize].head;
                let found = self.orders.find(self.orders.get(slot).id).expect("a queued order is indexed");
                self.orders.unlink(&mut self.levels[level as usize], slot);
                self.orders.remove(found);
            }
            self.levels[level as usize].size = 0;
            self.remove_level(level);
        }
        self.quotes[side as usize] = None;
        if !is_empty {
            self.set_quote(side, record.price, u64::from(record.size));
        }
    }

    /// Puts the quote of a top-of-book feed on a side that has none.
    pub(crate) fn set_quote(&mut self, side: Side, price: i64, size: u64) {
        let level = self.level_at(side, price);
        self.levels[level as usize].size += size;
        self.quotes[side as usize] = Some((size, level));
    }

    /// (price, size) of the quote that stands on a side of a top-of-book feed.
    #[must_use]
    pub fn quote(&self, side: Side) -> Option<(i64, u64)> {
        self.quotes[side as usize].map(|(size, level)| (self.levels[level as usize].price, size))
    }

    /// Takes an order out of its queue and of the book.
    #[inline(always)]
    fn remove(&mut self, found: Found) {
        let level_slot = self.orders.get(found.slot).level;
        let level = &mut self.levels[level_slot as usize];
        self.orders.unlink(level, found.slot);
        let is_dead = level.size == 0;
        self.orders.remove(found);
        if is_dead {
            self.remove_level(level_slot);
        }
    }

    #[inline(always)]
    fn cache_line(side: Side, price: i64) -> usize {
        // Fibonacci hashing: prices of one instrument differ by a few multiples of its tick.
        let mixed = (price as u64 ^ ((side as u64) << 63)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (64 - CACHE_BITS)) as usize
    }

    /// The slot of the level at this price, made if there is none.
    #[inline(always)]
    fn level_at(&mut self, side: Side, price: i64) -> u32 {
        let line = Self::cache_line(side, price);
        let cached = self.cache[line];
        if let Some(level) = self.levels.get(cached as usize)
            && level.price == price
            && level.side == side as u8
            && level.size != 0
        {
            return cached;
        }
        let slot = self.level_in_tree(side, price);
        self.cache[line] = slot;
        slot
    }

    #[inline(never)]
    fn level_in_tree(&mut self, side: Side, price: i64) -> u32 {
        let vacant = match self.sides[side as usize].entry(price) {
            btree_map::Entry::Occupied(level) => return *level.get(),
            btree_map::Entry::Vacant(vacant) => vacant,
        };
        let level = LevelSlot { price, size: 0, count: 0, head: NIL, tail: NIL, side: side as u8 };
        let slot = if self.free_level == NIL {
            let slot =
                u32::try_from(self.levels.len()).ok().filter(|slot| *slot != NIL).expect("fewer than 2^32 - 1 levels");
            self.levels.push(level);
            slot
        } else {
            let slot = self.free_level;
            self.free_level = self.levels[slot as usize].head;
            self.levels[slot as usize] = level;
            slot
        };
        vacant.insert(slot);
        let best = &mut self.best[side as usize];
        let is_better = *best == NIL
            || match side {
                Side::Bid => price > self.levels[*best as usize].price,
                Side::Ask => price < self.levels[*best as usize].price,
            };
        if is_better {
            *best = slot;
        }
        slot
    }

    #[inline(never)]
    fn remove_level(&mut self, slot: u32) {
        let level = &mut self.levels[slot as usize];
        debug_assert!(level.size == 0 && level.count == 0);
        let tree = &mut self.sides[level.side as usize];
        tree.remove(&level.price);
        level.head = self.free_level;
        self.free_level = slot;
        let side = level.side as usize;
        if self.best[side] == slot {
            let next = if side == Side::Bid as usize { tree.last_key_value() } else { tree.first_key_value() };
            self.best[side] = next.map_or(NIL, |(_, slot)| *slot);
        }
    }

    /// Asks the processor to load what applying a record of this order will look up first.
    #[inline(always)]
    pub fn prefetch(&self, order_id: u64) {
        self.orders.prefetch(order_id);
    }

    /// Number of resting orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether no order and no quote rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.best == [NIL; 2]
    }

    /// Number of price levels on a side.
    #[must_use]
    pub fn level_count(&self, side: Side) -> usize {
        self.sides[side as usize].len()
    }

    /// Bytes held by order slots, id table and level slots, in use or not; without the trees' nodes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.orders.memory_bytes() + self.levels.capacity() * size_of::<LevelSlot>()
    }

    /// The best level of a side.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels.get(self.best[side as usize] as usize).map(Level::of)
    }

    /// Best bid above best ask. Legal before an open; flagged, never repaired.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        matches!((self.best(Side::Bid), self.best(Side::Ask)), (Some(bid), Some(ask)) if bid.price > ask.price)
    }

    /// Best bid equal to best ask.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!((self.best(Side::Bid), self.best(Side::Ask)), (Some(bid), Some(ask)) if bid.price == ask.price)
    }

    fn level_slots(&self, side: Side) -> impl Iterator<Item = &LevelSlot> {
        let tree = &self.sides[side as usize];
        let (mut up, mut down) = match side {
            Side::Bid => (None, Some(tree.values().rev())),
            Side::Ask => (Some(tree.values()), None),
        };
        std::iter::from_fn(move || {
            let slot = match (&mut up, &mut down) {
                (Some(values), _) => values.next(),
                (_, Some(values)) => values.next(),
                _ => None,
            };
            slot.map(|slot| &self.levels[*slot as usize])
        })
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> {
        self.level_slots(side).map(Level::of)
    }

    /// The levels of a side, best first, each with its orders in priority order.
    pub fn queues(&self, side: Side) -> impl Iterator<Item = (Level, impl Iterator<Item = Order>)> {
        self.level_slots(side).map(|level| (Level::of(level), self.queue(level)))
    }

    fn queue<'a>(&'a self, level: &'a LevelSlot) -> impl Iterator<Item = Order> + use<'a> {
        self.orders.queue(level).map(|order| self.view(order))
    }

    fn view(&self, order: &OrderSlot) -> Order {
        let level = &self.levels[order.level as usize];
        Order {
            order_id: order.id,
            side: Side::BOTH[level.side as usize],
            price: level.price,
            size: order.size,
            ts_event: order.ts_event,
        }
    }

    /// A resting order.
    #[must_use]
    pub fn order(&self, order_id: u64) -> Option<Order> {
        self.orders.find(order_id).map(|found| self.view(self.orders.get(found.slot)))
    }

    /// The level at a price, if there is one.
    #[must_use]
    pub fn level(&self, side: Side, price: i64) -> Option<Level> {
        self.sides[side as usize].get(&price).map(|slot| Level::of(&self.levels[*slot as usize]))
    }

    /// The orders at a price in priority order; none if there is no such level.
    pub fn orders_at(&self, side: Side, price: i64) -> impl Iterator<Item = Order> {
        let level = self.sides[side as usize].get(&price).map(|slot| &self.levels[*slot as usize]);
        level.into_iter().flat_map(|level| self.queue(level))
    }

    /// The order at a price that has the least priority.
    #[must_use]
    pub fn last_at(&self, side: Side, price: i64) -> Option<Order> {
        let level = &self.levels[*self.sides[side as usize].get(&price)? as usize];
        (level.tail != NIL).then(|| self.view(self.orders.get(level.tail)))
    }

    /// Where a resting order stands in its queue. Walks the queue.
    #[must_use]
    pub fn queue_position(&self, order_id: u64) -> Option<QueuePosition> {
        let found = self.orders.find(order_id)?;
        let order = self.orders.get(found.slot);
        let level = &self.levels[order.level as usize];
        let ahead = self.orders.queue(level).take_while(|other| other.id != order_id);
        let (orders_ahead, size_ahead) =
            ahead.fold((0, 0), |(orders, size), other| (orders + 1, size + u64::from(other.size)));
        let quote = self.quotes[level.side as usize].filter(|(_, slot)| *slot == order.level).map_or(0, |q| q.0);
        Some(QueuePosition {
            orders_ahead,
            size_ahead,
            orders_behind: level.count - orders_ahead - 1,
            size_behind: level.size - quote - size_ahead - u64::from(order.size),
        })
    }

    /// Checks every invariant of the module documentation. Walks the whole book.
    ///
    /// # Errors
    /// The first broken invariant, in words.
    pub fn check(&self) -> Result<(), Broken> {
        let fail = |what: String| Err(Broken(what));
        let mut orders_seen = 0;
        let mut levels_seen = 0;
        for side in Side::BOTH {
            for (price, slot) in &self.sides[side as usize] {
                let level = &self.levels[*slot as usize];
                if level.price != *price || level.side != side as u8 {
                    return fail(format!("the tree's level {} {price} holds price {}", side.letter(), level.price));
                }
                orders_seen += self.check_queue(*slot, level)?;
                levels_seen += 1;
            }
            let best = self.level_slots(side).next().map(|level| level.price);
            if self.best(side).map(|level| level.price) != best {
                return fail(format!("cached best {} is {:?}, the tree's is {best:?}", side.letter(), self.best(side)));
            }
        }
        if orders_seen != self.orders.len() {
            return fail(format!("{orders_seen} orders are queued, {} are indexed", self.orders.len()));
        }
        match self.orders.free_slots() {
            Some(free) if free + orders_seen == self.orders.slots() => {}
            free => {
                return fail(format!("{free:?} free and {orders_seen} used of {} order slots", self.orders.slots()));
            }
        }
        let free_levels = self.levels.iter().filter(|level| level.size == 0).count();
        if free_levels + levels_seen != self.levels.len() {
            return fail(format!("{free_levels} free and {levels_seen} used of {} level slots", self.levels.len()));
        }
        Ok(())
    }

    /// Checks one queue; returns its length.
    fn check_queue(&self, slot: u32, level: &LevelSlot) -> Result<usize, Broken> {
        let fail = |what: String| Err(Broken(format!("level {}: {what}", level.price)));
        let (mut count, mut size, mut prev, mut at) = (0usize, 0u64, NIL, level.head);
        while at != NIL {
            let order = self.orders.get(at);
            if order.size == 0 || order.level != slot || order.prev != prev || !self.orders.indexed(at) {
                return fail(format!("order {} has size 0, a wrong level or link, or is not indexed", order.id));
            }
            size += u64::from(order.size);
            count += 1;
            if count > self.orders.len() {
                return fail("the queue runs in a circle".into());
            }
            (prev, at) = (at, order.next);
        }
        let quote = self.quotes[level.side as usize].filter(|(_, at)| *at == slot).map_or(0, |(size, _)| size);
        if prev != level.tail || count != level.count as usize || size + quote != level.size || level.size == 0 {
            return fail(format!(
                "{count} orders of size {size} and a quote of {quote} are there, {} and {} are stated",
                level.count, level.size
            ));
        }
        Ok(count)
    }
}
