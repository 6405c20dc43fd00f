//! `verify`: a whole file proven, and what was found.

use std::path::PathBuf;

use pyo3::{exceptions::PyValueError, prelude::*};

use super::{
    book::parse_same_size,
    errors::{decode_error_in, os_error},
    market::{PROGRESS_BYTES, parse_name},
    progress::Progress,
    ranged,
};
use crate::{
    decode::DecodeError,
    market::LookupError,
    verify::{CHECK_EVERY_EVENTS, OfficialError, OpenError, Options, Verification, report},
};

/// What `verify` found.
#[pyclass(frozen, module = "l3book")]
pub(super) struct VerifyReport(report::Report);

#[pymethods]
impl VerifyReport {
    /// Whether there is nothing to complain of.
    #[getter]
    fn good(&self) -> bool {
        self.0.verdict == report::Verdict::Good
    }

    /// "good", "different", "damaged", "no_overlap", "no_mbo" or "rejected".
    #[getter]
    fn verdict(&self) -> &'static str {
        self.0.verdict.name()
    }

    /// The state hash of all books at the end.
    #[getter]
    fn state_hash(&self) -> String {
        self.0.hashes.state.to_string()
    }

    /// The running hash over all events.
    #[getter]
    fn running_hash(&self) -> String {
        self.0.hashes.running.to_string()
    }

    /// All of it: docs/verify.md.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// What `to_json` says, as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.to_json(),))
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("l3book._verification")?.call_method1("to_text", (slf.call_method0("to_dict")?,))
    }
}

/// Reads a whole .dbn or .dbn.zst file, proves its books and describes it. A fault in the file is part of the report;
/// raises OSError if it cannot be read, UnknownInstrumentError if it has no book of that name.
#[pyfunction]
#[pyo3(
    signature = (path, against=None, *, instrument=None, oracle=true, same_size_modify="keeps_place",
                 check_every=CHECK_EVERY_EVENTS, hash_every=None, progress=None),
    text_signature = "(path, against=None, *, instrument=None, oracle=True, same_size_modify='keeps_place', \
                      check_every=50000, hash_every=None, progress=None)"
)]
#[expect(clippy::too_many_arguments, reason = "all but the first are keywords with defaults")]
pub(super) fn verify(
    py: Python<'_>,
    path: PathBuf,
    against: Option<PathBuf>,
    instrument: Option<&Bound<'_, PyAny>>,
    oracle: bool,
    same_size_modify: &str,
    #[pyo3(from_py_with = ranged::check_every)] check_every: u64,
    #[pyo3(from_py_with = ranged::hash_every)] hash_every: Option<u64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<VerifyReport> {
    for (name, every) in [("check_every", Some(check_every)), ("hash_every", hash_every)] {
        if every == Some(0) {
            return Err(PyValueError::new_err(format!("{name} 0, expected a number of events above 0")));
        }
    }
    let mut progress = progress.map(Progress::of).transpose()?;
    let name = instrument.map(parse_name).transpose()?;
    let options = Options {
        same_size: parse_same_size(same_size_modify)?,
        instrument: name.clone(),
        against: against.clone(),
        with_oracle: oracle,
        check_every_events: check_every,
        hash_every_events: hash_every.unwrap_or(0),
        ..Options::default()
    };
    let opened = py.detach(|| Verification::open(&path, options));
    let mut verification = opened.map_err(|error| match (error, against) {
        (OpenError::Mbp10(OfficialError::Io(error)), Some(against)) => os_error(&error, &against),
        (OpenError::Mbp10(OfficialError::Content(what)), Some(against)) => {
            decode_error_in(&DecodeError::new(0, what), &against)
        }
        (OpenError::Mbo(error) | OpenError::Mbp10(OfficialError::Io(error)), _) => os_error(&error, &path),
        (OpenError::Mbp10(OfficialError::Content(what)), None) => PyValueError::new_err(what),
    })?;
    loop {
        let outcome = py.detach(|| verification.step(PROGRESS_BYTES));
        let is_over = outcome.map_err(|error| os_error(&error, &path))?;
        py.check_signals()?;
        if let Some(progress) = &mut progress {
            let (bytes, bytes_in_all) = verification.progress_bytes();
            progress.tell(bytes, bytes_in_all)?;
        }
        if is_over {
            break;
        }
    }
    let report = py.detach(|| verification.finish());
    match name {
        Some(name) if report.books.is_empty() && report.damage.is_none() => {
            Err(LookupError::Unknown(name, report.books_skipped as usize).into())
        }
        _ => Ok(VerifyReport(report)),
    }
}
