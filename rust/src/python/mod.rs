//! The Python module `l3book._core`: thin wrappers, one mapping of errors. The only folder that knows PyO3.

mod book;
mod compressor;
mod deriver;
mod errors;
mod history;
mod letter;
mod live_stream;
mod market;
mod progress;
mod ranged;
mod reader;
mod shared;
mod sim;
mod snapshot;
mod stream;
mod types;
mod verify;
mod watch;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::add_to(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
    module.add("UNDEF_PRICE", crate::record::UNDEF_PRICE)?;
    module.add_class::<types::Level>()?;
    module.add_class::<types::Bbo>()?;
    module.add_class::<types::Order>()?;
    module.add_class::<types::QueuePosition>()?;
    module.add_class::<types::Instrument>()?;
    module.add_class::<snapshot::BookSnapshot>()?;
    module.add_class::<book::Book>()?;
    module.add_class::<book::OrderBook>()?;
    module.add_class::<market::Market>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<stream::Message>()?;
    module.add_class::<reader::FileReader>()?;
    module.add_class::<live_stream::LiveStream>()?;
    module.add_class::<sim::Simulator>()?;
    module.add_class::<compressor::Compressor>()?;
    module.add_class::<deriver::Deriver>()?;
    history::add_to(module)?;
    module.add_class::<verify::VerifyReport>()?;
    module.add_function(wrap_pyfunction!(verify::verify, module)?)?;
    Ok(())
}
