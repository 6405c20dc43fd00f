//! What changes in one book, for all who follow it: snapshots and what continues them, each made once.
//!
//! ```text
//! bbo, depth             the book ──► a view now and then ──► what differs from the last ──► deltas (merged for who is late)
//! orders, trades, dbn    the book ──► tap: records of complete events ──► mirror ──► effects, trades, bytes
//! ```
//!
//! A [`Stream`] is moved on in two steps, so that a market is locked only for the first: [`Stream::look`] takes from
//! the market what there is, [`Stream::tell`] makes a [`Message`] of it. A message follows the one before it: its `prev`
//! is that one's `seq`. A change of state is told although no event completed; then `prev` and `seq` are equal.
//!
//! `orders` and `dbn` keep a book of their own, moved by the same records, outside the lock. So a snapshot is of the
//! very moment that was last told, and the market is copied only once, when somebody begins to listen.

mod bytes;
mod delta;
mod effect;
mod levels;
mod message;
mod tapped;

use std::{collections::HashMap, sync::Arc};

pub use message::{Kind, Message};

pub use crate::tap::TAP_RECORDS_MAX;

use crate::{
    market::{Key, LookupError, Market, Name},
    view::{Extent, Head, View},
};
use levels::Levels;
use message::Subject;
use tapped::{Taken, Tapped};

/// Deltas of a stream that one message can be merged of.
pub const MERGED_DELTAS_MAX: usize = 128;
/// Trades that a snapshot of the channel `trades` has at most, unless more came with the epoch that it begins.
pub const TRADES_MAX: usize = 50;

/// What of a book is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The best level of each side.
    Bbo,
    /// The best levels, with their orders if wanted.
    Depth(Extent),
    /// Every order, and what each record did to it.
    Orders,
    /// Every trade.
    Trades,
    /// The records themselves.
    Dbn,
}

impl Channel {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Channel::Bbo => "bbo",
            Channel::Depth(_) => "depth",
            Channel::Orders => "orders",
            Channel::Trades => "trades",
            Channel::Dbn => "dbn",
        }
    }
}

/// What a stream took from the market, for [`Stream::tell`].
pub struct Look(Seen);

enum Seen {
    Unchanged,
    View(Box<View>),
    Taken(Head, Taken),
}

enum Source {
    Levels(Levels),
    Tapped(Box<Tapped>),
}

/// Follows one channel of one book.
pub struct Stream {
    subject: Arc<Subject>,
    source: Source,
    /// What was last told.
    told: Option<Head>,
    /// Whether the next message must be a snapshot: some client has missed something.
    owes_snapshot: bool,
    /// Made since the book last changed: the same for all who ask.
    snapshot: Option<Arc<Message>>,
    merged: HashMap<u64, Option<Arc<Message>>>,
}

impl Stream {
    /// A stream of the book that goes by a name; it has told nothing yet.
    ///
    /// # Errors
    /// [`LookupError`] if there is no such book, or more than one.
    pub fn open(market: &Market, name: &Name, channel: Channel) -> Result<Self, LookupError> {
        let key = market.lookup(name)?;
        let symbol = market.symbol(key);
        let is_unique = |symbol: &&str| market.lookup(&Name::Text((*symbol).to_owned())) == Ok(key);
        let instrument = symbol.filter(is_unique).map_or_else(|| key.to_string(), str::to_owned);
        let source = match channel {
            Channel::Bbo => Source::Levels(Levels::new(Extent::levels(1))),
            Channel::Depth(extent) => Source::Levels(Levels::new(extent)),
            Channel::Orders => Source::Tapped(Box::new(Tapped::orders(key))),
            Channel::Trades => Source::Tapped(Box::new(Tapped::trades())),
            Channel::Dbn => Source::Tapped(Box::new(Tapped::records(key, symbol))),
        };
        let subject = Arc::new(Subject { channel, key, instrument });
        Ok(Self { subject, source, told: None, owes_snapshot: false, snapshot: None, merged: HashMap::new() })
    }

