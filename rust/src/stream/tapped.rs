//! The channels `orders`, `trades` and `dbn`: what a tap on the book brings.

use std::{collections::VecDeque, sync::Arc};

use super::{
    TRADES_MAX, bytes,
    delta::crc_of_book,
    effect,
    message::{Body, Trade},
};
use crate::{
    book::OrderBook,
    event::EventBook,
    market::Key,
    record::{Action, MboMsg},
    tap::{Kept, TapId, Wanted},
    view::{Extent, Head, View},
};

/// What was taken from a book.
pub(super) enum Taken {
    /// Listening has just begun; of the book, its copy if it needs to be mirrored.
    Begun(Option<Box<OrderBook>>),
    Records(Vec<MboMsg>),
    /// There were too many, and nobody listens any more.
    Overflow,
}

enum Teller {
    Orders { key: Key, mirror: OrderBook },
    Trades(VecDeque<Trade>),
    Records { key: Key, symbol: Option<String>, mirror: OrderBook },
}

pub(super) struct Tapped {
    tap: Option<TapId>,
    teller: Teller,
}

impl Tapped {
    fn new(teller: Teller) -> Self {
        Self { tap: None, teller }
    }

    pub(super) fn orders(key: Key) -> Self {
        Self::new(Teller::Orders { key, mirror: OrderBook::default() })
    }

    pub(super) fn trades() -> Self {
        Self::new(Teller::Trades(VecDeque::new()))
    }

    pub(super) fn records(key: Key, symbol: Option<&str>) -> Self {
        Self::new(Teller::Records { key, symbol: symbol.map(str::to_owned), mirror: OrderBook::default() })
    }

    pub(super) fn is_listening(&self) -> bool {
        self.tap.is_some()
    }

    pub(super) fn look(&mut self, book: &mut EventBook) -> Taken {
        match self.tap.and_then(|tap| book.take_tapped(tap)) {
            Some(Kept::Records(records)) => Taken::Records(records),
            Some(Kept::Overflow) => {
                self.close(book);
                Taken::Overflow
            }
            // Nobody listens yet, or the book has become that of another time.
            None => self.begin(book),
        }
    }

    fn begin(&mut self, book: &mut EventBook) -> Taken {
        let (wanted, has_mirror) = match &self.teller {
            Teller::Orders { .. } => (Wanted::CHANGES, true),
            Teller::Trades(_) => (Wanted::TRADES, false),
            Teller::Records { .. } => (Wanted::ALL, true),
        };
        self.tap = Some(book.add_tap(wanted));
        Taken::Begun(has_mirror.then(|| Box::new(book.book().clone())))
    }

    pub(super) fn close(&mut self, book: &mut EventBook) {
        if let Some(tap) = self.tap.take() {
            book.remove_tap(tap);
        }
    }

    /// What there is to tell: a body or, without one, a snapshot.
    pub(super) fn move_on(&mut self, told: Option<&Head>, head: Head, taken: Taken) -> Option<(Head, Option<Body>)> {
        let records = match taken {
            Taken::Records(records) => records,
            Taken::Begun(copy) => {
                let mirror = match &mut self.teller {
                    Teller::Orders { mirror, .. } | Teller::Records { mirror, .. } => Some(mirror),
                    Teller::Trades(last) => {
                        // Of a book that was moved to another time, its last trades may be yet to come.
                        if told.is_some_and(|told| told.epoch != head.epoch) {
                            last.clear();
                        }
                        None
                    }
                };
                if let (Some(mirror), Some(copy)) = (mirror, copy) {
                    *mirror = *copy;
                }
                return Some((head, None));
            }
            Taken::Overflow => {
                let from = told.map_or(0, |told| told.moment.seq + 1);
                return Some((head, Some(Body::Gap { from })));
            }
        };
        let is_like_told = told.is_some_and(|told| head.is_like(told));
        let is_same_epoch = told.is_some_and(|told| told.epoch == head.epoch);
        let body = match &mut self.teller {
            Teller::Orders { mirror, .. } => {
                let mut effects = Vec::new();
                records.iter().for_each(|record| effect::apply(mirror, record, &mut effects));
                if effects.is_empty() && is_like_told {
                    return None;
                }
                Body::Effects { effects, crc: crc_of_book(mirror) }
            }
            Teller::Trades(last) => {
                let trades: Vec<Trade> = records.iter().map(Trade::of).collect();
                last.extend(&trades);
                // A snapshot that begins an epoch tells of these too: none may be missing, however many they are.
                let kept = if is_same_epoch { TRADES_MAX } else { TRADES_MAX.max(trades.len()) };
                last.drain(..last.len().saturating_sub(kept));
                if trades.is_empty() && told.is_some_and(|told| (told.epoch, told.state) == (head.epoch, head.state)) {
                    return None;
                }
                Body::Trades(trades)
            }
            // Records say themselves that an epoch ends, and nothing of the book's state is in them.
            Teller::Records { .. } if records.is_empty() => return None,
            Teller::Records { mirror, .. } => {
                records.iter().for_each(|record| mirror.apply(Action::of(record), record));
                return Some((head, Some(Body::Bytes(bytes::of(&records)))));
            }
        };
        Some((head, is_same_epoch.then_some(body)))
    }

    pub(super) fn snapshot(&self, head: &Head) -> Body {
        match &self.teller {
            Teller::Orders { key, mirror } => {
                let extent = Extent::queued(usize::MAX);
                Body::View {
                    view: Arc::new(View::of_parts(*key, None, mirror, head, extent)),
                    crc: crc_of_book(mirror),
                }
            }
            Teller::Trades(last) => Body::Trades(last.iter().copied().collect()),
            Teller::Records { key, symbol, mirror } => {
                Body::Bytes(bytes::beginning(*key, symbol.as_deref(), mirror, head))
            }
        }
    }
}
