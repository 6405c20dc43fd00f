//! One number for the state of all books: equal on every machine, in every run, for equal books.
//!
//! It is XXH3-128 (seed 0) of the bytes below, in its canonical form: 32 hexadecimal digits. Anybody can recompute it
//! from the orders; a test does, in another language. All numbers are little endian.
//!
//! ```text
//! "L3ST", u32 1              what follows, and in which version
//! u64 books                  then each book, by ascending (publisher_id, instrument_id):
//!   u16 publisher_id, u32 instrument_id
//!   u64 seq, u64 ts_event, u64 ts_recv, u32 sequence      the last complete event; zeros before the first
//!   u8 state                 1 a snapshot is being loaded, 2 suspect, 4 past `until`,
//!                            8 the unfinished event will settle whether it is suspect, 16 it will be
//!   u64 held                 then each record that is held back: its 56 bytes, without ts_out (first byte 14)
//!   bids, then asks:
//!     u8 quoted, i64 price, u64 size      the quote of a top-of-book feed, or zeros
//!     u64 levels             then each, best first:
//!       i64 price, u32 orders             then each, in priority order:
//!         u64 order_id, u32 size, u64 ts_event
//! ```
//!
//! Not part of it: counters, symbols, rules and epochs. They tell of the way here, of names, of choices and of runs:
//! two books with equal fingerprints rest the same orders, and will do the same with the same records to come.

use twox_hash::XxHash3_128;

use crate::{
    book::Level,
    event::{EventBook, Moment},
    market::{Key, Market},
    record::{MBO_BYTES, Side, mbo_bytes},
};

const MAGIC: &[u8; 4] = b"L3ST";
const VERSION: u32 = 1;

/// A hash of 128 bits; shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Collects what is to be hashed; the hash is told of it in long pieces, which it takes faster than single numbers.
pub(crate) struct Digest {
    hash: XxHash3_128,
    pending: Vec<u8>,
}

const PENDING_BYTES: usize = 8192;

impl Digest {
    pub(crate) fn new() -> Self {
        Self { hash: XxHash3_128::new(), pending: Vec::with_capacity(PENDING_BYTES) }
    }

    #[inline]
    pub(crate) fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        if self.pending.len() + N > PENDING_BYTES {
            self.flush();
        }
        self.pending.extend_from_slice(&bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes([value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes(value.to_le_bytes());
    }

    /// A level as the running hash has it: price, size, orders. In one piece, for there are twenty in each row.
    #[inline]
    pub(crate) fn level(&mut self, level: Level) {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&level.price.to_le_bytes());
        bytes[8..16].copy_from_slice(&level.size.to_le_bytes());
        bytes[16..].copy_from_slice(&level.count.to_le_bytes());
        self.bytes(bytes);
    }

    fn flush(&mut self) {
        self.hash.write(&self.pending);
        self.pending.clear();
    }

    /// The hash of everything so far; more may follow.
    pub(crate) fn value(&mut self) -> Fingerprint {
        self.flush();
        Fingerprint(self.hash.finish_128())
    }

    fn book(&mut self, key: Key, book: &EventBook) {
        self.u16(key.publisher_id);
        self.u32(key.instrument_id);
        let Moment { seq, ts_event, ts_recv, sequence } = book.moment();
        self.u64(seq);
        self.u64(ts_event);
        self.u64(ts_recv);
        self.u32(sequence);
        self.u8(u8::from(book.is_loading)
            | u8::from(book.is_suspect) << 1
            | u8::from(book.is_past_end) << 2
            | u8::from(book.verdict.is_some()) << 3
            | u8::from(book.verdict == Some(true)) << 4);
        self.u64(book.held.len() as u64);
        for record in &book.held {
            let mut bytes = *mbo_bytes(record);
            bytes[0] = (MBO_BYTES / 4) as u8;
            self.bytes(bytes);
        }
        for side in Side::BOTH {
            let quote = book.book().quote(side);
            self.u8(u8::from(quote.is_some()));
            let (price, size) = quote.unwrap_or((0, 0));
            self.i64(price);
            self.u64(size);
            self.u64(book.book().level_count(side) as u64);
            for (level, queue) in book.book().queues(side) {
                self.i64(level.price);
                self.u32(level.count);
                for order in queue {
                    self.u64(order.order_id);
                    self.u32(order.size);
                    self.u64(order.ts_event);
                }
            }
        }
    }
}

/// The fingerprint of these books, in any order.
#[must_use]
pub fn of<'a>(books: impl IntoIterator<Item = (Key, &'a EventBook)>) -> Fingerprint {
    let mut books: Vec<_> = books.into_iter().collect();
    books.sort_unstable_by_key(|(key, _)| *key);
    let mut digest = Digest::new();
    digest.bytes(*MAGIC);
    digest.u32(VERSION);
    digest.u64(books.len() as u64);
    for (key, book) in books {
        digest.book(key, book);
    }
    digest.value()
}

