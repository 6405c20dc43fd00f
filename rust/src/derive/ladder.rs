//! The best levels of a book as the rows show them, kept beside the book.
//!
//! Most records of a deep book lie behind the levels shown. Asking the ladder, which is a few cache lines, whether a
//! price is within its reach spares those records every look at the book's trees. A record that changes a level shown
//! is mostly worked into the ladder itself; the book is read where that does not tell all: when a level dies and the
//! next one comes into view, and in the odd cases. Debug builds compare the two after every record.

use dbn::{BidAskPair, UNDEF_PRICE};

use crate::{
    book::{Level, Order, OrderBook},
    record::{Action, MboMsg, Side, flags},
};

/// Levels of a row at most.
pub(super) const LEVELS_MAX: usize = 10;

const ABSENT: BidAskPair =
    BidAskPair { bid_px: UNDEF_PRICE, ask_px: UNDEF_PRICE, bid_sz: 0, ask_sz: 0, bid_ct: 0, ask_ct: 0 };

/// One side of a level: what a row shows of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shown {
    price: i64,
    size: u32,
    count: u32,
}

impl From<Level> for Shown {
    /// Rows hold 32 bits of size: a sum beyond that is shown as the largest there is.
    fn from(level: Level) -> Self {
        Self { price: level.price, size: u32::try_from(level.size).unwrap_or(u32::MAX), count: level.count }
    }
}

/// The best `depth` levels of either side.
pub(super) struct Ladder {
    levels: [BidAskPair; LEVELS_MAX],
    /// Levels present, per side.
    len: [usize; 2],
    depth: usize,
}

impl Ladder {
    /// Of an empty book. `depth` is at most [`LEVELS_MAX`].
    pub(super) fn new(depth: usize) -> Self {
        Self { levels: [ABSENT; LEVELS_MAX], len: [0; 2], depth }
    }

    pub(super) fn levels(&self) -> &[BidAskPair; LEVELS_MAX] {
        &self.levels
    }

    pub(super) fn best(&self) -> BidAskPair {
        self.levels[0]
    }

    /// Applies an Add, Cancel, Modify or Clear to the book; says at which level if that changed what is shown.
    ///
    /// That level is the one of the record's price; or, where that price is not shown (an order that moved away
    /// from the levels shown), the best one that changed.
    #[inline]
    pub(super) fn apply(&mut self, book: &mut OrderBook, action: Action, record: &MboMsg) -> Option<u8> {
        let changed = match action {
            Action::Add => self.add(book, record),
            Action::Cancel => self.cancel(book, record),
            Action::Modify => self.modify(book, record),
            Action::Clear => {
                book.apply(action, record);
                self.levels = [ABSENT; LEVELS_MAX];
                self.len = [0; 2];
                Some(0)
            }
            Action::Trade | Action::Fill | Action::None | Action::Unknown => None,
        };
        debug_assert!(self.agrees(book), "the ladder differs from its book after {record:?}");
        changed
    }

    #[inline]
    fn add(&mut self, book: &mut OrderBook, record: &MboMsg) -> Option<u8> {
        let side = Side::of(record)?;
        let duplicates = book.counters.duplicate_adds;
        book.apply(Action::Add, record);
        let is_odd = record.flags.raw() & flags::TOB != 0 || book.counters.duplicate_adds != duplicates;
        if is_odd {
            return self.refresh_both(book).map(|first| self.level_of(side, record.price, first));
        }
        if record.size == 0 {
            return None;
        }
        self.entered(book, side, record.price, record.size)
    }

    #[inline]
    fn cancel(&mut self, book: &mut OrderBook, record: &MboMsg) -> Option<u8> {
        // By the order and not by the record: the book does not read the price of a Cancel either.
        let order = book.order(record.order_id)?;
        book.apply(Action::Cancel, record);
        if record.size == 0 {
            return None;
        }
        self.left(book, &order, record.size.min(order.size))
    }

    #[inline]
    fn modify(&mut self, book: &mut OrderBook, record: &MboMsg) -> Option<u8> {
        let side = Side::of(record)?;
        let order = book.order(record.order_id);
        book.apply(Action::Modify, record);
        let is_same_level = order.is_some_and(|order| order.side == side && order.price == record.price);
        if is_same_level {
            // Rare, and without a level that comes or goes unless the size is 0.
            return self.is_in_reach(side, record.price).then(|| self.refresh(side, book)).flatten();
        }
        let left = order.and_then(|order| self.left(book, &order, order.size));
        if record.size == 0 {
            return left;
        }
        let entered = match order {
            // Reading the side on behalf of the level that was left may have shown the new one already.
            Some(order) if order.side == side => {
                self.is_in_reach(side, record.price).then(|| self.refresh(side, book)).flatten()
            }
            _ => self.entered(book, side, record.price, record.size),
        };
        match (left, entered) {
            (None, None) => None,
            (left, entered) => {
                let first = left.into_iter().chain(entered).min().unwrap_or(0);
                Some(self.level_of(side, record.price, first))
            }
        }
    }

