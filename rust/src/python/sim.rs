//! `Simulator`: the synthetic market's bytes.

use parking_lot::Mutex;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use super::{ranged, shared::with_lock};
use crate::sim::{self, Config};

/// A deterministic synthetic market that writes DBN v3 MBO: the same arguments give the same bytes.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Simulator(Mutex<sim::Simulator>);

#[pymethods]
impl Simulator {
    #[new]
    #[pyo3(signature = (*, seed=1, instruments=1, crossed=false, resting_max=None))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::seed)] seed: u64,
        #[pyo3(from_py_with = ranged::instruments)] instruments: u32,
        crossed: bool,
        #[pyo3(from_py_with = ranged::resting_max)] resting_max: Option<u32>,
    ) -> PyResult<Self> {
        let made = py.detach(|| sim::Simulator::new(Config { seed, instruments, crossed, resting_max }));
        made.map(|simulator| Self(Mutex::new(simulator))).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The DBN metadata, to be written before the records.
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &with_lock(py, &self.0, |simulator| simulator.header()))
    }

    /// The next whole events, at least `min_records` MBO records of 56 bytes; b"" for 0.
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::min_records)] min_records: usize,
    ) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        py.detach(|| self.0.lock().read(min_records, &mut out));
        PyBytes::new(py, &out)
    }

    /// The end of the stream: exactly `records` records, whole events and then None records to fill up.
    fn read_last<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::records)] records: usize,
    ) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        py.detach(|| self.0.lock().read_last(records, &mut out));
        PyBytes::new(py, &out)
    }

    /// Records made so far.
    #[getter]
    fn records(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.0, |simulator| simulator.records())
    }
}
