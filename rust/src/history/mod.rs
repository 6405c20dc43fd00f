//! The log: what a market applied, on disk, in order, each record once.
//!
//! - [`mark`]: what moves books without a record, in the same stream
//! - [`layout`]: names of folders and files; [`index`]: where the frames of a segment are
//! - [`checkpoint_file`]: a market of one moment, from which the log goes on
//! - [`Recorder`]: writing, by a thread of its own; what a restart makes of what it finds
//! - [`Log`]: reading, also beside the writer and in another process; [`Cursor`]: all of it from an ordinal on
//! - [`Shadow`]: the market as it was at an ordinal; [`Past`]: one book as of a time; [`Replay`]: a market moved along the log
//! - [`Telling`]: the MBO records of a part of it, and what books become where records do not lead to it
//! - [`Indexer`]: follows it, and derives what stores and readers need
//! - [`orders`]: where in it an order is
//! - [`rows`]: trades, best quotes and levels by the second, derived from it
//!
//! A segment is a `.dbn.zst` file that any DBN tool reads: a zstd frame with the metadata, then frames of whole
//! records. Each frame has a checksum of its own and is the unit of durability: first its bytes are on disk, then its
//! entry is in the index. A reader sees a frame once it has an entry.

mod ahead;
mod beginnings;
pub mod checkpoint_file;
mod cursor;
mod error;
mod export;
mod files;
mod frame;
mod frame_reader;
mod frames;
pub mod index;
mod indexer;
mod kept_from;
mod known;
pub mod layout;
mod lock;
mod log;
pub mod mark;
mod names;
mod openings;
pub mod orders;
mod past;
mod platform;
mod queue;
mod recent;
mod recorder;
mod recovery;
mod replay;
pub mod rows;
mod segment;
mod shadow;
mod stats;
mod stretch;
mod telling;
mod verdict;
mod walk;
mod writer;

pub use beginnings::SessionStart;
pub use cursor::{Cursor, Item};
pub use error::HistoryError;
pub use frame::Plain;
pub use frames::{Frame, Frames};
pub use indexer::{Batch, CheckpointSaved, Indexer, IndexerSettings, Instrument};
pub use known::Reach;
pub use log::{Clock, Hole, Log, Session};
pub use mark::Mark;
pub use past::{Past, PastError};
pub(crate) use queue::Queue;
pub use recorder::{FRAME_RECORDS_MAX, QUEUE_BYTES_MIN, Recorder, Settings};
pub use recovery::Recovered;
pub use replay::{Lender, Replay};
pub use segment::Segment;
pub use shadow::{Shadow, restore};
pub use stats::Stats;
pub use telling::{Telling, books_before};
pub use verdict::{Damage, Verdict};
