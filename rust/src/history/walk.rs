//! One book along the log, up to a time.

use std::{ops::Range, sync::Arc};

use super::{
    ahead::{Ahead, ahead},
    checkpoint_file::{self, CheckpointFile},
    error::HistoryError,
    frame::{Plain, Run, records_of},
    index::{Entry, flags},
    log::{Clock, Log, Session},
    mark::Mark,
    recent::{Moment, ORDERS_MAX},
    shadow::HOLE,
};
use crate::{
    decode::Position,
    event::{EventBook, Rules},
    market::{Key, Market},
    record::MboMsg,
};

/// Why a walk ended before its frames did.
enum End {
    /// Nothing that follows can belong to the book as of that time.
    Past,
    /// There a hole begins, and the book as of that time may lie in it.
    Hole,
}

/// What is needed of a frame.
struct Read {
    plain: Plain,
    /// Whether only the book's own records are left of it, and all of them are wanted.
    is_own: bool,
}

/// A market of one book, and how far it has come.
pub(super) struct Walk<'a> {
    log: &'a Log,
    session: &'a Session,
    key: Key,
    market: Market,
    ordinal: u64,
    /// The latest ts_event of all records of the session so far.
    latest: u64,
    /// From where another walk can go on that leads to a time nearby.
    moment: Option<Moment>,
}

impl<'a> Walk<'a> {
    /// The market has no book yet; it will be as it was before the record of `ordinal`.
    pub(super) fn new(log: &'a Log, session: &'a Session, key: Key, market: Market, ordinal: u64, latest: u64) -> Self {
        Self { log, session, key, market, ordinal, latest, moment: None }
    }

    fn book(&self) -> &EventBook {
        self.market.book_at(0)
    }

    /// Applies all events of the book that are complete at or before a time (ts_event, ns); the outer error is that of
    /// `begin`, which makes the book as it was where the walk begins. Also says from where another can go on.
    pub(super) fn to<E>(
        mut self,
        at: u64,
        begin: impl FnOnce(&Rules) -> Result<EventBook, E>,
    ) -> Result<Result<(Market, Option<Moment>), HistoryError>, E> {
        let start = self.log.frame_behind(self.ordinal);
        let frames = start..self.session.frames.end;
        let end = self.log.frames().behind_last_due(frames.clone(), Clock::Event, at);
        let (log, key, ordinal) = (self.log, self.key, self.ordinal);
        let read = move |at, plain| read(log, at, plain, key, ordinal);
        let walked = ahead(log, start..end, &read, |frames| {
            let book = begin(self.market.rules())?;
            self.market.add(key, book);
            Ok(self.walk_ahead(frames, start..end, at))
        })?;
        let ended = walked.and_then(|ended| match ended {
            None => self.walk_unfinished(end, frames.end, at),
            ended => Ok(ended),
        });
        Ok(ended.and_then(|ended| {
            if matches!(ended, Some(End::Hole)) && self.latest <= at {
                return Err(HistoryError::in_hole(self.log.dir(), at, self.ordinal));
            }
            Ok((self.market, self.moment))
        }))
    }

    /// Walks along frames that are read ahead.
    fn walk_ahead(
        &mut self,
        frames: &mut Ahead<'_, Read>,
        positions: Range<usize>,
        at: u64,
    ) -> Result<Option<End>, HistoryError> {
        while let Some((i, read)) = frames.next()? {
            // The time lies in the last one, or next to it: so do those that are asked for next.
            if i + 1 == positions.end && i > positions.start && self.latest <= at {
                self.note_moment(i);
            }
            let ended = if read.is_own { self.own_frame(i, &read.plain, at) } else { self.frame(i, &read.plain, at) };
            if ended.is_some() {
                return Ok(ended);
            }
            frames.give_back(read.plain);
        }
        Ok(None)
    }

