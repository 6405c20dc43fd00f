//! `Past`: books as they were.

use std::path::PathBuf;

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::log::session_dict;
use crate::{
    encode,
    history::{self, PastError, rows::bytes_of},
    market::Key,
    python::{market::parse_name, ranged, snapshot::BookSnapshot, snapshot::extent},
    record::mbo_slice_bytes,
    view::View,
};

/// Any book of a history as of any time. Thread-safe; sees what is recorded meanwhile; touches no live market.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Past(history::Past);

impl Past {
    fn view(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        at: u64,
        level: u8,
        depth: Option<i64>,
    ) -> PyResult<View> {
        let name = parse_name(instrument)?;
        let extent = if level == 1 { extent(Some(1), 2)? } else { extent(depth, level)? };
        py.detach(|| self.0.view(&name, at, extent)).map_err(past_error)
    }
}

#[pymethods]
impl Past {
    /// Of the history in a folder. Raises HistoryError if it cannot be read.
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        Ok(Self(py.detach(|| history::Past::open(&directory))?))
    }

    /// One book as of `at` (ts_event, ns): all events complete at or before it; in its wire shape. Raises
    /// UnknownInstrumentError, AmbiguousInstrumentError, NotRecordedError.
    #[pyo3(
        signature = (instrument, at, *, level=2, depth=Some(10)),
        text_signature = "($self, instrument, at, *, level=2, depth=10)"
    )]
    fn book_json<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = ranged::at)] at: u64,
        #[pyo3(from_py_with = ranged::level)] level: u8,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let view = self.view(py, instrument, at, level, depth)?;
        let mut out = Vec::new();
        py.detach(|| encode::push_view(&mut out, &view));
        Ok(PyBytes::new(py, &out))
    }

    /// The same object as a MessagePack map.
    #[pyo3(
        signature = (instrument, at, *, level=2, depth=Some(10)),
        text_signature = "($self, instrument, at, *, level=2, depth=10)"
    )]
    fn book_msgpack<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = ranged::at)] at: u64,
        #[pyo3(from_py_with = ranged::level)] level: u8,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let view = self.view(py, instrument, at, level, depth)?;
        let mut out = Vec::new();
        py.detach(|| encode::push_view_message_pack(&mut out, &view));
        Ok(PyBytes::new(py, &out))
    }

    /// The same book as an object: `depth` levels a side (None = all), at level 3 with their orders.
    #[pyo3(
        signature = (instrument, at, depth=Some(10), *, level=2),
        text_signature = "($self, instrument, at, depth=10, *, level=2)"
    )]
    fn snapshot(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = ranged::at)] at: u64,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
    ) -> PyResult<BookSnapshot> {
        Ok(BookSnapshot(self.view(py, instrument, at, level, depth)?))
    }

    /// The (publisher_id, instrument_id) that goes by a name in the newest session in which any does. Raises
    /// UnknownInstrumentError, AmbiguousInstrumentError.
    fn resolve(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<(u16, u32)> {
        let name = parse_name(instrument)?;
        let key = py.detach(|| self.0.resolve(&name)).map_err(past_error)?;
        Ok((key.publisher_id, key.instrument_id))
    }

    /// Where a time (ts_event, ns) lies: the ordinal of the first record that is later. Raises NotRecordedError.
    fn ordinal_at(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::at)] at: u64) -> PyResult<u64> {
        Ok(py.detach(|| self.0.ordinal_at(at))?)
    }

    /// The hash of all books right before the record of an ordinal. Raises NotRecordedError.
    fn state_hash(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64) -> PyResult<String> {
        Ok(py.detach(|| self.0.fingerprint(ordinal))?.to_string())
    }

    /// The last `limit` records of one order, exactly, in the order of the log: their ordinals (u64 each) and the records (56
    /// bytes each). Raises HistoryError if the log cannot be read.
    #[pyo3(
        signature = (publisher_id, instrument_id, order_id, *, limit=10_000),
        text_signature = "($self, publisher_id, instrument_id, order_id, *, limit=10000)"
    )]
    fn order_life<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::publisher_id)] publisher_id: u16,
        #[pyo3(from_py_with = ranged::instrument_id)] instrument_id: u32,
        #[pyo3(from_py_with = ranged::order_id)] order_id: u64,
        #[pyo3(from_py_with = ranged::limit)] limit: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let key = Key { publisher_id, instrument_id };
        let life = py.detach(|| self.0.life(key, order_id, limit))?;
        Ok((PyBytes::new(py, bytes_of(&life.ordinals)), PyBytes::new(py, mbo_slice_bytes(&life.records))))
    }

    /// The sessions as Log.sessions has them, with `ts_begin`: from when on their books can be asked for (None: never).
    fn range<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for reach in py.detach(|| self.0.range())? {
            let dict = session_dict(py, reach.session)?;
            dict.set_item("ts_begin", (reach.begin < u64::MAX).then_some(reach.begin))?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// What was counted: damaged_checkpoints, passed over in favour of older ones.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("damaged_checkpoints", self.0.damaged_checkpoints())?;
        Ok(dict)
    }
}

pub(super) fn past_error(error: PastError) -> PyErr {
    match error {
        PastError::History(error) => error.into(),
        PastError::Lookup(error) => error.into(),
    }
}
