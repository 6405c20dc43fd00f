//! Rust errors → Python exceptions.

use std::{io, path::Path};

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyException, PyKeyError, PyLookupError, PyOSError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

use crate::{
    book::Broken, checkpoint::CheckpointError, decode::DecodeError, history::HistoryError, market::LookupError,
    pieces::PieceError,
};

struct Exceptions {
    decode: Py<PyType>,
    invariant: Py<PyType>,
    unknown: Py<PyType>,
    ambiguous: Py<PyType>,
    unknown_order: Py<PyType>,
    checkpoint: Py<PyType>,
    history: Py<PyType>,
    history_locked: Py<PyType>,
    not_recorded: Py<PyType>,
}

static EXCEPTIONS: PyOnceLock<Exceptions> = PyOnceLock::new();

fn make<'py>(
    module: &Bound<'py, PyModule>,
    name: &str,
    bases: Vec<Bound<'py, PyType>>,
    doc: &str,
) -> PyResult<Bound<'py, PyType>> {
    let py = module.py();
    let namespace = PyDict::new(py);
    namespace.set_item("__module__", "l3book")?;
    namespace.set_item("__doc__", doc)?;
    let class = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, namespace))?;
    module.add(name, &class)?;
    Ok(class.cast_into()?)
}

/// Makes the exception classes (`create_exception!` knows no second base class) and adds them to the module.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = make(module, "L3BookError", vec![py.get_type::<PyException>()], "Base of every error of l3book's own.")?;
    let lookup = py.get_type::<PyLookupError>();
    let key_error = py.get_type::<PyKeyError>();
    let bases = vec![base.clone(), key_error];
    let unknown_order = make(module, "UnknownOrderError", bases, "No order rests under that id.")?;
    // KeyError's own would show the message in quotes, as if it were the key.
    unknown_order.setattr("__str__", py.get_type::<PyException>().getattr("__str__")?)?;
    let history = make(module, "HistoryError", vec![base.clone()], "A history cannot be read or recorded.")?;
    let locked_doc = "Another recorder writes to that folder: `pid` is its process, or None.";
    let history_locked = make(module, "HistoryLockedError", vec![history.clone()], locked_doc)?;
    let exceptions = Exceptions {
        not_recorded: make(
            module,
            "NotRecordedError",
            vec![history.clone()],
            "The history has nothing of that time or ordinal: before its beginning, in a hole, or removed since.",
        )?
        .unbind(),
        history: history.unbind(),
        history_locked: history_locked.unbind(),
        decode: make(
            module,
            "DecodeError",
            vec![base.clone(), py.get_type::<PyValueError>()],
            "The bytes are not what they should be; everything before `offset` was applied.",
        )?
        .unbind(),
        invariant: make(
            module,
            "InvariantError",
            vec![base.clone()],
            "`check()` found a book that breaks one of its own invariants: a bug in l3book.",
        )?
        .unbind(),
        unknown: make(
            module,
            "UnknownInstrumentError",
            vec![base.clone(), lookup.clone()],
            "No book goes by that name.",
        )?
        .unbind(),
        ambiguous: make(
            module,
            "AmbiguousInstrumentError",
            vec![base.clone(), lookup],
            "Several books go by that name: `choices` lists (publisher_id, instrument_id).",
        )?
        .unbind(),
        unknown_order: unknown_order.unbind(),
        checkpoint: make(
            module,
            "CheckpointError",
            vec![base.clone(), py.get_type::<PyValueError>()],
            "These bytes are no checkpoint, or none can be made inside a record or zstd frame.",
        )?
        .unbind(),
    };
    // A second sub-interpreter would find the first one's classes; abi3 modules load once per process.
    let _ = EXCEPTIONS.set(py, exceptions);
    Ok(())
}

