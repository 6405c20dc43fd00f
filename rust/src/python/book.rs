//! `Book`, a read-only handle, and `OrderBook`, one that is fed record by record.

use std::{ffi::c_char, sync::Arc};

use dbn::{FlagSet, RType, RecordHeader};
use parking_lot::Mutex;
use pyo3::{
    buffer::PyUntypedBuffer,
    exceptions::{PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyMemoryView},
};

use super::{
    letter, ranged,
    shared::{Shared, with_lock},
    snapshot::{BookSnapshot, extent},
    types::{Bbo, Order, QueuePosition},
};
use crate::{
    book::SameSizeModify,
    event::{EventBook, Rules},
    fingerprint,
    market::Key,
    record::{MBO_BYTES, MBO_TS_OUT_BYTES, MboMsg, Side, UNDEF_PRICE, flags, read_mbo},
    view::View,
};

pub(super) fn parse_same_size(rule: &str) -> PyResult<SameSizeModify> {
    match rule {
        "keeps_place" => Ok(SameSizeModify::KeepsPlace),
        "to_back" => Ok(SameSizeModify::ToBack),
        _ => Err(PyValueError::new_err(format!("same_size_modify {rule:?}, expected 'keeps_place' or 'to_back'"))),
    }
}

/// Counters as a dict, with the state's name.
pub(super) fn stats_dict<'py>(
    py: Python<'py>,
    counters: impl IntoIterator<Item = (&'static str, u64)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in counters {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

struct Own {
    /// That of the first record.
    key: Option<Key>,
    book: EventBook,
}

impl Own {
    fn key(&self) -> Key {
        self.key.unwrap_or(Key { publisher_id: 0, instrument_id: 0 })
    }

    /// Refuses a record of another instrument than the first one's: in one book, their orders would be mixed up.
    #[inline]
    fn accept(&mut self, key: Key) -> PyResult<()> {
        match self.key {
            Some(own) if own == key => Ok(()),
            Some(own) => Err(PyValueError::new_err(format!(
                "a record of instrument {key}, expected {own} as before: a Market holds the books of several"
            ))),
            None => {
                self.key = Some(key);
                Ok(())
            }
        }
    }
}

enum Source {
    Own(Box<Mutex<Own>>),
    Market(Arc<Shared>, Key),
}

/// A live, read-only handle on one book of a Market.
#[pyclass(frozen, subclass, module = "l3book")]
pub(super) struct Book(Source);

impl Book {
    pub(super) fn in_market(market: Arc<Shared>, key: Key) -> Self {
        Self(Source::Market(market, key))
    }

    /// Reads the book under its lock, with its key and symbol. `read` must not call into Python.
    fn read<T: Send>(&self, py: Python<'_>, read: impl FnOnce(Key, Option<&str>, &EventBook) -> T + Send) -> T {
        match &self.0 {
            Source::Own(own) => with_lock(py, own, |own| read(own.key(), None, &own.book)),
            Source::Market(shared, key) => shared.glance(py, |market| {
                let book = market.book(*key).expect("a market never forgets a book");
                read(*key, market.symbol(*key), book)
            }),
        }
    }
}

#[pymethods]
impl Book {
    /// Databento's number of the publisher; 0 before the first record.
    #[getter]
    fn publisher_id(&self, py: Python<'_>) -> u16 {
        self.read(py, |key, _, _| key.publisher_id)
    }

    /// Databento's number of the instrument; 0 before the first record.
    #[getter]
    fn instrument_id(&self, py: Python<'_>) -> u32 {
        self.read(py, |key, _, _| key.instrument_id)
    }

    /// What the stream maps the instrument to now, or None.
    #[getter]
    fn symbol(&self, py: Python<'_>) -> Option<String> {
        self.read(py, |_, symbol, _| symbol.map(str::to_owned))
    }

    /// 'empty', 'snapshot' (being loaded), 'live' or 'suspect' (it may be wrong).
    #[getter]
    fn state(&self, py: Python<'_>) -> &'static str {
        self.read(py, |_, _, book| book.state().name())
    }

    /// How many events are complete.
    #[getter]
    fn seq(&self, py: Python<'_>) -> u64 {
        self.read(py, |_, _, book| book.moment().seq)
    }

    /// Changes with every Clear; hexadecimal.
    #[getter]
    fn epoch(&self, py: Python<'_>) -> String {
        format!("{:x}", self.read(py, |_, _, book| book.epoch()))
    }

    /// The book after its last complete event: `depth` levels a side (None = all), at level 3 with their orders.
    #[pyo3(signature = (depth=Some(10), *, level=2), text_signature = "($self, depth=10, *, level=2)")]
    fn snapshot(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::levels)] depth: Option<i64>,
        #[pyo3(from_py_with = ranged::level)] level: u8,
    ) -> PyResult<BookSnapshot> {
        let extent = extent(depth, level)?;
        Ok(BookSnapshot(self.read(py, |key, symbol, book| View::of(key, symbol, book, extent))))
    }

    /// Best bid and offer.
    fn bbo(&self, py: Python<'_>) -> Bbo {
        self.read(py, |_, _, book| Bbo::of(book.book(), book.moment()))
    }

    /// A resting order, or None.
    fn order(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::order_id)] order_id: u64) -> Option<Order> {
        self.read(py, |_, _, book| book.book().order(order_id)).map(Order::from)
    }

    /// The orders at a price (1e-9 units) in priority order.
    fn orders(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = letter::book_side)] side: Side,
        #[pyo3(from_py_with = ranged::price)] price: i64,
    ) -> Vec<Order> {
        self.read(py, |_, _, book| book.book().orders_at(side, price).map(Order::from).collect())
    }

    /// Where a resting order stands in its queue, or None.
    fn queue_position(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::order_id)] order_id: u64,
    ) -> Option<QueuePosition> {
        self.read(py, |_, _, book| book.book().queue_position(order_id)).map(QueuePosition::from)
    }

    /// Counters of everything taken and everything odd, and the state.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counters, state) = self.read(py, |_, _, book| (book.counters(), book.state()));
        let dict = stats_dict(py, counters)?;
        dict.set_item("state", state.name())?;
        Ok(dict)
    }

    /// A hash of the state of this book; that of a Market of this book alone.
    fn state_hash(&self, py: Python<'_>) -> String {
        match &self.0 {
            Source::Own(own) => with_lock(py, own, |own| fingerprint::of([(own.key(), &own.book)])),
            Source::Market(shared, key) => {
                shared.work(py, |market| fingerprint::of(market.book(*key).map(|book| (*key, book))))
            }
        }
        .to_string()
    }

    /// Checks every invariant; raises InvariantError with the broken one.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        Ok(self.read(py, |_, _, book| book.book().check())?)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.read(py, |_, _, book| book.book().len())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        self.read(py, |key, symbol, book| {
            let name = symbol.map_or_else(|| key.to_string(), |symbol| format!("{symbol} {key}"));
            let (state, orders, seq) = (book.state().name(), book.book().len(), book.moment().seq);
            format!("<Book {name}: {orders} orders, {state}, seq {seq}>")
        })
    }
}

