//! A synthetic market: an endless, realistic and deterministic stream of Databento MBO records.
//!
//! It is there for demonstrations without a key, for benchmarks, and as a test of the books. The same [`Config`] gives
//! the same bytes on every machine: only integers decide, the random numbers are the module's own, and golden hashes
//! pin the result. [`Simulator::read`] writes whole events, and how a reader cuts the stream changes nothing about it.
//!
//! # What is in the stream
//! - Every instrument opens with an MBO snapshot: Clear, then its orders in priority order. Now and then a book is
//!   cleared, in two ways by turns: it stands empty for an event and opens anew elsewhere, or the surviving orders
//!   follow the Clear at once, as when a feed recovers from a gap.
//! - Adds, whole and partial Cancels, and every kind of Modify: smaller, larger, at another price, unchanged after a
//!   fill.
//! - Trades that take the front of the queue: Trade, Fills, then Cancels and Modifies, in one event of which only the
//!   last record carries LAST. Remainders that rest, sweeps through several price levels, a few trades without an
//!   aggressor (side N).
//! - Events completed by a None record, mass cancels in one event, bursts of hundreds of records in a millisecond.
//! - A touch that walks, with changing trends, so that price levels come and go.
//!
//! Of all records, about 42 % are A, 44 % C (one in thirteen partial), 7 % M, 1.2 % T, 4 % F and 1 % N. Some 18,000
//! orders rest for each of up to 11 instruments, 200,000 in all for up to 3,125, and 64 for each of more. Instrument
//! n is as busy as 1 / n^0.7. Time starts on 2026-01-05 at 14:30 UTC, and 120 µs lie between two events on average,
//! outside bursts.
//!
//! # What is not
//! No order is unknown, cancelled beyond its size or left without size, and no book is crossed or locked at LAST unless
//! [`Config::crossed`] asks for it. `ts_event`, `ts_recv` and `sequence` never decrease, until `sequence` wraps after
//! some three thousand million events. Memory does not grow with the length of the stream.

mod instrument;
mod opening;
mod resting;
mod rng;
mod tape;
mod trading;

use std::mem;

use dbn::encode::dbn::MetadataEncoder;
use dbn::{MappingInterval, Metadata, SType, Schema, SymbolMapping};

use instrument::Instrument;
use rng::Rng;
use tape::{START_NS, Tape};

/// How many instruments a [`Simulator`] can have; it has at least one.
pub const INSTRUMENTS_MAX: u32 = 10_000;

/// Resting orders of all instruments together, as long as each has its share within the two limits below.
const RESTING_ORDERS_TOTAL: u32 = 200_000;
/// The fewest orders a book can be kept at.
pub const RESTING_ORDERS_PER_INSTRUMENT_MIN: u32 = 64;
/// The most.
pub const RESTING_ORDERS_PER_INSTRUMENT_MAX: u32 = 18_000;
/// The symbols are mapped for so long after the start: more than 20,000 million records.
const MAPPED_NS: u64 = 90 * 24 * 60 * 60 * 1_000_000_000;
const FIRST_INSTRUMENT_ID: u32 = 432_669;

/// What a [`Simulator`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Another seed, another market.
    pub seed: u64,
    /// How many instruments, 1 to [`INSTRUMENTS_MAX`]; SYN0 is the busiest.
    pub instruments: u32,
    /// Should books be crossed at LAST for some periods, as before an open?
    pub crossed: bool,
    /// Keeps books smaller than they would be with so many instruments: orders that rest in each, give or take.
    pub resting_max: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 1, instruments: 1, crossed: false, resting_max: None }
    }
}

/// A [`Config`] that no [`Simulator`] can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No instruments, or more than [`INSTRUMENTS_MAX`].
    #[error("instruments: expected 1 to {INSTRUMENTS_MAX}, not {0}")]
    Instruments(u32),
    /// Fewer or more resting orders than a book can be kept at.
    #[error(
        "resting_max: expected {RESTING_ORDERS_PER_INSTRUMENT_MIN} to {RESTING_ORDERS_PER_INSTRUMENT_MAX}, not {0}"
    )]
    Resting(u32),
}

/// A synthetic market; see the [module](self).
pub struct Simulator {
    tape: Tape,
    instruments: Vec<Instrument>,
    /// Running sum of how busy the instruments are.
    activity: Vec<u64>,
    /// Instruments whose first snapshot is written.
    opened: usize,
    current: usize,
    /// Events that still belong to the current instrument.
    run: u32,
    /// After [`read_last`](Self::read_last).
    is_over: bool,
}

