//! One book held against the naive one, event by event.
//!
//! After every complete event both must agree on whatever its records can have touched: the whole queue and the
//! totals of every level they name or whose order they name, the best prices, state, moment, epoch and the counts of
//! odd records. Of a long queue only its front and its back are walked each time. The rest, and what no record named,
//! cannot have changed in a right book; that it has not changed in ours is checked by [`Shadow::compare_all`], now
//! and then and at the end. Where that finds something, the file is read again to find the event (`narrow`).

use std::collections::VecDeque;

use super::difference::{Mismatch, decimal};
use crate::{
    book::{Level, Order, OrderBook},
    event::{EventBook, Moment},
    naive::{NaiveBook, QueuedOrder},
    record::{Action, MboMsg, Side, flags},
};

/// An event that touches more levels than this is compared as a whole: its book is hardly larger.
const TOUCHED_MAX: usize = 128;

/// Queues up to this long are compared whole after every event that touches them. To walk longer ones each time took
/// as long as all the rest together: their orders lie scattered in memory.
const QUEUE_WHOLE_MAX: usize = 12;
/// Orders compared at the front of a longer queue, which trades take next.
const QUEUE_FRONT: usize = 4;

type Outcome = Result<(), Mismatch>;

/// The naive book beside one of ours, and what the unfinished event has touched.
pub(super) struct Shadow {
    naive: NaiveBook,
    touched: Vec<(Side, i64)>,
    /// The event can have touched everything.
    is_all_touched: bool,
    pub(super) levels_compared: u64,
}

/// What one record can touch.
#[derive(Clone, Copy, Default)]
pub(super) struct Touch {
    places: [Option<(Side, i64)>; 2],
    is_all: bool,
}

impl Touch {
    /// Must be asked before the record is pushed: an order may rest elsewhere than the record says.
    #[inline]
    pub(super) fn of(record: &MboMsg, book: &EventBook) -> Self {
        let action = Action::of(record);
        let is_quote = record.flags.raw() & flags::TOB != 0;
        match action {
            Action::Add | Action::Cancel | Action::Modify => {
                let old = book.book().order(record.order_id).map(|order| (order.side, order.price));
                let new = Side::of(record).map(|side| (side, record.price));
                Self { places: [old, new.filter(|_| new != old)], is_all: is_quote }
            }
            Action::Clear => Self { places: [None; 2], is_all: true },
            Action::Trade | Action::Fill | Action::None | Action::Unknown => Self::default(),
        }
    }
}

impl Shadow {
    pub(super) fn new(naive: NaiveBook) -> Self {
        Self { naive, touched: Vec::new(), is_all_touched: false, levels_compared: 0 }
    }

    /// Takes the record that `book` has just taken. If that completed an event, compares the two.
    #[inline]
    pub(super) fn push(&mut self, record: &MboMsg, touch: Touch, book: &EventBook, is_complete: bool) -> Outcome {
        self.note(touch);
        let is_complete_here = self.naive.push(record);
        if is_complete != is_complete_here {
            let word = |is: bool| if is { "complete" } else { "unfinished" };
            return Err(Mismatch::new("the event", word(is_complete_here), word(is_complete)));
        }
        if is_complete {
            self.compare_touched(book)?;
            // A record that forced an earlier event belongs to the next one.
            if record.flags.raw() & flags::LAST == 0 {
                self.note(touch);
            }
        }
        Ok(())
    }

    #[inline]
    fn note(&mut self, touch: Touch) {
        self.is_all_touched |= touch.is_all || self.touched.len() > TOUCHED_MAX;
        if !self.is_all_touched {
            self.touched.extend(touch.places.into_iter().flatten());
        }
    }

    fn compare_touched(&mut self, book: &EventBook) -> Outcome {
        self.compare_facts(book)?;
        let mut touched = std::mem::take(&mut self.touched);
        if self.is_all_touched {
            self.is_all_touched = false;
            Side::BOTH.into_iter().try_for_each(|side| self.compare_side(book.book(), side))?;
        } else {
            if touched.len() > 1 {
                touched.sort_unstable_by_key(|(side, price)| (*side as u8, *price));
                touched.dedup();
            }
            touched.iter().try_for_each(|(side, price)| self.compare_level(book.book(), *side, *price))?;
        }
        touched.clear();
        self.touched = touched;
        Side::BOTH.into_iter().try_for_each(|side| self.compare_best(book.book(), side))
    }

    /// Compares everything there is.
    pub(super) fn compare_all(&mut self, book: &EventBook) -> Outcome {
        self.compare_facts(book)?;
        Side::BOTH.into_iter().try_for_each(|side| self.compare_side(book.book(), side))?;
        Side::BOTH.into_iter().try_for_each(|side| self.compare_best(book.book(), side))?;
        for ((name, ours), (_, theirs)) in book.counters().into_iter().zip(self.naive.counters()) {
            same(|| format!("counter {name}"), theirs, ours)?;
        }
        Ok(())
    }

    fn compare_facts(&self, book: &EventBook) -> Outcome {
        let Moment { seq, ts_event, ts_recv, sequence } = book.moment();
        let moment = self.naive.moment();
        same(|| "complete events".into(), self.naive.seq(), seq)?;
        same(|| "ts_event of the event".into(), moment.0, ts_event)?;
        same(|| "ts_recv of the event".into(), moment.1, ts_recv)?;
        same(|| "sequence of the event".into(), moment.2, sequence)?;
        same(|| "epoch".into(), self.naive.epoch(), book.epoch())?;
        same(|| "state".into(), self.naive.state(), book.state().name())?;
        let (ours, theirs) = (&book.book().counters, &self.naive.orders);
        same(|| "resting orders".into(), theirs.places.len(), book.book().len())?;
        same(|| "unknown cancels".into(), theirs.unknown_cancels, ours.unknown_cancels)?;
        same(|| "unknown modifies".into(), theirs.unknown_modifies, ours.unknown_modifies)?;
        same(|| "duplicate adds".into(), theirs.duplicate_adds, ours.duplicate_adds)?;
        same(|| "cancels of more than rests".into(), theirs.over_cancels, ours.over_cancels)?;
        same(|| "sizes of 0".into(), theirs.zero_sizes, ours.zero_sizes)
    }

