//! What a watch knows of one book.

use std::hint::select_unpredictable;

use super::{
    alert::Reason,
    place::{Place, Recent, Repeated},
};
use crate::{
    checkpoint::{self, In, Out},
    event::EventBook,
    record::{Action, MboMsg, flags},
};

/// A book that is contradicted so often, each time after a new snapshot, has a sender that does not know all its orders.
const REFUTED_MAX: u32 = 3;
/// … unless it went well for so many events before: then what was lost was lost anew.
const GOOD_EVENTS: u64 = 4_096;

/// The records of an unfinished event that belong to a snapshot.
#[derive(Clone, Copy, Default)]
pub(super) struct Snapshot {
    pub(super) has_records: bool,
    /// Whether one of them is older than where the stream was resumed: then its sender leaves none out.
    has_older: bool,
    /// The Clear's ts_event, and whether another record has another.
    clear_ts: u64,
    has_own_times: bool,
}

impl Snapshot {
    fn write(self, out: &mut Out) {
        out.bits([self.has_records, self.has_older, self.has_own_times]);
        out.varint(self.clear_ts);
    }

    fn read(input: &mut In<'_>) -> checkpoint::Result<Self> {
        let [has_records, has_older, has_own_times] = input.bits()?;
        Ok(Self { has_records, has_older, clear_ts: input.varint()?, has_own_times })
    }

    pub(super) fn add(&mut self, action: Action, ts_event: u64, start: Option<u64>) {
        self.has_records = true;
        self.has_older |= start.is_some_and(|start| ts_event < start);
        if action == Action::Clear {
            self.clear_ts = ts_event;
        }
        self.has_own_times |= ts_event != self.clear_ts;
    }

    /// Whether a sender that leaves out what is older than a `start` may have left orders out. It cannot have where all
    /// carry the snapshot's own time instead of their orders'.
    pub(super) fn may_lack_orders(&self, has_clear: bool) -> bool {
        self.has_records && !self.has_older && (!has_clear || self.has_own_times)
    }
}

