//! `Stream` and `Message`: one stream for all clients of a group, each message encoded once for all of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyString},
};

use super::{ranged, shared::Shared};
use crate::{
    stream::{self, Channel},
    view::Extent,
};

const DEPTH_DEFAULT: usize = 10;
/// Levels a side that the channel `depth` follows at most.
const DEPTH_MAX: usize = 10_000;

/// A number of levels a side, as a user gives it.
fn parse_levels(name: &str, levels: i64) -> PyResult<usize> {
    let parsed = usize::try_from(levels).ok().filter(|levels| (1..=DEPTH_MAX).contains(levels));
    parsed.ok_or_else(|| PyValueError::new_err(format!("{name} {levels}, expected 1 to {DEPTH_MAX}")))
}

pub(super) fn parse_channel(channel: &str, depth: Option<i64>, level: u8, queues: Option<i64>) -> PyResult<Channel> {
    if !matches!(level, 2 | 3) {
        let text = format!("level {level}, expected 2 (levels) or 3 (levels with their orders)");
        return Err(PyValueError::new_err(text));
    }
    let channel = match channel {
        "depth" => {
            let depth = depth.map_or(Ok(DEPTH_DEFAULT), |depth| parse_levels("depth", depth))?;
            let queues = queues.map(|queues| parse_levels("queues", queues)).transpose()?;
            return match (level, queues) {
                (2, None) => Ok(Channel::Depth(Extent::levels(depth))),
                (2, Some(_)) => Err(PyValueError::new_err("queues with level 2, which has none: expected level 3")),
                (_, queues) => Ok(Channel::Depth(Extent { depth, queues: queues.unwrap_or(depth) })),
            };
        }
        "bbo" => Channel::Bbo,
        "orders" => Channel::Orders,
        "trades" => Channel::Trades,
        "dbn" => Channel::Dbn,
        _ => {
            let text = format!("channel {channel:?}, expected 'bbo', 'depth', 'orders', 'trades' or 'dbn'");
            return Err(PyValueError::new_err(text));
        }
    };
    if depth.is_some() || level != 2 || queues.is_some() {
        let text = format!("channel {:?} takes no depth, level or queues, only 'depth' does", channel.name());
        return Err(PyValueError::new_err(text));
    }
    Ok(channel)
}

/// A message for all clients of a stream; encoded on first use, once.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Message {
    message: Arc<stream::Message>,
    text: PyOnceLock<Py<PyString>>,
    msgpack: PyOnceLock<Py<PyBytes>>,
    binary: PyOnceLock<Py<PyBytes>>,
}

impl Message {
    fn new(message: Arc<stream::Message>) -> Self {
        Self { message, text: PyOnceLock::new(), msgpack: PyOnceLock::new(), binary: PyOnceLock::new() }
    }
}

#[pymethods]
impl Message {
    /// "snapshot", "delta" or "gap": more came than is kept between two polls.
    #[getter]
    fn kind(&self) -> &'static str {
        self.message.kind().name()
    }

    /// That of the book; hexadecimal.
    #[getter]
    fn epoch(&self) -> String {
        format!("{:x}", self.message.epoch())
    }

    /// The seq of the message that it continues; None for a snapshot.
    #[getter]
    fn prev(&self) -> Option<u64> {
        self.message.prev()
    }

    /// How many events of the book it leads to.
    #[getter]
    fn seq(&self) -> u64 {
        self.message.seq()
    }

    /// ts_recv (ns) of the last event that it tells of; 0 if it tells of none.
    #[getter]
    fn lag_from_ts_recv(&self) -> u64 {
        self.message.ts_recv()
    }

    /// As JSON; the same str object every time.
    #[getter]
    fn text(&self, py: Python<'_>) -> Py<PyString> {
        let make = || PyString::new(py, &py.detach(|| self.message.json())).unbind();
        self.text.get_or_init(py, make).clone_ref(py)
    }

    /// The same object as a MessagePack map; the same bytes object every time.
    #[getter]
    fn msgpack(&self, py: Python<'_>) -> Py<PyBytes> {
        let make = || PyBytes::new(py, &py.detach(|| self.message.message_pack())).unbind();
        self.msgpack.get_or_init(py, make).clone_ref(py)
    }

    /// Channel "dbn": whole records of 56 bytes, of a snapshot DBN metadata and an MBO snapshot; None of all other channels.
    #[getter]
    fn binary(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        let bytes = self.message.bytes()?;
        Some(self.binary.get_or_init(py, || PyBytes::new(py, bytes).unbind()).clone_ref(py))
    }

    fn __repr__(&self) -> String {
        let message = &self.message;
        match message.prev() {
            Some(prev) => format!("<Message: {}, seq {} after {prev}>", message.kind().name(), message.seq()),
            None => format!("<Message: {}, seq {}>", message.kind().name(), message.seq()),
        }
    }
}

