//! `DbnReader`: a part of a log as a DBN stream.

use parking_lot::Mutex;
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    history::{HistoryError, Log, Telling},
    metadata,
    python::ranged,
};

/// A DBN stream in pieces: metadata that names all symbols, then MBO records and nothing else.
#[pyclass(frozen, module = "l3book")]
pub(super) struct DbnReader(Mutex<State>);

struct State {
    log: Log,
    telling: Telling,
    start_ordinal: u64,
    end_ordinal: u64,
    has_metadata: bool,
}

impl DbnReader {
    pub(super) fn new(log: Log, start_ordinal: u64, end_ordinal: u64, tells_books: bool) -> Self {
        let telling = Telling::new(log.clone(), start_ordinal, end_ordinal, tells_books);
        Self(Mutex::new(State { log, telling, start_ordinal, end_ordinal, has_metadata: false }))
    }
}

#[pymethods]
impl DbnReader {
    /// The next piece, somewhat longer than `bytes_max` where a run of records is; b"" at the end.
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::bytes_max)] bytes_max: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.lock().read(bytes_max))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

impl State {
    fn read(&mut self, bytes_max: usize) -> Result<Vec<u8>, HistoryError> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.has_metadata, true) {
            let dir = self.log.dir().to_owned();
            let refuse = |error: dbn::Error| HistoryError::Refused { dir, what: error.to_string() };
            if let Some(head) = self.log.metadata_of(self.start_ordinal, self.end_ordinal)? {
                out = metadata::bytes(&head).map_err(refuse)?;
            }
        }
        while out.len() < bytes_max.max(1) && self.telling.read(&mut out)? {}
        Ok(out)
    }
}
