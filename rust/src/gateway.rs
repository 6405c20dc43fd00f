//! The data plane of a gateway: the bytes of live sessions, made from recorded DBN files.
//!
//! ```text
//! tape (files, passes, times) ──► stream (who gets what) ──► outbox (faults, ts_out, zstd) ──► bytes
//!                                  │ routes   symbology
//!                                  │ kept
//! ```
//!
//! [`LiveStream`] is one session. It knows no socket and no clock: its caller says how many records, and until what
//! time. Bytes always are whole records, and with zstd whole frames, so a caller may stop anywhere.
//!
//! A session's own books and the [`Deriver`](crate::derive::Deriver)s of its schemas are made only when it asks for
//! them; the part of the tape that lies behind is then gone over again, because a snapshot has to be the book of
//! everything before the session's position, whoever read it.

mod clock;
mod delivery;
mod facts;
mod faults;
mod kept;
mod layout;
mod outbox;
mod passing;
mod routes;
mod stream;
mod subscription;
mod symbology;
mod tape;
mod tape_file;
mod wire;

pub use clock::{Clock, Pace};
pub use faults::Fault;
pub use stream::{LiveStream, Options};
pub use subscription::Request;
pub use tape_file::TapeError;
