//! Breaks of a stream, and how it goes on.

use super::{
    BAD_TS_RECV, Watch,
    alert::{Alert, Reason, reason},
    place::{Repeated, hash_of},
};
use crate::{
    market::Market,
    record::{Action, MboMsg, flags},
};

/// A stream is resumed so much (ns) before what it is needed from: its records come in the order of ts_recv, and are
/// asked for by ts_event, which is older by what lies between engine and capture.
const MARGIN_NS: u64 = 1_000_000_000;

/// How a broken stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// From [`Watch::resume_ts`]: what was applied comes again.
    Resume,
    /// With a snapshot of each book.
    Snapshot,
    /// From wherever the sender pleases.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Steady,
    Lost(Seen),
    Overlap {
        seen: Seen,
        how: Resumption,
        /// Records that came again.
        repeated: u64,
    },
}

/// How far the stream had come when it broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The latest ts_recv of any record.
    pub(super) until: u64,
    /// The latest ts_recv of a complete event, or nothing if none was.
    pub(super) done: Option<u64>,
}

impl Phase {
    pub(super) fn is_overlap(self) -> bool {
        matches!(self, Phase::Overlap { .. })
    }

    /// How far the stream had come, if it broke and has not come so far again.
    pub(super) fn seen(self) -> Option<Seen> {
        match self {
            Phase::Steady => None,
            Phase::Lost(seen) | Phase::Overlap { seen, .. } => Some(seen),
        }
    }
}

impl Watch {
    /// The stream broke: unfinished events are forgotten, every book is suspect. Where to resume is kept.
    pub fn disconnected(&mut self, market: &mut Market) {
        self.observe_completed(market);
        self.stats.disconnections += 1;
        self.know_books(market);
        self.note_break(market);
        for at in 0..market.len() {
            self.pause(market, at);
        }
    }

    /// Keeps how far the stream had come, and where to resume.
    pub(super) fn note_break(&mut self, market: &Market) {
        self.has_missed = true;
        let earlier = self.phase.seen();
        let needed = self.needed_ts(market);
        // Whoever asked for an earlier time than that has not got everything from there yet.
        self.resume_ts = match (needed, self.resume_ts.filter(|_| earlier.is_some())) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let done = self.books.iter().filter(|book| book.has_place()).map(|book| book.done().ts_recv).max();
        let until = self.stats.last_ts_recv.max(earlier.unwrap_or_default().until).max(done.unwrap_or(0));
        self.phase = Phase::Lost(Seen { until, done });
        self.is_close = true;
    }

    fn pause(&mut self, market: &mut Market, at: usize) {
        let was_loading = market.book_at(at).is_loading;
        let book = &mut self.books[at];
        self.stats.unfinished_dropped += u64::from(book.pending);
        market.drop_unfinished(at, &book.pending_by_action());
        book.forget_event(self.stats.last_ts_recv);
        if was_loading {
            self.doubt_book(market, at, &Reason::Borrowed(reason::UNFINISHED_SNAPSHOT));
            return;
        }
        let book = &mut self.books[at];
        if book.doubt.is_none() && !std::mem::replace(&mut book.is_paused, true) {
            market.pause(at);
            let reason = Reason::Borrowed(reason::DISCONNECTED);
            *self.stats.suspicions.entry(reason.clone()).or_default() += 1;
            let (key, ts_event) = (market.key_at(at), market.book_at(at).moment().ts_event);
            self.alerts.push(Alert::Suspect { key, reason, ts_event });
        }
    }

    fn needed_ts(&self, market: &Market) -> Option<u64> {
        market.books().any(|(_, book)| book.moment().seq > 0).then(|| {
            let pending = self.books.iter().map(|book| book.pending_ts).min().unwrap_or(u64::MAX);
            let last = if self.last_ts_event > 0 {
                self.last_ts_event
            } else {
                market.books().map(|(_, book)| book.moment().ts_event).max().unwrap_or(0)
            };
            pending.min(last).saturating_sub(MARGIN_NS)
        })
    }

    /// The ts_event (ns) from which a stream must go on so that no book misses anything; nothing if nothing was
    /// applied.
    #[must_use]
    pub fn resume_ts(&self, market: &Market) -> Option<u64> {
        match self.phase {
            Phase::Steady => self.needed_ts(market),
            Phase::Lost(_) | Phase::Overlap { .. } => self.resume_ts,
        }
    }

    /// The next bytes are those of a new connection.
    pub fn reconnected(&mut self, market: &mut Market, how: Resumption) {
        let seen = match self.phase {
            Phase::Lost(seen) => seen,
            Phase::Steady | Phase::Overlap { .. } => {
                self.disconnected(market);
                let Phase::Lost(seen) = self.phase else { unreachable!("just disconnected") };
                seen
            }
        };
        self.is_resumed = how != Resumption::Snapshot;
        if how == Resumption::Snapshot {
            self.expect_snapshots();
            market.await_snapshots();
            return;
        }
        for book in &mut self.books {
            book.overlap = book.has_place().then(|| Box::new(Repeated::of(book.done())));
            book.is_close = true;
        }
        self.phase = Phase::Overlap { seen, how, repeated: 0 };
        if seen == Seen::default() {
            self.end_overlap_with(market, false);
        }
    }

    /// Every book waits for its snapshot; times and sequence numbers begin anew.
    pub(super) fn expect_snapshots(&mut self) {
        for book in &mut self.books {
            book.doubt.get_or_insert(Reason::Borrowed(reason::DISCONNECTED));
            book.is_paused = false;
            book.forget_place();
            book.is_close = true;
            book.channel = u32::MAX;
        }
        self.channels.clear();
        self.phase = Phase::Steady;
        self.is_close = false;
    }

