//! What a watch knows of one book.

use super::{
    alert::Reason,
    place::{Place, Recent},
};
use crate::{
    event::EventBook,
    record::{Action, MboMsg, flags},
};

/// A book that is contradicted so often, each time after a new snapshot, has a sender that does not know all its orders.
const REFUTED_MAX: u32 = 3;

pub(super) struct BookWatch {
    /// Whether this book's records need a closer look: its event is no plain one, or it is still in an overlap.
    pub(super) is_close: bool,
    /// Whether it began with a Clear and was never doubted since: then nothing may contradict it.
    pub(super) is_anchored: bool,
    was_anchored: bool,
    /// Whether it met orders that nobody had told of before it had any beginning.
    is_short: bool,
    /// How often it was contradicted after a beginning.
    refuted: u32,
    /// Position of the channel it was last heard of on.
    pub(super) channel: u32,
    /// Records of the unfinished event.
    pub(super) pending: u32,
    /// The latest ts_recv's records, complete or not.
    pub(super) run: Place,
    /// … as they were when the last event was complete.
    pub(super) done: Place,
    pub(super) recent: Recent,
    /// Contradictions, and forced events, that are accounted for.
    contradictions: u64,
    forced_events: u64,
    /// Whether `done` is where the last complete event ended: not after one that was completed by force.
    pub(super) is_place_certain: bool,
    pub(super) has_begun: bool,
    /// Of the unfinished event: whether it has a Clear, whether it carries MAYBE_BAD_BOOK, why it leaves the book suspect.
    pub(super) event_has_clear: bool,
    pub(super) event_has_mark: bool,
    pub(super) taint: Option<Reason>,
    /// Of the unfinished event: records that are not held back, by action; the lowest ts_event that a `start` must reach.
    pub(super) pending_by_action: [u32; 8],
    pub(super) pending_ts: u64,
    /// Why it is suspect until the next snapshot or Clear.
    pub(super) doubt: Option<Reason>,
    /// Whether it is suspect only because the stream broke.
    pub(super) is_paused: bool,
    /// After a break: what of `done` was repeated so far.
    pub(super) overlap: Option<Place>,
}

impl BookWatch {
    pub(super) fn new(book: &EventBook) -> Self {
        let has_begun = book.moment().seq > 0;
        let place = Place { has_snapshot: has_begun, ..Place::at(book.moment().ts_recv) };
        Self {
            is_close: true,
            is_anchored: false,
            was_anchored: false,
            is_short: false,
            refuted: 0,
            channel: u32::MAX,
            pending: book.held.len() as u32,
            run: place,
            done: place,
            recent: Recent::default(),
            contradictions: 0,
            forced_events: book.forced_events,
            // Of a book that was there before, nobody knows what it has applied at its last ts_recv.
            is_place_certain: !has_begun,
            has_begun,
            event_has_clear: false,
            event_has_mark: false,
            taint: None,
            pending_by_action: [0; 8],
            pending_ts: u64::MAX,
            doubt: book.is_suspect.then_some(Reason::Borrowed(super::reason::MAYBE_BAD_BOOK)),
            is_paused: false,
            overlap: None,
        }
    }

    /// Moves on by a record that the market is about to take.
    #[inline(always)]
    pub(super) fn take(&mut self, action: Action, record: &MboMsg, hash: u64) {
        let bits = record.flags.raw();
        if record.ts_recv != self.run.ts_recv {
            self.run = Place::at(record.ts_recv);
            self.recent.clear();
        }
        if bits & flags::SNAPSHOT == 0 {
            self.run.add(hash);
            self.recent.add(hash);
        } else {
            self.run.has_snapshot = true;
        }
        if bits & flags::LAST == 0 {
            self.take_unfinished(action, record);
            return;
        }
        self.done = self.run;
        self.is_place_certain = true;
        if self.pending > 0 {
            self.forget_pending();
        }
    }

    fn take_unfinished(&mut self, action: Action, record: &MboMsg) {
        self.pending = self.pending.saturating_add(1);
        if !action.changes_book() {
            self.pending_by_action[action as usize] += 1;
        }
        // The Adds of a snapshot carry the times of their orders.
        if record.flags.raw() & flags::SNAPSHOT == 0 {
            self.pending_ts = self.pending_ts.min(record.hd.ts_event);
        }
    }

    pub(super) fn forget_pending(&mut self) {
        self.pending = 0;
        self.pending_by_action = [0; 8];
        self.pending_ts = u64::MAX;
    }

    /// Whether anything was completed whose repetition can be told.
    pub(super) fn has_place(&self) -> bool {
        self.done.records > 0 || self.done.has_snapshot
    }

    /// The book is exact: from here on nothing may contradict it. But a recording that begins mid-session knows no orders
    /// from before, and neither do the snapshots made of it: there contradictions tell nothing.
    pub(super) fn anchor(&mut self, book: &EventBook) {
        let is_first = !std::mem::replace(&mut self.was_anchored, true);
        self.is_short |= is_first && contradictions_of(book) > 0;
        self.is_anchored = !self.is_short && self.refuted < REFUTED_MAX;
        self.contradictions = contradictions_of(book);
    }

    /// Contradictions of an exact book that are not accounted for; also notes whether an event was completed by force.
    #[inline(always)]
    pub(super) fn contradictions(&mut self, book: &EventBook) -> u64 {
        if book.forced_events != self.forced_events {
            self.forced_events = book.forced_events;
            self.is_place_certain = false;
        }
        if !self.is_anchored {
            return 0;
        }
        let now = contradictions_of(book);
        let found = now - std::mem::replace(&mut self.contradictions, now);
        self.refuted += u32::from(found > 0);
        found
    }
}

#[inline(always)]
fn contradictions_of(book: &EventBook) -> u64 {
    let counters = &book.book().counters;
    counters.unknown_cancels + counters.unknown_modifies + counters.duplicate_adds + counters.over_cancels
}
