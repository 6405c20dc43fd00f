//! The naive book: the opponent of the fast one, so plain that it can be checked by reading it.
//!
//! A `BTreeMap` of `VecDeque`s per side and a std `HashMap`; orders are searched one by one in their queue, totals are
//! summed when somebody asks, nothing is cached. It shares no code with `book`, `queue`, `id_map` or `event` and reads
//! the action and side bytes itself, so that it cannot share their mistakes. Tests hold the fast book against
//! [`NaiveBook`] after every event; benchmarks time [`NaiveOrders`] as what one would write without measuring.

use std::collections::{BTreeMap, HashMap, VecDeque};

use dbn::{
    MboMsg, UNDEF_PRICE,
    flags::{LAST, MAYBE_BAD_BOOK, SNAPSHOT, TOB},
};

use crate::record::Side;

/// A resting order: its id, what is left of it, and the ts_event (ns) of the record that gave it its place.
pub type QueuedOrder = (u64, u32, u64);

/// The rules of one book, record by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NaiveOrders {
    /// Whether a Modify with the same price and size moves the order to the back of its queue.
    pub same_size_to_back: bool,
    /// Per side (0 bid, 1 ask): the queue at each price, first in first out.
    pub sides: [BTreeMap<i64, VecDeque<QueuedOrder>>; 2],
    /// Side (0 or 1) and price of every resting order.
    pub places: HashMap<u64, (usize, i64)>,
    /// Per side: price and size of the quote of a top-of-book feed.
    pub quotes: [Option<(i64, u32)>; 2],
    /// Cancels of an order that does not rest.
    pub unknown_cancels: u64,
    /// Modifies of an order that does not rest.
    pub unknown_modifies: u64,
    /// Adds of an order that rests.
    pub duplicate_adds: u64,
    /// Cancels of more than rests.
    pub over_cancels: u64,
    /// Adds and Modifies of size 0.
    pub zero_sizes: u64,
}

/// 0 for a bid, 1 for an ask.
fn side_of(record: &MboMsg) -> Option<usize> {
    match record.side as u8 {
        b'B' => Some(0),
        b'A' => Some(1),
        _ => None,
    }
}

/// The place of an accepted record among the counters of arrivals: one for each action, then three reasons to refuse.
fn arrival(record: &MboMsg) -> usize {
    b"ACMRTFN".iter().position(|action| *action == record.action as u8).expect("one of seven actions")
}

/// The place of a refused record there.
fn fault_of(record: &MboMsg) -> Option<usize> {
    let action = record.action as u8;
    if !b"ACMRTFN".contains(&action) {
        Some(7)
    } else if !b"AM".contains(&action) {
        None
    } else if side_of(record).is_none() {
        Some(8)
    } else if record.price == UNDEF_PRICE && !(action == b'A' && record.flags.raw() & TOB != 0) {
        Some(9)
    } else {
        None
    }
}

impl NaiveOrders {
    /// An empty book.
    #[must_use]
    pub fn new(same_size_to_back: bool) -> Self {
        Self { same_size_to_back, ..Self::default() }
    }

    /// Applies one record at once, whatever event it belongs to. A refused record changes nothing.
    pub fn apply(&mut self, record: &MboMsg) {
        if fault_of(record).is_some() {
            return;
        }
        match record.action as u8 {
            b'A' => self.add(record),
            b'C' => self.cancel(record),
            b'M' => self.modify(record),
            b'R' => {
                self.sides = Default::default();
                self.places.clear();
                self.quotes = [None, None];
            }
            // Trades, fills and nothing: an explicit Cancel or Modify accompanies what changes the book.
            _ => {}
        }
    }

    fn add(&mut self, record: &MboMsg) {
        let side = side_of(record).expect("an accepted Add has a side");
        if record.flags.raw() & TOB != 0 {
            self.quote(side, record);
        } else if record.size == 0 {
            self.zero_sizes += 1;
        } else {
            if self.places.contains_key(&record.order_id) {
                self.duplicate_adds += 1;
                self.remove(record.order_id);
            }
            self.join_back(side, record);
        }
    }

    /// A top-of-book Add stands for its whole side; without a price the side is empty.
    fn quote(&mut self, side: usize, record: &MboMsg) {
        if record.price != UNDEF_PRICE && record.size == 0 {
            self.zero_sizes += 1;
            return;
        }
        self.sides[side].clear();
        self.places.retain(|_, place| place.0 != side);
        self.quotes[side] = (record.price != UNDEF_PRICE).then_some((record.price, record.size));
    }

    fn cancel(&mut self, record: &MboMsg) {
        let Some(order) = self.resting(record.order_id) else {
            self.unknown_cancels += 1;
            return;
        };
        if record.size < order.1 {
            order.1 -= record.size;
            return;
        }
        if record.size > order.1 {
            self.over_cancels += 1;
        }
        self.remove(record.order_id);
    }

