//! `Log`: what was recorded, also while it is written.

use std::path::PathBuf;

use parking_lot::Mutex;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::dbn_reader::DbnReader;
use crate::{
    history::{self, Damage, HistoryError, Item, Verdict},
    python::{market::Market, ranged, shared::with_lock},
    record::mbo_slice_bytes,
};

/// The durable part of the log in a history's folder. Needs no lock: another process may write it.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Log(Mutex<history::Log>);

#[pymethods]
impl Log {
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        Ok(Self(Mutex::new(py.detach(|| history::Log::open(&directory))?)))
    }

    /// Sees what became durable since, and what was removed.
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.0.lock().refresh())?)
    }

    /// The files, by ordinal: path, dataset, day, first_ordinal, end_ordinal, bytes, frames, ts_event_min and _max,
    /// ts_recv_min and _max (None without records).
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let log = with_lock(py, &self.0, |log| log.clone());
        let list = PyList::empty(py);
        for (at, segment) in log.segments().iter().enumerate() {
            let positions = log.frames_of(at);
            let [event, recv] = log.frames().spans(positions.clone());
            let last = positions.clone().next_back().map(|last| log.frames()[last].entry);
            let dict = PyDict::new(py);
            dict.set_item("path", &segment.path)?;
            dict.set_item("dataset", &segment.dataset)?;
            dict.set_item("day", &segment.day)?;
            dict.set_item("first_ordinal", segment.first_ordinal)?;
            dict.set_item("end_ordinal", last.map_or(segment.first_ordinal, |entry| entry.end_ordinal()))?;
            dict.set_item("bytes", log.segment_bytes(at))?;
            dict.set_item("frames", positions.len())?;
            set_span(&dict, "ts_event", event)?;
            set_span(&dict, "ts_recv", recv)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// Uninterrupted histories, the newest last: ordinal, first_ordinal, end_ordinal, uri, ts_event_min and _max,
    /// ts_recv_min and _max.
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for session in with_lock(py, &self.0, |log| log.sessions()) {
            list.append(session_dict(py, session)?)?;
        }
        Ok(list)
    }

    /// When (ts_recv, ns) the session of an ordinal began: what others told of that time and later is out of force. None as long
    /// as it has told nothing but of the books that it begins with, and for one that is not there.
    fn session_start(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64,
    ) -> PyResult<Option<u64>> {
        let log = with_lock(py, &self.0, |log| log.clone());
        Ok(py.detach(|| log.session_start(ordinal))?.map(|start| start.ts_recv))
    }

    /// That of all sessions of which it is known, oldest first: (ordinal, uri, ts_recv, whether a damaged frame hides it, so that this is
    /// as early as the index says).
    fn session_starts(&self, py: Python<'_>) -> PyResult<Vec<(u64, String, u64, bool)>> {
        let log = with_lock(py, &self.0, |log| log.clone());
        let starts = py.detach(|| log.session_starts())?;
        Ok(starts.into_iter().map(|start| (start.ordinal, start.uri, start.ts_recv, start.is_estimated)).collect())
    }

    /// What is missing in between: first, end, reason.
    fn holes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for hole in with_lock(py, &self.0, |log| log.holes()) {
            let dict = PyDict::new(py);
            dict.set_item("first", hole.first)?;
            dict.set_item("end", hole.end)?;
            dict.set_item("reason", hole.reason)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// What is wrong with the beginnings and ends of segments, in words.
    fn damages(&self, py: Python<'_>) -> Vec<String> {
        with_lock(py, &self.0, |log| log.damages().map(|damage| damage.to_string()).collect())
    }

    /// Ordinal of the first record.
    #[getter]
    fn first_ordinal(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.0, |log| log.first_ordinal())
    }

    /// Ordinal at which the log is to begin: what is missing from there on is lost, what lies before was removed.
    #[getter]
    fn kept_from(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.0, |log| log.kept_from())
    }

    /// Tells durably that nothing from before an ordinal is to be kept: before the oldest segments are removed. Raises
    /// HistoryError.
    fn keep_from(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64) -> PyResult<()> {
        let log = with_lock(py, &self.0, |log| log.clone());
        Ok(py.detach(|| log.keep_from(ordinal))?)
    }

    /// Ordinal after the last record's.
    #[getter]
    fn end_ordinal(&self, py: Python<'_>) -> u64 {
        with_lock(py, &self.0, |log| log.end_ordinal())
    }

    /// Reads everything and says whether it is what was written: good, segments, frames, records, bytes, damages.
    /// `progress(bytes, bytes_in_all)` is called now and then.
    #[pyo3(signature = (progress=None))]
    fn verify<'py>(&self, py: Python<'py>, progress: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        /// Bytes between two looks for signals.
        const LOOK_BYTES: u64 = 4 * 1024 * 1024;
        let log = with_lock(py, &self.0, |log| log.clone());
        let (bytes_in_all, mut looked) = (log.bytes(), 0);
        let progress = progress.map(|progress| progress.clone().unbind());
        let verdict = py.detach(|| {
            log.verify(|bytes| {
                if bytes < looked + LOOK_BYTES {
                    return Ok(());
                }
                looked = bytes;
                Python::attach(|py| {
                    py.check_signals()?;
                    progress.as_ref().map_or(Ok(()), |progress| progress.call1(py, (bytes, bytes_in_all)).map(drop))
                })
            })
        })?;
        let Verdict { segments, frames, records, bytes, damages }: Verdict = verdict;
        let dict = PyDict::new(py);
        dict.set_item("good", damages.is_empty())?;
        for (name, value) in [("segments", segments), ("frames", frames), ("records", records), ("bytes", bytes)] {
            dict.set_item(name, value)?;
        }
        let list = PyList::empty(py);
        for Damage { path, offset, ordinal, end_ordinal, what } in damages {
            let dict = PyDict::new(py);
            dict.set_item("path", path)?;
            dict.set_item("offset", offset)?;
            dict.set_item("ordinal", ordinal)?;
            dict.set_item("end_ordinal", end_ordinal)?;
            dict.set_item("what", what)?;
            list.append(dict)?;
        }
        dict.set_item("damages", list)?;
        Ok(dict)
    }

    /// MBO records of 56 bytes from an ordinal on, without marks, up to so many or the next hole; and the ordinal of the
    /// first.
    fn read<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64,
        #[pyo3(from_py_with = ranged::records_max)] records_max: usize,
    ) -> PyResult<(u64, Bound<'py, PyBytes>)> {
        let (first, bytes) = py.detach(|| read(&self.0.lock(), ordinal, records_max))?;
        Ok((first, PyBytes::new(py, &bytes)))
    }

    /// A DBN stream of the MBO records from an ordinal on to another (which is not in it), with their symbols. With `books`,
    /// whoever has the books before the first record has those before the last one, too: see `Telling`.
    #[pyo3(signature = (start_ordinal, end_ordinal, *, books=false))]
    fn dbn(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::start_ordinal)] start_ordinal: u64,
        #[pyo3(from_py_with = ranged::end_ordinal)] end_ordinal: u64,
        books: bool,
    ) -> DbnReader {
        let log = with_lock(py, &self.0, |log| log.clone());
        DbnReader::new(log, start_ordinal, end_ordinal, books)
    }

    /// All books as they were right before the record of an ordinal, as MBO records: a snapshot of each, with MAYBE_BAD_BOOK
    /// if it is suspect, and behind it what was told of an unfinished event. Raises NotRecordedError.
    fn books<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = ranged::ordinal)] ordinal: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let log = with_lock(py, &self.0, |log| log.clone());
        let bytes = py.detach(|| history::books_before(&log, ordinal))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The market as it was right before the record of an ordinal (None: the log's end), with all marks before that; its
    /// books' epochs begin at `epoch`. With `watch`, ready for `disconnected()` and a resumed stream. Raises
    /// NotRecordedError.
    #[pyo3(signature = (ordinal=None, *, watch=false, epoch=0))]
    fn restore(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::ordinal)] ordinal: Option<u64>,
        watch: bool,
        #[pyo3(from_py_with = ranged::epoch)] epoch: u64,
    ) -> PyResult<Market> {
        let log = with_lock(py, &self.0, |log| log.clone());
        let shadow = py.detach(|| history::restore(&log, ordinal.unwrap_or(log.end_ordinal()), watch))?;
        Ok(Market::of_shadow(shadow, epoch))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (dir, first, end) =
            with_lock(py, &self.0, |log| (log.dir().to_owned(), log.first_ordinal(), log.end_ordinal()));
        format!("<Log: {}, ordinals {first} to {end}>", dir.display())
    }
}