    /// An order has come to a level of the book that did not hold it.
    #[inline]
    fn entered(&mut self, book: &OrderBook, side: Side, price: i64, size: u32) -> Option<u8> {
        if !self.is_in_reach(side, price) {
            return None;
        }
        let at = self.rank(side, price);
        let shown = self.get(side, at);
        let is_there = at < self.len[side as usize] && shown.price == price;
        if !is_there {
            self.insert(side, at, Shown { price, size, count: 1 });
        } else if let (Some(size), Some(count)) = (shown.size.checked_add(size), shown.count.checked_add(1)) {
            self.set(side, at, Shown { price, size, count });
        } else {
            return self.refresh(side, book);
        }
        Some(at as u8)
    }

    /// An order has lost this much of its size, or all of it.
    #[inline]
    fn left(&mut self, book: &OrderBook, order: &Order, size: u32) -> Option<u8> {
        let side = order.side;
        if !self.is_in_reach(side, order.price) {
            return None;
        }
        let at = self.rank(side, order.price);
        let shown = self.get(side, at);
        // A size at the limit may be a larger one; a level that dies lets the next one come into view.
        if shown.size == u32::MAX || shown.size == size {
            return self.refresh(side, book);
        }
        let count = shown.count - u32::from(size == order.size);
        self.set(side, at, Shown { price: shown.price, size: shown.size - size, count });
        Some(at as u8)
    }

    /// Whether a level at this price is shown, or would be.
    #[inline(always)]
    fn is_in_reach(&self, side: Side, price: i64) -> bool {
        let len = self.len[side as usize];
        len < self.depth
            || match side {
                Side::Bid => price >= self.levels[len - 1].bid_px,
                Side::Ask => price <= self.levels[len - 1].ask_px,
            }
    }

    /// Number of levels shown that are better than this price.
    #[inline(always)]
    fn rank(&self, side: Side, price: i64) -> usize {
        let shown = &self.levels[..self.len[side as usize]];
        match side {
            Side::Bid => shown.iter().take_while(|level| level.bid_px > price).count(),
            Side::Ask => shown.iter().take_while(|level| level.ask_px < price).count(),
        }
    }

    /// The level shown at this price, or else `otherwise`.
    fn level_of(&self, side: Side, price: i64, otherwise: u8) -> u8 {
        let at = self.rank(side, price);
        if at < self.len[side as usize] && self.get(side, at).price == price { at as u8 } else { otherwise }
    }

    #[cold]
    fn refresh_both(&mut self, book: &OrderBook) -> Option<u8> {
        let changed = Side::BOTH.map(|side| self.refresh(side, book));
        changed.into_iter().flatten().min()
    }

    /// Reads a side from the book; says which level is the best that changed.
    fn refresh(&mut self, side: Side, book: &OrderBook) -> Option<u8> {
        let mut first = None;
        let mut len = 0;
        for (at, level) in book.levels(side).take(self.depth).map(Shown::from).enumerate() {
            if self.get(side, at) != level {
                self.set(side, at, level);
                first = first.or(Some(at as u8));
            }
            len = at + 1;
        }
        for at in len..self.len[side as usize] {
            self.set(side, at, Shown { price: UNDEF_PRICE, size: 0, count: 0 });
            first = first.or(Some(at as u8));
        }
        self.len[side as usize] = len;
        first
    }

    /// Makes room at a place, where a level was not shown before.
    #[inline]
    fn insert(&mut self, side: Side, at: usize, level: Shown) {
        let len = (self.len[side as usize] + 1).min(self.depth);
        for place in (at + 1..len).rev() {
            self.set(side, place, self.get(side, place - 1));
        }
        self.set(side, at, level);
        self.len[side as usize] = len;
    }

    /// What is shown at a place; that it is absent, beyond the last one.
    #[inline(always)]
    fn get(&self, side: Side, at: usize) -> Shown {
        let level = self.levels.get(at).unwrap_or(&ABSENT);
        match side {
            Side::Bid => Shown { price: level.bid_px, size: level.bid_sz, count: level.bid_ct },
            Side::Ask => Shown { price: level.ask_px, size: level.ask_sz, count: level.ask_ct },
        }
    }

    #[inline(always)]
    fn set(&mut self, side: Side, at: usize, level: Shown) {
        let Shown { price, size, count } = level;
        let shown = &mut self.levels[at];
        match side {
            Side::Bid => (shown.bid_px, shown.bid_sz, shown.bid_ct) = (price, size, count),
            Side::Ask => (shown.ask_px, shown.ask_sz, shown.ask_ct) = (price, size, count),
        }
    }

    /// Whether this is what the book holds.
    fn agrees(&self, book: &OrderBook) -> bool {
        Side::BOTH.into_iter().all(|side| {
            let shown = (0..self.len[side as usize]).map(|at| self.get(side, at));
            shown.eq(book.levels(side).take(self.depth).map(Shown::from))
        })
    }
}
