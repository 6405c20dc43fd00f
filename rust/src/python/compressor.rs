//! `Compressor`: plain bytes → one zstd frame.

use std::io::Write;

use parking_lot::Mutex;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};
use zstd::stream::write::Encoder;

use super::shared::with_lock;

type State = Option<Encoder<'static, Vec<u8>>>;

/// Compresses a stream into one zstd frame, piece by piece, as `.dbn.zst` files are.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Compressor(Mutex<State>);

impl Compressor {
    fn work<'py>(
        &self,
        py: Python<'py>,
        work: impl FnOnce(&mut State) -> Option<std::io::Result<Vec<u8>>> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let done = py.detach(|| work(&mut self.0.lock()));
        let bytes = done.ok_or_else(|| PyValueError::new_err("this frame is finished"))??;
        Ok(PyBytes::new(py, &bytes))
    }
}

#[pymethods]
impl Compressor {
    #[new]
    #[pyo3(signature = (*, level=3))]
    fn new(level: i32) -> PyResult<Self> {
        let levels = zstd::compression_level_range();
        if !levels.contains(&level) {
            let (least, most) = (levels.start(), levels.end());
            return Err(PyValueError::new_err(format!("level {level}, expected {least} to {most}")));
        }
        let mut encoder = Encoder::new(Vec::new(), level)?;
        // As Databento's files have it: damage is then noticed by whoever inflates.
        encoder.include_checksum(true)?;
        Ok(Self(Mutex::new(Some(encoder))))
    }

    /// Takes more plain bytes; returns what is compressed so far and was not returned yet.
    fn write<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.work(py, |state| {
            let encoder = state.as_mut()?;
            Some(encoder.write_all(data).map(|()| std::mem::take(encoder.get_mut())))
        })
    }

    /// Ends the frame; returns the rest.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.work(py, |state| Some(state.take()?.finish()))
    }

    fn __repr__(&self, py: Python<'_>) -> &'static str {
        if with_lock(py, &self.0, |state| state.is_some()) { "<Compressor>" } else { "<Compressor, finished>" }
    }
}
