//! Letters of a record as arguments: text, bytes as a numpy row has them, or Databento's enums.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};

use crate::record::Side;

/// Takes a record's action, or none.
pub(super) fn action(value: &Bound<'_, PyAny>) -> PyResult<Option<u8>> {
    optional("action", value)
}

/// Takes a record's side, or none.
pub(super) fn side(value: &Bound<'_, PyAny>) -> PyResult<Option<u8>> {
    optional("side", value)
}

/// Takes the side of a book.
pub(super) fn book_side(value: &Bound<'_, PyAny>) -> PyResult<Side> {
    const EXPECTED: &str = "'B' or 'A'";
    let byte = letter("side", value, EXPECTED)?;
    let wrong = || PyValueError::new_err(format!("side {:?}, expected {EXPECTED}", char::from(byte).to_string()));
    Side::from_byte(byte).ok_or_else(wrong)
}

fn optional(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<u8>> {
    if value.is_none() { Ok(None) } else { letter(field, value, "one ASCII letter").map(Some) }
}

fn letter(field: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyResult<u8> {
    if let Ok(text) = value.cast::<PyString>() {
        return only(field, text, expected);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        let [byte] = bytes.as_bytes() else {
            return Err(PyValueError::new_err(format!("{field} {}, expected {expected}", bytes.repr()?)));
        };
        return Ok(*byte);
    }
    let text = value.str()?;
    // databento_dbn's Action and Side equal their letter; nothing else that is no text equals its text.
    if !value.eq(&text)? {
        let name = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{field} of type {name}, expected {expected}")));
    }
    only(field, &text, expected)
}

fn only(field: &str, text: &Bound<'_, PyString>, expected: &str) -> PyResult<u8> {
    let text = text.to_str()?;
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(PyValueError::new_err(format!("{field} {text:?}, expected {expected}"))),
    }
}
