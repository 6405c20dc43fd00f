//! `Deriver`: MBO bytes in, rows of another schema out.

use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyMemoryView},
};

use super::{book::stats_dict, market::parse_name, shared::with_lock};
use crate::{
    decode::Decoder,
    derive::{self, CsvOptions, Schema},
};

struct State {
    deriver: derive::Deriver,
    decoder: Decoder,
}

/// Makes the rows of another Databento schema from MBO bytes, as they come.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Deriver {
    state: Mutex<State>,
    schema: Schema,
}

fn parse_schema(name: &str) -> PyResult<Schema> {
    Schema::from_name(name).ok_or_else(|| {
        let names = Schema::ALL.map(Schema::name).join(", ");
        PyValueError::new_err(format!("schema {name:?}, expected one of {names}"))
    })
}

impl Deriver {
    fn check_rows(&self, rows: &[u8]) -> PyResult<()> {
        let (len, row_bytes) = (rows.len(), self.schema.row_bytes());
        if !len.is_multiple_of(row_bytes) {
            let name = self.schema.name();
            return Err(PyValueError::new_err(format!("{len} bytes, expected whole {name} rows of {row_bytes}")));
        }
        Ok(())
    }
}

#[pymethods]
impl Deriver {
    #[new]
    #[pyo3(signature = (schema, *, instrument=None))]
    fn new(schema: &str, instrument: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let schema = parse_schema(schema)?;
        let deriver = derive::Deriver::new(schema);
        let deriver = match instrument {
            None => deriver,
            Some(instrument) => deriver.only(parse_name(instrument)?),
        };
        Ok(Self { state: Mutex::new(State { deriver, decoder: Decoder::new() }), schema })
    }

    /// The schema's name.
    #[getter]
    fn schema(&self) -> &'static str {
        self.schema.name()
    }

    /// Bytes of one row.
    #[getter]
    fn row_bytes(&self) -> usize {
        self.schema.row_bytes()
    }

    /// Takes bytes cut anywhere, raw or zstd; returns the rows they complete. Raises DecodeError at the first fault;
    /// the rows from before it are what `flush` returns.
    fn feed<'py>(&self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        // Whoever else holds a mutable buffer may write to it while we work without the GIL, so that one is copied.
        let bytes = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => PyMemoryView::from(data)?.call_method0("tobytes")?.cast_into::<PyBytes>()?,
        };
        let bytes = bytes.as_bytes();
        let rows = py.detach(|| {
            let State { deriver, decoder } = &mut *self.state.lock();
            decoder.push(bytes, deriver).map(|()| deriver.take())
        })?;
        let copy = PyBytes::new(py, &rows);
        with_lock(py, &self.state, |state| state.deriver.recycle(rows));
        Ok(copy)
    }

    /// Says that no more will come: returns the rows of unfinished intervals, and those that a fault held up.
    fn flush<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let rows = py.detach(|| {
            let State { deriver, .. } = &mut *self.state.lock();
            deriver.finish();
            deriver.take()
        });
        PyBytes::new(py, &rows)
    }

    /// Says that the stream is over; raises DecodeError if it was not whole. What is fed next begins another.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        with_lock(py, &self.state, |state| std::mem::take(&mut state.decoder).finish())?;
        Ok(())
    }

    /// The metadata a DBN stream of the rows begins with; None before the input's metadata or first record.
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let header = with_lock(py, &self.state, |state| state.deriver.header());
        let header = header.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(header.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// Rows as CSV text, as Databento writes it.
    #[pyo3(signature = (rows, *, header=false, pretty_px=true, pretty_ts=true, map_symbols=true))]
    fn csv<'py>(
        &self,
        py: Python<'py>,
        rows: &[u8],
        header: bool,
        pretty_px: bool,
        pretty_ts: bool,
        map_symbols: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.check_rows(rows)?;
        let options = CsvOptions { header, pretty_px, pretty_ts, map_symbols };
        let text = py.detach(|| self.state.lock().deriver.csv(rows, options));
        let text = text.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, &text))
    }

    /// The symbol of each row: (places in the list as native u32, the list of symbols and None).
    fn symbols<'py>(&self, py: Python<'py>, rows: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Vec<Option<String>>)> {
        self.check_rows(rows)?;
        let (places, names) = py.detach(|| {
            let state = self.state.lock();
            let mut names: Vec<Option<&str>> = Vec::new();
            let mut seen = std::collections::HashMap::new();
            let mut places = Vec::with_capacity(rows.len() / self.schema.row_bytes() * 4);
            for symbol in state.deriver.symbols(rows) {
                let place = *seen.entry(symbol).or_insert_with(|| {
                    names.push(symbol);
                    names.len() as u32 - 1
                });
                places.extend_from_slice(&place.to_ne_bytes());
            }
            (places, names.into_iter().map(|name| name.map(str::to_owned)).collect())
        });
        Ok((PyBytes::new(py, &places), names))
    }

    /// What was seen and made so far.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = with_lock(py, &self.state, |state| state.deriver.counters());
        let derive::Counters { records, rows, rejected, instruments, other_records, metadata_headers } = counters;
        let named = [
            ("records", records),
            ("rows", rows),
            ("rejected", rejected),
            ("instruments", instruments),
            ("other_records", other_records),
            ("metadata_headers", metadata_headers),
        ];
        stats_dict(py, named)
    }

    /// The first rejected record, in words.
    #[getter]
    fn problem(&self, py: Python<'_>) -> Option<String> {
        with_lock(py, &self.state, |state| {
            let problem = state.deriver.problem()?;
            let (at, what) = (problem.at, problem.reason.describe(&problem.record));
            Some(format!("record {} at byte {}: {what}", at.record, at.offset))
        })
    }

    fn __repr__(&self) -> String {
        format!("<Deriver: {}>", self.schema.name())
    }
}