impl Simulator {
    /// A market at its start, before any record.
    ///
    /// # Errors
    /// [`ConfigError`] if `config.instruments` is out of range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let count = config.instruments;
        if !(1..=INSTRUMENTS_MAX).contains(&count) {
            return Err(ConfigError::Instruments(count));
        }
        let range = RESTING_ORDERS_PER_INSTRUMENT_MIN..=RESTING_ORDERS_PER_INSTRUMENT_MAX;
        let limit = config.resting_max.unwrap_or(*range.end());
        if !range.contains(&limit) {
            return Err(ConfigError::Resting(limit));
        }
        let target = (RESTING_ORDERS_TOTAL / count).clamp(*range.start(), limit);
        let mut tape = Tape::new(Rng::new(config.seed));
        let mut id = FIRST_INSTRUMENT_ID;
        let instruments = (0..count as usize)
            .map(|ordinal| {
                let instrument = Instrument::new(id, ordinal, target, config.crossed, &mut tape);
                id += 1 + tape.rng.below(40);
                instrument
            })
            .collect();
        let activity = (1..=count)
            .scan(0, |sum, n| {
                *sum += activity(n);
                Some(*sum)
            })
            .collect();
        Ok(Self { tape, instruments, activity, opened: 0, current: 0, run: 0, is_over: false })
    }

    /// The DBN v3 metadata that goes before the first record: dataset GLBX.MDP3, schema mbo, symbols SYN0, SYN1, …
    pub fn header(&self) -> Vec<u8> {
        let symbols = (0..self.instruments.len()).map(|n| format!("SYN{n}")).collect();
        let mut metadata = Metadata::builder()
            .version(3)
            .dataset("GLBX.MDP3".to_owned())
            .schema(Some(Schema::Mbo))
            .start(START_NS)
            .end((START_NS + MAPPED_NS).try_into().ok())
            .stype_in(Some(SType::RawSymbol))
            .stype_out(SType::InstrumentId)
            .symbols(symbols)
            .build();
        let start_date = metadata.start().date();
        // Only the mappings end: how long the stream will be is not known.
        let end_date = metadata.end().map_or(start_date, |end| end.date());
        metadata.end = None;
        metadata.mappings = metadata
            .symbols
            .iter()
            .zip(&self.instruments)
            .map(|(symbol, instrument)| {
                let interval = MappingInterval { start_date, end_date, symbol: instrument.id.to_string() };
                SymbolMapping { raw_symbol: symbol.clone(), intervals: vec![interval] }
            })
            .collect();
        let mut header = Vec::with_capacity(MetadataEncoder::<Vec<u8>>::encoded_len(&metadata));
        MetadataEncoder::new(&mut header)
            .encode(&metadata)
            .expect("symbols are short and ASCII, and writing to a Vec cannot fail");
        header
    }

    /// Appends the next whole events to `out`: at least `min_records` MBO records of 56 bytes, nothing for 0.
    pub fn read(&mut self, min_records: usize, out: &mut Vec<u8>) {
        let enough = self.tape.records.saturating_add(min_records as u64);
        mem::swap(out, &mut self.tape.bytes);
        while self.tape.records < enough && !self.is_over {
            self.step();
        }
        mem::swap(out, &mut self.tape.bytes);
    }

    /// Appends the end of the stream to `out`: exactly `records` records. Whole events as far as they fit, then None
    /// records, each an event of its own. Nothing comes after.
    pub fn read_last(&mut self, records: usize, out: &mut Vec<u8>) {
        let end = self.tape.records.saturating_add(records as u64);
        mem::swap(out, &mut self.tape.bytes);
        while self.tape.records < end && !self.is_over {
            let (bytes, before) = (self.tape.bytes.len(), self.tape.records);
            self.step();
            if self.tape.records > end {
                self.tape.bytes.truncate(bytes);
                self.tape.records = before;
                while self.tape.records < end {
                    self.tape.push_event_without_effect();
                }
            }
        }
        self.is_over = true;
        mem::swap(out, &mut self.tape.bytes);
    }

    /// Records written so far.
    pub fn records(&self) -> u64 {
        self.tape.records
    }

    fn step(&mut self) {
        if let Some(instrument) = self.instruments.get_mut(self.opened) {
            self.opened += 1;
            instrument.open(&mut self.tape);
            return;
        }
        if self.run == 0 {
            let total = self.activity[self.activity.len() - 1];
            let x = self.tape.rng.below_u64(total);
            self.current = self.activity.partition_point(|&sum| sum <= x);
            self.run = 1 + self.tape.rng.geometric() / 4;
        }
        self.run -= 1;
        self.instruments[self.current].step(&mut self.tape);
    }
}

/// 2^32 / n^0.7, without floats: a fifth root of a square root of n^7.
fn activity(n: u32) -> u64 {
    let root = (u128::from(n).pow(7) << 26).isqrt(); // n^3.5 * 2^13
    let target = root << 62; // n^3.5 * 2^75
    let (mut low, mut high) = (0_u128, 1 << 25); // n^0.7 * 2^15 lies between
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle.pow(5) <= target { low = middle } else { high = middle }
    }
    ((1 << 47) / low) as u64
}

#[cfg(test)]
mod tests;
