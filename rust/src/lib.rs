//! Full-depth (L3, market-by-order) order books from Databento DBN data.
//!
//! Bytes flow one way:
//!
//! ```text
//! pieces ──► decode ──► market ──► event ──► book ──► levels, queue, id_map
//! (a file)   (records)  (by key)   (whole              (prices)  (orders)
//!              │                    events)
//!            inflate                view ──► encode
//! ```
//!
//! - [`decode`]: DBN bytes, cut anywhere, raw or zstd → metadata and runs of MBO records; [`pieces`]: a file's bytes
//! - [`market`]: the books by (publisher_id, instrument_id), symbols, counters; [`feed`]: both of these together
//! - [`event`]: a book that moves by whole events; [`book`]: one that moves record by record, and its invariants
//! - [`watch`]: what guards a live feed on its way into the market: gaps, doubts, going on after a break
//! - [`view`]: immutable pictures; [`encode`]: as JSON and MessagePack; [`stream`]: what changes, for all who follow a
//!   book; [`checkpoint`]: a whole market to and from bytes
//! - [`derive`](mod@derive): rows of Databento's other schemas, made from MBO
//! - [`history`]: the log of what a market applied, on disk; [`journal`]: how it gets there
//! - [`fingerprint`]: a hash of all books' state; [`verify`]: a whole file's books, proven against [`naive`]'s
//! - [`gateway`]: the bytes of a live session, made from recorded files
//! - [`reader`]: a file in chunks of whole records; [`sim`]: a synthetic market; [`latency`]: percentiles
//! - [`naive`]: the plain book that tests and benchmarks hold the fast one against
//!
//! Prices are `i64` in units of 1e-9, times `u64` nanoseconds since the UNIX epoch, both exactly as in the records.
//! Nothing here knows Python but the folder `python`.

#[doc(hidden)]
pub mod bench_support;
pub mod book;
pub mod checkpoint;
pub mod decode;
pub mod derive;
pub mod encode;
pub mod event;
pub mod feed;
pub mod fingerprint;
pub mod gateway;
pub mod history;
mod id_map;
mod inflate;
pub mod journal;
pub mod latency;
mod levels;
pub mod market;
mod mbo_snapshot;
mod metadata;
pub mod naive;
pub mod pieces;
mod price_cache;
mod queue;
pub mod reader;
pub mod record;
pub mod sim;
pub mod stream;
mod symbols;
mod tap;
pub mod verify;
pub mod view;
pub mod watch;
mod writer;

#[cfg(feature = "python")]
mod python;