    fn compare_best(&self, book: &OrderBook, side: Side) -> Outcome {
        let tree = &self.naive.orders.sides[side as usize];
        let queue = match side {
            Side::Bid => tree.last_key_value(),
            Side::Ask => tree.first_key_value(),
        };
        let queue = queue.map(|(price, _)| *price);
        let quote = self.naive.orders.quotes[side as usize].map(|(price, _)| price);
        let theirs = match side {
            Side::Bid => queue.max(quote),
            Side::Ask => [queue, quote].into_iter().flatten().min(),
        };
        let ours = book.best(side).map(|level| level.price);
        if ours == theirs {
            return Ok(());
        }
        let text = |price: Option<i64>| price.map_or("none".into(), decimal);
        Err(Mismatch::new(format!("best {}", side.letter()), text(theirs), text(ours)))
    }

    fn compare_side(&mut self, book: &OrderBook, side: Side) -> Outcome {
        let what = |i: usize| move || format!("level {i} of {}", side.letter());
        let theirs = self.naive.levels(side);
        let mut ours = book.queues(side);
        for (i, level) in theirs.iter().enumerate() {
            let Some((level_of_ours, queue)) = ours.next() else {
                return Err(Mismatch::new(what(i + 1)(), level_text(Some(*level)), "none"));
            };
            let ours = totals(level_of_ours);
            if ours != *level {
                return Err(Mismatch::new(what(i + 1)(), level_text(Some(*level)), level_text(Some(ours))));
            }
            self.compare_queue(queue, side, level.0)?;
            self.levels_compared += 1;
        }
        match ours.next() {
            Some((level, _)) => Err(Mismatch::new(what(theirs.len() + 1)(), "none", level_text(Some(totals(level))))),
            None => Ok(()),
        }
    }

    fn compare_level(&mut self, book: &OrderBook, side: Side, price: i64) -> Outcome {
        self.levels_compared += 1;
        let queue = self.naive.orders.sides[side as usize].get(&price);
        let theirs = self.level(queue, side, price);
        let ours = book.level(side, price).map(totals);
        if ours != theirs {
            let what = format!("level {} {}", side.letter(), decimal(price));
            return Err(Mismatch::new(what, level_text(theirs), level_text(ours)));
        }
        let count = queue.map_or(0, VecDeque::len);
        if count <= QUEUE_WHOLE_MAX {
            return self.compare_queue(book.orders_at(side, price), side, price);
        }
        let queue = queue.into_iter().flatten().copied();
        compare_orders(book.orders_at(side, price).take(QUEUE_FRONT), queue.clone().take(QUEUE_FRONT), 1, side, price)?;
        compare_orders(book.last_at(side, price).into_iter(), queue.skip(count - 1), count, side, price)
    }

    /// The oracle's totals at a price.
    fn level(&self, queue: Option<&VecDeque<QueuedOrder>>, side: Side, price: i64) -> Option<(i64, u64, u32)> {
        let quote = self.naive.orders.quotes[side as usize].filter(|(at, _)| *at == price);
        let size: u64 = queue.into_iter().flatten().map(|order| u64::from(order.1)).sum();
        let count = queue.map_or(0, |queue| queue.len() as u32);
        (queue.is_some() || quote.is_some())
            .then(|| (price, size + quote.map_or(0, |(_, size)| u64::from(size)), count))
    }

    fn compare_queue(&self, ours: impl Iterator<Item = Order>, side: Side, price: i64) -> Outcome {
        let theirs = self.naive.orders.sides[side as usize].get(&price).into_iter().flatten().copied();
        compare_orders(ours, theirs, 1, side, price)
    }
}

/// Compares orders of a queue from `place` on, 1 being its front.
fn compare_orders(
    mut ours: impl Iterator<Item = Order>,
    mut theirs: impl Iterator<Item = QueuedOrder>,
    mut place: usize,
    side: Side,
    price: i64,
) -> Outcome {
    loop {
        let theirs = theirs.next();
        let ours = ours.next().map(|order| (order.order_id, order.size, order.ts_event));
        if ours != theirs {
            let what = format!("order {place} of the queue at {} {}", side.letter(), decimal(price));
            return Err(Mismatch::new(what, order_text(theirs), order_text(ours)));
        }
        if ours.is_none() {
            return Ok(());
        }
        place += 1;
    }
}

/// The text is made only where it is needed.
#[inline]
fn same<T: PartialEq + ToString>(what: impl FnOnce() -> String, theirs: T, ours: T) -> Outcome {
    if theirs == ours { Ok(()) } else { Err(Mismatch::new(what(), theirs, ours)) }
}

fn totals(level: Level) -> (i64, u64, u32) {
    (level.price, level.size, level.count)
}

fn level_text(level: Option<(i64, u64, u32)>) -> String {
    level.map_or("none".into(), |(price, size, count)| format!("{} x {size} ({count} orders)", decimal(price)))
}

fn order_text(order: Option<QueuedOrder>) -> String {
    order.map_or("none".into(), |(id, size, ts_event)| format!("order {id} x {size}, ts_event {ts_event}"))
}