fn raise(class: fn(&Exceptions) -> &Py<PyType>, message: String, attributes: Vec<(&str, Py<PyAny>)>) -> PyErr {
    Python::attach(|py| {
        let exceptions = EXCEPTIONS.get(py).expect("set when the module was made");
        let made = class(exceptions).bind(py).call1((message,)).and_then(|error| {
            for (name, value) in attributes {
                error.setattr(name, value)?;
            }
            Ok(error)
        });
        made.map_or_else(|error| error, PyErr::from_value)
    })
}

fn object<'py, T: IntoPyObject<'py>>(py: Python<'py>, value: T) -> Py<PyAny> {
    value.into_bound_py_any(py).map_or_else(|_| py.None(), Bound::unbind)
}

impl From<DecodeError> for PyErr {
    fn from(error: DecodeError) -> Self {
        let (offset, filename) = Python::attach(|py| (object(py, error.offset), py.None()));
        raise(|e| &e.decode, error.to_string(), vec![("offset", offset), ("filename", filename)])
    }
}

impl From<Broken> for PyErr {
    fn from(error: Broken) -> Self {
        raise(|e| &e.invariant, error.to_string(), vec![])
    }
}

impl From<CheckpointError> for PyErr {
    fn from(error: CheckpointError) -> Self {
        checkpoint_error(error.to_string())
    }
}

pub(super) fn checkpoint_error(what: String) -> PyErr {
    raise(|e| &e.checkpoint, what, vec![])
}

impl From<HistoryError> for PyErr {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        match error {
            HistoryError::Locked { pid, .. } => {
                let pid = Python::attach(|py| object(py, pid));
                raise(|e| &e.history_locked, message, vec![("pid", pid)])
            }
            HistoryError::NotRecorded { what, .. } => {
                let what = Python::attach(|py| object(py, what));
                raise(|e| &e.not_recorded, message, vec![("what", what)])
            }
            _ => raise(|e| &e.history, message, vec![]),
        }
    }
}

impl From<LookupError> for PyErr {
    fn from(error: LookupError) -> Self {
        let message = error.to_string();
        match error {
            LookupError::Unknown(..) => raise(|e| &e.unknown, message, vec![]),
            LookupError::Ambiguous { choices, .. } => {
                let choices: Vec<_> = choices.iter().map(|key| (key.publisher_id, key.instrument_id)).collect();
                let choices = Python::attach(|py| object(py, choices));
                raise(|e| &e.ambiguous, message, vec![("choices", choices)])
            }
        }
    }
}

pub(super) fn unknown_order(what: String) -> PyErr {
    raise(|e| &e.unknown_order, what, vec![])
}

/// An `OSError` (or the subclass for its errno) that names the file, as Python's own `open` raises.
pub(super) fn os_error(error: &io::Error, path: &Path) -> PyErr {
    const EISDIR: i32 = 21;
    const EIO: i32 = 5;
    const EINVAL: i32 = 22;
    let errno = match error.kind() {
        io::ErrorKind::IsADirectory => EISDIR,
        // Ours, for what could keep us waiting: a pipe, a terminal, a device.
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            return PyOSError::new_err((EINVAL, "not a regular file", path.to_path_buf()));
        }
        _ => error.raw_os_error().unwrap_or(EIO),
    };
    let text = Python::attach(|py| py.import("os")?.call_method1("strerror", (errno,))?.extract::<String>())
        .unwrap_or_else(|_| error.to_string());
    PyOSError::new_err((errno, text, path.to_path_buf()))
}

pub(super) fn piece_error(error: PieceError, path: &Path) -> PyErr {
    match error {
        PieceError::Io(error) => os_error(&error, path),
        PieceError::Decode(error) => decode_error_in(&error, path),
    }
}

/// A `DecodeError` that names the file, in its text and as `filename`.
pub(super) fn decode_error_in(error: &DecodeError, path: &Path) -> PyErr {
    let text = format!("{}: {error}", path.display());
    Python::attach(|py| {
        let attributes = [("offset", object(py, error.offset)), ("filename", object(py, path))];
        raise(|e| &e.decode, text, attributes.into())
    })
}
