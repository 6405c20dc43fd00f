//! The MBO records of a part of the log, for who has no log: he that replays them has the books that the log leads to.
//!
//! Behind a hole records alone do not lead there. So each book is told as a snapshot where the hole ends, and once more where
//! a checkpoint knows better. A book that is suspect then comes with the flag MAYBE_BAD_BOOK, and stays suspect for who
//! replays it until the same record that ends it in the log. A snapshot has complete events only: what is told of an
//! unfinished one comes behind it again.

use super::{
    cursor::{Cursor, Item},
    error::HistoryError,
    log::Log,
    mark::Mark,
    shadow::{Shadow, checkpoint_after, restore, restore_behind},
};
use crate::{
    event::{Moment, State},
    market::{Key, Market},
    mbo_snapshot,
    record::{MBO_BYTES, MboMsg, flags, mbo_bytes, mbo_slice_bytes},
};

const FLAGS_AT: usize = std::mem::offset_of!(MboMsg, flags);

/// What whoever replays the records has by now.
enum Books {
    /// What the log leads to.
    Same,
    /// The same, of which some are in doubt, and a checkpoint will know better.
    Doubtful(Box<Shadow>),
    /// Nobody knows what they were before; the ordinal of the next checkpoint, if there is one.
    Unknown(Option<u64>),
}

/// Reads the records from one ordinal up to another.
pub struct Telling {
    log: Log,
    /// Nothing while it reads.
    cursor: Option<Cursor>,
    end: u64,
    tells_books: bool,
    /// Ordinal of the next record, if none is missing.
    next: u64,
    stage: Stage,
    books: Books,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// No record was told yet: marks that come now are known to whoever has the books before the first.
    Begun,
    Told,
    Ended,
}

impl Telling {
    /// From the record of one ordinal up to that of another, which is not in it; with what holes do to books, or without.
    #[must_use]
    pub fn new(log: Log, start: u64, end: u64, tells_books: bool) -> Self {
        let cursor = Some(log.cursor(start));
        Self { log, cursor, end, tells_books, next: start, stage: Stage::New, books: Books::Same }
    }

