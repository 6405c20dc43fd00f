//! `Market`: all books of a feed. Bulk calls release the GIL, then lock.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use pyo3::{
    buffer::PyUntypedBuffer,
    exceptions::{PyBufferError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyList, PyMemoryView},
};

use super::{
    book::{Book, parse_same_size, stats_dict},
    errors::{checkpoint_error, decode_error_in, os_error, piece_error, unknown_order},
    progress::Progress,
    ranged,
    shared::{Shared, with_lock},
    snapshot::{BookSnapshot, extent},
    stream::{Stream, parse_channel},
    types::Instrument,
    watch::{NamedAlert, alerts_list, parse_resumption, unwatched, watch_stats_dict},
};
use crate::{
    checkpoint,
    decode::Decoder,
    encode::{self, OrderView},
    event::Rules,
    history::Shadow,
    latency::{BUCKET_BOUNDS_NS, Latency, Percentiles},
    market::{self, Key, LookupError, Name},
    pieces::{PieceError, Pieces},
    stream,
    view::View,
    watch::Watch,
};

/// Bytes copied at once from a buffer that another thread could write to.
const COPY_BYTES: usize = 256 * 1024;
/// Plain bytes between two calls of a progress function, and two looks for signals.
pub(super) const PROGRESS_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn parse_name(instrument: &Bound<'_, PyAny>) -> PyResult<Name> {
    if !instrument.is_instance_of::<PyBool>() {
        if let Ok(text) = instrument.extract::<String>() {
            return Ok(Name::Text(text));
        }
        match parse_numbers(instrument) {
            Err(error) if !error.is_instance_of::<PyValueError>(instrument.py()) => {}
            name => return name,
        }
    }
    Err(PyTypeError::new_err(format!(
        "instrument {}, expected a symbol, an instrument_id or (publisher_id, instrument_id)",
        instrument.repr()?
    )))
}

/// Reads an instrument_id or (publisher_id, instrument_id). Raises ValueError if a number does not fit.
fn parse_numbers(instrument: &Bound<'_, PyAny>) -> PyResult<Name> {
    let Ok((publisher_id, instrument_id)) = instrument.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        return ranged::instrument_id(instrument).map(Name::InstrumentId);
    };
    let publisher_id = ranged::publisher_id(&publisher_id)?;
    Ok(Name::Key(Key { publisher_id, instrument_id: ranged::instrument_id(&instrument_id)? }))
}

/// All books of a feed, keyed by (publisher_id, instrument_id).
#[pyclass(frozen, module = "l3book")]
pub(super) struct Market(Arc<Shared>);

impl Market {
    fn of(market: market::Market, is_watched: bool) -> Self {
        let watch = is_watched.then(|| Watch::new(&market));
        Self(Arc::new(Shared::new(market, watch)))
    }

    pub(super) fn of_shared(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// A market that was restored; its books' epochs begin anew at `epoch`.
    pub(super) fn of_shadow(mut shadow: Shadow, epoch: u64) -> Self {
        shadow.market.rebase(epoch);
        Self(Arc::new(Shared::new(shadow.market, shadow.watch)))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }

    fn feed_bytes(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<u64> {
        Ok(py.detach(|| self.0.feed(bytes))?)
    }

    fn book_bytes<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        level: u8,
        depth: Option<i64>,
        push: fn(&mut Vec<u8>, &View),
    ) -> PyResult<Bound<'py, PyBytes>> {
        let name = parse_name(instrument)?;
        let extent = if level == 1 { extent(Some(1), 2)? } else { extent(depth, level)? };
        let start = Instant::now();
        let view = self.0.work(py, |market| View::lookup(market, &name, extent))?;
        // Encoded without the lock: a deep book with its queues is longer in digits than in memory.
        let (bytes, took) = py.detach(|| {
            let mut out = Vec::new();
            push(&mut out, &view);
            (out, start.elapsed())
        });
        with_lock(py, &self.0.snapshot_latency, |latency| latency.record(took));
        Ok(PyBytes::new(py, &bytes))
    }
}

#[pymethods]
impl Market {
    #[new]
    #[pyo3(signature = (*, same_size_modify="keeps_place", until=None, epoch=0, watch=false))]
    fn new(
        same_size_modify: &str,
        #[pyo3(from_py_with = ranged::until)] until: Option<u64>,
        #[pyo3(from_py_with = ranged::epoch)] epoch: u64,
        watch: bool,
    ) -> PyResult<Self> {
        let same_size = parse_same_size(same_size_modify)?;
        Ok(Self::of(market::Market::new(Rules { same_size, until: until.unwrap_or(u64::MAX), epoch }), watch))
    }

