//! What lies between a market and the writer of its log: stretches of bytes, bounded.
//!
//! A stretch becomes a frame. One is open and is filled by the market's thread; the writer takes those that are full, and
//! the open one when its time has come.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dbn::Metadata;

use super::{
    checkpoint_file::Head,
    layout::{DATASET_UNKNOWN, dataset_name},
    mark::Mark,
    stats::Stats,
    stretch::{Begin, SessionStart, Stretch, day_of, push_without_ts_out},
};
use crate::{
    market::Market,
    record::{MBO_BYTES, MboMsg, mbo_slice_bytes},
    symbols::{Symbols, mapping_record},
};

/// Bytes at which a stretch is full, however few of its records are MBO.
const STRETCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Emptied buffers that are kept for the next stretches.
const SPARE_MAX: usize = 4;

struct State {
    open: Stretch,
    ready: VecDeque<Stretch>,
    spare: Vec<Vec<u8>>,
    /// Of all stretches that are not durable yet.
    queued_bytes: usize,
    next_ordinal: u64,
    /// The latest ts_event of the session's records, of those lost too.
    ts_event_max: u64,
    /// Where a hole begins that has not ended, and why.
    hole: Option<(u64, String)>,
    dataset: String,
    session: SessionStart,
    /// Whether the log has a segment, or will have one when what was handed to the writer is written.
    has_segment: bool,
    /// Stretches handed to the writer, and of them those that are durable.
    handed: u64,
    durable: u64,
    is_flush_wanted: bool,
    is_recording: bool,
    is_closing: bool,
    /// When the writer gives up though not all is durable.
    give_up: Option<Instant>,
    is_over: bool,
    stats: Stats,
}

/// See the module.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something for the writer.
    filled: Condvar,
    /// Something became durable.
    drained: Condvar,
    bytes_max: usize,
    stretch_records_max: u64,
}

