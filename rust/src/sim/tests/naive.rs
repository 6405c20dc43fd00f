//! A naive market of the tests' own, which knows what each record may do and panics at one that may not.

use std::collections::{BTreeMap, HashMap, VecDeque};

use dbn::{Action, MboMsg, Side, UNDEF_PRICE, flags};

use super::{SNAPSHOT, for_each_record};
use crate::sim::Simulator;

const LAST: u8 = flags::LAST;

#[derive(Clone, Copy)]
struct Resting {
    side: Side,
    price: i64,
    size: u32,
}

/// How often each claimed kind of record or event was seen.
pub(super) type Kinds = BTreeMap<&'static str, u64>;

/// One instrument's book, as plain as can be, with what the event in hand has promised so far.
#[derive(Default)]
pub(super) struct Naive {
    orders: HashMap<u64, Resting>,
    /// By side and price; greater is better on both sides, as asks are kept at their negative price.
    queues: [BTreeMap<i64, VecDeque<u64>>; 2],
    /// Fills of this event: order, size.
    fills: Vec<(u64, u32)>,
    traded: u64,
    /// By the resting orders' side.
    filled: [u64; 2],
    trades: u32,
    snapshot: bool,
    records_in_event: u32,
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Ask)
}

fn rank(side: Side, price: i64) -> i64 {
    if side == Side::Ask { -price } else { price }
}

impl Naive {
    fn queue(&mut self, order: Resting) -> &mut VecDeque<u64> {
        self.queues[index(order.side)].entry(rank(order.side, order.price)).or_default()
    }

    fn leave(&mut self, id: u64, order: Resting) {
        let queue = self.queue(order);
        let place = queue.iter().position(|&other| other == id).unwrap();
        queue.remove(place);
        if queue.is_empty() {
            self.queues[index(order.side)].remove(&rank(order.side, order.price));
        }
    }

    fn best(&self, side: Side) -> Option<i64> {
        self.queues[index(side)].last_key_value().map(|(&rank, _)| rank)
    }

    /// Best bid minus best ask.
    fn overlap(&self) -> Option<i64> {
        Some(self.best(Side::Bid)? + self.best(Side::Ask)?)
    }

    fn apply(&mut self, record: &MboMsg, kinds: &mut Kinds) {
        self.records_in_event += 1;
        let (id, size, side) = (record.order_id, record.size, record.side().unwrap());
        let mut saw = |kind| *kinds.entry(kind).or_default() += 1;
        match record.action().unwrap() {
            Action::Clear => {
                assert_eq!((self.records_in_event, id, record.price, size), (1, 0, UNDEF_PRICE, 0));
                assert_eq!(side, Side::None);
                saw(if record.flags.raw() == LAST { "clear that leaves the book empty" } else { "snapshot" });
                self.orders.clear();
                self.queues = Default::default();
            }
            Action::Add => {
                assert!(size > 0 && record.price > 0 && side != Side::None, "{record:?}");
                let order = Resting { side, price: record.price, size };
                assert!(self.orders.insert(id, order).is_none(), "known already: {record:?}");
                self.queue(order).push_back(id);
                if record.flags.raw() & SNAPSHOT == 0 {
                    saw(if self.trades == 0 { "add" } else { "remainder that rests" });
                } else {
                    let worst = *self.queues[index(side)].first_key_value().unwrap().0;
                    assert_eq!(worst, rank(side, record.price), "a snapshot in price order, best first");
                }
            }
            Action::Cancel => self.cancel(record).into_iter().for_each(saw),
            Action::Modify => saw(self.modify(record)),
            Action::Trade => saw(self.trade(record)),
            Action::Fill => self.fill(record),
            Action::None => {
                assert_eq!((side, id, record.price, size), (Side::None, 0, UNDEF_PRICE, 0));
                assert_eq!(record.flags.raw(), LAST);
                saw("event completed by a None record");
            }
        }
        if record.flags.is_last() {
            self.end_event(record, kinds);
        }
    }

