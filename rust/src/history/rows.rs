//! Rows that are derived from the log: trades, and best quotes and price levels by the second.
//!
//! When there is a row, and what it says, is told in `python/l3book/history/rows.py`, where the same layouts are numpy
//! types. [`RowMaker`] is told of each record before a market takes it, and reads the market at the end of a second.
//! What it keeps of a second is which levels were named; their state is the market's.
//!
//! # Why it makes no difference how far the market is behind
//! A row is due for each level at which an order came, changed or left in the second. For each record these are the
//! level it names itself and the one where its order rests. The latter is looked up in a market that may lack records
//! of the same second: held back, or told in one stretch. If one of these moved the order, then it was told of as well,
//! with the level that the order came from, or with that it went to. So all of them together name the same levels,
//! and the rows depend neither on stretches nor on where an indexer begins, as long as that is where a second does.

mod maker;
mod touched;

pub use maker::RowMaker;

use std::ffi::c_char;

use crate::{
    event::State,
    market::Key,
    record::{MboMsg, Side, UNDEF_PRICE},
};

/// A trade: a record with action T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Trade {
    /// Position in the log.
    pub ordinal: u64,
    /// When the matching engine received it, ns.
    pub ts_event: u64,
    /// When it was captured, ns.
    pub ts_recv: u64,
    /// As the record says.
    pub order_id: u64,
    /// In units of 1e-9.
    pub price: i64,
    /// Quantity.
    pub size: u32,
    /// The venue's number.
    pub sequence: u32,
    /// With `publisher_id` the key of the book.
    pub instrument_id: u32,
    /// See `instrument_id`.
    pub publisher_id: u16,
    /// Of the aggressor: `B`, `A` or `N`.
    pub side: u8,
    /// As the record says.
    pub flags: u8,
}

impl Trade {
    fn of(ordinal: u64, record: &MboMsg) -> Self {
        Self {
            ordinal,
            ts_event: record.hd.ts_event,
            ts_recv: record.ts_recv,
            order_id: record.order_id,
            price: record.price,
            size: record.size,
            sequence: record.sequence,
            instrument_id: record.hd.instrument_id,
            publisher_id: record.hd.publisher_id,
            side: letter(record.side),
            flags: record.flags.raw(),
        }
    }
}

/// The best levels of a book at the end of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Bbo {
    /// Start of the second by ts_recv, ns.
    pub ts: u64,
    /// Of the last record before the end of the second, of any book.
    pub ordinal: u64,
    /// In units of 1e-9; UNDEF_PRICE if there is none.
    pub bid_px: i64,
    /// See `bid_px`.
    pub ask_px: i64,
    /// 0 if there is none.
    pub bid_size: u64,
    /// 0 if there is none.
    pub ask_size: u64,
    /// Orders; 0 also for the quote of a top-of-book feed.
    pub bid_count: u32,
    /// See `bid_count`.
    pub ask_count: u32,
    /// With `publisher_id` the key of the book.
    pub instrument_id: u32,
    /// See `instrument_id`.
    pub publisher_id: u16,
    /// 0 empty, 1 snapshot, 2 live, 3 suspect.
    pub state: u8,
    pad: u8,
}

/// A price level at the end of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct LevelRow {
    /// Start of the second by ts_recv, ns.
    pub ts: u64,
    /// Of the last record before the end of the second, of any book.
    pub ordinal: u64,
    /// In units of 1e-9.
    pub price: i64,
    /// Of all orders; 0 if the level is gone.
    pub size: u64,
    /// Orders.
    pub count: u32,
    /// With `publisher_id` the key of the book.
    pub instrument_id: u32,
    /// See `instrument_id`.
    pub publisher_id: u16,
    /// `B` or `A`.
    pub side: u8,
    pad: u8,
}

/// What was made since it was last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// In the order of the log, but for those that waited for the end of their event.
    pub trades: Vec<Trade>,
    /// Of two with the same book and ts the later one is in force.
    pub bbo: Vec<Bbo>,
    /// Of two with the same book, ts, side and price the later one is in force.
    pub levels: Vec<LevelRow>,
}

/// A type of row: made of integers, without padding.
///
/// # Safety
/// Every byte of a value is part of one of its fields.
pub unsafe trait Row: Copy {}

// SAFETY: 5 fields of 8 bytes, 3 of 4, one of 2 and 2 of 1 are its 56 bytes.
unsafe impl Row for Trade {}
const _: () = assert!(size_of::<Trade>() == 5 * 8 + 3 * 4 + 2 + 2);
// SAFETY: 6 fields of 8 bytes, 3 of 4, one of 2 and 2 of 1 are its 64 bytes.
unsafe impl Row for Bbo {}
const _: () = assert!(size_of::<Bbo>() == 6 * 8 + 3 * 4 + 2 + 2);
// SAFETY: 4 fields of 8 bytes, 2 of 4, one of 2 and 2 of 1 are its 44 bytes.
unsafe impl Row for LevelRow {}
const _: () = assert!(size_of::<LevelRow>() == 4 * 8 + 2 * 4 + 2 + 2);

// SAFETY: an integer.
unsafe impl Row for u64 {}

/// The bytes of rows, as numpy reads them; of a processor that is little endian, as all are that we build for.
#[must_use]
pub fn bytes_of<R: Row>(rows: &[R]) -> &[u8] {
    // SAFETY: a `Row` has no padding, so every byte is initialised.
    unsafe { std::slice::from_raw_parts(rows.as_ptr().cast(), size_of_val(rows)) }
}

fn letter(byte: c_char) -> u8 {
    byte as u8
}

fn state_number(state: State) -> u8 {
    match state {
        State::Empty => 0,
        State::Snapshot => 1,
        State::Live => 2,
        State::Suspect => 3,
    }
}

impl LevelRow {
    fn new(ts: u64, ordinal: u64, key: Key, side: Side, price: i64, (size, count): (u64, u32)) -> Self {
        let Key { publisher_id, instrument_id } = key;
        Self { ts, ordinal, price, size, count, instrument_id, publisher_id, side: side.letter() as u8, pad: 0 }
    }
}

impl Bbo {
    fn of(ts: u64, ordinal: u64, key: Key, book: &crate::event::EventBook) -> Self {
        let best =
            |side| book.book().best(side).map_or((UNDEF_PRICE, 0, 0), |best| (best.price, best.size, best.count));
        let [(bid_px, bid_size, bid_count), (ask_px, ask_size, ask_count)] = Side::BOTH.map(best);
        let Key { publisher_id, instrument_id } = key;
        let state = state_number(book.state());
        Self {
            ts,
            ordinal,
            bid_px,
            ask_px,
            bid_size,
            ask_size,
            bid_count,
            ask_count,
            instrument_id,
            publisher_id,
            state,
            pad: 0,
        }
    }
}
