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
//! An order knows its level, so Cancel and same-price Modify search no tree; an Add near the touch finds its level in
//! a cache (`levels`). What is left is one probe of the id table, one order slot, one level slot and the two neighbours
//! in the queue: a handful of cache lines, which `Market` asks for a block of records ahead. A book that is fed one
//! record at a time, as `OrderBook` is from Python, waits for each of them in turn.

mod check;

use crate::{
    id_map::{NIL, Place, Tag},
    levels::{LevelSlot, Levels},
    queue::{OrderSlot, Orders},
    record::{Action, MboMsg, Reject, Side, UNDEF_PRICE, flags},
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

impl SameSizeModify {
    /// Whether a Modify at the same price, from one size to another, costs the order its place.
    #[inline(always)]
    pub(crate) fn goes_to_back(self, from: u32, to: u32) -> bool {
        to > from || (to == from && self == SameSizeModify::ToBack)
    }
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

/// The book of one instrument. It changes record by record; [`EventBook`](crate::event::EventBook) makes it change
/// event by event.
#[derive(Clone)]
pub struct OrderBook {
    orders: Orders,
    levels: Levels,
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
            levels: Levels::new(),
            quotes: [None; 2],
            same_size,
            counters: Counters::default(),
        }
    }

    /// Applies a record; one that [`Reject::of`] refuses changes nothing.
    #[inline(always)]
    pub fn apply(&mut self, action: Action, record: &MboMsg) {
        if Reject::of(action, record).is_some() {
            return;
        }
        let tag = self.tag(record);
        match action {
            Action::Add => self.add(tag, record),
            Action::Cancel => self.cancel(tag, record),
            Action::Modify => self.modify(tag, record),
            Action::Clear => self.clear(),
            Action::Trade | Action::Fill | Action::None | Action::Unknown => {}
        }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, tag: Tag, record: &MboMsg) {
        let Some(side) = Side::of(record) else { return };
        if record.flags.raw() & flags::TOB != 0 {
            return self.replace_side(side, record);
        }
        if record.size == 0 {
            self.counters.zero_sizes += 1;
            return;
        }
        let mut place = self.orders.find_tagged(tag, record.order_id);
        if place.slot != NIL {
            self.counters.duplicate_adds += 1;
            self.remove(place);
            place = self.orders.find_tagged(tag, record.order_id);
        }
        self.insert(place, side, record);
    }

    #[inline(always)]
    fn insert(&mut self, place: Place, side: Side, record: &MboMsg) {
        let level = self.levels.at(side, record.price);
        let slot = self.orders.insert(place, record.order_id, record.hd.ts_event, record.size);
        self.orders.push_back(self.levels.get_mut(level), level, slot);
    }

    /// Puts an order that does not rest yet at the back of its queue. The size is above zero.
    pub(crate) fn insert_order(&mut self, side: Side, price: i64, order_id: u64, ts_event: u64, size: u32) {
        let level = self.levels.at(side, price);
        let slot = self.orders.insert(self.orders.find(order_id), order_id, ts_event, size);
        self.orders.push_back(self.levels.get_mut(level), level, slot);
    }

    #[inline(always)]
    pub(crate) fn cancel(&mut self, tag: Tag, record: &MboMsg) {
        let place = self.orders.find_tagged(tag, record.order_id);
        if place.slot == NIL {
            self.counters.unknown_cancels += 1;
            return;
        }
        let order = self.orders.get_mut(place.slot);
        if record.size < order.size {
            order.size -= record.size;
            self.levels.get_mut(order.level).size -= u64::from(record.size);
        } else {
            self.counters.over_cancels += u64::from(record.size > order.size);
            self.remove(place);
        }
    }

    #[inline(always)]
    pub(crate) fn modify(&mut self, tag: Tag, record: &MboMsg) {
        let Some(side) = Side::of(record) else { return };
        let place = self.orders.find_tagged(tag, record.order_id);
        let is_unknown = place.slot == NIL;
        self.counters.unknown_modifies += u64::from(is_unknown);
        if record.size == 0 {
            self.counters.zero_sizes += 1;
            if !is_unknown {
                self.remove(place);
            }
            return;
        }
        if is_unknown {
            return self.insert(place, side, record);
        }
        let order = *self.orders.get(place.slot);
        let level = self.levels.get_mut(order.level);
        let moves = (level.price != record.price) | (level.side != side);
        let to_back = self.same_size.goes_to_back(order.size, record.size);
        if !moves && !to_back {
            self.orders.get_mut(place.slot).size = record.size;
            level.size -= u64::from(order.size - record.size);
            return;
        }
        self.orders.unlink(level, place.slot);
        let target = if moves {
            if level.size == 0 {
                self.levels.remove(order.level);
            }
            self.levels.at(side, record.price)
        } else {
            order.level
        };
        let moved = self.orders.get_mut(place.slot);
        moved.size = record.size;
        moved.ts_event = record.hd.ts_event;
        self.orders.push_back(self.levels.get_mut(target), target, place.slot);
    }

    /// Empties the book; counters stay.
    fn clear(&mut self) {
        let levels = &self.levels;
        self.orders.clear(Side::BOTH.into_iter().flat_map(|side| levels.iter(side)));
        self.levels.clear();
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
        let slots: Vec<u32> = self.levels.entries(side).map(|(_, slot)| slot).collect();
        for slot in slots {
            let level = self.levels.get_mut(slot);
            while level.head != NIL {
                let place = self.orders.find(self.orders.get(level.head).id);
                self.orders.unlink(level, place.slot);
                self.orders.remove(place);
            }
            level.size = 0;
            self.levels.remove(slot);
        }
        self.quotes[side as usize] = None;
        if !is_empty {
            self.set_quote(side, record.price, u64::from(record.size));
        }
    }

    /// Puts the quote of a top-of-book feed on a side that has none.
    pub(crate) fn set_quote(&mut self, side: Side, price: i64, size: u64) {
        let level = self.levels.at(side, price);
        self.levels.get_mut(level).size += size;
        self.quotes[side as usize] = Some((size, level));
    }

    /// (price, size) of the quote that stands on a side of a top-of-book feed.
    #[must_use]
    pub fn quote(&self, side: Side) -> Option<(i64, u64)> {
        self.quotes[side as usize].map(|(size, level)| (self.levels.get(level).price, size))
    }

    /// Takes an order out of its queue and of the book.
    #[inline(always)]
    fn remove(&mut self, place: Place) {
        let level_slot = self.orders.get(place.slot).level;
        let level = self.levels.get_mut(level_slot);
        self.orders.unlink(level, place.slot);
        let is_dead = level.size == 0;
        self.orders.remove(place);
        if is_dead {
            self.levels.remove(level_slot);
        }
    }

    /// Asks the processor to load what applying a record of this order will look up first.
    #[inline(always)]
    pub fn prefetch(&self, order_id: u64) {
        self.orders.prefetch_entry(self.orders.tag(order_id));
    }

    /// What the id table knows a record's order by.
    #[inline(always)]
    pub(crate) fn tag(&self, record: &MboMsg) -> Tag {
        self.orders.tag(record.order_id)
    }

    /// First of three steps that ask for what applying a record will touch: the tables.
    #[inline(always)]
    pub(crate) fn prefetch_tables(&self, tag: Tag, record: &MboMsg) {
        self.orders.prefetch_entry(tag);
        self.levels.prefetch_cached(record.price);
    }

    /// Second step: what the tables lead to.
    #[inline(always)]
    pub(crate) fn prefetch_slots(&self, tag: Tag, record: &MboMsg) {
        self.orders.prefetch_slot(tag);
        self.levels.prefetch(self.levels.guess(record.price));
    }

    /// Third step: the order's neighbours in its queue, and the order at the back of the level.
    #[inline(always)]
    pub(crate) fn prefetch_neighbours(&self, tag: Tag, record: &MboMsg) {
        self.orders.prefetch_neighbours(tag);
        self.orders.prefetch(self.levels.get(self.levels.guess(record.price)).tail);
    }

    /// Side and price at which an order rests, if it does.
    #[inline(always)]
    pub(crate) fn place_of(&self, tag: Tag, order_id: u64) -> Option<(Side, i64)> {
        let slot = self.orders.find_tagged(tag, order_id).slot;
        (slot != NIL).then(|| {
            let level = self.levels.get(self.orders.get(slot).level);
            (level.side, level.price)
        })
    }

    /// What a Modify that changes nothing does here.
    pub(crate) fn same_size(&self) -> SameSizeModify {
        self.same_size
    }

    /// Number of resting orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether no order and no quote rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Side::BOTH.iter().all(|side| self.levels.best(*side).is_none())
    }

    /// Number of price levels on a side.
    #[must_use]
    pub fn level_count(&self, side: Side) -> usize {
        self.levels.len(side)
    }

    /// Bytes held by order slots, id table and level slots, in use or not; without the trees' nodes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.orders.memory_bytes() + self.levels.memory_bytes()
    }

    /// The best level of a side.
    #[inline]
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels.best(side).map(Level::of)
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

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> {
        self.levels.iter(side).map(Level::of)
    }

    /// The best `depth` levels of a side, best first.
    #[must_use]
    pub fn best_levels(&self, side: Side, depth: usize) -> Vec<Level> {
        let mut levels = Vec::with_capacity(depth.min(self.level_count(side)));
        self.levels.extend_best(side, depth, &mut levels, Level::of);
        levels
    }

    /// The levels of a side, best first, each with its orders in priority order.
    pub fn queues(&self, side: Side) -> impl Iterator<Item = (Level, impl Iterator<Item = Order>)> {
        self.levels.iter(side).map(|level| (Level::of(level), self.queue(level)))
    }

    fn queue<'a>(&'a self, level: &'a LevelSlot) -> impl Iterator<Item = Order> + use<'a> {
        self.orders.queue(level).map(|order| self.view(order))
    }

    fn view(&self, order: &OrderSlot) -> Order {
        let level = self.levels.get(order.level);
        Order { order_id: order.id, side: level.side, price: level.price, size: order.size, ts_event: order.ts_event }
    }

    /// A resting order.
    #[must_use]
    pub fn order(&self, order_id: u64) -> Option<Order> {
        let slot = self.orders.find(order_id).slot;
        (slot != NIL).then(|| self.view(self.orders.get(slot)))
    }

    /// The level at a price, if there is one.
    #[must_use]
    pub fn level(&self, side: Side, price: i64) -> Option<Level> {
        self.levels.find(side, price).map(Level::of)
    }

    /// The orders at a price in priority order; none if there is no such level.
    pub fn orders_at(&self, side: Side, price: i64) -> impl Iterator<Item = Order> {
        let level = self.levels.find(side, price);
        level.into_iter().flat_map(|level| self.queue(level))
    }

    /// The order at a price that has the least priority.
    #[must_use]
    pub fn last_at(&self, side: Side, price: i64) -> Option<Order> {
        let level = self.levels.find(side, price)?;
        (level.tail != NIL).then(|| self.view(self.orders.get(level.tail)))
    }

    /// Where a resting order stands in its queue. Walks the queue.
    #[must_use]
    pub fn queue_position(&self, order_id: u64) -> Option<QueuePosition> {
        let slot = self.orders.find(order_id).slot;
        let order = (slot != NIL).then(|| self.orders.get(slot))?;
        let level = self.levels.get(order.level);
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
}