    /// Appends what comes next; false at the end.
    ///
    /// # Errors
    /// If the log cannot be read, or is damaged.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, HistoryError> {
        if self.stage == Stage::New {
            self.begin()?;
        }
        if self.stage == Stage::Ended {
            return Ok(false);
        }
        let mut cursor = self.cursor.take().expect("it is put back");
        let item = if cursor.ordinal() < self.end { cursor.next(&self.log) } else { Ok(None) };
        let told = match item {
            Err(error) => Err(error),
            Ok(Some(item)) => self.tell(&item, out).map(|()| true),
            Ok(None) => self.finish(out).map(|()| false),
        };
        self.cursor = Some(cursor);
        told
    }

    fn begin(&mut self) -> Result<(), HistoryError> {
        self.stage = Stage::Begun;
        if self.tells_books {
            let begin = self.session_begin();
            if self.log.holes().iter().any(|hole| begin < hole.end && hole.end <= self.next) {
                // Whoever begins here has these books, and their doubts.
                self.books = self.known_at(self.next)?.0;
            }
        }
        Ok(())
    }

    fn tell(&mut self, item: &Item<'_>, out: &mut Vec<u8>) -> Result<(), HistoryError> {
        match item {
            Item::Records { first_ordinal, records } => {
                let due = (self.end.saturating_sub(*first_ordinal) as usize).min(records.len());
                if due > 0 {
                    if *first_ordinal > self.next {
                        self.pass_hole(*first_ordinal, out)?;
                    }
                    self.records(*first_ordinal, &records[..due], out)?;
                }
            }
            Item::Missing { end, .. } if *end > self.next && *end <= self.end => self.pass_hole(*end, out)?,
            Item::Missing { .. } => {}
            Item::Session { ordinal, .. } => (self.next, self.books) = (*ordinal, Books::Same),
            Item::Mark(Mark::Hole { end, .. }) => {
                let is_known = *end == self.next && self.stage == Stage::Begun;
                if *end >= self.next && *end <= self.end && !is_known {
                    self.pass_hole(*end, out)?;
                }
            }
            item => {
                // A checkpoint has nothing of the marks that stand where it does.
                if !matches!(item, Item::Metadata(_)) {
                    self.mend(out)?;
                }
                if let Books::Doubtful(shadow) = &mut self.books {
                    shadow.apply(item);
                }
            }
        }
        Ok(())
    }

    fn records(&mut self, first: u64, records: &[MboMsg], out: &mut Vec<u8>) -> Result<(), HistoryError> {
        self.stage = Stage::Told;
        let mut done = 0;
        while done < records.len() {
            self.next = first + done as u64;
            self.mend(out)?;
            let turn = match &self.books {
                Books::Same => None,
                Books::Doubtful(shadow) => shadow.mends_at(),
                Books::Unknown(known) => *known,
            };
            let left = turn.map_or(usize::MAX, |at| (at - self.next) as usize);
            let run = &records[done..records.len().min(done.saturating_add(left))];
            if let Books::Doubtful(shadow) = &mut self.books {
                shadow.meet(run, |record| append_doubt(out, record));
            }
            let begin = out.len();
            out.extend_from_slice(mbo_slice_bytes(run));
            match &mut self.books {
                Books::Same => {}
                Books::Doubtful(shadow) => shadow.records(self.next, run),
                Books::Unknown(_) => flag(&mut out[begin..]),
            }
            done += run.len();
        }
        self.next = first + records.len() as u64;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), HistoryError> {
        self.stage = Stage::Ended;
        if self.next < self.end && self.end <= self.log.end_ordinal() {
            return self.pass_hole(self.end, out);
        }
        self.mend(out)
    }

    /// Goes on behind records that are missing, or marks.
    fn pass_hole(&mut self, end: u64, out: &mut Vec<u8>) -> Result<(), HistoryError> {
        self.next = end;
        if self.tells_books {
            let (books, told) = self.known_at(end)?;
            self.books = books;
            out.extend_from_slice(&told);
        }
        Ok(())
    }

    /// Tells the books anew where a checkpoint knows better.
    fn mend(&mut self, out: &mut Vec<u8>) -> Result<(), HistoryError> {
        match &mut self.books {
            Books::Doubtful(shadow) => {
                if shadow.mend_if_due() {
                    append_books(out, &shadow.market);
                }
                if !shadow.is_doubtful() {
                    self.books = Books::Same;
                }
                Ok(())
            }
            Books::Unknown(Some(at)) if *at <= self.next => self.pass_hole(self.next, out),
            Books::Same | Books::Unknown(_) => Ok(()),
        }
    }

    /// What is known of the books before the record of an ordinal, and all of them as records.
    fn known_at(&self, ordinal: u64) -> Result<(Books, Vec<u8>), HistoryError> {
        match restore_behind(&self.log, ordinal) {
            Ok(shadow) => {
                let mut told = Vec::new();
                append_books(&mut told, &shadow.market);
                let books = if shadow.is_doubtful() { Books::Doubtful(Box::new(shadow)) } else { Books::Same };
                Ok((books, told))
            }
            Err(HistoryError::NotRecorded { .. } | HistoryError::Damaged { .. }) => {
                let known = checkpoint_after(self.log.dir(), ordinal, self.session_begin());
                Ok((Books::Unknown(known), Vec::new()))
            }
            Err(error) => Err(error),
        }
    }

    /// Ordinal at which the session of the next record began.
    fn session_begin(&self) -> u64 {
        let sessions = self.log.sessions();
        sessions.iter().rev().find(|session| session.first_ordinal <= self.next).map_or(0, |session| session.ordinal)
    }
}

/// All books as they were right before the record of an ordinal, as MBO records: a snapshot of each, and behind it what was
/// told of an unfinished event.
///
/// # Errors
/// As [`restore`].
pub fn books_before(log: &Log, ordinal: u64) -> Result<Vec<u8>, HistoryError> {
    let mut told = Vec::new();
    append_books(&mut told, &restore(log, ordinal, false)?.market);
    Ok(told)
}

fn append_books(out: &mut Vec<u8>, market: &Market) {
    for (key, book) in market.books() {
        let begin = out.len();
        let moment = book.moment();
        mbo_snapshot::append(out, key, Some(book.book()), moment, moment.ts_recv);
        if book.state() == State::Suspect {
            flag(&mut out[begin..]);
        }
        book.held.iter().for_each(|record| out.extend_from_slice(mbo_bytes(record)));
    }
}

/// A book that may have begun in a hole, before its first record that is there.
fn append_doubt(out: &mut Vec<u8>, record: &MboMsg) {
    let begin = out.len();
    let moment = Moment { ts_event: record.hd.ts_event, ..Moment::default() };
    mbo_snapshot::append(out, Key::of(record), None, moment, record.ts_recv);
    flag(&mut out[begin..]);
}

fn flag(records: &mut [u8]) {
    for record in records.chunks_exact_mut(MBO_BYTES) {
        record[FLAGS_AT] |= flags::MAYBE_BAD_BOOK;
    }
}
