//! `LiveStream`: the bytes of one live session.

use std::path::PathBuf;

use parking_lot::Mutex;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use super::{
    errors::{decode_error_in, os_error},
    ranged,
};
use crate::gateway::{self, Clock, Fault, Options, Pace, Request, TapeError};

/// The bytes of one live session, made from recorded DBN files: whole records in, a protocol's stream out.
#[pyclass(frozen, module = "l3book")]
pub(super) struct LiveStream {
    stream: Mutex<gateway::LiveStream>,
    #[pyo3(get)]
    dataset: String,
    #[pyo3(get)]
    schema: &'static str,
}

fn tape_error(error: TapeError) -> PyErr {
    match error {
        TapeError::Io { path, error } => os_error(&error, &path),
        TapeError::Decode { path, error } => decode_error_in(&error, &path),
        unservable @ TapeError::Unservable { .. } => PyValueError::new_err(unservable.to_string()),
    }
}

fn parse_clock(origin_ns: Option<u64>, speed: Option<f64>, rate: Option<u64>) -> PyResult<Option<Clock>> {
    let pace = match (speed, rate) {
        (Some(_), Some(_)) => return Err(PyValueError::new_err("both speed and rate, expected one of them")),
        (_, Some(0)) => return Err(PyValueError::new_err("rate 0, expected at least 1 record a second")),
        (_, Some(rate)) => Pace::Rate(rate),
        (speed, None) => Pace::speed(speed.unwrap_or(1.0)).map_err(PyValueError::new_err)?,
    };
    Ok(origin_ns.map(|origin_ns| Clock { origin_ns, pace }))
}

impl LiveStream {
    /// Works without the GIL: reading may wait for a disk, and another thread's call may be at work.
    fn work<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut gateway::LiveStream) -> R + Send) -> R {
        py.detach(|| work(&mut self.stream.lock()))
    }

    fn bytes<'py>(
        &self,
        py: Python<'py>,
        fill: impl FnOnce(&mut gateway::LiveStream, &mut Vec<u8>) -> Result<(), TapeError> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        self.work(py, |stream| fill(stream, &mut out)).map_err(tape_error)?;
        let bytes = PyBytes::new(py, &out);
        self.work(py, |stream| stream.recycle(out));
        Ok(bytes)
    }
}

