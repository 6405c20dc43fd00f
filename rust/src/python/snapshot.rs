//! `BookSnapshot`: a view with numpy arrays on demand.

use pyo3::{
    exceptions::{PyOverflowError, PyValueError},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::PyBytes,
};

use crate::{
    book::Level,
    encode,
    record::Side,
    view::{Extent, View},
};

/// Reads `depth` (None = all) and `level` (2 = totals, 3 = with queues) as a user gives them.
pub(super) fn extent(depth: Option<i64>, level: u8) -> PyResult<Extent> {
    let depth = match depth {
        None => usize::MAX,
        Some(depth) => usize::try_from(depth).ok().filter(|depth| *depth > 0).ok_or_else(|| {
            PyValueError::new_err(format!("depth {depth}, expected at least 1, or None for all levels"))
        })?,
    };
    match level {
        2 => Ok(Extent::levels(depth)),
        3 => Ok(Extent::queued(depth)),
        _ => Err(PyValueError::new_err(format!("level {level}, expected 2 (levels) or 3 (levels with their orders)"))),
    }
}

// What `array` relies on: as many bytes as the fields have together, so none is padding but the field of that name.
const _: () = assert!(size_of::<Level>() == 8 + 8 + 4 + 4);

/// An immutable view of a book after a complete event.
#[pyclass(frozen, eq, module = "l3book")]
#[derive(PartialEq)]
pub(super) struct BookSnapshot(pub(super) View);

impl BookSnapshot {
    fn array<'py>(&self, py: Python<'py>, side: Side) -> PyResult<Bound<'py, PyAny>> {
        static DTYPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let numpy = py.import(intern!(py, "numpy"))?;
        let dtype = DTYPE.get_or_try_init(py, || {
            let fields = [("price", "<i8"), ("size", "<u8"), ("count", "<u4")];
            let dtype = numpy.getattr("dtype")?.call1((fields.to_vec(), true))?;
            if dtype.getattr("itemsize")?.extract::<usize>()? != size_of::<Level>() {
                return Err(PyOverflowError::new_err("numpy lays out a level differently from the core"));
            }
            Ok(dtype.unbind())
        })?;
        let levels = self.0.levels[side as usize].as_slice();
        // SAFETY: Level is `repr(C)` with its padding as a field, so every byte of the slice is initialised.
        let bytes = unsafe { std::slice::from_raw_parts(levels.as_ptr().cast::<u8>(), size_of_val(levels)) };
        numpy.call_method1(intern!(py, "frombuffer"), (PyBytes::new(py, bytes), dtype))
    }

    fn render<'py>(slf: &Bound<'py, Self>, function: &str) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("l3book._render")?.call_method1(function, (slf,))
    }
}

#[pymethods]
impl BookSnapshot {
    /// Structured array (price i64 in units of 1e-9, size u64, count u32), best first.
    #[getter]
    fn bids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.array(py, Side::Bid)
    }

    /// As `bids`: the lowest price first.
    #[getter]
    fn asks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.array(py, Side::Ask)
    }

    /// Databento's number of the publisher.
    #[getter]
    fn publisher_id(&self) -> u16 {
        self.0.key.publisher_id
    }

    /// Databento's number of the instrument.
    #[getter]
    fn instrument_id(&self) -> u32 {
        self.0.key.instrument_id
    }

    /// What the stream maps the instrument to, or None.
    #[getter]
    fn symbol(&self) -> Option<&str> {
        self.0.symbol.as_deref()
    }

    /// Of the last event, by the venue's clock: UNIX time in ns.
    #[getter]
    fn ts_event(&self) -> u64 {
        self.0.moment.ts_event
    }

    /// Of its last record, by the capture's clock: UNIX time in ns.
    #[getter]
    fn ts_recv(&self) -> u64 {
        self.0.moment.ts_recv
    }

    /// The venue's number of its last record.
    #[getter]
    fn sequence(&self) -> u32 {
        self.0.moment.sequence
    }

    /// How many events of this book are complete.
    #[getter]
    fn seq(&self) -> u64 {
        self.0.moment.seq
    }

    /// Changes with every Clear; hexadecimal.
    #[getter]
    fn epoch(&self) -> String {
        format!("{:x}", self.0.epoch)
    }

    /// 'empty', 'snapshot' (being loaded), 'live' or 'suspect' (it may be wrong).
    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.name()
    }

    /// Whether the best bid is above the best ask, as it may be before an open.
    #[getter]
    fn crossed(&self) -> bool {
        self.0.is_crossed
    }

    /// Whether they are equal.
    #[getter]
    fn locked(&self) -> bool {
        self.0.is_locked
    }

    /// Resting orders in the whole book, whatever depth was asked for.
    #[getter]
    fn orders(&self) -> usize {
        self.0.orders
    }

    /// The book in its wire shape: prices as decimals, times and order ids as digits, all of these text.
    fn to_json(&self) -> PyResult<String> {
        let mut out = Vec::new();
        encode::push_view(&mut out, &self.0);
        Ok(String::from_utf8(out)?)
    }

    /// What `to_json` says, as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.to_json()?,))
    }

    /// A DataFrame: side, level (0 is the best), price (float), price_units (i64, exact), size, count. Needs pandas.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::render(slf, "to_pandas")
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::render(slf, "to_text")
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::render(slf, "to_html")
    }
}
