//! Bindings of `crate::history`.

mod checkpoint;
mod dbn_reader;
mod indexer;
mod log;
mod past;
mod recorder;
mod replay;

use std::time::Duration;

use pyo3::{exceptions::PyValueError, prelude::*};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<recorder::Recorder>()?;
    module.add_class::<log::Log>()?;
    module.add_class::<past::Past>()?;
    module.add_class::<replay::Replay>()?;
    module.add_class::<dbn_reader::DbnReader>()?;
    module.add_class::<indexer::Indexer>()?;
    module.add_class::<indexer::Batch>()?;
    module.add_function(wrap_pyfunction!(checkpoint::check_checkpoint, module)?)
}

/// A time-out in seconds, at least 0.
fn timeout(seconds: f64) -> PyResult<Duration> {
    /// More would overflow clocks.
    const SECONDS_MAX: f64 = 1e9;
    Duration::try_from_secs_f64(seconds.min(SECONDS_MAX))
        .map_err(|_| PyValueError::new_err(format!("timeout_s {seconds}, expected 0 or more")))
}
