//! One book with all that is known of it beside the book itself.

use super::{
    difference::{Judge, Mismatch},
    fifo::Fills,
    oracle::{Shadow, Touch},
    periods::Watch,
    report::BookReport,
};
use crate::{
    book::Broken,
    decode::Position,
    event::{EventBook, State},
    fingerprint,
    market::{Key, Market},
    naive::NaiveBook,
    record::{Action, MboMsg, flags},
};

/// Witness of everything that one book was told and did.
pub(super) struct Witness {
    pub(super) key: Key,
    pub(super) shadow: Option<Shadow>,
    fills: Fills,
    crossed: Watch,
    locked: Watch,
    suspect: Watch,
    /// ts_event of the last record that has one of its own.
    pub(super) ts_event: u64,
    /// The last record and where it lay, to name it when a check of everything fails.
    last: Option<(MboMsg, Position)>,
    seq: u64,
    forced_events: u64,
}

impl Witness {
    pub(super) fn new(key: Key, naive: Option<NaiveBook>) -> Self {
        Self {
            key,
            shadow: naive.map(Shadow::new),
            fills: Fills::default(),
            crossed: Watch::default(),
            locked: Watch::default(),
            suspect: Watch::default(),
            ts_event: 0,
            last: None,
            seq: 0,
            forced_events: 0,
        }
    }

    /// Looks at the book before it takes a record; nothing of it is known before the first.
    #[inline]
    pub(super) fn before(&mut self, record: &MboMsg, at: Position, book: Option<&EventBook>) -> Touch {
        self.last = Some((*record, at));
        if Action::of(record) == Action::Fill {
            self.fills.note(record);
        }
        let Some(book) = book else { return Touch::default() };
        if !self.fills.is_empty() && record.flags.raw() & flags::LAST != 0 {
            self.fills.judge(book.book());
        }
        if self.shadow.is_some() { Touch::of(record, book) } else { Touch::default() }
    }

    /// Looks at the book after it took the record; says whether that completed an event.
    #[inline]
    pub(super) fn after(&mut self, book: &EventBook) -> bool {
        if book.forced_events != self.forced_events {
            self.forced_events = book.forced_events;
            self.fills.drop_event();
        }
        let moment = book.moment();
        let is_complete = moment.seq != self.seq;
        if is_complete {
            self.seq = moment.seq;
            self.crossed.look(book.book().is_crossed(), moment.ts_recv);
            self.locked.look(book.book().is_locked(), moment.ts_recv);
            self.suspect.look(book.state() == State::Suspect, moment.ts_recv);
        }
        is_complete
    }

    /// Checks every invariant of the book, and compares it as a whole with the naive one.
    pub(super) fn check_everything(&mut self, book: &EventBook) -> Result<(), (Judge, Mismatch)> {
        if let Err(Broken(what)) = book.book().check() {
            return Err((Judge::Invariant, Mismatch::new("an invariant", "kept", what)));
        }
        match &mut self.shadow {
            Some(shadow) => shadow.compare_all(book).map_err(|mismatch| (Judge::Oracle, mismatch)),
            None => Ok(()),
        }
    }

    /// The last record and where it lay.
    pub(super) fn last(&self) -> Option<(MboMsg, Position)> {
        self.last
    }

    pub(super) fn report(&self, market: &Market) -> BookReport {
        let book = market.book(self.key).expect("a witness is made for a record that the market takes");
        BookReport {
            publisher_id: self.key.publisher_id,
            instrument_id: self.key.instrument_id,
            symbol: market.symbol(self.key).map(str::to_owned),
            state: book.state().name(),
            events: book.moment().seq,
            orders: book.book().len() as u64,
            crossed: self.crossed.periods(),
            locked: self.locked.periods(),
            suspect: self.suspect.periods(),
            fifo: self.fills.fifo,
            state_hash: fingerprint::of([(self.key, book)]),
        }
    }
}
