//! One book to and from bytes.
//!
//! Levels come first, then all ids, all times, all sizes, each as its difference from the one before where that is
//! smaller: neighbours in a queue are neighbours in time, and numbers of a kind compress best side by side.

use super::{
    Result,
    bytes::{In, Out},
};
use crate::{
    book::{Counters, OrderBook},
    event::{Counted, EventBook, Moment, Rules},
    record::{Action, MBO_BYTES, Reject, Side, UNDEF_PRICE, mbo_bytes, read_mbo},
};

impl Out {
    pub(super) fn event_book(&mut self, book: &EventBook) {
        let Moment { seq, ts_event, ts_recv, sequence } = book.moment;
        self.varints([seq, ts_event, ts_recv, u64::from(sequence), book.epoch]);
        let verdict = [book.verdict.is_some(), book.verdict == Some(true)];
        self.bits([book.is_past_end, book.is_loading, book.is_suspect, verdict[0], verdict[1]]);
        self.varints([book.forced_events, book.bad_book_marks]);
        self.optional(book.held_since);
        self.varints([book.event_ts, book.held.len() as u64]);
        for record in &book.held {
            self.bytes(mbo_bytes(record));
        }
        self.counters(&book.book.counters);
        for side in Side::BOTH {
            self.side(&book.book, side);
        }
        // Only of a book that has an end, inside an event: what all others are written as has nothing here.
        if let Some(before) = book.counted_before() {
            self.counters(&before.counters);
            self.varint(before.bad_book_marks);
        }
    }

    fn counters(&mut self, c: &Counters) {
        self.varints(c.by_action);
        self.varints([c.unknown_cancels, c.unknown_modifies, c.duplicate_adds, c.over_cancels]);
        self.varints([c.zero_sizes, c.rejected_side, c.rejected_price]);
    }

    fn side(&mut self, book: &OrderBook, side: Side) {
        let quote = book.quote(side);
        self.optional(quote.map(|(_, size)| size));
        self.signed(quote.map_or(0, |(price, _)| price));
        let levels: Vec<_> = book.levels(side).collect();
        let steps = levels.windows(2).map(|pair| pair[0].price.abs_diff(pair[1].price));
        let tick = steps.clone().fold(0, gcd).max(1);
        self.varints([levels.len() as u64, tick]);
        self.signed(levels.first().map_or(0, |level| level.price));
        self.varints(steps.map(|step| step / tick));
        self.varints(levels.iter().map(|level| u64::from(level.count)));
        let orders = || book.queues(side).flat_map(|(_, queue)| queue);
        let mut last = 0;
        for order in orders() {
            self.signed(order.order_id.wrapping_sub(last) as i64);
            last = order.order_id;
        }
        last = 0;
        for order in orders() {
            self.signed(order.ts_event.wrapping_sub(last) as i64);
            last = order.ts_event;
        }
        self.varints(orders().map(|order| u64::from(order.size)));
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl In<'_> {
    pub(super) fn event_book(&mut self, rules: &Rules) -> Result<EventBook> {
        let mut book = EventBook::new(rules);
        let [seq] = self.counts()?;
        let [ts_event, ts_recv] = self.varints()?;
        book.moment = Moment { seq, ts_event, ts_recv, sequence: self.narrow("a sequence of")? };
        book.epoch = self.varint()?;
        let [is_past_end, is_loading, is_suspect, has_verdict, verdict] = self.bits()?;
        (book.is_past_end, book.is_loading, book.is_suspect) = (is_past_end, is_loading, is_suspect);
        book.verdict = has_verdict.then_some(verdict);
        [book.forced_events, book.bad_book_marks] = self.counts()?;
        book.held_since = self.optional()?;
        book.event_ts = self.varint()?;
        for _ in 0..self.varint()? {
            let record = read_mbo(self.take(MBO_BYTES)?);
            let action = Action::of(&record);
            if !action.changes_book() || Reject::of(action, &record).is_some() {
                return Err(self.damaged("a held record that is never held"));
            }
            book.held.push(record);
        }
        book.book.counters = self.counters()?;
        for side in Side::BOTH {
            self.side(&mut book.book, side)?;
        }
        if self.at < self.bytes.len() {
            let counters = self.counters()?;
            let [bad_book_marks] = self.counts()?;
            book.counted = Some(Box::new(Counted { seq, counters, bad_book_marks }));
        }
        book.settle();
        Ok(book)
    }

    fn counters(&mut self) -> Result<Counters> {
        let mut counters = Counters { by_action: self.counts()?, ..Counters::default() };
        [
            counters.unknown_cancels,
            counters.unknown_modifies,
            counters.duplicate_adds,
            counters.over_cancels,
            counters.zero_sizes,
            counters.rejected_side,
            counters.rejected_price,
        ] = self.counts()?;
        Ok(counters)
    }

    fn side(&mut self, book: &mut OrderBook, side: Side) -> Result<()> {
        let quote = self.optional()?;
        let quote_price = self.signed()?;
        if let Some(size) = quote {
            if !(1..=u64::from(u32::MAX)).contains(&size) || quote_price == UNDEF_PRICE {
                return Err(self.damaged(format!("a quote of {size} at {quote_price}, expected a size and a price")));
            }
            book.set_quote(side, quote_price, size);
        }
        let prices = self.prices(side)?;
        let counts = self.many(prices.len(), In::varint)?;
        let orders = counts.iter().try_fold(0u64, |sum, count| sum.checked_add(*count));
        let left = self.bytes.len() - self.at;
        // Each is three numbers.
        let Some(orders) = orders.filter(|orders| *orders <= left as u64 / 3) else {
            return Err(self.damaged(format!("more orders than fit into the {left} bytes left")));
        };
        let ids = self.running(orders as usize)?;
        let times = self.running(orders as usize)?;
        let places = prices.iter().zip(&counts).flat_map(|(price, count)| (0..*count).map(move |_| *price));
        for ((order_id, ts_event), price) in ids.into_iter().zip(times).zip(places) {
            let size = self.narrow("a size of")?;
            if size == 0 || price == UNDEF_PRICE || book.order(order_id).is_some() {
                return Err(self.damaged(format!("order {order_id} without size or price, or for the second time")));
            }
            book.insert_order(side, price, order_id, ts_event, size);
        }
        Ok(())
    }

    /// The prices of a side's levels, best first.
    fn prices(&mut self, side: Side) -> Result<Vec<i64>> {
        let [levels, tick] = self.varints()?;
        let mut price = self.signed()?;
        let mut prices = Vec::new();
        for i in 0..levels {
            if i > 0 {
                let step = self.varint()?.checked_mul(tick).filter(|step| *step > 0);
                let next = step.and_then(|step| match side {
                    Side::Bid => price.checked_sub_unsigned(step),
                    Side::Ask => price.checked_add_unsigned(step),
                });
                price = next.ok_or_else(|| self.damaged("a level that is no worse than the one before"))?;
            }
            prices.push(price);
        }
        Ok(prices)
    }

    fn many<T>(&mut self, len: usize, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..len).map(|_| read(self)).collect()
    }

    /// Numbers that were written as differences.
    fn running(&mut self, len: usize) -> Result<Vec<u64>> {
        let mut last = 0u64;
        self.many(len, |input| {
            last = last.wrapping_add(input.signed()? as u64);
            Ok(last)
        })
    }
}
