//! A whole market to and from bytes: resume, ship, compare.
//!
//! Layout, little endian: `L3BK`, version u32, CRC-32 of the rest u32, then the parts (`Parts`), each behind its length: the
//! head (rules, counters, symbols, the books' keys), each book, and what a watch knows, or nothing. Numbers are written
//! seven bits a byte, orders queue by queue in priority order: equal markets give equal bytes, and a market read back
//! goes on exactly as the one that was written would have. A book can be read without the others.

mod book;
mod bytes;

pub(crate) use bytes::{In, Out};

use crate::{
    book::SameSizeModify,
    decode::Position,
    event::{EventBook, Rules},
    market::{Key, Market, Problem, StreamCounters},
    record::{MBO_BYTES, Reject, mbo_bytes, read_mbo},
    watch::Watch,
};

const MAGIC: &[u8; 4] = b"L3BK";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 12;

/// Why bytes are no checkpoint of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint, byte {offset}: {what}")]
pub struct CheckpointError {
    /// Where.
    pub offset: usize,
    /// What was found, and what was expected.
    pub what: String,
}

pub(crate) type Result<T> = std::result::Result<T, CheckpointError>;

/// Writes a market down. What a decoder still holds of an unfinished record is not part of it.
#[must_use]
pub fn to_bytes(market: &Market) -> Vec<u8> {
    to_bytes_watched(market, None)
}

