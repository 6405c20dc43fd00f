//! Checkpoints, every so many records.

use std::path::PathBuf;

use crate::history::{HistoryError, Log, Shadow, checkpoint_file};

/// A checkpoint that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSaved {
    /// Of which moment it is: right after the record before.
    pub ordinal: u64,
    /// The file.
    pub path: PathBuf,
}

/// Writes them when they are due.
pub(super) struct Checkpoints {
    dir: PathBuf,
    /// Nothing: there are to be none.
    records: Option<u64>,
    /// The last one's ordinal.
    last: u64,
}

impl Checkpoints {
    /// The next one is due so many records after the last one at or before `ordinal`.
    pub(super) fn new(log: &Log, ordinal: u64, records: Option<u64>) -> Result<Self, HistoryError> {
        let known = checkpoint_file::list(log.dir())?;
        let last = known.iter().rev().map(|(at, _)| *at).find(|at| *at <= ordinal).unwrap_or(0);
        Ok(Self { dir: log.dir().into(), records: records.map(|records| records.max(1)), last })
    }

    /// Writes one if it is due and none was written there before.
    ///
    /// # Errors
    /// What went wrong; it is tried again when the next one is due.
    pub(super) fn save_if_due(&mut self, shadow: &Shadow) -> Result<Option<CheckpointSaved>, HistoryError> {
        let ordinal = shadow.head().ordinal;
        let Some(records) = self.records else { return Ok(None) };
        // Books that are in doubt up to a checkpoint that is known: who begins with them would not know that.
        if ordinal < self.last.saturating_add(records) || shadow.mends_at().is_some() {
            return Ok(None);
        }
        // Whoever goes over the log once more finds those that were written the first time.
        let known = checkpoint_file::list(&self.dir)?;
        let last = known.iter().rev().map(|(at, _)| *at).find(|at| *at <= ordinal).unwrap_or(0);
        self.last = self.last.max(last);
        if ordinal < self.last.saturating_add(records) {
            return Ok(None);
        }
        self.last = ordinal;
        let path = checkpoint_file::path_of(&self.dir, ordinal);
        let saved = checkpoint_file::save(&self.dir, shadow.head(), &shadow.market, shadow.watch.as_ref());
        let path = saved.map_err(HistoryError::io(&path))?;
        Ok(Some(CheckpointSaved { ordinal, path }))
    }
}