    fn known(&self, record: &MboMsg) -> Resting {
        *self.orders.get(&record.order_id).unwrap_or_else(|| panic!("unknown order: {record:?}"))
    }

    /// -> its kind, unless it is the end of a fill.
    fn cancel(&mut self, record: &MboMsg) -> Option<&'static str> {
        let (id, size, order) = (record.order_id, record.size, self.known(record));
        assert_eq!((record.side().unwrap(), record.price), (order.side, order.price));
        assert!(size > 0 && size <= order.size, "{size} of {}: {record:?}", order.size);
        let filled = self.settle(id);
        assert_eq!(filled.unwrap_or(size), size, "{record:?}");
        if size == order.size {
            self.orders.remove(&id);
            self.leave(id, order);
        } else {
            self.orders.get_mut(&id).unwrap().size -= size;
        }
        if filled.is_some() {
            return None;
        }
        Some(if size < order.size { "partial cancel" } else { "whole cancel" })
    }

    fn trade(&mut self, record: &MboMsg) -> &'static str {
        let (size, side) = (record.size, record.side().unwrap());
        assert!(size > 0);
        assert_eq!(side == Side::None, record.order_id == 0, "{record:?}");
        let taken = if side == Side::Bid { Side::Ask } else { Side::Bid };
        if self.trades == 0 && side != Side::None {
            assert_eq!(self.best(taken), Some(rank(taken, record.price)), "a trade is at the touch: {record:?}");
        }
        self.trades += 1;
        self.traded += u64::from(size);
        if side == Side::None { "trade without an aggressor" } else { "trade" }
    }

    fn fill(&mut self, record: &MboMsg) {
        let (id, size, order) = (record.order_id, record.size, self.known(record));
        let side = record.side().unwrap();
        assert!(side == order.side || side == Side::None, "a fill's side is the resting order's: {record:?}");
        assert!(size > 0 && size <= order.size);
        let earlier: Vec<_> = self.fills.iter().filter(|fill| self.orders[&fill.0].side == order.side).collect();
        let mut priority = self.queues[index(order.side)].values().rev().flatten();
        assert_eq!(priority.nth(earlier.len()), Some(&id), "fills take the front: {record:?}");
        assert!(earlier.last().is_none_or(|(id, size)| self.orders[id].size == *size), "passed over: {record:?}");
        self.fills.push((id, size));
        self.filled[index(order.side)] += u64::from(size);
    }

    /// The fill of this order, which is now dealt with.
    fn settle(&mut self, id: u64) -> Option<u32> {
        let place = self.fills.iter().position(|fill| fill.0 == id)?;
        Some(self.fills.remove(place).1)
    }

    fn modify(&mut self, record: &MboMsg) -> &'static str {
        let (id, size, price) = (record.order_id, record.size, record.price);
        let old = self.known(record);
        assert!(size > 0 && record.side().unwrap() == old.side);
        let new = Resting { price, size, ..old };
        self.orders.insert(id, new);
        let filled = self.settle(id);
        if price != old.price || size > old.size {
            assert_eq!(filled, None);
            self.leave(id, old);
            self.queue(new).push_back(id);
        }
        match filled {
            Some(filled) if size == old.size => {
                assert_eq!(filled, size);
                "modify unchanged after a fill"
            }
            Some(filled) => {
                assert_eq!(filled, old.size - size);
                "modify to what a fill left"
            }
            None if price != old.price && size != old.size => "modify of price and size",
            None if price != old.price => "modify of price",
            None if size > old.size => "modify up",
            None => {
                assert_ne!(size, old.size, "a modify that changes nothing, and no fill");
                "modify down"
            }
        }
    }

    fn end_event(&mut self, record: &MboMsg, kinds: &mut Kinds) {
        let mut saw = |kind| *kinds.entry(kind).or_default() += 1;
        assert!(self.fills.is_empty(), "filled, but still resting as before: {:?}", self.fills);
        // An aggressor takes from one side; the trade that ends a crossed period fills both.
        assert!(self.filled.iter().all(|&filled| filled == 0 || filled == self.traded), "{record:?}");
        assert_eq!(self.filled.iter().sum::<u64>() > 0, self.traded > 0);
        if self.trades > 1 {
            saw("sweep through several levels");
        }
        if self.trades == 0 && self.records_in_event > 5 && record.flags.raw() & SNAPSHOT == 0 {
            saw("mass cancel");
        }
        match self.overlap() {
            None => assert!(
                self.orders.is_empty() && record.action().unwrap() == Action::Clear
                    || record.action().unwrap() == Action::None,
                "a side is empty: {record:?}"
            ),
            Some(0) => saw("locked at LAST"),
            Some(1..) => saw("crossed at LAST"),
            Some(_) => {}
        }
        (self.traded, self.filled, self.trades, self.records_in_event) = (0, [0; 2], 0, 0);
    }
}