/// … and what watches it: for a market that goes on with the same stream after a break.
#[must_use]
pub fn to_bytes_watched(market: &Market, watch: Option<&Watch>) -> Vec<u8> {
    let parts = Parts::of(market, watch);
    let mut out = Out(vec![0; HEADER_BYTES]);
    out.section(&parts.head);
    for (_, book) in &parts.books {
        out.section(book);
    }
    out.section(parts.watch.as_deref().unwrap_or_default());
    let mut bytes = out.0;
    let crc = crc32fast::hash(&bytes[HEADER_BYTES..]);
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads a market back, ready for a further stream.
///
/// # Errors
/// If these are not exactly the bytes of a checkpoint, or the books in them are not sound.
pub fn from_bytes(bytes: &[u8]) -> Result<Market> {
    from_bytes_watched(bytes).map(|(market, _)| market)
}

/// … and what watched it, if that was written too.
///
/// # Errors
/// As [`from_bytes`].
pub fn from_bytes_watched(bytes: &[u8]) -> Result<(Market, Option<Watch>)> {
    let mut input = In::new(bytes);
    if input.array::<4>()? != *MAGIC {
        return Err(input.damaged("expected the magic bytes L3BK"));
    }
    let version = input.u32()?;
    if version != VERSION {
        return Err(input.damaged(format!(
            "version {version}, expected {VERSION}: written by another version of l3book, make it anew from its stream"
        )));
    }
    let crc = input.u32()?;
    if crc != crc32fast::hash(&bytes[HEADER_BYTES..]) {
        return Err(input.damaged("the checksum does not fit the content"));
    }
    let (mut market, keys) = part(&mut input, read_head)?;
    for key in keys {
        let book = part(&mut input, |bytes| read_book(bytes, market.rules()))?;
        market.add(key, book);
    }
    let watch = part(&mut input, |bytes| match bytes {
        [] => Ok(None),
        _ => Watch::from_bytes(bytes, &market).map(Some),
    })?;
    input.finish()?;
    Ok((market, watch))
}

/// Reads a part behind its length; what it finds at fault in itself is told of the whole.
fn part<T>(input: &mut In<'_>, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let bytes = input.section()?;
    let start = input.at - bytes.len();
    read(bytes).map_err(|error| CheckpointError { offset: start + error.offset, ..error })
}

/// A market in parts that can be read one by one.
pub(crate) struct Parts {
    pub(crate) head: Vec<u8>,
    pub(crate) books: Vec<(Key, Vec<u8>)>,
    pub(crate) watch: Option<Vec<u8>>,
}

impl Parts {
    pub(crate) fn of(market: &Market, watch: Option<&Watch>) -> Self {
        let mut head = Out::default();
        head.head(market);
        let book = |book| {
            let mut out = Out::default();
            out.event_book(book);
            out.0
        };
        let books = market.books().map(|(key, event_book)| (key, book(event_book))).collect();
        Self { head: head.0, books, watch: watch.map(|watch| watch.to_bytes(market)) }
    }
}

/// Reads a head: the market but for its books, and whose they are, in their order.
pub(crate) fn read_head(bytes: &[u8]) -> Result<(Market, Vec<Key>)> {
    let mut input = In::new(bytes);
    let head = input.head()?;
    input.finish()?;
    Ok(head)
}

/// Reads one book, and looks whether it is sound.
pub(crate) fn read_book(bytes: &[u8], rules: &Rules) -> Result<EventBook> {
    let mut input = In::new(bytes);
    let book = input.event_book(rules)?;
    input.finish()?;
    book.book().check().map_err(|broken| input.damaged(broken.to_string()))?;
    Ok(book)
}

impl Out {
    fn head(&mut self, market: &Market) {
        let rules = market.rules();
        self.bits([rules.same_size == SameSizeModify::ToBack]);
        self.varints([rules.until, rules.epoch, market.records_taken()]);
        let StreamCounters { other_records, symbol_mappings, metadata_headers } = market.stream;
        self.varints([other_records, symbol_mappings, metadata_headers]);
        let mut symbols: Vec<_> = market.symbols.iter().collect();
        symbols.sort_unstable_by_key(|(id, at, _)| (*id, at.start, at.end));
        self.varint(symbols.len() as u64);
        for (id, at, symbol) in symbols {
            self.varints([u64::from(id), at.start, at.end]);
            self.section(symbol.as_bytes());
        }
        self.varint(market.problems().count() as u64);
        for problem in market.problems() {
            self.u8(problem.reason as u8);
            self.varints([problem.at.record, problem.at.offset]);
            self.bytes(mbo_bytes(&problem.record));
        }
        self.varint(market.len() as u64);
        for (key, _) in market.books() {
            self.varints([u64::from(key.publisher_id), u64::from(key.instrument_id)]);
        }
    }
}

impl In<'_> {
    fn head(&mut self) -> Result<(Market, Vec<Key>)> {
        let same_size = if self.bool()? { SameSizeModify::ToBack } else { SameSizeModify::KeepsPlace };
        let [until, epoch] = self.varints()?;
        let mut market = Market::new(Rules { same_size, until, epoch });
        [market.records_taken] = self.counts()?;
        let [other_records, symbol_mappings, metadata_headers] = self.counts()?;
        market.stream = StreamCounters { other_records, symbol_mappings, metadata_headers };
        for _ in 0..self.varint()? {
            let id = self.narrow("an instrument_id of")?;
            let [start, end] = self.varints()?;
            market.symbols.insert(id, start..end, self.text()?);
        }
        for _ in 0..self.varint()? {
            let reason = match self.u8()? {
                0 => Reject::Action,
                1 => Reject::Side,
                2 => Reject::Price,
                other => return Err(self.damaged(format!("reason {other}, expected 0, 1 or 2"))),
            };
            let [record, offset] = self.varints()?;
            let mbo = read_mbo(self.take(MBO_BYTES)?);
            market.problems.push(Problem { reason, at: Position { record, offset }, record: mbo });
        }
        let (mut keys, mut known) = (Vec::new(), std::collections::HashSet::new());
        for _ in 0..self.varint()? {
            let publisher_id = self.narrow("a publisher_id of")?;
            let key = Key { publisher_id, instrument_id: self.narrow("an instrument_id of")? };
            if !known.insert(key) {
                return Err(self.damaged(format!("book {key} for the second time")));
            }
            keys.push(key);
        }
        Ok((market, keys))
    }
}
