//! Other Databento schemas, derived from MBO records as they come.
//!
//! [`Deriver`] is a push interface: records (or, as a [`Sink`](crate::decode::Sink), decoded bytes) go in, rows in
//! dbn's own layouts come out as bytes. It keeps one book per instrument and whatever is unfinished of an interval, so
//! its memory grows with what rests and never with what passed. The rules, and where each of them comes from, stand
//! in docs/convert.md.
//!
//! Rows are made record by record and not event by event: Databento publishes rows inside events too, so this works
//! on [`OrderBook`](crate::book::OrderBook) and not on the event-wise book that readers see.

mod bars;
mod csv;
mod deriver;
mod header;
mod ladder;
mod quotes;
mod rows;
mod schema;

pub use csv::CsvOptions;
pub use deriver::{Counters, Deriver};
pub use schema::Schema;
