//! Whole numbers as arguments: one that does not fit is a `ValueError` that names the argument, the value and the range.

use pyo3::{
    exceptions::{PyOverflowError, PyValueError},
    prelude::*,
};

/// What fits into a whole number of the core.
pub(super) trait Ranged {
    /// The range, in the words of an error.
    fn range() -> String;
}

macro_rules! ranged {
    ($($whole:ty),+) => {
        $(impl Ranged for $whole {
            fn range() -> String {
                format!("{} to {}", Self::MIN, Self::MAX)
            }
        })+
    };
}

ranged!(u8, u16, u32, u64, usize, i32, i64);

impl<T: Ranged> Ranged for Option<T> {
    fn range() -> String {
        T::range()
    }
}

/// For each argument a function of its name, for `from_py_with`, that takes a whole number, or none where there may be none:
/// a type cannot know whose value it is, and PyO3 takes a path only.
macro_rules! named {
    ($($name:ident),+ $(,)?) => {
        $(#[inline(always)]
        pub(super) fn $name<'a, 'py, T>(value: &'a Bound<'py, PyAny>) -> PyResult<T>
        where
            T: FromPyObject<'a, 'py> + Ranged,
        {
            value.extract().map_err(|error: T::Error| refused(stringify!($name), value, error.into(), T::range))
        })+
    };
}

named!(
    level,
    order_id,
    price,
    size,
    flags,
    ts_event,
    ts_recv,
    ts_in_delta,
    sequence,
    channel_id,
    publisher_id,
    instrument_id,
    until,
    epoch,
    depth,
    queues,
    check_every,
    hash_every,
    as_if_now,
    at,
    bytes_max,
    checkpoint_records,
    code,
    end_ordinal,
    events,
    fsync_ms,
    fsync_records,
    instruments,
    limit,
    max_records,
    min_records,
    ordinal,
    ordinal_min,
    position,
    queue_bytes_max,
    rate,
    records,
    records_max,
    resting_max,
    seed,
    segment_bytes_max,
    seq,
    start,
    start_ordinal,
    ts
);

/// Takes a number of levels.
pub(super) fn levels(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let range = || format!("1 to {}, or None for all levels", i64::MAX);
    value.extract().map_err(|error| refused("depth", value, error, range))
}

/// An error that names what is at fault, if it is the number's size.
#[cold]
#[inline(never)]
fn refused(name: &str, value: &Bound<'_, PyAny>, error: PyErr, range: fn() -> String) -> PyErr {
    if !error.is_instance_of::<PyOverflowError>(value.py()) {
        return error;
    }
    // Not its digits: of more than 4,300, Python makes no text.
    let shown = value.str().map_or_else(|_| "of thousands of digits".to_owned(), |text| text.to_string());
    PyValueError::new_err(format!("{name} {shown}, expected {}", range()))
}