/// All books of a stream, and what must hold across them.
#[derive(Default)]
pub(super) struct Checker {
    pub(super) books: HashMap<u32, Naive>,
    pub(super) kinds: Kinds,
    pub(super) actions: BTreeMap<u8, u64>,
    pub(super) records: u64,
    pub(super) open: Option<u32>,
    last: Option<MboMsg>,
    newest_order: u64,
    millisecond: (u64, u32),
    pub(super) busiest_millisecond: u32,
    /// Lowest and highest best bid of the first instrument.
    pub(super) bids: Option<(i64, i64)>,
}

impl Checker {
    pub(super) fn run(simulator: &mut Simulator, records: u64) -> Self {
        let mut checker = Self::default();
        for_each_record(simulator, records, |record| checker.take(record));
        assert_eq!((checker.open, checker.records), (None, simulator.records()), "whole events");
        checker
    }

    pub(super) fn take(&mut self, record: &MboMsg) {
        let id = record.hd.instrument_id;
        assert_eq!(self.open.unwrap_or(id), id, "one event, one instrument: {record:?}");
        if let Some(last) = &self.last {
            assert!(record.hd.ts_event >= last.hd.ts_event && record.ts_recv >= last.ts_recv, "{record:?}");
            assert!(record.sequence >= last.sequence, "{record:?}");
            assert!(self.open.is_none() || record.hd.ts_event == last.hd.ts_event, "one event, one time");
        }
        assert!(record.ts_recv - record.ts_in_delta as u64 >= record.hd.ts_event && record.ts_in_delta >= 0);
        let flags = record.flags.raw();
        let opening = record.action().unwrap() == Action::Clear && flags & SNAPSHOT != 0;
        let book = self.books.entry(id).or_default();
        assert!(opening || flags & !LAST == if book.snapshot { SNAPSHOT } else { 0 }, "{record:?}");
        book.snapshot = flags == SNAPSHOT;
        let is_new = record.action().unwrap() == Action::Add && flags & SNAPSHOT == 0 && book.trades == 0;
        book.apply(record, &mut self.kinds);
        if is_new {
            assert!(record.order_id > self.newest_order, "order IDs grow: {record:?}");
            self.newest_order = record.order_id;
        }
        if let (Some(bid), 432_669) = (book.best(Side::Bid), id) {
            let (low, high) = self.bids.unwrap_or((bid, bid));
            self.bids = Some((low.min(bid), high.max(bid)));
        }
        if flags & SNAPSHOT == 0 {
            let millisecond = record.hd.ts_event / 1_000_000;
            self.millisecond =
                (millisecond, if self.millisecond.0 == millisecond { self.millisecond.1 + 1 } else { 1 });
            self.busiest_millisecond = self.busiest_millisecond.max(self.millisecond.1);
        }
        self.records += 1;
        *self.actions.entry(record.action as u8).or_default() += 1;
        self.open = (flags & LAST == 0).then_some(id);
        self.last = Some(*record);
    }

    pub(super) fn resting(&self) -> usize {
        self.books.values().map(|book| book.orders.len()).sum()
    }

    pub(super) fn seen(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    /// Share of all records, in hundredths of a percent.
    pub(super) fn share(&self, action: u8) -> u64 {
        self.actions[&action] * 10_000 / self.records
    }
}