impl Market {
    /// The state of all books as one number; see [`fingerprint`](self). Walks all of them.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        of(self.books())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkpoint,
        event::Rules,
        feed::Feed,
        sim::{Config, Simulator},
    };

    fn stream(records: usize) -> (Vec<u8>, usize) {
        let config = Config { instruments: 3, seed: 5, crossed: true, resting_max: Some(64) };
        let mut simulator = Simulator::new(config).expect("valid");
        let mut bytes = simulator.header();
        let header = bytes.len();
        simulator.read(records, &mut bytes);
        bytes.truncate(header + records * MBO_BYTES);
        (bytes, header)
    }

    fn fed<'a>(rules: Rules, chunks: impl IntoIterator<Item = &'a [u8]>) -> Market {
        let mut feed = Feed::new(rules);
        for chunk in chunks {
            feed.feed(chunk).expect("a good stream");
        }
        feed.market
    }

    /// The golden value holds the layout: whoever changes it changes the version too.
    #[test]
    fn the_same_on_every_machine_and_in_every_run() {
        assert_eq!(fed(Rules::default(), []).fingerprint().to_string(), EMPTY);
        assert_eq!(fed(Rules::default(), [&stream(3000).0[..]]).fingerprint().to_string(), THREE_THOUSAND);
    }

    const EMPTY: &str = "521a0fd1502d1f4be075c9a5161db9a9";
    const THREE_THOUSAND: &str = "ee173f47d92c824c30466040702e39a2";

    #[test]
    fn cuts_ts_out_the_epoch_and_a_checkpoint_do_not_show() {
        let (bytes, header) = stream(2777);
        let whole = fed(Rules::default(), [&bytes[..]]);
        let expected = whole.fingerprint();
        assert_eq!(fed(Rules::default(), bytes.chunks(91)).fingerprint(), expected);
        assert_eq!(fed(Rules { epoch: 77, ..Rules::default() }, [&bytes[..]]).fingerprint(), expected);
        let mut longer = bytes[..header].to_vec();
        for record in bytes[header..].chunks_exact(MBO_BYTES) {
            longer.push(record[0] + 2);
            longer.extend_from_slice(&record[1..]);
            longer.extend_from_slice(&7u64.to_le_bytes());
        }
        assert_eq!(fed(Rules::default(), [&longer[..]]).fingerprint(), expected);
        let restored = checkpoint::from_bytes(&checkpoint::to_bytes(&whole)).expect("a checkpoint");
        assert_eq!(restored.fingerprint(), expected);
    }

    #[test]
    fn every_record_shows_even_one_that_is_held_back() {
        let (bytes, header) = stream(600);
        let mut seen = std::collections::HashSet::new();
        let mut feed = Feed::new(Rules::default());
        feed.feed(&bytes[..header]).expect("metadata");
        for record in bytes[header..].chunks_exact(MBO_BYTES) {
            // Trades and Fills inside an event are never held back, and change no state before its end.
            if !matches!(record[38], b'T' | b'F') || record[36] & 128 != 0 {
                feed.feed(record).expect("a good record");
                assert!(seen.insert(feed.market.fingerprint()), "a record that changed nothing");
            }
        }
    }
}
