//! `check_checkpoint`: whether a checkpoint is what was written.

use std::path::{Path, PathBuf};

use pyo3::{prelude::*, types::PyDict};

use crate::{
    history::checkpoint_file::{CheckpointFile, CheckpointFileError, Head},
    python::errors::checkpoint_error,
};

/// Reads all of a checkpoint: {"ordinal", "session", "books"}. Raises CheckpointError where it is damaged, or OSError.
#[pyfunction]
pub(super) fn check_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let (head, books) = py.detach(|| read(&path)).map_err(|error| match error {
        CheckpointFileError::Damaged { what, .. } => checkpoint_error(what),
        CheckpointFileError::Io { source, .. } => source.into(),
    })?;
    let dict = PyDict::new(py);
    dict.set_item("ordinal", head.ordinal)?;
    dict.set_item("session", head.session)?;
    dict.set_item("books", books)?;
    Ok(dict)
}

fn read(path: &Path) -> Result<(Head, usize), CheckpointFileError> {
    let file = CheckpointFile::open(path)?;
    let market = file.market()?;
    file.watch(&market)?;
    Ok((*file.head(), file.keys().count()))
}