    /// Applies what these bytes complete: DBN cut anywhere, raw or zstd, or bare records. Returns the number of MBO
    /// records taken. Raises DecodeError at the first fault, with everything before it applied.
    fn feed(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<u64> {
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            return self.feed_bytes(py, bytes.as_bytes());
        }
        let buffer = PyUntypedBuffer::get(data)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("the buffer is not contiguous"));
        }
        // Whoever else holds the buffer may write to it while we work without the GIL, so work on copies.
        let mut copy = vec![0; COPY_BYTES.min(buffer.len_bytes())];
        let mut taken = 0;
        let mut at = 0;
        while at < buffer.len_bytes() {
            let len = copy.len().min(buffer.len_bytes() - at);
            // SAFETY: `at + len` does not exceed the contiguous buffer that `buffer` holds; `copy` has `len` bytes.
            unsafe { std::ptr::copy_nonoverlapping(buffer.buf_ptr().cast::<u8>().add(at), copy.as_mut_ptr(), len) };
            taken += self.feed_bytes(py, &copy[..len])?;
            at += len;
        }
        Ok(taken)
    }

    /// Says that the stream is over; raises DecodeError if it was not whole. What is fed next begins another.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.0.finish())?)
    }

    /// Reads a whole .dbn or .dbn.zst file and finishes. `progress(bytes_read, bytes_total)` is called now and then; or
    /// it is a bar as tqdm has them, whose `total` is set and whose `update` is called with the bytes read since.
    /// Returns the number of MBO records taken. Raises OSError or DecodeError, with everything before it applied.
    #[pyo3(signature = (path, *, progress=None))]
    fn feed_file(&self, py: Python<'_>, path: PathBuf, progress: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let mut progress = progress.map(Progress::of).transpose()?;
        let mut pieces = py.detach(|| Pieces::open(&path)).map_err(|error| os_error(&error, &path))?;
        // A decoder of its own: whatever becomes of this file, the next one begins afresh.
        let mut decoder = Decoder::new();
        let mut taken = 0;
        loop {
            // Counted in plain bytes: a highly compressed file is long work behind few bytes.
            let mut step_bytes = 0;
            let step = || -> Result<bool, PieceError> {
                while step_bytes < PROGRESS_BYTES {
                    let piece = pieces.read()?;
                    if piece.is_empty() {
                        return Ok(true);
                    }
                    step_bytes += piece.len();
                    taken += self.0.decode(&mut decoder, piece)?;
                }
                Ok(false)
            };
            let is_over = py.detach(step).map_err(|error| piece_error(error, &path))?;
            py.check_signals()?;
            if let Some(progress) = &mut progress {
                progress.tell(pieces.file_bytes(), pieces.size_bytes())?;
            }
            if is_over {
                return decoder.finish().map(|()| taken).map_err(|error| decode_error_in(&error, &path));
            }
        }
    }

    /// All books, in the order in which they appeared.
    fn instruments(&self, py: Python<'_>) -> Vec<Instrument> {
        self.0.work(py, |market| Instrument::all(market))
    }

    /// A live handle on one book. Raises UnknownInstrumentError or AmbiguousInstrumentError.
    fn book(&self, py: Python<'_>, instrument: &Bound<'_, PyAny>) -> PyResult<Py<Book>> {
        let name = parse_name(instrument)?;
        let key = self.0.glance(py, |market| market.lookup(&name))?;
        Py::new(py, Book::in_market(self.0.clone(), key))
    }

    /// One book after its last complete event: `depth` levels a side (None = all), at level 3 with their orders.
    #[pyo3(
        signature = (instrument, depth=Some(10), *, level=2),
        text_signature = "($self, instrument, depth=10, *, level=2)"
    )]
    fn snapshot(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
    ) -> PyResult<BookSnapshot> {
        let (name, extent) = (parse_name(instrument)?, extent(depth, level)?);
        let view = self.0.work(py, |market| View::lookup(market, &name, extent))?;
        Ok(BookSnapshot(view))
    }

    /// One book in its wire shape, encoded here; level 1 is the best level of each side.
    #[pyo3(
        signature = (instrument, *, level=2, depth=Some(10)),
        text_signature = "($self, instrument, *, level=2, depth=10)"
    )]
    fn book_json<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.book_bytes(py, instrument, level, depth, encode::push_view)
    }

    /// The same object as a MessagePack map.
    #[pyo3(
        signature = (instrument, *, level=2, depth=Some(10)),
        text_signature = "($self, instrument, *, level=2, depth=10)"
    )]
    fn book_msgpack<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.book_bytes(py, instrument, level, depth, encode::push_view_message_pack)
    }

    /// One resting order and its place in its queue, as JSON. Raises UnknownOrderError if it does not rest.
    fn order_json<'py>(
        &self,
        py: Python<'py>,
        instrument: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = ranged::order_id)] order_id: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let name = parse_name(instrument)?;
        let work = |market: &mut market::Market| {
            let key = market.lookup(&name)?;
            Ok((key, OrderView::lookup(market, key, order_id)))
        };
        let found: Result<_, LookupError> = self.0.glance(py, work);
        let (key, view) = found?;
        let view = view.ok_or_else(|| unknown_order(format!("no order {order_id} rests in book {key}")))?;
        let mut json = Vec::new();
        encode::push_order(&mut json, &view);
        Ok(PyBytes::new(py, &json))
    }

    /// Follows one channel of one book: "bbo", "depth", "orders", "trades" or "dbn". Raises UnknownInstrumentError or
    /// AmbiguousInstrumentError.
    #[pyo3(
        signature = (channel, instrument, *, depth=None, level=2, queues=None),
        text_signature = "($self, channel, instrument, *, depth=None, level=2, queues=None)"
    )]
    fn stream(
        &self,
        py: Python<'_>,
        channel: &str,
        instrument: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = ranged::depth)] depth: Option<i64>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
        #[pyo3(from_py_with = ranged::queues)] queues: Option<i64>,
    ) -> PyResult<Stream> {
        let (channel, name) = (parse_channel(channel, depth, level, queues)?, parse_name(instrument)?);
        let stream = self.0.glance(py, |market| stream::Stream::open(market, &name, channel))?;
        Ok(Stream::new(self.0.clone(), stream))
    }

    /// How long applying one record took (every 64th is timed), and taking and encoding one snapshot; ns.
    #[pyo3(signature = (*, reset=false))]
    fn latency<'py>(&self, py: Python<'py>, reset: bool) -> PyResult<Bound<'py, PyDict>> {
        let read = |latency: &mut Latency| {
            let percentiles = latency.percentiles();
            if reset {
                latency.reset();
            }
            percentiles
        };
        let apply = self.0.glance(py, |market| read(&mut market.apply_latency));
        let snapshot = with_lock(py, &self.0.snapshot_latency, read);
        let dict = PyDict::new(py);
        for (name, Percentiles { count, p50_ns, p90_ns, p99_ns, max_ns }) in [("apply", apply), ("snapshot", snapshot)]
        {
            let values =
                [("count", count), ("p50_ns", p50_ns), ("p90_ns", p90_ns), ("p99_ns", p99_ns), ("max_ns", max_ns)];
            dict.set_item(name, stats_dict(py, values)?)?;
        }
        Ok(dict)
    }

    /// The same durations since the start, by buckets: {"bounds_ns", "apply": {"counts", "sum_ns"}, "snapshot": {…}}.
    fn latency_totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let apply = self.0.glance(py, |market| market.apply_latency.totals());
        let snapshot = with_lock(py, &self.0.snapshot_latency, |latency| latency.totals());
        let dict = PyDict::new(py);
        dict.set_item("bounds_ns", BUCKET_BOUNDS_NS)?;
        for (name, totals) in [("apply", apply), ("snapshot", snapshot)] {
            let values = PyDict::new(py);
            values.set_item("counts", totals.counts)?;
            values.set_item("sum_ns", totals.sum_ns)?;
            dict.set_item(name, values)?;
        }
        Ok(dict)
    }

    /// Counters summed over all books, and those of the stream.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (sums, stream, books) =
            self.0.glance(py, |market| (market.counters(), market.stream_counters(), market.len()));
        let bytes = self.0.bytes.load(Ordering::Relaxed);
        let more = [
            ("books", books as u64),
            ("bytes", bytes),
            ("other_records", stream.other_records),
            ("symbol_mappings", stream.symbol_mappings),
            ("metadata_headers", stream.metadata_headers),
        ];
        stats_dict(py, sums.into_iter().chain(more))
    }

    /// The first rejected records, each with what it says and where it lies.
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let problems = self.0.glance(py, |market| market.problems().copied().collect::<Vec<_>>());
        let list = PyList::empty(py);
        for problem in problems {
            let (at, record) = (problem.at, &problem.record);
            let dict = PyDict::new(py);
            dict.set_item("reason", problem.reason.name())?;
            dict.set_item("record", at.record)?;
            dict.set_item("offset", at.offset)?;
            dict.set_item("order_id", record.order_id)?;
            dict.set_item("sequence", record.sequence)?;
            dict.set_item("ts_event", record.hd.ts_event)?;
            let what = problem.reason.describe(record);
            dict.set_item("message", format!("record {} at byte {}: {what}", at.record, at.offset))?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// A hash of the state of all books: equal on every machine, in every run, for equal books.
    fn state_hash(&self, py: Python<'_>) -> String {
        self.0.work(py, |market| market.fingerprint()).to_string()
    }

    /// Checks every invariant of every book; raises InvariantError with the first broken one.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        Ok(self.0.work(py, |market| market.check())?)
    }

    /// The whole market as bytes. Raises CheckpointError inside a record or zstd frame.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.at_boundary(checkpoint::to_bytes));
        let unfinished = || checkpoint_error("a record or zstd frame is unfinished: expected a boundary".into());
        Ok(PyBytes::new(py, &bytes.ok_or_else(unfinished)?))
    }

    /// A market from what to_bytes gave, ready for a further stream. Raises CheckpointError for anything else.
    #[staticmethod]
    #[pyo3(signature = (data, *, watch=false))]
    fn from_bytes(py: Python<'_>, data: &Bound<'_, PyAny>, watch: bool) -> PyResult<Self> {
        let bytes = PyMemoryView::from(data)?.call_method0("tobytes")?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        Ok(Self::of(py.detach(|| checkpoint::from_bytes(bytes))?, watch))
    }

    /// The stream broke: unfinished events are forgotten, the decoder starts anew, every book is suspect.
    fn disconnected(&self, py: Python<'_>) -> PyResult<()> {
        self.0.watched_anew(py, |watch, market| watch.disconnected(market)).ok_or_else(unwatched)
    }

    /// The ts_event (ns) from which the stream must go on so that no book misses anything; None if nothing was applied.
    fn resume_ts(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.0.watched(py, |watch, market| watch.resume_ts(market)).ok_or_else(unwatched)
    }

    /// What is fed next comes from a new connection: "resume", "snapshot" or "unknown".
    fn reconnected(&self, py: Python<'_>, how: &str) -> PyResult<()> {
        let how = parse_resumption(how)?;
        self.0.watched_anew(py, |watch, market| watch.reconnected(market, how)).ok_or_else(unwatched)
    }

    /// Makes one book suspect, or all; returns how many became so. Raises UnknownInstrumentError.
    #[pyo3(signature = (reason, instrument=None))]
    fn doubt(&self, py: Python<'_>, reason: String, instrument: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let name = instrument.map(parse_name).transpose()?;
        let work = |watch: &mut Watch, market: &mut market::Market| {
            let key = name.map(|name| market.lookup(&name)).transpose()?;
            Ok(watch.doubt(market, &reason.into(), key))
        };
        let doubted: Result<usize, LookupError> = self.0.watched(py, work).ok_or_else(unwatched)?;
        Ok(doubted?)
    }

    /// The stream failed for good: unfinished events are forgotten, every book is suspect. Watched or not.
    fn failed(&self, py: Python<'_>, reason: String) {
        self.0.work(py, |market| market.abandon(&reason));
    }

    /// Snapshots of these books were asked for.
    fn expect_snapshots(&self, py: Python<'_>, keys: Vec<(u16, u32)>) -> PyResult<()> {
        let keys = keys.into_iter().map(|(publisher_id, instrument_id)| Key { publisher_id, instrument_id });
        let work = |watch: &mut Watch, market: &mut market::Market| {
            keys.for_each(|key| watch.expect_snapshot(market, key));
        };
        self.0.watched(py, work).ok_or_else(unwatched)
    }

    /// Whether the stream is a part of what its channels number.
    fn expect_skips(&self, py: Python<'_>, expects_skips: bool) -> PyResult<()> {
        self.0.watched(py, |watch, _| watch.expect_skips(expects_skips)).ok_or_else(unwatched)
    }

    /// What happened since the last call, at most 1,024 dicts.
    fn take_alerts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let alerts = self.0.watched(py, |watch, market| {
            let alerts = watch.take_alerts().into_iter();
            alerts.map(|alert| NamedAlert::of(alert, market)).collect::<Vec<_>>()
        });
        alerts_list(py, &alerts.ok_or_else(unwatched)?)
    }

    /// (publisher_id, instrument_id) of the books that are suspect.
    fn suspects(&self, py: Python<'_>) -> PyResult<Vec<(u16, u32)>> {
        let suspects = self.0.watched(py, |watch, market| watch.suspects(market)).ok_or_else(unwatched)?;
        Ok(suspects.into_iter().map(|key| (key.publisher_id, key.instrument_id)).collect())
    }

    /// What the watch counted.
    fn watch_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.watched(py, |watch, _| watch.stats()).ok_or_else(unwatched)?;
        watch_stats_dict(py, &stats)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.0.glance(py, |market| market.len())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (books, records) = self.0.glance(py, |market| (market.len(), market.records_taken()));
        format!("<Market: {books} books, {records} records>")
    }
}
