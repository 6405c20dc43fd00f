//! One book along the log, up to a time.

use std::sync::mpsc::{channel, sync_channel};

use super::{
    checkpoint_file::{self, CheckpointFile},
    error::HistoryError,
    frame::{Plain, Run, records_of},
    log::{Log, Session},
    mark::Mark,
    shadow::HOLE,
};
use crate::{
    decode::Position,
    event::EventBook,
    market::{Key, Market},
    record::MboMsg,
};

/// Frames that are decompressed ahead.
const FRAMES_AHEAD: usize = 2;

/// Why a walk ended before its frames did.
enum End {
    /// Nothing that follows can belong to the book as of that time.
    Past,
    /// There a hole begins, and the book as of that time may lie in it.
    Hole,
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
}

impl<'a> Walk<'a> {
    /// The market's one book is as it was before the record of `ordinal`.
    pub(super) fn new(log: &'a Log, session: &'a Session, key: Key, market: Market, ordinal: u64, latest: u64) -> Self {
        Self { log, session, key, market, ordinal, latest }
    }

    fn book(&self) -> &EventBook {
        self.market.book_at(0)
    }

    /// Applies all events of the book that are complete at or before a time (ts_event, ns).
    pub(super) fn to(mut self, at: u64) -> Result<Market, HistoryError> {
        let start = self.log.frame_behind(self.ordinal);
        let frames = &self.log.frames()[..self.session.frames.end];
        let later = frames[start..].iter().rev().take_while(|frame| frame.entry.ts_event.min > at).count();
        let end = frames.len() - later;
        let ended = match self.walk_ahead(start, end, at)? {
            None => self.walk_unfinished(end, frames.len(), at)?,
            ended => ended,
        };
        if matches!(ended, Some(End::Hole)) && self.latest <= at {
            let what = format!("time {at}: it lies in a hole of the history that begins at ordinal {}", self.ordinal);
            return Err(HistoryError::NotRecorded { dir: self.log.dir().into(), what });
        }
        Ok(self.market)
    }

    /// Walks along frames while another thread decompresses those ahead.
    fn walk_ahead(&mut self, start: usize, end: usize, at: u64) -> Result<Option<End>, HistoryError> {
        let log = self.log;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(FRAMES_AHEAD);
            // Buffers go back: fresh ones would cost more in page faults than their frames in decompression.
            let (used, spare) = channel::<Plain>();
            scope.spawn(move || {
                for i in start..end {
                    let mut plain = spare.try_recv().unwrap_or_default();
                    let read = log.read_frame_into(i, &mut plain).map(|()| plain);
                    // Whoever has seen enough hangs up.
                    if sender.send((i, read)).is_err() {
                        break;
                    }
                }
            });
            for (i, read) in receiver {
                let plain = read?;
                if let Some(ended) = self.frame(i, &plain, at) {
                    return Ok(Some(ended));
                }
                // The thread may be through with its frames.
                let _ = used.send(plain);
            }
            Ok(None)
        })
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

    fn frame(&mut self, i: usize, plain: &Plain, at: u64) -> Option<End> {
        let entry = &self.log.frames()[i].entry;
        if entry.first_ordinal > self.ordinal {
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

    /// Goes on at the end of a hole: what its marks did to the book, the checkpoint there knows. False if records of the
    /// session are missing that are later than the time.
    fn pass_hole(&mut self, end: u64, is_due: bool, at: u64) -> bool {
        let rules = *self.market.rules();
        let loaded = CheckpointFile::open(&checkpoint_file::path_of(self.log.dir(), end))
            .and_then(|mut file| Ok((*file.head(), file.book(self.key, &rules)?)));
        match loaded {
            Ok((head, _)) if is_due && head.ts_event_max > at => return false,
            Ok((_, book)) if is_due => {
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