/// What the writer does next.
pub(crate) struct Turn {
    pub(crate) stretch: Option<Stretch>,
    /// What was taken so far is to be made durable now.
    pub(crate) is_due: bool,
    pub(crate) is_over: bool,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize, stretch_records_max: u64, next_ordinal: u64, has_segment: bool) -> Self {
        // At least four stretches, so that one can be written while others fill.
        let fitting = (bytes_max / 4 / MBO_BYTES) as u64;
        let state = State {
            open: Stretch::default(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            queued_bytes: 0,
            next_ordinal,
            ts_event_max: 0,
            hole: None,
            dataset: String::new(),
            session: SessionStart::default(),
            has_segment,
            handed: 0,
            durable: 0,
            is_flush_wanted: false,
            is_recording: false,
            is_closing: false,
            give_up: None,
            is_over: false,
            stats: Stats { next_ordinal, durable_ordinal: next_ordinal, ..Stats::default() },
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            drained: Condvar::new(),
            bytes_max,
            stretch_records_max: stretch_records_max.min(fitting).max(1),
        }
    }

    /// A panic elsewhere leaves only counters behind that nothing depends on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on, records are of this session; `marks` say what stands before them.
    pub(crate) fn begin(
        &self,
        session: SessionStart,
        dataset: Option<&str>,
        symbols: Symbols,
        marks: Vec<Mark>,
        checkpoint: Option<Vec<u8>>,
    ) {
        let mut state = self.lock();
        self.cut(&mut state);
        state.ts_event_max = 0;
        state.hole = None;
        state.session = session;
        state.dataset = dataset.unwrap_or(DATASET_UNKNOWN).into();
        state.is_recording = true;
        state.reopen(symbols, marks);
        state.open.checkpoint = checkpoint;
    }

    /// The session that was begun last.
    pub(crate) fn session(&self) -> SessionStart {
        self.lock().session.clone()
    }

    /// The hole that whatever is recorded next must tell of, as it is now.
    pub(crate) fn pending_hole(&self) -> Option<Mark> {
        self.lock().pending_hole()
    }

    /// The market is no longer told of.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        self.cut(&mut state);
        state.is_recording = false;
    }

    /// Takes records; false if there is room again after a hole, which [`end_hole`](Self::end_hole) must end first.
    pub(crate) fn records(&self, records: &[MboMsg], stride: usize) -> bool {
        let mut state = self.lock();
        if !state.is_recording {
            return true;
        }
        let len = records.len() * MBO_BYTES;
        if state.hole.is_some() && state.queued_bytes <= self.bytes_max / 2 {
            return false;
        }
        state.ts_event_max = records.iter().map(|record| record.hd.ts_event).fold(state.ts_event_max, u64::max);
        if state.hole.is_none() && state.queued_bytes + len > self.bytes_max {
            self.begin_hole(&mut state);
        }
        if state.hole.is_some() {
            state.lose(records.len());
            return true;
        }
        let day = day_of(&records[0]);
        if state.open.day.zip(day).is_some_and(|(open, day)| day > open) {
            self.cut(&mut state);
        }
        let open = &mut state.open;
        open.day = open.day.or(day);
        if stride == MBO_BYTES {
            open.bytes.extend_from_slice(mbo_slice_bytes(records));
        } else {
            push_without_ts_out(&mut open.bytes, records);
        }
        open.records += records.len() as u64;
        state.queued_bytes += len;
        state.next_ordinal += records.len() as u64;
        self.cut_if_full(&mut state);
        true
    }

    pub(crate) fn mark(&self, mark: &Mark, ts_event: u64) {
        self.other(&mark.to_record(ts_event));
    }

    pub(crate) fn mapping(&self, record: &[u8]) {
        if let Some(record) = mapping_record(record) {
            self.other(&record);
            // The segment that is to begin must name it, also if the record itself went into the one before.
            let mut state = self.lock();
            if let Some(begin) = state.open.begin.as_mut() {
                begin.symbols.add_record(&record);
            }
        }
    }

    fn other(&self, record: &[u8]) {
        let mut state = self.lock();
        if !state.is_recording || state.hole.is_some() {
            return;
        }
        if state.queued_bytes + record.len() > self.bytes_max {
            self.begin_hole(&mut state);
            return;
        }
        state.open.bytes.extend_from_slice(record);
        state.queued_bytes += record.len();
        self.cut_if_full(&mut state);
    }

    /// A segment names all symbols known when it began, and is of one dataset: another begins.
    pub(crate) fn metadata(&self, metadata: &Metadata, symbols: &Symbols) {
        let mut state = self.lock();
        let dataset = dataset_name(&metadata.dataset);
        if !state.is_recording || (metadata.mappings.is_empty() && dataset == state.dataset) {
            return;
        }
        state.dataset = dataset.into();
        if state.hole.is_some() {
            return;
        }
        if state.open.waits() {
            let (dataset, symbols) = (state.dataset.clone(), symbols.clone());
            let begin = state.open.begin.as_mut().expect("it waits");
            (begin.dataset, begin.symbols) = (dataset, symbols);
        } else {
            self.cut(&mut state);
            let marks = vec![state.continues()];
            state.reopen(symbols.clone(), marks);
        }
    }

    #[cold]
    fn begin_hole(&self, state: &mut State) {
        self.cut(state);
        let reason = state.stats.error.clone().unwrap_or_else(|| "the recorder's queue is full".into());
        state.hole = Some((state.next_ordinal, reason));
        state.stats.holes += 1;
    }

    /// What a checkpoint of the market as it is now says of itself.
    pub(crate) fn checkpoint_head(&self, market: &Market) -> Head {
        let state = self.lock();
        let session = if state.waits_for_session() { state.next_ordinal } else { state.session.ordinal };
        let head = head_of(state.next_ordinal, session, market);
        Head { ts_event_max: head.ts_event_max.max(state.ts_event_max), ..head }
    }

    /// The market goes on from a checkpoint of what it is now.
    pub(crate) fn end_hole(&self, symbols: Symbols, checkpoint: Vec<u8>) {
        let mut state = self.lock();
        if state.hole.is_none() {
            return;
        }
        let hole = state.pending_hole();
        if state.waits_for_session() {
            // What it began with is lost.
            state.session.ordinal = state.next_ordinal;
        }
        let begin = state.open.begin.take();
        let mut marks = begin.map_or_else(|| vec![state.continues()], |begin| begin.marks);
        marks.retain(|mark| !matches!(mark, Mark::Hole { .. }));
        marks.extend(hole);
        state.hole = None;
        state.reopen(symbols, marks);
        state.open.checkpoint = Some(checkpoint);
    }

    fn cut_if_full(&self, state: &mut State) {
        if state.open.records >= self.stretch_records_max || state.open.bytes.len() >= STRETCH_BYTES_MAX {
            self.cut(state);
        }
    }

    /// Hands the open stretch to the writer, if there is anything in it that can be written.
    fn cut(&self, state: &mut State) {
        let begin = if state.can_precede() { state.open.begin.take() } else { None };
        if !state.open.waits() && !state.open.bytes.is_empty() {
            let stretch = state.take_open();
            state.ready.push_back(stretch);
            self.filled.notify_one();
        }
        state.open.begin = begin.or(state.open.begin.take());
    }

    /// Waits until there is something to do, at the latest until `tick`.
    pub(crate) fn take(&self, tick: Instant) -> Turn {
        let mut state = self.lock();
        loop {
            if let Some(stretch) = state.ready.pop_front() {
                return Turn { stretch: Some(stretch), is_due: false, is_over: false };
            }
            let now = Instant::now();
            if state.is_flush_wanted || state.is_closing || now >= tick {
                self.cut(&mut state);
                let stretch = state.ready.pop_front();
                let is_over = state.is_closing && stretch.is_none();
                state.is_flush_wanted &= stretch.is_some();
                return Turn { stretch, is_due: true, is_over };
            }
            let wait = self.filled.wait_timeout(state, tick - now);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives a written stretch's buffer back.
    pub(crate) fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut state = self.lock();
        if state.spare.len() < SPARE_MAX {
            state.spare.push(bytes);
        }
    }

    /// So many stretches of so many bytes are durable.
    pub(crate) fn made_durable(&self, stretches: u64, bytes: usize, update: impl FnOnce(&mut Stats)) {
        let mut state = self.lock();
        state.durable += stretches;
        state.queued_bytes -= bytes;
        update(&mut state.stats);
        self.drained.notify_all();
    }

    pub(crate) fn failed(&self, error: String) {
        let mut state = self.lock();
        if let Some((_, reason)) = &mut state.hole {
            // The queue is full because of that.
            reason.clone_from(&error);
        }
        state.stats.error = Some(error);
        state.stats.write_errors += 1;
    }

    /// Waits before the next attempt; false if there shall be none.
    pub(crate) fn wait_to_retry(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.give_up.is_some_and(|give_up| now >= give_up) {
                return false;
            }
            let until = state.give_up.map_or(end, |give_up| end.min(give_up));
            if now >= end {
                return true;
            }
            let wait = self.filled.wait_timeout(state, until.saturating_duration_since(now));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a condition holds; false if it did not in time.
    fn wait(&self, timeout: Duration, is_met: impl Fn(&State) -> bool) -> bool {
        let state = self.lock();
        let wait = self.drained.wait_timeout_while(state, timeout, |state| !is_met(state));
        is_met(&wait.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Waits until the queue is at most half full.
    pub(crate) fn wait_room(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.queued_bytes <= self.bytes_max / 2)
    }

    /// Waits until everything taken so far is durable.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let wanted = {
            let mut state = self.lock();
            self.cut(&mut state);
            state.is_flush_wanted = true;
            self.filled.notify_one();
            state.handed
        };
        self.wait(timeout, |state| state.durable >= wanted || state.is_over) && self.lock().durable >= wanted
    }

    /// Ends the recording; false if not everything became durable in time.
    pub(crate) fn close(&self, timeout: Duration) -> bool {
        {
            let mut state = self.lock();
            self.cut(&mut state);
            (state.is_recording, state.is_closing) = (false, true);
            state.give_up = Some(Instant::now() + timeout);
            self.filled.notify_one();
        }
        // Some more, since an attempt may be at work at that moment.
        let is_over = self.wait(timeout + Duration::from_secs(1), |state| state.is_over);
        let state = self.lock();
        is_over && state.durable == state.handed
    }

    /// The writer has ended.
    pub(crate) fn over(&self) {
        self.lock().is_over = true;
        self.drained.notify_all();
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        let mut stats = state.stats.clone();
        stats.next_ordinal = state.next_ordinal;
        stats.queue_bytes = state.queued_bytes as u64;
        stats.queue_bytes_max = self.bytes_max as u64;
        stats.is_closed = state.is_over;
        stats
    }
}