/// One instrument's full-depth book, record by record. Views change when an event is complete (F_LAST).
#[pyclass(frozen, extends = Book, module = "l3book")]
pub(super) struct OrderBook;

#[pymethods]
impl OrderBook {
    #[new]
    #[pyo3(signature = (*, same_size_modify="keeps_place"))]
    fn new(same_size_modify: &str) -> PyResult<PyClassInitializer<Self>> {
        let rules = Rules { same_size: parse_same_size(same_size_modify)?, ..Rules::default() };
        let own = Own { key: None, book: EventBook::new(&rules) };
        Ok(PyClassInitializer::from(Book(Source::Own(Box::new(Mutex::new(own))))).add_subclass(OrderBook))
    }

    /// Takes one MBO record: a databento_dbn.MBOMsg, its 56 bytes (64 with ts_out), a row of `DBNStore.to_ndarray`, or
    /// keyword fields as they have them.
    ///
    /// Returns whether that completed an event; until then it is held back and no view shows it. A record that makes no
    /// sense (see `stats()`: rejected_*) changes nothing. Raises ValueError or TypeError for what is no MBO record, and
    /// ValueError for one of another instrument than the first.
    #[pyo3(
        signature = (record=None, /, *, action=None, side=None, price=None, size=None, order_id=None, flags=None,
            ts_event=None, ts_recv=None, ts_in_delta=None, sequence=None, channel_id=None, publisher_id=None,
            instrument_id=None),
        text_signature = "($self, record=..., /, *, action=..., side='N', price=9223372036854775807, size=0, \
            order_id=0, flags=128, ts_event=0, ts_recv=0, ts_in_delta=0, sequence=0, channel_id=0, publisher_id=0, \
            instrument_id=0)"
    )]
    #[allow(clippy::too_many_arguments)]
    fn apply_mbo(
        slf: &Bound<'_, Self>,
        record: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = letter::action)] action: Option<u8>,
        #[pyo3(from_py_with = letter::side)] side: Option<u8>,
        #[pyo3(from_py_with = ranged::price)] price: Option<i64>,
        #[pyo3(from_py_with = ranged::size)] size: Option<u32>,
        #[pyo3(from_py_with = ranged::order_id)] order_id: Option<u64>,
        #[pyo3(from_py_with = ranged::flags)] flags: Option<u8>,
        #[pyo3(from_py_with = ranged::ts_event)] ts_event: Option<u64>,
        #[pyo3(from_py_with = ranged::ts_recv)] ts_recv: Option<u64>,
        #[pyo3(from_py_with = ranged::ts_in_delta)] ts_in_delta: Option<i32>,
        #[pyo3(from_py_with = ranged::sequence)] sequence: Option<u32>,
        #[pyo3(from_py_with = ranged::channel_id)] channel_id: Option<u8>,
        #[pyo3(from_py_with = ranged::publisher_id)] publisher_id: Option<u16>,
        #[pyo3(from_py_with = ranged::instrument_id)] instrument_id: Option<u32>,
    ) -> PyResult<bool> {
        let has_fields = action.is_some()
            || side.is_some()
            || price.is_some()
            || order_id.or(ts_event).or(ts_recv).is_some()
            || size.or(sequence).or(instrument_id).is_some()
            || flags.or(channel_id).is_some()
            || ts_in_delta.is_some()
            || publisher_id.is_some();
        let record = match (record, action) {
            (Some(record), None) if !has_fields => record_of(record)?,
            (None, Some(action)) => MboMsg {
                hd: RecordHeader::new::<MboMsg>(
                    RType::Mbo as u8,
                    publisher_id.unwrap_or(0),
                    instrument_id.unwrap_or(0),
                    ts_event.unwrap_or(0),
                ),
                order_id: order_id.unwrap_or(0),
                price: price.unwrap_or(UNDEF_PRICE),
                size: size.unwrap_or(0),
                flags: FlagSet::new(flags.unwrap_or(flags::LAST)),
                channel_id: channel_id.unwrap_or(0),
                action: action as c_char,
                side: side.unwrap_or(b'N') as c_char,
                ts_recv: ts_recv.unwrap_or(0),
                ts_in_delta: ts_in_delta.unwrap_or(0),
                sequence: sequence.unwrap_or(0),
            },
            _ => return Err(PyTypeError::new_err("apply_mbo takes one record, or keyword fields with an action")),
        };
        let Source::Own(own) = &slf.as_super().get().0 else { unreachable!("an OrderBook owns its book") };
        with_lock(slf.py(), own, |own| {
            own.accept(Key::of(&record))?;
            let seq = own.book.moment().seq;
            // Counted in stats(); that it was refused does not keep it from completing an event.
            let _ = own.book.push(&record);
            Ok(own.book.moment().seq != seq)
        })
    }
}