    /// Whether a record of a resumed stream was applied before the break. Ends overlaps that are over.
    pub(super) fn is_repeated(&mut self, market: &mut Market, at: usize, record: &MboMsg) -> bool {
        if let Phase::Lost(_) = self.phase {
            self.reconnected(market, Resumption::Unknown);
        }
        let is_snapshot = record.flags.raw() & flags::SNAPSHOT != 0;
        let is_vouched = !is_snapshot && record.flags.raw() & BAD_TS_RECV == 0;
        if let Phase::Overlap { seen, .. } = self.phase
            && is_vouched
            && record.ts_recv > seen.until
        {
            self.end_overlap(market);
        }
        let is_repeated = self.is_in_place(market, at, record, is_snapshot);
        if let Phase::Overlap { repeated, .. } = &mut self.phase {
            *repeated += u64::from(is_repeated);
        }
        is_repeated
    }

    fn is_in_place(&mut self, market: &mut Market, at: usize, record: &MboMsg, is_snapshot: bool) -> bool {
        let (is_expected, is_comparable) = (self.is_expected(market, at), self.is_comparable(market, at));
        let book = &mut self.books[at];
        let done = *book.done();
        let Some(repeated) = &mut book.overlap else { return false };
        if record.ts_recv < done.ts_recv {
            if !is_snapshot {
                repeated.add(record, &book.recent);
            }
            // Nobody repeats a snapshot once the overlap is over.
            return !is_snapshot || self.phase.is_overlap();
        }
        let is_short = repeated.skipped.records < done.records;
        let mut may_be_in_snapshot = false;
        if record.ts_recv == done.ts_recv {
            if is_snapshot {
                return done.has_snapshot && self.phase.is_overlap();
            }
            // What was lost before a snapshot of the same time was in it, and what came after it was not.
            may_be_in_snapshot = done.has_snapshot && Action::of(record).changes_book();
            if is_short {
                repeated.add(record, &book.recent);
                let skipped = &mut repeated.skipped;
                skipped.add(hash_of(record));
                let differs = skipped.records == done.records && skipped.hash != done.hash;
                if differs {
                    self.doubt_book(market, at, &Reason::Borrowed(reason::OVERLAP_MISMATCH));
                }
                return true;
            }
        }
        let differs = is_comparable && !repeated.is_what_was(&book.recent);
        book.overlap = None;
        if differs || may_be_in_snapshot || (is_short && is_expected) {
            self.doubt_book(market, at, &Reason::Borrowed(reason::OVERLAP_MISMATCH));
        }
        false
    }

    /// Whether a stream from `resume_ts` on must repeat this book's last records.
    fn is_expected(&self, market: &Market, at: usize) -> bool {
        let Phase::Overlap { how, .. } = self.phase else { return false };
        how == Resumption::Resume && self.resume_ts.is_some_and(|start| market.book_at(at).moment().ts_event >= start)
    }

    /// Whether what comes again of this book has to be its last records without a gap: a stream from `resume_ts` on has
    /// those of a later ts_event only.
    fn is_comparable(&self, market: &Market, at: usize) -> bool {
        !matches!(self.phase, Phase::Overlap { how: Resumption::Resume, .. }) || self.is_expected(market, at)
    }

    fn is_short(&self, at: usize) -> bool {
        let book = &self.books[at];
        book.overlap.as_ref().is_some_and(|repeated| repeated.skipped.records < book.done().records)
    }

    /// Whether what was repeated does not reach back to where the stream broke.
    fn has_hole(&self) -> bool {
        let Phase::Overlap { seen, repeated, .. } = self.phase else { return false };
        let Some(done) = seen.done else { return false };
        repeated == 0 || (0..self.books.len()).any(|at| self.books[at].done().ts_recv == done && self.is_short(at))
    }

    /// The first record beyond everything seen, or a completed replay.
    pub(super) fn end_overlap(&mut self, market: &mut Market) {
        self.end_overlap_with(market, self.has_hole());
    }

    /// A gateway is idle: if all was repeated, nothing is missing.
    pub(super) fn end_overlap_if_whole(&mut self, market: &mut Market) {
        if !self.has_hole() && !(0..self.books.len()).any(|at| self.is_short(at) && self.is_expected(market, at)) {
            self.end_overlap_with(market, false);
        }
    }

    fn end_overlap_with(&mut self, market: &mut Market, has_hole: bool) {
        if !self.phase.is_overlap() {
            return;
        }
        for at in 0..self.books.len() {
            let is_short = self.is_short(at) && self.is_expected(market, at);
            let book = &self.books[at];
            let is_other = book.overlap.as_ref().is_some_and(|repeated| !repeated.is_what_was(&book.recent));
            let differs = is_other && self.is_comparable(market, at);
            if has_hole {
                self.doubt_book(market, at, &Reason::Borrowed(reason::GAP_AFTER_RECONNECTION));
            } else if is_short || differs || !self.books[at].is_place_certain {
                self.doubt_book(market, at, &Reason::Borrowed(reason::OVERLAP_MISMATCH));
            }
            let book = &mut self.books[at];
            // From here on an old record is late, and not one that comes again.
            book.overlap = None;
            if book.doubt.is_some() {
                book.is_paused = false;
            } else if book.is_paused {
                market.trust(at);
                self.lift(market, at);
            }
        }
        self.phase = Phase::Steady;
        self.is_close = false;
    }
}