pub(super) fn session_dict(py: Python<'_>, session: history::Session) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("ordinal", session.ordinal)?;
    dict.set_item("first_ordinal", session.first_ordinal)?;
    dict.set_item("end_ordinal", session.end_ordinal)?;
    dict.set_item("uri", session.uri)?;
    set_span(&dict, "ts_event", session.ts_event)?;
    set_span(&dict, "ts_recv", session.ts_recv)?;
    Ok(dict)
}

fn set_span(dict: &Bound<'_, PyDict>, name: &str, span: history::index::Span) -> PyResult<()> {
    let is_any = span.min <= span.max;
    dict.set_item(format!("{name}_min"), is_any.then_some(span.min))?;
    dict.set_item(format!("{name}_max"), is_any.then_some(span.max))
}

fn read(log: &history::Log, ordinal: u64, records_max: usize) -> Result<(u64, Vec<u8>), HistoryError> {
    let mut cursor = log.cursor(ordinal);
    let (mut first, mut bytes, mut left) = (None, Vec::new(), records_max);
    while left > 0 {
        match cursor.next(log)? {
            None => break,
            Some(Item::Records { first_ordinal, records }) => {
                first.get_or_insert(first_ordinal);
                let taken = left.min(records.len());
                bytes.extend_from_slice(mbo_slice_bytes(&records[..taken]));
                left -= taken;
            }
            Some(Item::Mark(history::Mark::Hole { .. }) | Item::Missing { .. }) if first.is_some() => break,
            Some(_) => {}
        }
    }
    Ok((first.unwrap_or(ordinal), bytes))
}