    fn modify(&mut self, record: &MboMsg) {
        let side = side_of(record).expect("an accepted Modify has a side");
        let place = self.places.get(&record.order_id).copied();
        if place.is_none() {
            self.unknown_modifies += 1;
        }
        if record.size == 0 {
            self.zero_sizes += 1;
            self.remove(record.order_id);
            return;
        }
        let to_back = self.same_size_to_back;
        if place == Some((side, record.price))
            && let Some(order) = self.resting(record.order_id)
            && (record.size < order.1 || (record.size == order.1 && !to_back))
        {
            order.1 = record.size;
            return;
        }
        self.remove(record.order_id);
        self.join_back(side, record);
    }

    fn join_back(&mut self, side: usize, record: &MboMsg) {
        let order = (record.order_id, record.size, record.hd.ts_event);
        self.sides[side].entry(record.price).or_default().push_back(order);
        self.places.insert(record.order_id, (side, record.price));
    }

    fn resting(&mut self, order_id: u64) -> Option<&mut QueuedOrder> {
        let (side, price) = self.places.get(&order_id)?;
        self.sides[*side].get_mut(price)?.iter_mut().find(|order| order.0 == order_id)
    }

    fn remove(&mut self, order_id: u64) {
        let Some((side, price)) = self.places.remove(&order_id) else { return };
        let queue = self.sides[side].get_mut(&price).expect("a placed order has a level");
        let at = queue.iter().position(|order| order.0 == order_id).expect("a placed order is queued");
        queue.remove(at);
        if queue.is_empty() {
            self.sides[side].remove(&price);
        }
    }

    /// (price, size, count) of every level, best first. A quote adds its size and counts no order.
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<(i64, u64, u32)> {
        let sum = |queue: &VecDeque<QueuedOrder>| queue.iter().map(|order| u64::from(order.1)).sum();
        let queues = self.sides[side as usize].iter();
        let mut levels: Vec<_> = queues.map(|(price, queue)| (*price, sum(queue), queue.len() as u32)).collect();
        if let Some((price, size)) = self.quotes[side as usize] {
            match levels.binary_search_by_key(&price, |level| level.0) {
                Ok(at) => levels[at].1 += u64::from(size),
                Err(at) => levels.insert(at, (price, u64::from(size), 0)),
            }
        }
        if side == Side::Bid {
            levels.reverse();
        }
        levels
    }

    fn level_count(&self, side: Side) -> u64 {
        let queues = &self.sides[side as usize];
        let is_quote_alone = self.quotes[side as usize].is_some_and(|(price, _)| !queues.contains_key(&price));
        queues.len() as u64 + u64::from(is_quote_alone)
    }

    /// The orders at a price in priority order.
    #[must_use]
    pub fn queue(&self, side: Side, price: i64) -> Vec<QueuedOrder> {
        self.sides[side as usize].get(&price).map(|queue| queue.iter().copied().collect()).unwrap_or_default()
    }
}

/// Bounds of an unfinished event, as the documentation of `event` promises them; stated again, not shared.
const HELD_RECORDS_MAX: usize = 262_144;
const HELD_NS_MAX: u64 = 1_000_000_000;

/// A book that moves by whole events: [`NaiveOrders`] behind a list of the records that wait for their F_LAST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaiveBook {
    /// The book between two events.
    pub orders: NaiveOrders,
    until: u64,
    epoch: u64,
    /// Records of the unfinished event that can change the book.
    held: Vec<MboMsg>,
    /// ts_recv of the first of them that tells when the event began.
    held_since: Option<u64>,
    /// Of each record of the unfinished event that says something about it, refused or not: is the book suspect?
    verdicts: Vec<bool>,
    is_past_end: bool,
    is_loading: bool,
    is_suspect: bool,
    seq: u64,
    forced_events: u64,
    bad_book_marks: u64,
    moment: (u64, u64, u32),
    /// Arrived records, by action, then refused ones by reason: action, side, price.
    arrived: [u64; 10],
    /// `arrived` and `bad_book_marks` after the last event.
    settled: ([u64; 10], u64),
}

impl NaiveBook {
    /// An empty book. It stops before its first event with a ts_event after `until` (ns).
    #[must_use]
    pub fn new(same_size_to_back: bool, until: u64, epoch: u64) -> Self {
        Self {
            orders: NaiveOrders::new(same_size_to_back),
            until,
            epoch,
            held: Vec::new(),
            held_since: None,
            verdicts: Vec::new(),
            is_past_end: false,
            is_loading: false,
            is_suspect: false,
            seq: 0,
            forced_events: 0,
            bad_book_marks: 0,
            moment: (0, 0, 0),
            arrived: [0; 10],
            settled: ([0; 10], 0),
        }
    }

    /// Takes the next record; says whether that completed an event, its own or by force an earlier one.
    pub fn push(&mut self, record: &MboMsg) -> bool {
        let seq_before = self.seq;
        let is_last = record.flags.raw() & LAST != 0;
        if self.held.len() >= HELD_RECORDS_MAX || (!is_last && self.is_overdue(record)) {
            self.force();
        }
        if is_last && !self.is_past_end && self.event_time().max(record.hd.ts_event) > self.until {
            self.stop();
        }
        if self.is_past_end {
            return self.seq != seq_before;
        }
        self.note(record);
        if is_last {
            self.execute();
            self.complete(record);
            self.is_loading = false;
        }
        self.seq != seq_before
    }

