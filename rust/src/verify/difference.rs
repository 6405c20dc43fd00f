//! The first thing that is not as it should be.

use serde::Serialize;

use super::report::ns_text;
use crate::{
    decode::Position,
    encode::push_price,
    market::Key,
    record::{MboMsg, UNDEF_PRICE},
};

/// Who noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// The naive book shows something else.
    Oracle,
    /// The book breaks one of its own invariants.
    Invariant,
    /// The venue's own MBP-10 shows something else.
    Mbp10,
}

/// What differs, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) got: String,
}

impl Mismatch {
    pub(super) fn new(what: impl Into<String>, expected: impl ToString, got: impl ToString) -> Self {
        Self { what: what.into(), expected: expected.to_string(), got: got.to_string() }
    }
}

/// The first difference, and the record at which it showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Who noticed.
    pub judge: Judge,
    /// Records of any type before the record in its file.
    pub record: u64,
    /// Bytes before it, decompressed.
    pub byte: u64,
    /// The book.
    pub publisher_id: u16,
    /// The book.
    pub instrument_id: u32,
    /// Complete events of the book.
    pub seq: u64,
    /// The record's own time, ns.
    #[serde(serialize_with = "ns_text")]
    pub ts_event: u64,
    /// The record in words.
    pub mbo: String,
    /// What differs.
    pub what: String,
    /// What it should be: the oracle's or the venue's.
    pub expected: String,
    /// What our book has.
    pub got: String,
}

impl Difference {
    pub(super) fn new(judge: Judge, at: Position, record: &MboMsg, seq: u64, mismatch: Mismatch) -> Self {
        let Key { publisher_id, instrument_id } = Key::of(record);
        let Mismatch { what, expected, got } = mismatch;
        Self {
            judge,
            record: at.record,
            byte: at.offset,
            publisher_id,
            instrument_id,
            seq,
            ts_event: record.hd.ts_event,
            mbo: words(record),
            what,
            expected,
            got,
        }
    }
}

/// A price as a decimal, for people.
pub(super) fn decimal(price: i64) -> String {
    let mut text = Vec::new();
    push_price(&mut text, price);
    String::from_utf8(text).expect("digits")
}

/// A record for people: `A B 64.79 x 3, order 6415, sequence 9, flags 130`.
pub(super) fn words(record: &MboMsg) -> String {
    let letter = |byte: std::ffi::c_char| (byte as u8).escape_ascii().to_string();
    let price = if record.price == UNDEF_PRICE { "-".into() } else { decimal(record.price) };
    format!(
        "{} {} {price} x {}, order {}, sequence {}, flags {}",
        letter(record.action),
        letter(record.side),
        record.size,
        record.order_id,
        record.sequence,
        record.flags.raw()
    )
}
