//! An immutable picture of one book after a complete event.

use crate::{
    book::{Level, Order, OrderBook},
    event::{EventBook, Moment, State},
    market::{Key, LookupError, Market, Name},
    record::Side,
};

/// How much of a book a view holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Levels per side at most.
    pub depth: usize,
    /// Best levels per side that carry their orders; 0: none does.
    pub queues: usize,
}

impl Extent {
    /// Levels alone.
    #[must_use]
    pub const fn levels(depth: usize) -> Self {
        Self { depth, queues: 0 }
    }

    /// Levels, each with its orders.
    #[must_use]
    pub const fn queued(depth: usize) -> Self {
        Self { depth, queues: depth }
    }
}

/// A book as a whole after its last complete event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) moment: Moment,
    pub(crate) epoch: u64,
    pub(crate) state: State,
    pub(crate) is_crossed: bool,
    pub(crate) is_locked: bool,
}

impl Head {
    #[inline(always)]
    pub(crate) fn of(book: &EventBook) -> Self {
        Self {
            moment: book.moment(),
            epoch: book.epoch(),
            state: book.state(),
            is_crossed: book.book().is_crossed(),
            is_locked: book.book().is_locked(),
        }
    }

    /// Whether it says the same, whatever has happened since.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self { moment: other.moment, ..*self } == *other
    }
}

/// A book as it was after its last complete event.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Which book.
    pub key: Key,
    /// The instrument's symbol at that moment.
    pub symbol: Option<Box<str>>,
    /// Which event it was.
    pub moment: Moment,
    /// Which run of the book.
    pub epoch: u64,
    /// What to think of it.
    pub state: State,
    /// Best bid above best ask.
    pub is_crossed: bool,
    /// Best bid equal to best ask.
    pub is_locked: bool,
    /// Resting orders in the whole book, whatever the depth of the view.
    pub orders: usize,
    /// Bid and ask levels, best first.
    pub levels: [Vec<Level>; 2],
    /// With queues: the orders of the best levels in priority order, side by side with `levels`; of as many as were asked
    /// for.
    pub queues: Option<[Vec<Vec<Order>>; 2]>,
}

impl View {
    /// Takes the picture.
    #[must_use]
    pub fn of(key: Key, symbol: Option<&str>, book: &EventBook, extent: Extent) -> Self {
        Self::of_parts(key, symbol, book.book(), &Head::of(book), extent)
    }

    /// … of a book that stands at a moment.
    #[inline(always)]
    pub(crate) fn of_parts(key: Key, symbol: Option<&str>, book: &OrderBook, head: &Head, extent: Extent) -> Self {
        let levels = Side::BOTH.map(|side| book.best_levels(side, extent.depth));
        let queues = (extent.queues > 0).then(|| {
            let count = extent.queues.min(extent.depth);
            Side::BOTH.map(|side| book.queues(side).take(count).map(|(_, queue)| queue.collect()).collect())
        });
        let Head { moment, epoch, state, is_crossed, is_locked } = *head;
        let symbol = symbol.map(Into::into);
        Self { key, symbol, moment, epoch, state, is_crossed, is_locked, orders: book.len(), levels, queues }
    }

    /// What it says of the book as a whole.
    pub(crate) fn head(&self) -> Head {
        let Self { moment, epoch, state, is_crossed, is_locked, .. } = *self;
        Head { moment, epoch, state, is_crossed, is_locked }
    }

    /// Takes the picture of the one book that goes by a name.
    ///
    /// # Errors
    /// [`LookupError`] if there is none, or more than one.
    pub fn lookup(market: &Market, name: &Name, extent: Extent) -> Result<Self, LookupError> {
        let key = market.lookup(name)?;
        let book = market.book(key).expect("it was just looked up");
        Ok(Self::of(key, market.symbol(key), book, extent))
    }

    /// Bids, best first.
    #[must_use]
    pub fn bids(&self) -> &[Level] {
        &self.levels[Side::Bid as usize]
    }

    /// Asks, best first.
    #[must_use]
    pub fn asks(&self) -> &[Level] {
        &self.levels[Side::Ask as usize]
    }
}