    /// What it follows.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.subject.channel
    }

    /// The name its messages carry: the symbol if it names one book, or else `publisher_id:instrument_id`.
    #[must_use]
    pub fn instrument(&self) -> &str {
        &self.subject.instrument
    }

    /// Whose book it follows.
    #[must_use]
    pub fn key(&self) -> Key {
        self.subject.key
    }

    /// Takes from the market what there is to tell. Copies; neither compares nor encodes.
    ///
    /// # Panics
    /// If the market has no such book: it is not the one that the stream was opened on.
    pub fn look(&mut self, market: &mut Market) -> Look {
        let key = self.subject.key;
        let book = market.book_mut(key).expect("a market never forgets a book");
        Look(match &mut self.source {
            Source::Levels(levels) => levels.look(key, book),
            Source::Tapped(tapped) => Seen::Taken(Head::of(book), tapped.look(book)),
        })
    }

    /// Moves the stream on to what was seen; says what all clients must be told.
    pub fn tell(&mut self, look: Look) -> Option<Arc<Message>> {
        let message = self.move_on(look);
        let is_gap = message.as_ref().is_some_and(|message| message.kind() == Kind::Gap);
        if !is_gap && std::mem::take(&mut self.owes_snapshot) {
            return Some(self.snapshot());
        }
        message
    }

    /// Moves the stream on to what was seen, for the sake of [`snapshot`](Self::snapshot) alone: what earlier clients must be
    /// told of it, the next [`tell`](Self::tell) says.
    pub fn begin(&mut self, look: Look) {
        self.owes_snapshot |= self.told.is_some();
        self.move_on(look);
    }

    fn move_on(&mut self, look: Look) -> Option<Arc<Message>> {
        let (head, body) = match (&mut self.source, look.0) {
            (Source::Levels(levels), Seen::View(view)) => levels.move_on(self.told.as_ref(), *view)?,
            (Source::Tapped(tapped), Seen::Taken(head, taken)) => tapped.move_on(self.told.as_ref(), head, taken)?,
            _ => return None,
        };
        (self.snapshot, self.merged) = (None, HashMap::new());
        let prev = self.told.replace(head).map_or(0, |told| told.moment.seq);
        let Some(body) = body else { return Some(self.snapshot()) };
        let message = Arc::new(Message::new(self.subject.clone(), head, Some(prev), body));
        if let Source::Levels(levels) = &mut self.source {
            levels.keep(message.clone());
        }
        Some(message)
    }

    /// Whether [`snapshot`](Self::snapshot) has something to show; else [`begin`](Self::begin) comes first.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.told.is_some()
            && match &self.source {
                Source::Levels(_) => true,
                Source::Tapped(tapped) => tapped.is_listening(),
            }
    }

    /// The book as it was last told: what the next delta continues.
    ///
    /// # Panics
    /// If the stream [is not begun](Self::is_begun).
    pub fn snapshot(&mut self) -> Arc<Message> {
        let Self { subject, source, told, snapshot, .. } = self;
        let make = || {
            let head = told.expect("something was told");
            let body = match source {
                Source::Levels(levels) => levels.snapshot(),
                Source::Tapped(tapped) => tapped.snapshot(&head),
            };
            Arc::new(Message::new(subject.clone(), head, None, body))
        };
        snapshot.get_or_insert_with(make).clone()
    }

    /// One delta from `seq`, as an earlier message had it, to what was last told. Nothing if there is nothing after it, or
    /// if it cannot be made: of another epoch, too old, or of a channel of which nothing may be left out.
    ///
    /// A change of state at `seq` itself is in it, whether or not it was received: it does no harm twice.
    pub fn merged(&mut self, epoch: u64, seq: u64) -> Option<Arc<Message>> {
        let head = self.told.filter(|told| told.epoch == epoch)?;
        let Source::Levels(levels) = &self.source else { return None };
        let subject = &self.subject;
        self.merged.entry(seq).or_insert_with(|| levels.merged(subject, &head, seq)).clone()
    }

    /// Listens no more.
    pub fn close(&mut self, market: &mut Market) {
        if let (Source::Tapped(tapped), Some(book)) = (&mut self.source, market.book_mut(self.subject.key)) {
            tapped.close(book);
        }
    }
}