#[pymethods]
impl LiveStream {
    #[new]
    #[pyo3(signature = (
        paths, *, raw=false, ts_out=false, compression="none", r#loop=false, as_if_now=None, speed=None, rate=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        raw: bool,
        ts_out: bool,
        compression: &str,
        r#loop: bool,
        #[pyo3(from_py_with = ranged::as_if_now)] as_if_now: Option<u64>,
        speed: Option<f64>,
        #[pyo3(from_py_with = ranged::rate)] rate: Option<u64>,
    ) -> PyResult<Self> {
        if paths.is_empty() {
            return Err(PyValueError::new_err("no files, expected at least one"));
        }
        let is_compressed = match compression {
            "none" => false,
            "zstd" => true,
            other => return Err(PyValueError::new_err(format!("compression {other:?}, expected none or zstd"))),
        };
        if raw && ts_out {
            return Err(PyValueError::new_err("ts_out on a raw stream, whose records come as they are recorded"));
        }
        let clock = parse_clock(as_if_now, speed, rate)?;
        let options = Options { paths, is_raw: raw, ts_out, is_compressed, is_looped: r#loop, clock };
        let stream = py.detach(|| gateway::LiveStream::open(options)).map_err(tape_error)?;
        let (dataset, schema) = (stream.dataset().to_owned(), stream.schema());
        Ok(Self { stream: Mutex::new(stream), dataset, schema })
    }

    /// Takes a subscription (symbols None: all) and queues mappings and snapshots; returns the symbols that cannot be
    /// resolved.
    #[pyo3(signature = (schema, stype_in, symbols, *, start=None, snapshot=false))]
    fn subscribe(
        &self,
        py: Python<'_>,
        schema: String,
        stype_in: String,
        symbols: Option<Vec<String>>,
        #[pyo3(from_py_with = ranged::start)] start: Option<u64>,
        snapshot: bool,
    ) -> PyResult<Vec<String>> {
        let request = Request { schema, stype_in, symbols, start_ns: start, is_snapshot: snapshot };
        self.work(py, |stream| stream.subscribe(&request)).map_err(|what| {
            let one_line = what.replace(['\n', '\r', '|'], " ");
            PyValueError::new_err(one_line)
        })
    }

    /// The session's header, compressed if asked for (a frame of its own).
    fn metadata<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::start)] start: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.work(py, |stream| stream.metadata(start)).map_err(PyValueError::new_err)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Goes on to the first record with ts_event >= T (ns, as sent); returns how many records were passed over.
    fn seek(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::ts_event)] ts_event: u64) -> u64 {
        self.work(py, |stream| stream.seek(ts_event))
    }

    /// Goes on to the first record that is due later than T (ns, as `next_ts` says); returns how many were passed over.
    fn seek_due(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::ts)] ts: u64) -> u64 {
        self.work(py, |stream| stream.seek_due(ts))
    }

    /// Goes to a position: so many records lie before it.
    fn seek_position(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::position)] position: u64) -> PyResult<()> {
        self.work(py, |stream| stream.seek_position(position)).map_err(tape_error)
    }

    /// What is queued: mappings, snapshots, system and error records.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.bytes(py, |stream, out| stream.take(out))
    }

    /// What is queued, and the next tape records: at most `max_records`, and none later than `until` (ns). May be b""
    /// though records were read. Raises DecodeError or OSError for damage, once all before it has been returned.
    #[pyo3(signature = (max_records, until=None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::max_records)] max_records: usize,
        #[pyo3(from_py_with = ranged::until)] until: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.bytes(py, |stream, out| stream.read(max_records, until, out))
    }

    /// Queues a SystemMsg at the time of the session's position; as much of the text as fits (302 bytes).
    fn system(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::code)] code: u8, text: &str) {
        self.work(py, |stream| stream.system(code, text));
    }

    /// Queues an ErrorMsg at the time of the session's position; as much of the text as fits (301 bytes).
    fn error(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::code)] code: u8, text: &str) {
        self.work(py, |stream| stream.error(code, text));
    }

    /// Does something to the next data records on their way out: "gap", "duplicate" or "reorder".
    #[pyo3(signature = (kind, records, *, marked=true))]
    fn inject(
        &self,
        py: Python<'_>,
        kind: &str,
        #[pyo3(from_py_with = ranged::records)] records: u64,
        marked: bool,
    ) -> PyResult<()> {
        let fault = match kind {
            "gap" => Fault::Gap { is_marked: marked },
            "duplicate" => Fault::Duplicate,
            "reorder" => Fault::Reorder,
            other => {
                return Err(PyValueError::new_err(format!("fault {other:?}, expected gap, duplicate or reorder")));
            }
        };
        self.work(py, |stream| stream.inject(fault, records));
        Ok(())
    }

    /// Goes on like `read` without sending what the records bring; returns how many data records were left out. The next
    /// record of each book that lost one carries MAYBE_BAD_BOOK.
    #[pyo3(signature = (max_records, until=None))]
    fn skip(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::max_records)] max_records: usize,
        #[pyo3(from_py_with = ranged::until)] until: Option<u64>,
    ) -> PyResult<u64> {
        self.work(py, |stream| stream.skip(max_records, until)).map_err(tape_error)
    }

    /// Time (ns) of the next tape record: ts_recv, or ts_event where there is none. None at the end or before damage.
    #[getter]
    fn next_ts(&self, py: Python<'_>) -> Option<u64> {
        self.work(py, gateway::LiveStream::next_ts_ns)
    }

    /// Time (ns) of the last tape record read; 0 before the first.
    #[getter]
    fn last_ts(&self, py: Python<'_>) -> u64 {
        self.work(py, |stream| stream.last_ts_ns())
    }

    /// Tape records read or passed over.
    #[getter]
    fn position(&self, py: Python<'_>) -> u64 {
        self.work(py, |stream| stream.position())
    }

    /// Data records sent: not mappings, system and error records.
    #[getter]
    fn records_sent(&self, py: Python<'_>) -> u64 {
        self.work(py, |stream| stream.records_sent())
    }

    /// Subscriptions that are kept: repeated ones do not add up.
    #[getter]
    fn subscriptions(&self, py: Python<'_>) -> usize {
        self.work(py, |stream| stream.subscriptions())
    }

    /// Records of the files that are not of their schema, and so not served.
    #[getter]
    fn records_skipped(&self, py: Python<'_>) -> u64 {
        self.work(py, |stream| stream.records_skipped())
    }

    /// Times that the tape has begun again.
    #[getter]
    fn passes(&self, py: Python<'_>) -> u64 {
        self.work(py, |stream| stream.passes())
    }

    /// Whether nothing more will come of itself.
    #[getter]
    fn ended(&self, py: Python<'_>) -> bool {
        self.work(py, gateway::LiveStream::is_ended)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let position = self.position(py);
        format!("<LiveStream: {} {}, at record {position}>", self.dataset, self.schema)
    }
}
