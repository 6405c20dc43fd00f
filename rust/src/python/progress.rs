//! Who is told how far a file is read.

use pyo3::{exceptions::PyTypeError, intern, prelude::*};

/// A function of (bytes read, bytes in all), or a bar as tqdm has them.
pub(super) enum Progress<'a, 'py> {
    Function(&'a Bound<'py, PyAny>),
    /// Its bytes so far are known here: bars are told by how many more there are.
    Bar(&'a Bound<'py, PyAny>, u64),
}

impl<'a, 'py> Progress<'a, 'py> {
    /// Raises TypeError for what is neither, before anything is read.
    pub(super) fn of(told: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if told.is_callable() {
            return Ok(Self::Function(told));
        }
        if told.hasattr(intern!(told.py(), "update"))? {
            return Ok(Self::Bar(told, 0));
        }
        let name = told.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "progress of type {name}, expected a function of (bytes_read, bytes_total), or a bar such as tqdm's"
        )))
    }

    pub(super) fn tell(&mut self, bytes: u64, bytes_in_all: u64) -> PyResult<()> {
        match self {
            Self::Function(function) => function.call1((bytes, bytes_in_all))?,
            Self::Bar(bar, told) => {
                let more = bytes.saturating_sub(*told);
                *told = bytes;
                bar.setattr(intern!(bar.py(), "total"), bytes_in_all)?;
                bar.call_method1(intern!(bar.py(), "update"), (more,))?
            }
        };
        Ok(())
    }
}