#[inline]
fn record_of(record: &Bound<'_, PyAny>) -> PyResult<MboMsg> {
    if let Ok(bytes) = record.cast_exact::<PyBytes>() {
        return record_in(bytes.as_bytes());
    }
    let py = record.py();
    // Attributes of an MBOMsg cost several times more than its bytes: Action and Side are enum objects.
    if let Ok(bytes) = record.call_method0(intern!(py, "__bytes__")) {
        return record_in(bytes.cast::<PyBytes>()?.as_bytes());
    }
    let Ok(buffer) = PyUntypedBuffer::get(record) else {
        // A row of a numpy array is a buffer without a shape, which PyO3 does not take.
        if let Ok(view) = PyMemoryView::from(record) {
            return record_in(view.call_method0(intern!(py, "tobytes"))?.cast::<PyBytes>()?.as_bytes());
        }
        let name = record.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{name}, expected databento_dbn.MBOMsg or 56 bytes")));
    };
    let mut copy = [0; MBO_TS_OUT_BYTES];
    let len = buffer.len_bytes();
    if !buffer.is_c_contiguous() || len > copy.len() {
        return Err(PyValueError::new_err(format!("a buffer of {len} bytes, expected {MBO_BYTES} contiguous ones")));
    }
    // SAFETY: the buffer is contiguous, `len` bytes long and held by `buffer`; `copy` has room for them.
    unsafe { std::ptr::copy_nonoverlapping(buffer.buf_ptr().cast::<u8>(), copy.as_mut_ptr(), len) };
    record_in(&copy[..len])
}

#[inline]
fn record_in(bytes: &[u8]) -> PyResult<MboMsg> {
    let len = bytes.len();
    if len != MBO_BYTES && len != MBO_TS_OUT_BYTES {
        return Err(PyValueError::new_err(format!(
            "{len} bytes, expected an MBO record of {MBO_BYTES} ({MBO_TS_OUT_BYTES} with ts_out)"
        )));
    }
    if bytes[1] != RType::Mbo as u8 || usize::from(bytes[0]) * 4 != len {
        return Err(PyValueError::new_err(format!(
            "a header of length {} and record type 0x{:02X}, expected {} and 0xA0 (MBO)",
            bytes[0],
            bytes[1],
            len / 4
        )));
    }
    Ok(read_mbo(bytes))
}
