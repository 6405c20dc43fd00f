//! Listeners to one book's records: each keeps what it wants of them, until it is asked for the complete events.
//!
//! A book with a tap is never settled, so it takes all its records the slow way; one without pays nothing. What an
//! unfinished event would have said is kept apart, and dropped with it.

use crate::record::{Action, MboMsg};

/// Records that a tap keeps at most; one that is asked too late for them loses all it had, and says so.
pub const TAP_RECORDS_MAX: usize = 262_144;

/// Which actions a tap wants: a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted(u8);

impl Wanted {
    pub(crate) const ALL: Self = Self(u8::MAX);
    pub(crate) const TRADES: Self = Self(1 << Action::Trade as u8);
    pub(crate) const CHANGES: Self =
        Self(1 << Action::Add as u8 | 1 << Action::Cancel as u8 | 1 << Action::Modify as u8 | 1 << Action::Clear as u8);

    fn has(self, action: Action) -> bool {
        self.0 & 1 << action as u8 != 0
    }
}

/// Which of a book's taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TapId(u64);

/// What a tap has kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The wanted records of the events that completed since it was last asked.
    Records(Vec<MboMsg>),
    /// There were too many.
    Overflow,
}

struct Tap {
    id: TapId,
    wanted: Wanted,
    records: Vec<MboMsg>,
    /// So many of them belong to complete events.
    complete: usize,
    has_overflown: bool,
}

impl Tap {
    fn note(&mut self, action: Action, record: &MboMsg) {
        if !self.wanted.has(action) || self.has_overflown {
            return;
        }
        if self.records.len() >= TAP_RECORDS_MAX {
            self.overflow();
        } else {
            self.records.push(*record);
        }
    }

    fn overflow(&mut self) {
        self.has_overflown = true;
        self.records = Vec::new();
        self.complete = 0;
    }

    fn take(&mut self) -> Kept {
        if self.has_overflown {
            return Kept::Overflow;
        }
        if self.complete == 0 {
            return Kept::Records(Vec::new());
        }
        let unfinished = self.records.split_off(self.complete);
        self.complete = 0;
        Kept::Records(std::mem::replace(&mut self.records, unfinished))
    }
}

/// The taps of one book. A copy of the book has none: nobody listens to it.
#[derive(Default)]
pub(crate) struct Taps {
    taps: Vec<Tap>,
    next_id: u64,
}

impl Clone for Taps {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Taps {
    pub(crate) fn is_empty(&self) -> bool {
        self.taps.is_empty()
    }

    /// Adds a tap; `held` are the records of the book's unfinished event that it holds back.
    pub(crate) fn add(&mut self, wanted: Wanted, held: &[MboMsg]) -> TapId {
        let id = TapId(self.next_id);
        self.next_id += 1;
        let mut tap = Tap { id, wanted, records: Vec::new(), complete: 0, has_overflown: false };
        held.iter().for_each(|record| tap.note(Action::of(record), record));
        self.taps.push(tap);
        id
    }

    pub(crate) fn remove(&mut self, id: TapId) {
        self.taps.retain(|tap| tap.id != id);
    }

    /// What a tap kept; nothing if it was removed.
    pub(crate) fn take(&mut self, id: TapId) -> Option<Kept> {
        self.taps.iter_mut().find(|tap| tap.id == id).map(Tap::take)
    }

    pub(crate) fn note(&mut self, action: Action, record: &MboMsg) {
        self.taps.iter_mut().for_each(|tap| tap.note(action, record));
    }

    /// Removes all of them; who listened finds that out, since no id comes twice.
    pub(crate) fn clear(&mut self) {
        self.taps.clear();
    }

    /// The event is complete.
    pub(crate) fn complete(&mut self) {
        self.taps.iter_mut().for_each(|tap| tap.complete = tap.records.len());
    }

    /// The unfinished event never was.
    pub(crate) fn drop_unfinished(&mut self) {
        self.taps.iter_mut().for_each(|tap| tap.records.truncate(tap.complete));
    }
}