/// What each action adds to the count of records that are not held back.
const PENDING: [u128; 8] = [0, 0, 0, 0, 1, 1 << 32, 1 << 64, 1 << 96];

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
    /// Its completed events when it began.
    anchored_seq: u64,
    /// Position of the channel it was last heard of on.
    pub(super) channel: u32,
    /// Records of the unfinished event.
    pub(super) pending: u32,
    /// The latest ts_recv's records, and as they were when the last event was complete.
    places: [Place; 2],
    pub(super) recent: Recent,
    /// Contradictions, and forced events, that are accounted for.
    contradictions: u64,
    forced_events: u64,
    /// Whether `done` is where the last complete event ended: not after one that was completed by force.
    pub(super) is_place_certain: bool,
    pub(super) has_begun: bool,
    /// Of the unfinished event: whether it has a Clear, whether it carries MAYBE_BAD_BOOK, why it leaves the book
    /// suspect.
    pub(super) event_has_clear: bool,
    pub(super) event_has_mark: bool,
    pub(super) snapshot: Snapshot,
    /// Whether a snapshot of it was asked for and has not come yet.
    pub(super) asked_snapshot: bool,
    pub(super) taint: Option<Reason>,
    /// … and what makes it so if it goes on to change the book.
    pub(super) event_doubt: Option<&'static str>,
    /// Of the unfinished event: records that are not held back, T, F, N and unknown ones in 32 bits each; the lowest
    /// ts_event.
    pending_by_action: u128,
    pub(super) pending_ts: u64,
    /// Why it is suspect until the next snapshot or Clear.
    pub(super) doubt: Option<Reason>,
    /// Whether it is suspect only because the stream broke.
    pub(super) is_paused: bool,
    /// After a break, until a record comes that was not applied before it.
    pub(super) overlap: Option<Box<Repeated>>,
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
            anchored_seq: 0,
            channel: u32::MAX,
            pending: book.held.len() as u32,
            places: [place; 2],
            recent: Recent::default(),
            contradictions: 0,
            forced_events: book.forced_events,
            // Of a book that was there before, nobody knows what it has applied at its last ts_recv.
            is_place_certain: !has_begun,
            has_begun,
            event_has_clear: false,
            event_has_mark: false,
            snapshot: Snapshot::default(),
            asked_snapshot: false,
            taint: None,
            event_doubt: None,
            pending_by_action: 0,
            pending_ts: u64::MAX,
            doubt: book.is_suspect.then_some(Reason::Borrowed(super::reason::MAYBE_BAD_BOOK)),
            is_paused: false,
            overlap: None,
        }
    }

    /// What must be known of it after a restart, which is a break of the stream: without what a break forgets anyway.
    pub(super) fn write(&self, out: &mut Out) {
        out.bits([self.is_anchored, self.was_anchored, self.is_short, self.is_place_certain, self.has_begun]);
        out.bits([self.event_has_clear, self.event_has_mark, self.is_paused, self.doubt.is_some()]);
        out.section(self.doubt.as_deref().unwrap_or_default().as_bytes());
        out.varints([u64::from(self.refuted), self.anchored_seq, u64::from(self.channel.wrapping_add(1))]);
        out.varints([self.contradictions, self.forced_events, u64::from(self.pending)]);
        for count in &self.pending_by_action()[4..] {
            out.varint(u64::from(*count));
        }
        out.varint(self.pending_ts.wrapping_add(1));
        for place in &self.places {
            place.write(out);
        }
        self.snapshot.write(out);
    }

    pub(super) fn read(input: &mut In<'_>, book: &EventBook) -> checkpoint::Result<Self> {
        let mut read = Self::new(book);
        [read.is_anchored, read.was_anchored, read.is_short, read.is_place_certain, read.has_begun] = input.bits()?;
        let [event_has_clear, event_has_mark, is_paused, is_doubted] = input.bits()?;
        (read.event_has_clear, read.event_has_mark, read.is_paused) = (event_has_clear, event_has_mark, is_paused);
        let doubt = input.text()?;
        read.doubt = is_doubted.then(|| Reason::Owned(doubt.to_owned()));
        read.refuted = input.narrow("a number of refutations of")?;
        [read.anchored_seq] = input.counts()?;
        read.channel = input.narrow::<u32>("a channel of")?.wrapping_sub(1);
        [read.contradictions, read.forced_events] = input.counts()?;
        read.pending = input.narrow("a number of records of")?;
        for lane in 0..4 {
            read.pending_by_action |= u128::from(input.narrow::<u32>("a number of records of")?) << (32 * lane);
        }
        read.pending_ts = input.varint()?.wrapping_sub(1);
        read.places = [Place::read(input)?, Place::read(input)?];
        read.snapshot = Snapshot::read(input)?;
        if read.contradictions > contradictions_of(book) || read.anchored_seq > book.moment().seq {
            return Err(input.damaged("a watch that is ahead of its book"));
        }
        Ok(read)
    }

    /// Moves on by a record that the market is about to take. Without a branch: whether a record shares its ts_recv
    /// with the one before, and whether it completes an event, is guessed wrong too often.
    #[inline(always)]
    pub(super) fn take(&mut self, action: Action, record: &MboMsg, hash: u64) {
        let is_same = record.ts_recv == self.run().ts_recv;
        let mut run = select_unpredictable(is_same, *self.run(), Place::at(record.ts_recv));
        run.add(hash);
        self.recent.add(hash, action.changes_book());
        self.put(run, action, record);
    }

    /// … by one that belongs to a snapshot.
    pub(super) fn take_snapshot(&mut self, action: Action, record: &MboMsg, start: Option<u64>) {
        self.snapshot.add(action, record.hd.ts_event, start);
        let is_same = record.ts_recv == self.run().ts_recv;
        let mut run = if is_same { *self.run() } else { Place::at(record.ts_recv) };
        run.has_snapshot = true;
        // The Adds of a snapshot carry the times of their orders.
        let pending_ts = self.pending_ts;
        self.put(run, action, record);
        self.pending_ts = if self.pending > 0 { pending_ts } else { u64::MAX };
    }

    #[inline(always)]
    fn put(&mut self, run: Place, action: Action, record: &MboMsg) {
        let is_last = record.flags.raw() & flags::LAST != 0;
        self.places[0] = run;
        self.places[usize::from(is_last)] = run;
        self.is_place_certain |= is_last;
        self.pending = select_unpredictable(is_last, 0, self.pending.saturating_add(1));
        let by_action = self.pending_by_action.wrapping_add(PENDING[action as usize]);
        self.pending_by_action = select_unpredictable(is_last, 0, by_action);
        let pending_ts = self.pending_ts.min(record.hd.ts_event);
        self.pending_ts = select_unpredictable(is_last, u64::MAX, pending_ts);
    }

    /// The latest ts_recv's records, complete or not.
    #[inline(always)]
    pub(super) fn run(&self) -> &Place {
        &self.places[0]
    }

    /// … as they were when the last event was complete.
    #[inline(always)]
    pub(super) fn done(&self) -> &Place {
        &self.places[1]
    }

    /// A snapshot or Clear is complete: nothing before it is of account.
    pub(super) fn begin(&mut self) {
        self.recent.begin(&self.places[0]);
    }

    /// Is nowhere.
    pub(super) fn forget_place(&mut self) {
        self.places = [Place::default(); 2];
        self.recent = Recent::default();
    }

    /// Records of the unfinished event that are not held back, by action.
    pub(super) fn pending_by_action(&self) -> [u32; 8] {
        std::array::from_fn(|i| i.checked_sub(4).map_or(0, |lane| (self.pending_by_action >> (32 * lane)) as u32))
    }

    /// The stream broke, `last_ts_recv` being the latest of it that was believed: goes back to the last complete event.
    pub(super) fn forget_event(&mut self, last_ts_recv: u64) {
        // A snapshot's ts_recv is not vouched for. If the stream had not come so far, it cannot tell what was applied.
        let is_ahead = last_ts_recv > 0 && self.done().ts_recv > last_ts_recv;
        // What is unfinished will be told anew, and is no duplicate then. Those of a snapshot are not among these.
        if self.snapshot.has_records {
            self.recent = Recent::default();
        } else {
            let unchanging: u64 = self.pending_by_action().iter().map(|count| u64::from(*count)).sum();
            self.recent.forget(u64::from(self.pending).saturating_sub(unchanging));
        }
        self.is_place_certain &= !(self.done().has_snapshot && self.done().records == 0 && is_ahead);
        self.pending = 0;
        self.pending_by_action = 0;
        self.pending_ts = u64::MAX;
        (self.taint, self.event_doubt) = (None, None);
        (self.event_has_clear, self.event_has_mark) = (false, false);
        self.snapshot = Snapshot::default();
        self.places[0] = self.places[1];
        self.overlap = None;
        self.asked_snapshot = false;
    }

    /// Whether anything was completed whose repetition can be told.
    pub(super) fn has_place(&self) -> bool {
        self.done().records > 0 || self.done().has_snapshot
    }

    /// The book is exact: from here on nothing may contradict it. But a recording that begins mid-session knows no orders
    /// from before, and neither do the snapshots made of it: there contradictions tell nothing, until a venue's own Clear.
    pub(super) fn anchor(&mut self, book: &EventBook, is_by_snapshot: bool) {
        let is_first = !std::mem::replace(&mut self.was_anchored, true);
        if is_by_snapshot {
            self.is_short |= is_first && contradictions_of(book) > 0;
        } else {
            (self.is_short, self.refuted) = (false, 0);
        }
        self.is_anchored = !self.is_short && self.refuted < REFUTED_MAX;
        self.contradictions = contradictions_of(book);
        self.anchored_seq = book.moment().seq;
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
        if found > 0 {
            let is_good = book.moment().seq - self.anchored_seq >= GOOD_EVENTS;
            self.refuted = if is_good { 1 } else { self.refuted + 1 };
        }
        found
    }
}

#[inline(always)]
fn contradictions_of(book: &EventBook) -> u64 {
    let counters = &book.book().counters;
    counters.unknown_cancels + counters.unknown_modifies + counters.duplicate_adds + counters.over_cancels
}
