//! `Replay`: a market of its own, moved along the log.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use pyo3::prelude::*;

use super::past::past_error;
use crate::{
    event::Rules,
    history::{self, Lender},
    market,
    python::{
        market::{Market, parse_name},
        ranged,
        shared::{Shared, with_lock},
    },
};

/// A market that is locked for one change at a time.
struct Lending(Arc<Shared>);

impl Lender for Lending {
    fn lend(&mut self, change: &mut dyn FnMut(&mut market::Market)) {
        self.0.locked(change);
    }
}

/// A market that is moved along a history: to any time, forwards by ts_recv, and by events of one book.
#[pyclass(frozen, module = "l3book")]
pub(super) struct Replay {
    replay: Mutex<history::Replay>,
    shared: Arc<Shared>,
    market: Py<Market>,
    /// Nobody waits any more for the step that is under way.
    is_given_up: AtomicBool,
}

impl Replay {
    /// For moving it: without the GIL.
    fn moved<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut history::Replay, &mut Lending) -> R + Send) -> R {
        py.detach(|| work(&mut self.replay.lock(), &mut Lending(self.shared.clone())))
    }

    fn told<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&history::Replay) -> R + Send) -> R {
        with_lock(py, &self.replay, |replay| work(replay))
    }
}

#[pymethods]
impl Replay {
    /// A market as of `at` (ts_event, ns; None: the newest session's first record). Raises HistoryError,
    /// NotRecordedError.
    #[new]
    #[pyo3(signature = (directory, at=None))]
    fn new(py: Python<'_>, directory: PathBuf, #[pyo3(from_py_with = ranged::at)] at: Option<u64>) -> PyResult<Self> {
        // Whoever followed an earlier replay must not take this one for its continuation.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let shared = Arc::new(Shared::new(market::Market::new(Rules { epoch, ..Rules::default() }), None));
        let replay = py.detach(|| history::Replay::open(&directory, at, epoch, &mut Lending(shared.clone())))?;
        let market = Py::new(py, Market::of_shared(shared.clone()))?;
        Ok(Self { replay: Mutex::new(replay), shared, market, is_given_up: AtomicBool::new(false) })
    }

    /// The market: always the same; follow it by `market.stream(...)`.
    #[getter]
    fn market(&self, py: Python<'_>) -> Py<Market> {
        self.market.clone_ref(py)
    }

    /// Goes to a time (ts_event, ns): before the first record that is later. Every book begins another epoch. Raises
    /// NotRecordedError, with everything where it was.
    fn seek(&self, py: Python<'_>, #[pyo3(from_py_with = ranged::at)] at: u64) -> PyResult<()> {
        Ok(self.moved(py, |replay, market| replay.seek(market, at))?)
    }

    /// Applies what was received until `ts_recv` (ns), at most so many records; returns how many.
    fn advance(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = ranged::ts_recv)] ts_recv: u64,
        #[pyo3(from_py_with = ranged::records_max)] records_max: usize,
    ) -> PyResult<usize> {
        Ok(self.moved(py, |replay, market| replay.advance(market, ts_recv, records_max))?)
    }

    /// Goes on until one book has completed so many more events, or back (negative) by so many; returns how many it
    /// were: fewer at the log's end or the session's beginning, or where `records_max` records were not enough to go on; none
    /// of a way back that was given up. Raises UnknownInstrumentError.
    #[pyo3(signature = (instrument, events, records_max=None))]
    fn step(
        &self,
        py: Python<'_>,
        instrument: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = ranged::events)] events: i64,
        #[pyo3(from_py_with = ranged::records_max)] records_max: Option<usize>,
    ) -> PyResult<i64> {
        let name = parse_name(instrument)?;
        let records_max = records_max.unwrap_or(usize::MAX);
        self.is_given_up.store(false, Ordering::Relaxed);
        let is_wanted = || !self.is_given_up.load(Ordering::Relaxed);
        self.moved(py, |replay, market| replay.step(market, &name, events, records_max, &is_wanted)).map_err(past_error)
    }

    /// Has a step back that is under way end soon, with everything where it was.
    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// ts_recv (ns) of the last record; 0 before the first.
    #[getter]
    fn ts_recv(&self, py: Python<'_>) -> u64 {
        self.told(py, history::Replay::ts_recv)
    }

    /// ts_event (ns) of the last record; 0 before the first.
    #[getter]
    fn ts_event(&self, py: Python<'_>) -> u64 {
        self.told(py, history::Replay::ts_event)
    }

    /// Of the next record.
    #[getter]
    fn ordinal(&self, py: Python<'_>) -> u64 {
        self.told(py, history::Replay::ordinal)
    }

    /// Whether the log had nothing more when the market was last moved; it may go on.
    #[getter]
    fn ended(&self, py: Python<'_>) -> bool {
        self.told(py, |replay| replay.next_ts().is_none())
    }

    /// ts_recv (ns) of the next record; None at the end.
    #[getter]
    fn next_ts(&self, py: Python<'_>) -> Option<u64> {
        self.told(py, history::Replay::next_ts)
    }
}
