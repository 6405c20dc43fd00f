//! `Recorder`: what a market applies, on disk.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use pyo3::{prelude::*, types::PyDict};

use super::timeout;
use crate::{
    history::{self, Recovered, Settings},
    python::{market::Market, ranged, shared::Shared},
};

/// The one writer of a history's folder: what its market applies from `begin` on is in the log.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Recorder {
    recorder: Mutex<history::Recorder>,
    /// The market that is recorded.
    market: Mutex<Option<Arc<Shared>>>,
}

impl Recorder {
    fn detach(&self) {
        let shared = self.market.lock().take();
        if let Some(shared) = shared {
            // The market first, as wherever both are locked.
            shared.locked_if_sound(|market| self.recorder.lock().end(market));
        }
    }
}

#[pymethods]
impl Recorder {
    /// Locks the folder, makes it if need be, and makes its log ready to be written on. Raises HistoryLockedError if
    /// another recorder writes there, HistoryError if it cannot be read or written.
    #[new]
    #[pyo3(
        signature = (
            directory, *, fsync_records=65_536, fsync_ms=500, segment_bytes_max=268_435_456, queue_bytes_max=67_108_864,
            ordinal_min=0
        ),
        text_signature = "(directory, *, fsync_records=65536, fsync_ms=500, segment_bytes_max=268435456, queue_bytes_max=67108864, ordinal_min=0)"
    )]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        #[pyo3(from_py_with = ranged::fsync_records)] fsync_records: u64,
        #[pyo3(from_py_with = ranged::fsync_ms)] fsync_ms: u64,
        #[pyo3(from_py_with = ranged::segment_bytes_max)] segment_bytes_max: u64,
        #[pyo3(from_py_with = ranged::queue_bytes_max)] queue_bytes_max: usize,
        #[pyo3(from_py_with = ranged::ordinal_min)] ordinal_min: u64,
    ) -> PyResult<Self> {
        let settings = Settings { fsync_records, fsync_ms, segment_bytes_max, queue_bytes_max, ordinal_min };
        let recorder = py.detach(|| history::Recorder::open(&directory, settings))?;
        Ok(Self { recorder: Mutex::new(recorder), market: Mutex::new(None) })
    }

    /// What opening found and did: next_ordinal, end_ordinal, bytes_cut, frames_cut, indexes_rebuilt, session, damages,
    /// is_new.
    #[getter]
    fn recovered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let recovered = self.recorder.lock().recovered().clone();
        let Recovered { next_ordinal, end_ordinal, bytes_cut, frames_cut, indexes_rebuilt, .. } = recovered;
        let dict = PyDict::new(py);
        for (name, value) in [
            ("next_ordinal", next_ordinal),
            ("end_ordinal", end_ordinal),
            ("bytes_cut", bytes_cut),
            ("frames_cut", frames_cut),
            ("indexes_rebuilt", indexes_rebuilt),
        ] {
            dict.set_item(name, value)?;
        }
        dict.set_item("session", recovered.session.map(|session| session.uri))?;
        dict.set_item("damages", recovered.damages)?;
        dict.set_item("is_new", recovered.is_new)?;
        Ok(dict)
    }

    /// Ordinal of the next record to be recorded.
    #[getter]
    fn next_ordinal(&self) -> u64 {
        self.recorder.lock().next_ordinal()
    }

    /// From now on this market is recorded and no other: as a new session of an empty market, or (None) going on with a
    /// market restored to recovered["end_ordinal"]. Raises HistoryError if the market is not where it must be.
    fn begin(&self, py: Python<'_>, market: &Bound<'_, Market>, session: Option<String>) -> PyResult<()> {
        let shared = market.get().shared();
        py.detach(|| {
            self.detach();
            shared.locked(|market| self.recorder.lock().begin(market, session.as_deref()))?;
            *self.market.lock() = Some(shared);
            Ok(())
        })
    }

    /// Waits until the queue is at most half full; False if it is not in time.
    fn wait_room(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let (timeout, queue) = (timeout(timeout_s)?, self.recorder.lock().queue());
        Ok(py.detach(|| queue.wait_room(timeout)))
    }

    /// Makes all that was recorded so far durable; False if it is not in time.
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let (timeout, queue) = (timeout(timeout_s)?, self.recorder.lock().queue());
        Ok(py.detach(|| queue.flush(timeout)))
    }

    /// What was counted, and the state: "recording", "failing" (with the error) or "closed".
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.recorder.lock().stats());
        let dict = PyDict::new(py);
        dict.set_item("state", stats.state())?;
        dict.set_item("error", &stats.error)?;
        for (name, value) in stats.counters() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// Ends the recording; False if not everything became durable in time.
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = timeout(timeout_s)?;
        Ok(py.detach(|| {
            self.detach();
            let queue = self.recorder.lock().set_closed();
            queue.close(timeout)
        }))
    }
}
