//! `Indexer` and `Batch`: what is derived from the log.

use std::path::PathBuf;

use parking_lot::Mutex;
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    history::{self, IndexerSettings, rows::bytes_of},
    python::{ranged, shared::with_lock},
    record::mbo_slice_bytes,
};

/// Follows the log in a history's folder and derives what stores need. Needs no lock: another process may write.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Indexer(Mutex<history::Indexer>);

#[pymethods]
impl Indexer {
    /// Begins at `ordinal`: 0, or the last batch's resume_ordinal. Raises HistoryError if the log cannot be read or ends
    /// before that.
    #[new]
    #[pyo3(
        signature = (
            directory, *, ordinal, checkpoint_records=1_000_000, keep_checkpoints=true, keep_records=true
        ),
        text_signature = "(directory, *, ordinal, checkpoint_records=1000000, keep_checkpoints=True, keep_records=True)"
    )]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64,
        #[pyo3(from_py_with = ranged::checkpoint_records)] checkpoint_records: u64,
        keep_checkpoints: bool,
        keep_records: bool,
    ) -> PyResult<Self> {
        let settings = IndexerSettings {
            ordinal,
            checkpoint_records,
            keeps_checkpoints: keep_checkpoints,
            keeps_records: keep_records,
        };
        Ok(Self(Mutex::new(py.detach(|| history::Indexer::open(&directory, settings))?)))
    }

    /// Goes on by at most so many records; None if the log has nothing new. Raises HistoryError if it cannot be read there:
    /// then another Indexer must begin anew.
    fn advance(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::records_max)] records_max: usize,
    ) -> PyResult<Option<Batch>> {
        Ok(py.detach(|| self.0.lock().advance(records_max))?.map(Batch))
    }

    /// Ordinal of the next record.
    #[getter]
    fn next_ordinal(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.0, |indexer| indexer.next_ordinal())
    }

    /// What went wrong with order filters or checkpoints since this was last asked; None if nothing did. Rows do not depend
    /// on them.
    fn take_error(&self, py: Python<'_>) -> Option<String> {
        with_lock(py, &self.0, |indexer| indexer.take_error()).map(|error| error.to_string())
    }
}

/// What was derived from some records that follow each other: what a store writes in one transaction.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Batch(history::Batch);

#[pymethods]
impl Batch {
    /// Of its first record.
    #[getter]
    fn first_ordinal(&self) -> u64 {
        self.0.first_ordinal
    }

    /// After its last record.
    #[getter]
    fn end_ordinal(&self) -> u64 {
        self.0.end_ordinal
    }

    /// Where an Indexer must begin that is to make anew what is not final.
    #[getter]
    fn resume_ordinal(&self) -> u64 {
        self.0.resume_ordinal
    }

    /// Rows of l3book.history.rows.TRADE.
    #[getter]
    fn trades<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, bytes_of(&self.0.rows.trades))
    }

    /// Rows of l3book.history.rows.BBO.
    #[getter]
    fn bbo<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, bytes_of(&self.0.rows.bbo))
    }

    /// Rows of l3book.history.rows.LEVEL.
    #[getter]
    fn levels<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, bytes_of(&self.0.rows.levels))
    }

    /// The MBO records, 56 bytes each; b"" with keep_records=False.
    #[getter]
    fn records<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, mbo_slice_bytes(&self.0.records))
    }

    /// Their ordinals, u64 each.
    #[getter]
    fn ordinals<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, bytes_of(&self.0.ordinals))
    }

    /// (publisher_id, instrument_id, symbol) of books that are new, or whose symbol is.
    #[getter]
    fn instruments(&self) -> Vec<(u16, u32, Option<&str>)> {
        let rows = self.0.instruments.iter();
        rows.map(|one| (one.key.publisher_id, one.key.instrument_id, one.symbol.as_deref())).collect()
    }

    /// (ordinal, path) of the checkpoint with which it ends, if one was written.
    #[getter]
    fn checkpoint(&self) -> Option<(u64, String)> {
        self.0.checkpoint.as_ref().map(|saved| (saved.ordinal, saved.path.display().to_string()))
    }

    /// (ordinal, uri, ts_recv of its first record that is no MBO snapshot's) of sessions that began.
    #[getter]
    fn sessions(&self) -> Vec<(u64, &str, u64)> {
        self.0.sessions.iter().map(|session| (session.ordinal, session.uri.as_str(), session.ts_recv)).collect()
    }

    /// (first, end, reason) of holes that were passed.
    #[getter]
    fn holes(&self) -> Vec<(u64, u64, &str)> {
        self.0.holes.iter().map(|hole| (hole.first, hole.end, hole.reason.as_str())).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Batch: ordinals {} to {}>", self.0.first_ordinal, self.0.end_ordinal)
    }
}