impl State {
    fn continues(&self) -> Mark {
        let SessionStart { ordinal, uri } = self.session.clone();
        Mark::Continues { ordinal, uri }
    }

    /// Whether the session begins with the next record that is not lost.
    fn waits_for_session(&self) -> bool {
        let begin = self.open.begin.as_ref().filter(|_| self.open.waits());
        begin.is_some_and(|begin| begin.marks.iter().any(|mark| matches!(mark, Mark::Session { .. })))
    }

    /// One that has not ended, together with one whose mark waits for a record.
    fn pending_hole(&self) -> Option<Mark> {
        let begin = self.open.begin.as_ref().filter(|_| self.open.waits());
        let waiting = begin.into_iter().flat_map(|begin| &begin.marks).find_map(|mark| match mark {
            Mark::Hole { first, reason, .. } => Some((*first, reason.clone())),
            _ => None,
        });
        let (first, reason) = waiting.or_else(|| self.hole.clone())?;
        Some(Mark::Hole { first, end: self.next_ordinal, reason })
    }

    fn lose(&mut self, records: usize) {
        self.next_ordinal += records as u64;
        self.stats.records_lost += records as u64;
    }

    /// Whether what stands in a stretch that waits for a record can go into the segment before the one that it begins:
    /// marks after which no record may ever come, while the same session goes on.
    fn can_precede(&self) -> bool {
        let goes_on = |begin: &Begin| begin.marks.iter().all(|mark| matches!(mark, Mark::Continues { .. }));
        self.has_segment
            && self.open.waits()
            && self.open.checkpoint.is_none()
            && !self.open.bytes.is_empty()
            && self.open.begin.as_ref().is_some_and(goes_on)
    }

