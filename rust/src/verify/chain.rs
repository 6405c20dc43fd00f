//! The running hash: what everybody could see of every book, in the order in which it could be seen.
//!
//! It is XXH3-128 (seed 0) over one row per completed event, in the order of completion, so two machines that agree
//! on it agree on the top of every book after every event of the stream, not only at its end. All numbers are little
//! endian:
//!
//! ```text
//! u16 publisher_id, u32 instrument_id, u64 seq, u64 ts_event, u64 ts_recv, u32 sequence
//! u8 state      0 empty, 1 snapshot, 2 live, 3 suspect
//! u8 bids, u8 asks: how many levels follow of each, at most ten
//! then each, bids first, best first: i64 price, u64 size, u32 orders
//! ```

use crate::{
    event::{EventBook, Moment, State},
    fingerprint::{Digest, Fingerprint},
    market::Key,
    record::Side,
};

/// Levels of each side in a row.
const DEPTH: usize = 10;

pub(super) struct Chain(Digest);

impl Chain {
    pub(super) fn new() -> Self {
        Self(Digest::new())
    }

    /// Adds the row of a book that has just completed an event.
    pub(super) fn add(&mut self, key: Key, book: &EventBook) {
        let digest = &mut self.0;
        let Moment { seq, ts_event, ts_recv, sequence } = book.moment();
        digest.u16(key.publisher_id);
        digest.u32(key.instrument_id);
        digest.u64(seq);
        digest.u64(ts_event);
        digest.u64(ts_recv);
        digest.u32(sequence);
        digest.u8(match book.state() {
            State::Empty => 0,
            State::Snapshot => 1,
            State::Live => 2,
            State::Suspect => 3,
        });
        for side in Side::BOTH {
            digest.u8(book.book().level_count(side).min(DEPTH) as u8);
        }
        for side in Side::BOTH {
            book.book().levels(side).take(DEPTH).for_each(|level| digest.level(level));
        }
    }

    /// The hash of all rows so far.
    pub(super) fn value(&mut self) -> Fingerprint {
        self.0.value()
    }
}
