//! `FileReader`: chunks of whole records.

use std::path::PathBuf;

use parking_lot::Mutex;
use pyo3::{prelude::*, types::PyBytes};

use super::{
    errors::{os_error, piece_error},
    ranged,
    shared::with_lock,
};
use crate::reader;

/// A DBN file (raw or zstd) as decompressed chunks of whole records; the first begins with the metadata.
#[pyclass(frozen, module = "l3book")]
pub(super) struct FileReader {
    reader: Mutex<reader::FileReader>,
    path: PathBuf,
}

#[pymethods]
impl FileReader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let reader = py.detach(|| reader::FileReader::open(&path)).map_err(|error| os_error(&error, &path))?;
        Ok(Self { reader: Mutex::new(reader), path })
    }

    /// The next records: at most `max_records`, and none with ts_recv > until (ns). b"" when none qualifies.
    #[pyo3(signature = (max_records, until=None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::max_records)] max_records: usize,
        #[pyo3(from_py_with = ranged::until)] until: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        py.detach(|| self.reader.lock().read(max_records, until.unwrap_or(u64::MAX), &mut out))
            .map_err(|error| piece_error(error, &self.path))?;
        Ok(PyBytes::new(py, &out))
    }

    /// ts_recv (ns) of the next record, None at the end.
    #[getter]
    fn next_ts(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let outcome = py.detach(|| self.reader.lock().next_ts_ns());
        outcome.map_err(|error| piece_error(error, &self.path))
    }

    /// Whether everything has been handed out.
    #[getter]
    fn ended(&self, py: Python<'_>) -> bool {
        with_lock(py, &self.reader, |reader| reader.is_ended())
    }

    /// Bytes of the file read so far.
    #[getter]
    fn offset(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.reader, |reader| reader.progress_bytes().0)
    }

    /// Length of the file in bytes.
    #[getter]
    fn size(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.reader, |reader| reader.progress_bytes().1)
    }
}
