//! What the watch of a `Market` tells Python.

use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{
    market::{Key, Market},
    watch::{Alert, Notice, Resumption, WatchStats},
};

/// What the methods that need a watch raise without one.
pub(super) fn unwatched() -> PyErr {
    PyRuntimeError::new_err("this Market has no watch, expected Market(watch=True)")
}

pub(super) fn parse_resumption(how: &str) -> PyResult<Resumption> {
    match how {
        "resume" => Ok(Resumption::Resume),
        "snapshot" => Ok(Resumption::Snapshot),
        "unknown" => Ok(Resumption::Unknown),
        _ => Err(PyValueError::new_err(format!("how {how:?}, expected 'resume', 'snapshot' or 'unknown'"))),
    }
}

/// An alert with the symbol of its book, as it was when the alert was taken.
pub(super) struct NamedAlert {
    alert: Alert,
    symbol: Option<String>,
}

impl NamedAlert {
    pub(super) fn of(alert: Alert, market: &Market) -> Self {
        let symbol = match &alert {
            Alert::Suspect { key, .. } | Alert::Live { key, .. } => market.symbol(*key).map(str::to_owned),
            Alert::Notice { .. } => None,
        };
        Self { alert, symbol }
    }

    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        match &self.alert {
            Alert::Suspect { key, reason, ts_event } => self.book(&dict, "suspect", *key, reason, *ts_event)?,
            Alert::Live { key, reason, ts_event } => self.book(&dict, "live", *key, reason, *ts_event)?,
            Alert::Notice { notice, ts_event } => {
                let (kind, code, text) = match notice {
                    Notice::System(code, text) => ("system", code, text),
                    Notice::Error(code, text) => ("error", code, text),
                };
                dict.set_item("kind", kind)?;
                dict.set_item("code", code)?;
                dict.set_item("text", text)?;
                dict.set_item("ts_event", ts_event)?;
            }
        }
        Ok(dict)
    }

    fn book(&self, dict: &Bound<'_, PyDict>, kind: &str, key: Key, reason: &str, ts_event: u64) -> PyResult<()> {
        dict.set_item("kind", kind)?;
        dict.set_item("reason", reason)?;
        dict.set_item("publisher_id", key.publisher_id)?;
        dict.set_item("instrument_id", key.instrument_id)?;
        dict.set_item("symbol", &self.symbol)?;
        dict.set_item("ts_event", ts_event)
    }
}

pub(super) fn alerts_list<'py>(py: Python<'py>, alerts: &[NamedAlert]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for alert in alerts {
        list.append(alert.dict(py)?)?;
    }
    Ok(list)
}

pub(super) fn watch_stats_dict<'py>(py: Python<'py>, stats: &WatchStats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let (suspicions, errors) = (PyDict::new(py), PyDict::new(py));
    for (reason, count) in &stats.suspicions {
        suspicions.set_item(&**reason, count)?;
    }
    for (code, count) in &stats.errors {
        errors.set_item(code, count)?;
    }
    dict.set_item("suspicions", suspicions)?;
    dict.set_item("errors", errors)?;
    for (name, value) in stats.counters() {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}
