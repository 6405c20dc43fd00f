//! Do fills take the front of our queues?
//!
//! A venue fills the orders at a price first in, first out, and says by F records whom. So the Fills of an event are
//! a test of our priority rules that no price level can give. They are judged per event, side and price, against the
//! queue as it was before the event: the orders filled must be the first of it, and all but the last of them filled
//! whole. The order of the F records is not looked at. Where an F names an order that does not rest at that price
//! (the file began after it was added, or the fill came through another instrument), nothing can be said: unjudged.
//!
//! Less than all is normal: priority can follow other rules than time alone (market makers' shares, implied orders,
//! pro rata), and some icebergs show only a part. A rate that is far below a market's usual one tells of a fault.

use serde::Serialize;

use crate::{
    book::OrderBook,
    record::{MboMsg, Side},
};

/// Fills of one event that are remembered at most; an event with more is unjudged.
const FILLS_MAX: usize = 65_536;

/// How many groups of Fills (per event, side and price) were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fifo {
    /// Groups whose orders all rested at the price.
    pub judged: u64,
    /// … of which so many took the front of the queue.
    pub in_order: u64,
    /// Groups of which nothing can be said.
    pub unjudged: u64,
}

impl Fifo {
    /// Takes over the counts of another book.
    pub(super) fn merge(&mut self, other: &Self) {
        self.judged += other.judged;
        self.in_order += other.in_order;
        self.unjudged += other.unjudged;
    }

    /// Share of the judged groups that took the front, 0 to 1; nothing if none was judged.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.judged > 0).then(|| self.in_order as f64 / self.judged as f64)
    }
}

struct Fill {
    side: u8,
    price: i64,
    order_id: u64,
    size: u32,
}

/// The Fills of one book's unfinished event.
#[derive(Default)]
pub(super) struct Fills {
    fills: Vec<Fill>,
    pub(super) fifo: Fifo,
}

impl Fills {
    pub(super) fn is_empty(&self) -> bool {
        self.fills.is_empty()
    }

    pub(super) fn note(&mut self, record: &MboMsg) {
        if self.fills.len() < FILLS_MAX {
            let (side, price) = (record.side as u8, record.price);
            self.fills.push(Fill { side, price, order_id: record.order_id, size: record.size });
        }
    }

    /// Forgets the Fills of an event that ended without its F_LAST: who knows what belonged to it.
    pub(super) fn drop_event(&mut self) {
        self.fifo.unjudged += u64::from(!self.fills.is_empty());
        self.fills.clear();
    }

    /// Judges the event against the book as it is before it.
    pub(super) fn judge(&mut self, book: &OrderBook) {
        if self.fills.len() >= FILLS_MAX {
            return self.drop_event();
        }
        self.fills.sort_unstable_by_key(|fill| (fill.side, fill.price, fill.order_id));
        for group in self.fills.chunk_by(|a, b| (a.side, a.price) == (b.side, b.price)) {
            match takes_the_front(group, book) {
                Some(is_first) => {
                    self.fifo.judged += 1;
                    self.fifo.in_order += u64::from(is_first);
                }
                None => self.fifo.unjudged += 1,
            }
        }
        self.fills.clear();
    }
}

/// Whether these Fills, of one side and price and sorted by order, take the front of the queue there.
fn takes_the_front(group: &[Fill], book: &OrderBook) -> Option<bool> {
    let side = Side::from_byte(group[0].side)?;
    let price = group[0].price;
    let mut filled: Vec<(u64, u64)> = Vec::with_capacity(group.len());
    for order in group.chunk_by(|a, b| a.order_id == b.order_id) {
        let id = order[0].order_id;
        book.order(id).filter(|resting| (resting.side, resting.price) == (side, price))?;
        filled.push((id, order.iter().map(|fill| u64::from(fill.size)).sum()));
    }
    let count = filled.len();
    Some(book.orders_at(side, price).take(count).enumerate().all(|(place, order)| {
        let found = filled.binary_search_by_key(&order.order_id, |(id, _)| *id);
        found.is_ok_and(|at| place + 1 == count || filled[at].1 >= u64::from(order.size))
    }))
}
