//! Follows the log, and derives what stores and other readers need: rows, filters of orders, checkpoints.
//!
//! An [`Indexer`] moves a market of its own along the log, so that nothing that serves live books is ever locked for it.
//! Live, after a restart and for a store that is made anew it is the same: it begins where the store says, and goes on.

mod begin;
mod checkpoints;
mod instruments;
mod makers;
mod sessions;

pub use checkpoints::CheckpointSaved;
pub use instruments::Instrument;

use std::path::Path;

use super::{
    beginnings::SessionStart,
    cursor::Cursor,
    error::HistoryError,
    log::{Hole, Log},
    orders::Catching,
    rows::Rows,
};
use crate::record::MboMsg;
use makers::Makers;

/// Records that are read for missing filters at once, when there is nothing else to do.
const CATCH_UP_RECORDS: u64 = 1_000_000;

/// What an [`Indexer`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexerSettings {
    /// Where to begin: 0, or what the last batch said.
    pub ordinal: u64,
    /// Records from one checkpoint to the next.
    pub checkpoint_records: u64,
    /// Whether there are to be checkpoints.
    pub keeps_checkpoints: bool,
    /// Whether batches hold the records themselves.
    pub keeps_records: bool,
}

/// What was derived from some records that follow each other.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Of the first record.
    pub first_ordinal: u64,
    /// After the last.
    pub end_ordinal: u64,
    /// Where an indexer must begin that is to make anew what is not final.
    pub resume_ordinal: u64,
    /// Trades, best quotes, levels.
    pub rows: Rows,
    /// The records themselves, if they are wanted …
    pub records: Vec<MboMsg>,
    /// … and their ordinals.
    pub ordinals: Vec<u64>,
    /// Books that are new, and those whose symbol is.
    pub instruments: Vec<Instrument>,
    /// The checkpoint with which it ends, if one was written.
    pub checkpoint: Option<CheckpointSaved>,
    /// Sessions that began.
    pub sessions: Vec<SessionStart>,
    /// Holes that were passed.
    pub holes: Vec<Hole>,
}

/// Follows a log.
pub struct Indexer {
    log: Log,
    cursor: Cursor,
    makers: Makers,
    catching: Catching,
}

impl Indexer {
    /// Begins at an ordinal, or with the first that is still there.
    ///
    /// # Errors
    /// If the log cannot be read, ends before that, or has nothing that can be replayed.
    pub fn open(dir: &Path, settings: IndexerSettings) -> Result<Self, HistoryError> {
        let log = Log::open(dir)?;
        let (shadow, cursor) = begin::at(&log, settings.ordinal)?;
        let mut makers = Makers::new(&log, shadow, settings)?;
        let segment_ordinal = makers.begin_segment(&log);
        let catching = Catching::before(&log, segment_ordinal);
        Ok(Self { log, cursor, makers, catching })
    }

    /// Ordinal of the next record.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.makers.next_ordinal()
    }

    /// What went wrong with filters or checkpoints since this was last asked: nothing that rows depend on.
    pub fn take_error(&mut self) -> Option<HistoryError> {
        self.makers.take_error()
    }

    /// Goes on by at most so many records; nothing if the log has nothing new. Then, some of the filters that older segments
    /// lack are made.
    ///
    /// # Errors
    /// If the log cannot be read there. What was made by then is lost: the indexer must be opened anew.
    pub fn advance(&mut self, records_max: usize) -> Result<Option<Batch>, HistoryError> {
        let mut batch = Batch { first_ordinal: self.next_ordinal(), ..Batch::default() };
        let (mut left, mut has_news, mut has_refreshed) = (records_max, false, false);
        while left > 0 && batch.checkpoint.is_none() {
            match self.cursor.next_or_hole(&self.log)? {
                Some(item) => {
                    has_news = true;
                    let passed = self.makers.take(&self.log, &item, left, &mut batch);
                    self.cursor.give_back(passed.given_back);
                    left -= passed.taken;
                    if passed.given_back == 0 && passed.taken > 0 {
                        batch.checkpoint = self.makers.save_checkpoint();
                    }
                }
                None if has_refreshed => break,
                None => {
                    self.log.refresh()?;
                    has_refreshed = true;
                }
            }
        }
        if !has_news {
            match self.catching.go_on(&self.log, CATCH_UP_RECORDS) {
                // The segment does without.
                Err(error @ HistoryError::Damaged { .. }) => self.makers.note_error(error),
                caught_up => _ = caught_up?,
            }
            return Ok(None);
        }
        self.makers.finish(&self.log, &mut batch)?;
        Ok(Some(batch))
    }
}
