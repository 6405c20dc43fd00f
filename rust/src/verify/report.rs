//! What a verification found. The serialised form is documented in docs/verify.md.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{
    against::AgainstReport,
    audit::{Oddities, Span},
    difference::Difference,
    fifo::Fifo,
    periods::Periods,
};
use crate::fingerprint::Fingerprint;

/// Name and version of the serialised form.
pub const FORMAT: &str = "l3book.verify.1";

/// Times are strings: they exceed what a JSON number holds exactly.
pub(super) fn ns_text<S: Serializer>(ns: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ns)
}

pub(super) fn maybe_ns_text<S: Serializer>(ns: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ns {
        Some(ns) => serializer.collect_str(ns),
        None => serializer.serialize_none(),
    }
}

/// The answer in one word; the first of these that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A book is not as it should be.
    Different,
    /// The stream is not whole: everything before the fault was verified.
    Damaged,
    /// No row of the venue's MBP-10 falls into the time of the MBO records.
    NoOverlap,
    /// There are records, but none of an order.
    NoMbo,
    /// Records were refused.
    Rejected,
    /// Nothing to complain of.
    Good,
}

impl Verdict {
    /// As it is serialised.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Different => "different",
            Verdict::Damaged => "damaged",
            Verdict::NoOverlap => "no_overlap",
            Verdict::NoMbo => "no_mbo",
            Verdict::Rejected => "rejected",
            Verdict::Good => "good",
        }
    }
}

/// What the naive book was asked, and what it was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OracleReport {
    /// Events after which both books agreed on all that the event could have touched.
    pub events: u64,
    /// Levels with their queues that were compared.
    pub levels: u64,
    /// Times that whole books were compared, all of them each time.
    pub whole: u64,
}

/// The hashes after an event, so that two machines can find where they part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HashPoint {
    /// Complete events of all books.
    pub event: u64,
    /// Ordinal of the record that completed it.
    pub record: u64,
    /// See [`Hashes::running`].
    pub running: Fingerprint,
    /// See [`Hashes::state`].
    pub state: Fingerprint,
}

/// The hashes of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hashes {
    /// Of all books at the end; see [`fingerprint`](crate::fingerprint).
    pub state: Fingerprint,
    /// Of the top ten levels after every event; see [`chain`](super::chain).
    pub running: Fingerprint,
    /// Every so many events, where that was asked for.
    pub points: Vec<HashPoint>,
}

/// One book.
#[derive(Clone, Debug, Serialize)]
pub struct BookReport {
    /// Databento's number of the venue and dataset.
    pub publisher_id: u16,
    /// Databento's number of the instrument.
    pub instrument_id: u32,
    /// Its symbol at the end.
    pub symbol: Option<String>,
    /// Its state at the end.
    pub state: &'static str,
    /// Complete events.
    pub events: u64,
    /// Resting orders at the end.
    pub orders: u64,
    /// When best bid was above best ask after an event.
    pub crossed: Periods,
    /// When they were equal.
    pub locked: Periods,
    /// When the feed said that it had lost packets.
    pub suspect: Periods,
    /// Whether fills took the front of the queues.
    pub fifo: Fifo,
    /// Fingerprint of this book alone.
    pub state_hash: Fingerprint,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The file.
    pub file: String,
    /// The answer.
    pub verdict: Verdict,
    /// The first difference, if there is one. Books are not compared any further after it.
    pub difference: Option<Difference>,
    /// The fault that ended the stream early.
    pub damage: Option<String>,
    /// The first refused record.
    pub first_rejected: Option<String>,
    /// Records of other instruments, where one was asked for.
    pub skipped: u64,
    /// Books of other instruments.
    pub books_skipped: u64,
    /// Sums of all books' counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// Records that are neither MBO nor symbol mappings.
    pub other_records: u64,
    /// Streams in the file.
    pub metadata_headers: u64,
    /// First and last times.
    pub span: Span,
    /// What is odd about the records.
    pub oddities: Oddities,
    /// Sums over all books.
    pub crossed: Periods,
    /// Sums over all books.
    pub locked: Periods,
    /// Sums over all books.
    pub suspect: Periods,
    /// Sums over all books.
    pub fifo: Fifo,
    /// Share of judged groups of fills in order; nothing if none was judged.
    pub fifo_rate: Option<f64>,
    /// What the naive book was asked; nothing if it was not.
    pub oracle: Option<OracleReport>,
    /// Times that every invariant of every book was checked.
    pub invariant_checks: u64,
    /// What the venue's own MBP-10 was asked; nothing if there was none.
    pub against: Option<AgainstReport>,
    /// The hashes.
    pub hashes: Hashes,
    /// Every book, by key.
    pub books: Vec<BookReport>,
    /// Time used, seconds.
    pub took_s: f64,
    /// MBO records per second.
    pub records_per_s: f64,
}

impl Report {
    /// As one JSON object.
    ///
    /// # Panics
    /// Never: everything in it can be serialised.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and lists")
    }
}