/// Follows one channel of one book. All clients of a group share it.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Stream {
    shared: Arc<Shared>,
    /// Locked before the market, and only without the GIL.
    stream: Mutex<stream::Stream>,
    is_closed: AtomicBool,
    /// The objects of messages that may be asked for again, so that all get the same.
    objects: Mutex<Vec<(Arc<stream::Message>, Py<Message>)>>,
    channel: &'static str,
    instrument: String,
    publisher_id: u16,
    instrument_id: u32,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, stream: stream::Stream) -> Self {
        Self {
            shared,
            is_closed: AtomicBool::new(false),
            objects: Mutex::new(Vec::new()),
            channel: stream.channel().name(),
            instrument: stream.instrument().to_owned(),
            publisher_id: stream.key().publisher_id,
            instrument_id: stream.key().instrument_id,
            stream: Mutex::new(stream),
        }
    }

    /// Works on the stream without the GIL. Raises RuntimeError if it is closed.
    fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut stream::Stream) -> R + Send) -> PyResult<R> {
        let worked = py.detach(|| {
            let mut stream = self.stream.lock();
            (!self.is_closed.load(Ordering::Relaxed)).then(|| work(&mut stream))
        });
        worked.ok_or_else(|| PyRuntimeError::new_err("this stream is closed"))
    }

    /// The one object of a message.
    fn object(&self, py: Python<'_>, message: Arc<stream::Message>) -> PyResult<Py<Message>> {
        let find = |objects: &Vec<(Arc<stream::Message>, Py<Message>)>| {
            let found = objects.iter().find(|(other, _)| Arc::ptr_eq(other, &message));
            found.map(|(_, object)| object.clone_ref(py))
        };
        if let Some(object) = find(&self.objects.lock()) {
            return Ok(object);
        }
        // Not made under the lock: memory for it may set the garbage collector to work, and that runs Python.
        let object = Py::new(py, Message::new(message.clone()))?;
        let mut objects = self.objects.lock();
        if let Some(object) = find(&objects) {
            return Ok(object);
        }
        objects.push((message, object.clone_ref(py)));
        Ok(object)
    }
}

#[pymethods]
impl Stream {
    /// "bbo", "depth", "orders", "trades" or "dbn".
    #[getter]
    fn channel(&self) -> &'static str {
        self.channel
    }

    /// The name its messages carry: the symbol if it names one book, or else "publisher_id:instrument_id".
    #[getter]
    fn instrument(&self) -> &str {
        &self.instrument
    }

    /// Databento's number of the publisher.
    #[getter]
    fn publisher_id(&self) -> u16 {
        self.publisher_id
    }

    /// Databento's number of the instrument.
    #[getter]
    fn instrument_id(&self) -> u32 {
        self.instrument_id
    }

    /// Moves on to the book as it is now; None if there is nothing to tell. Raises RuntimeError if it is closed.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Py<Message>>> {
        let told = self.with(py, |stream| {
            let look = self.shared.locked(|market| stream.look(market));
            stream.tell(look)
        })?;
        let Some(message) = told else { return Ok(None) };
        // Earlier ones are asked for no more; dropped outside the lock, since that may run Python.
        let old = std::mem::take(&mut *self.objects.lock());
        drop(old);
        self.object(py, message).map(Some)
    }

    /// The book as it was last told, so that the next delta continues it. Raises RuntimeError if it is closed.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<Message>> {
        let message = self.with(py, |stream| {
            if !stream.is_begun() {
                let look = self.shared.locked(|market| stream.look(market));
                stream.begin(look);
            }
            stream.snapshot()
        })?;
        self.object(py, message)
    }

    /// One delta from that seq to what was last told; None if there is none. Raises RuntimeError if it is closed.
    fn merged(
        &self,
        py: Python<'_>,
        epoch: &str,
        #[pyo3(from_py_with = ranged::seq)] seq: u64,
    ) -> PyResult<Option<Py<Message>>> {
        // Only as this module writes it.
        let Some(epoch) = u64::from_str_radix(epoch, 16).ok().filter(|value| format!("{value:x}") == epoch) else {
            return Ok(None);
        };
        let merged = self.with(py, |stream| stream.merged(epoch, seq))?;
        merged.map(|message| self.object(py, message)).transpose()
    }

    /// Listens no more; may be called again.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let mut stream = self.stream.lock();
            if !self.is_closed.swap(true, Ordering::Relaxed) {
                self.shared.locked_if_sound(|market| stream.close(market));
            }
        });
    }

    fn __repr__(&self) -> String {
        format!("<Stream: {} of {}>", self.channel, self.instrument)
    }
}

impl Drop for Stream {
    /// Perhaps with the GIL: whoever holds the market's lock waits for nothing that needs it.
    fn drop(&mut self) {
        if !*self.is_closed.get_mut() {
            let stream = self.stream.get_mut();
            self.shared.locked_if_sound(|market| stream.close(market));
        }
    }
}