    /// The book before a frame, to which nothing leads that is later than the time: so no mark was left out. Only where that
    /// is the same as right behind the record before it: an ordinal cannot tell which of the marks in between are applied.
    fn note_moment(&mut self, frame: usize) {
        let is_small = self.book().book().len() <= ORDERS_MAX;
        if is_small && !self.log.frames()[frame - 1].entry.has(flags::TRAILING) {
            let (ordinal, latest) = (self.ordinal, self.latest);
            self.moment = Some(Moment { ordinal, latest, book: Arc::new(self.book().clone()) });
        }
    }

    /// No frame from here on has a record that is old enough; but an event that is unfinished must be known to be later,
    /// and the marks before the first later record belong to what came before them.
    fn walk_unfinished(&mut self, start: usize, end: usize, at: u64) -> Result<Option<End>, HistoryError> {
        let is_hole = |walk: &Self, i: usize| walk.log.frames()[i].entry.first_ordinal > walk.ordinal;
        if start < end && is_hole(self, start) {
            return Ok(Some(End::Hole));
        }
        for i in start..end {
            let book = self.book();
            let is_finished = book.held.is_empty() && book.verdict.is_none() && !book.is_loading;
            if is_finished && self.latest > at {
                break;
            }
            if let Some(ended) = self.frame(i, &self.log.read_frame(i)?, at) {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// A frame of which nothing but the book's own records is left.
    fn own_frame(&mut self, i: usize, own: &Plain, at: u64) -> Option<End> {
        let entry = &self.log.frames()[i].entry;
        if !self.pass_missing(i, at) {
            return Some(End::Hole);
        }
        self.market.take_records(records_of(own), Position { record: entry.first_ordinal, offset: 0 });
        self.ordinal = entry.end_ordinal();
        if self.book().is_past_end {
            return Some(End::Past);
        }
        self.latest = self.latest.max(entry.ts_event.max);
        None
    }

    fn frame(&mut self, i: usize, plain: &Plain, at: u64) -> Option<End> {
        let entry = &self.log.frames()[i].entry;
        if !self.pass_missing(i, at) {
            return Some(End::Hole);
        }
        let (mut ordinal, mut begin) = (entry.first_ordinal, 0);
        while begin < plain.len() {
            // Frames are checked when they are read; what is no record of ours would have failed there.
            let Ok(run) = Run::of(&plain[begin..]) else { break };
            match run {
                Run::Records(bytes) => {
                    let records = records_of(bytes);
                    let passed = self.ordinal.saturating_sub(ordinal).min(records.len() as u64) as usize;
                    self.records(ordinal + passed as u64, &records[passed..]);
                    ordinal += records.len() as u64;
                }
                Run::System(record) if ordinal >= self.ordinal => {
                    if let Some(mark) = Mark::of(record) {
                        let latest = latest_of(&plain[..begin]).max(self.latest);
                        if let Mark::Hole { end, .. } = mark {
                            if !self.pass_hole(end, latest <= at, at) {
                                return Some(End::Hole);
                            }
                        } else {
                            self.mark(&mark, latest <= at);
                        }
                    }
                }
                Run::System(_) | Run::Mapping(_) => {}
            }
            begin += run.bytes().len();
            if self.book().is_past_end {
                return Some(End::Past);
            }
        }
        self.latest = self.latest.max(if entry.records > 0 { entry.ts_event.max } else { 0 });
        None
    }

    fn records(&mut self, first: u64, records: &[MboMsg]) {
        let is_own = |record: &MboMsg| Key::of(record) == self.key;
        for run in records.chunk_by(|a, b| is_own(a) == is_own(b)) {
            if is_own(&run[0]) {
                self.market.take_records(run, Position { record: first, offset: 0 });
                if self.market.book_at(0).is_past_end {
                    break;
                }
            }
        }
        self.ordinal = self.ordinal.max(first + records.len() as u64);
    }

    /// A mark has no time of its own: it belongs to the latest record before it. But what a break made void must not be
    /// completed by what came after, whenever that was.
    fn mark(&mut self, mark: &Mark, is_due: bool) {
        match mark {
            Mark::Drop { key, .. } if *key == self.key => mark.apply(&mut self.market),
            Mark::Doubt { key, .. } | Mark::Pause { key } | Mark::Trust { key } if *key == self.key && is_due => {
                mark.apply(&mut self.market);
            }
            _ => {}
        }
    }

    /// Goes on behind records that are missing before a frame, and of which no mark speaks; false if the time lies among them.
    fn pass_missing(&mut self, i: usize, at: u64) -> bool {
        let first_ordinal = self.log.frames()[i].entry.first_ordinal;
        if first_ordinal <= self.ordinal {
            return true;
        }
        // A segment may begin with a frame of marks. By ts_recv, as a snapshot's orders have old ts_events; but where these
        // are all later than what came before the hole, there are no such orders, and the first event is over by its own.
        let mut behind = self.log.frames().range(i..self.session.frames.end).map(|frame| frame.entry);
        let has_begun =
            |entry: Entry| entry.ts_recv.min <= at || (self.latest < entry.ts_event.min && entry.ts_event.min <= at);
        let is_behind = behind.find(|entry| entry.records > 0).is_some_and(has_begun);
        if is_behind && self.pass_hole(first_ordinal, self.latest <= at, at) {
            self.ordinal = first_ordinal;
            return true;
        }
        false
    }

    /// Goes on at the end of a hole: what its marks did to the book, the checkpoint there knows. False if records of the
    /// session are missing that are later than the time.
    fn pass_hole(&mut self, end: u64, is_due: bool, at: u64) -> bool {
        let rules = *self.market.rules();
        let loaded = CheckpointFile::open(&checkpoint_file::path_of(self.log.dir(), end))
            .and_then(|file| Ok((*file.head(), file.book(self.key, &rules)?)));
        match loaded {
            Ok((head, _)) if is_due && head.ts_event_max > at => return false,
            Ok((head, book)) if is_due => {
                // It may know of later records than are in the log before it.
                self.latest = self.latest.max(head.ts_event_max);
                let mut market = Market::new(rules);
                std::mem::swap(&mut market.symbols, &mut self.market.symbols);
                market.add(self.key, book.unwrap_or_else(|| EventBook::new(&rules)));
                self.market = market;
            }
            Ok((_, Some(book))) if !book.held.is_empty() => {}
            loaded => {
                self.mark(&Mark::Drop { key: self.key, counts: [0; 4] }, is_due);
                if loaded.is_err() {
                    self.mark(&Mark::Doubt { key: self.key, reason: HOLE.into() }, is_due);
                }
            }
        }
        true
    }
}

/// Leaves of a frame what is the book's, if there is nothing but records in it: 65,536 of them are gone through while they
/// are in the cache of whoever unpacked them. `ordinal` is that of the first record that is wanted.
fn read(log: &Log, at: usize, mut plain: Plain, key: Key, ordinal: u64) -> Read {
    let entry = &log.frames()[at].entry;
    let is_own = entry.is_records_only();
    if is_own {
        let passed = ordinal.saturating_sub(entry.first_ordinal).min(u64::from(entry.records)) as usize;
        let records = plain.records_mut();
        let mut kept = 0;
        for i in passed..records.len() {
            if Key::of(&records[i]) == key {
                if kept < i {
                    records[kept] = records[i];
                }
                kept += 1;
            }
        }
        plain.truncate(kept);
    }
    Read { plain, is_own }
}

fn latest_of(plain: &[u8]) -> u64 {
    let (mut latest, mut begin) = (0, 0);
    while begin < plain.len()
        && let Ok(run) = Run::of(&plain[begin..])
    {
        if let Run::Records(bytes) = run {
            latest = records_of(bytes).iter().map(|record| record.hd.ts_event).fold(latest, u64::max);
        }
        begin += run.bytes().len();
    }
    latest
}