    /// Counts a record, and keeps what it will do and say once its event is complete.
    fn note(&mut self, record: &MboMsg) {
        let fault = fault_of(record);
        let bits = record.flags.raw();
        self.arrived[fault.unwrap_or_else(|| arrival(record))] += 1;
        if fault.is_none() {
            if bits & SNAPSHOT != 0 {
                self.is_loading = true;
            }
            if bits & SNAPSHOT != 0 || record.action as u8 == b'R' {
                self.verdicts.push(false);
            }
            if b"ACMR".contains(&(record.action as u8)) {
                self.hold(record);
            }
        }
        if bits & MAYBE_BAD_BOOK != 0 {
            self.bad_book_marks += 1;
            self.verdicts.push(true);
        }
    }

    /// Records of a snapshot and Clears do not tell when an event began: they carry other times.
    fn hold(&mut self, record: &MboMsg) {
        if self.held_since.is_none() && record.action as u8 != b'R' && record.flags.raw() & SNAPSHOT == 0 {
            self.held_since = Some(record.ts_recv);
        }
        self.held.push(*record);
    }

    /// When the unfinished event happened: the latest ts_event of what it will do, 0 if that is nothing yet.
    fn event_time(&self) -> u64 {
        self.held.iter().map(|record| record.hd.ts_event).max().unwrap_or(0)
    }

    fn is_overdue(&self, record: &MboMsg) -> bool {
        self.held_since.is_some_and(|since| record.ts_recv > since && record.ts_recv - since > HELD_NS_MAX)
    }

    /// Completes the unfinished event without having seen its F_LAST.
    fn force(&mut self) {
        if self.event_time() > self.until {
            self.stop();
        } else if let Some(last) = self.held.last().copied() {
            self.execute();
            self.complete(&last);
            self.forced_events += 1;
        }
    }

    fn execute(&mut self) {
        self.held_since = None;
        for record in std::mem::take(&mut self.held) {
            self.orders.apply(&record);
            if record.action as u8 == b'R' {
                self.epoch = self.epoch.wrapping_add(1);
            }
        }
        if let Some(verdict) = self.verdicts.last() {
            self.is_suspect = *verdict;
        }
        self.verdicts.clear();
    }

    fn complete(&mut self, record: &MboMsg) {
        self.seq += 1;
        self.moment = (record.hd.ts_event, record.ts_recv, record.sequence);
        self.settled = (self.arrived, self.bad_book_marks);
    }

    /// The unfinished event lies after `until`: it never happened, and nothing more will.
    fn stop(&mut self) {
        self.is_past_end = true;
        (self.arrived, self.bad_book_marks) = self.settled;
        self.is_loading = false;
        self.held.clear();
        self.held_since = None;
        self.verdicts.clear();
    }

    /// See [`NaiveOrders::levels`].
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<(i64, u64, u32)> {
        self.orders.levels(side)
    }

    /// See [`NaiveOrders::queue`].
    #[must_use]
    pub fn queue(&self, side: Side, price: i64) -> Vec<QueuedOrder> {
        self.orders.queue(side, price)
    }

    /// `empty`, `snapshot`, `live` or `suspect`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.is_loading, self.is_suspect, self.seq) {
            (true, _, _) => "snapshot",
            (_, true, _) => "suspect",
            (_, _, 0) => "empty",
            _ => "live",
        }
    }

    /// Completed events.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// ts_event, ts_recv (ns) and sequence of the record that completed the last event.
    #[must_use]
    pub fn moment(&self) -> (u64, u64, u32) {
        self.moment
    }

    /// Whether an event after `until` has come: the book will not change any more.
    #[must_use]
    pub fn is_past_end(&self) -> bool {
        self.is_past_end
    }

    /// Grows by one with every Clear; after the last number comes 0.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// All counters under the names users see, in the order in which users see them.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); 23] {
        let [adds, cancels, modifies, clears, trades, fills, nones, bad_action, bad_side, bad_price] = self.arrived;
        [
            ("records", self.arrived.iter().sum()),
            ("adds", adds),
            ("cancels", cancels),
            ("modifies", modifies),
            ("clears", clears),
            ("trades", trades),
            ("fills", fills),
            ("nones", nones),
            ("events", self.seq),
            ("forced_events", self.forced_events),
            ("unknown_cancels", self.orders.unknown_cancels),
            ("unknown_modifies", self.orders.unknown_modifies),
            ("duplicate_adds", self.orders.duplicate_adds),
            ("over_cancels", self.orders.over_cancels),
            ("zero_sizes", self.orders.zero_sizes),
            ("rejected_action", bad_action),
            ("rejected_side", bad_side),
            ("rejected_price", bad_price),
            ("bad_book_marks", self.bad_book_marks),
            ("held", self.held.len() as u64),
            ("orders", self.orders.places.len() as u64),
            ("bid_levels", self.orders.level_count(Side::Bid)),
            ("ask_levels", self.orders.level_count(Side::Ask)),
        ]
    }
}
