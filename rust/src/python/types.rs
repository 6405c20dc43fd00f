//! Small immutable values.

use pyo3::{prelude::*, types::PyTuple};

use crate::{
    book::{self, OrderBook},
    event::Moment,
    market::{Key, Market},
    record::Side,
};

/// All orders at one price. Unpacks as (price, size, count).
#[pyclass(frozen, eq, hash, get_all, module = "l3book", from_py_object)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Level {
    /// In units of 1e-9.
    price: i64,
    /// Of all its orders together.
    size: u64,
    /// Of its orders; 0 where the publisher sends only its best prices (F_TOB).
    count: u32,
}

impl From<book::Level> for Level {
    fn from(level: book::Level) -> Self {
        Self { price: level.price, size: level.size, count: level.count }
    }
}

#[pymethods]
impl Level {
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        (self.price, self.size, self.count).into_pyobject(py)?.into_any().try_iter().map(Bound::into_any)
    }

    fn __repr__(&self) -> String {
        format!("Level(price={}, size={}, count={})", self.price, self.size, self.count)
    }
}

/// Best bid and offer. Unpacks as (bid, ask); a side without orders is None.
#[pyclass(frozen, eq, get_all, name = "BBO", module = "l3book")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bbo {
    /// The best Level of bids, or None.
    bid: Option<Level>,
    /// The best Level of asks, or None.
    ask: Option<Level>,
    /// Of the event last applied, by the venue's clock: UNIX time in ns.
    ts_event: u64,
    /// How many events of this book are complete.
    seq: u64,
}

impl Bbo {
    pub(super) fn of(book: &OrderBook, moment: Moment) -> Self {
        let best = |side| book.best(side).map(Level::from);
        Self { bid: best(Side::Bid), ask: best(Side::Ask), ts_event: moment.ts_event, seq: moment.seq }
    }
}

#[pymethods]
impl Bbo {
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyTuple::new(py, [self.bid, self.ask])?.into_any().try_iter().map(Bound::into_any)
    }

    fn __repr__(&self) -> String {
        let side = |level: Option<Level>| level.map_or("None".to_owned(), |level| level.__repr__());
        format!("BBO(bid={}, ask={}, ts_event={}, seq={})", side(self.bid), side(self.ask), self.ts_event, self.seq)
    }
}

/// One resting order.
#[pyclass(frozen, eq, hash, get_all, module = "l3book")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Order {
    /// The venue's number of it.
    order_id: u64,
    /// 'B' or 'A'.
    side: char,
    /// In units of 1e-9.
    price: i64,
    /// What still rests.
    size: u32,
    /// Of its last Add or Modify: UNIX time in ns.
    ts_event: u64,
}

impl From<book::Order> for Order {
    fn from(order: book::Order) -> Self {
        let book::Order { order_id, side, price, size, ts_event } = order;
        Self { order_id, side: side.letter(), price, size, ts_event }
    }
}

#[pymethods]
impl Order {
    fn __repr__(&self) -> String {
        format!(
            "Order(order_id={}, side='{}', price={}, size={}, ts_event={})",
            self.order_id, self.side, self.price, self.size, self.ts_event
        )
    }
}

/// Where an order stands in the FIFO queue of its price level.
#[pyclass(frozen, eq, get_all, module = "l3book")]
#[derive(Clone, PartialEq, Eq)]
pub(super) struct QueuePosition {
    /// Orders that are filled before it.
    orders_ahead: u32,
    /// Their size together.
    size_ahead: u64,
    /// Orders at its price that are filled after it.
    orders_behind: u32,
    /// Their size together.
    size_behind: u64,
}

impl From<book::QueuePosition> for QueuePosition {
    fn from(position: book::QueuePosition) -> Self {
        let book::QueuePosition { orders_ahead, size_ahead, orders_behind, size_behind } = position;
        Self { orders_ahead, size_ahead, orders_behind, size_behind }
    }
}

#[pymethods]
impl QueuePosition {
    fn __repr__(&self) -> String {
        format!(
            "QueuePosition(orders_ahead={}, size_ahead={}, orders_behind={}, size_behind={})",
            self.orders_ahead, self.size_ahead, self.orders_behind, self.size_behind
        )
    }
}

/// One book of a Market, as a list entry.
#[pyclass(frozen, get_all, module = "l3book")]
pub(super) struct Instrument {
    /// Databento's number of the publisher.
    publisher_id: u16,
    /// Its number of the instrument, unique within a dataset and a day.
    instrument_id: u32,
    /// What the stream maps it to now, or None.
    symbol: Option<String>,
    /// 'empty', 'snapshot', 'live' or 'suspect'.
    state: &'static str,
    /// How many events of this book are complete.
    seq: u64,
    /// Resting orders.
    orders: usize,
    /// Of the event last applied, by the venue's clock: UNIX time in ns.
    ts_event: u64,
}

impl Instrument {
    pub(super) fn all(market: &Market) -> Vec<Self> {
        let of = |key: Key| market.symbol(key).map(str::to_owned);
        market
            .books()
            .map(|(key, book)| Self {
                publisher_id: key.publisher_id,
                instrument_id: key.instrument_id,
                symbol: of(key),
                state: book.state().name(),
                seq: book.moment().seq,
                orders: book.book().len(),
                ts_event: book.moment().ts_event,
            })
            .collect()
    }
}

#[pymethods]
impl Instrument {
    fn __repr__(&self) -> String {
        format!(
            "Instrument({}:{}, symbol={}, state='{}', seq={}, orders={})",
            self.publisher_id,
            self.instrument_id,
            self.symbol.as_ref().map_or_else(|| "None".to_owned(), |symbol| format!("{symbol:?}")),
            self.state,
            self.seq,
            self.orders
        )
    }
}