    /// Begins a stretch that begins a segment. What an open one without a record held is of no use any more.
    fn reopen(&mut self, symbols: Symbols, marks: Vec<Mark>) {
        self.queued_bytes -= self.open.bytes.len();
        self.open.bytes.clear();
        self.open.begin = Some(Begin { dataset: self.dataset.clone(), symbols, marks });
        self.open.checkpoint = None;
        self.open.first_ordinal = self.next_ordinal;
        self.open.session = self.session.clone();
        self.open.day = None;
    }

    fn take_open(&mut self) -> Stretch {
        self.handed += 1;
        self.has_segment |= self.open.records > 0;
        let next = Stretch {
            bytes: self.spare.pop().unwrap_or_default(),
            first_ordinal: self.next_ordinal,
            session: self.session.clone(),
            ..Stretch::default()
        };
        std::mem::replace(&mut self.open, next)
    }
}

/// What a checkpoint of a market says of itself.
pub(crate) fn head_of(ordinal: u64, session: u64, market: &Market) -> Head {
    let moments = || market.books().map(|(_, book)| book.moment());
    let last = moments().max_by_key(|moment| moment.ts_recv).unwrap_or_default();
    let ts_event_max = moments().map(|moment| moment.ts_event).max().unwrap_or(0);
    let held = market.books().map(|(_, book)| book.event_ts).max().unwrap_or(0);
    Head { ordinal, session, ts_event_max: ts_event_max.max(held), ts_event: last.ts_event, ts_recv: last.ts_recv }
}
