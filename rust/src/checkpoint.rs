//! A whole market to and from bytes: resume, ship, compare.
//!
//! Layout, little endian: `L3BK`, version u32, CRC-32 of the rest u32, then the market as the functions below write
//! it, field by field in their order. Orders are written queue by queue in priority order, so equal markets give
//! equal bytes, and a market read back goes on exactly as the one that was written would have.

use crate::{
    book::{OrderBook, SameSizeModify},
    decode::Position,
    event::{EventBook, Moment, Rules},
    market::{Key, Market, Problem, StreamCounters},
    record::{Action, MBO_BYTES, Reject, Side, UNDEF_PRICE, mbo_bytes, read_mbo},
};

const MAGIC: &[u8; 4] = b"L3BK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 12;
/// No counter gets there in ten years of ten million records a second, and from there none overflows.
const COUNT_MAX: u64 = 1 << 52;

/// Why bytes are no checkpoint of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint, byte {offset}: {what}")]
pub struct CheckpointError {
    /// Where.
    pub offset: usize,
    /// What was found, and what was expected.
    pub what: String,
}

type Result<T> = std::result::Result<T, CheckpointError>;

/// Writes a market down. What a decoder still holds of an unfinished record is not part of it.
#[must_use]
pub fn to_bytes(market: &Market) -> Vec<u8> {
    let mut out = Out(vec![0; HEADER_BYTES]);
    out.market(market);
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
    let mut input = In { bytes, at: 0 };
    if input.array::<4>()? != *MAGIC {
        return Err(input.damaged("expected the magic bytes L3BK"));
    }
    let version = input.u32()?;
    if version != VERSION {
        return Err(input.damaged(format!("version {version}, expected {VERSION}")));
    }
    let crc = input.u32()?;
    if crc != crc32fast::hash(&bytes[HEADER_BYTES..]) {
        return Err(input.damaged("the checksum does not fit the content"));
    }
    let market = input.market()?;
    if input.at != bytes.len() {
        return Err(input.damaged(format!("{} bytes too many", bytes.len() - input.at)));
    }
    market.check().map_err(|broken| input.damaged(broken.to_string()))?;
    Ok(market)
}

struct Out(Vec<u8>);

impl Out {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn len(&mut self, len: usize) {
        self.u64(len as u64);
    }

    fn optional(&mut self, value: Option<u64>) {
        self.u8(u8::from(value.is_some()));
        self.u64(value.unwrap_or(0));
    }

    fn market(&mut self, market: &Market) {
        let rules = market.rules();
        self.u8(u8::from(rules.same_size == SameSizeModify::ToBack));
        self.u64(rules.until);
        self.u64(rules.epoch);
        self.u64(market.records_taken());
        let StreamCounters { other_records, symbol_mappings, metadata_headers } = market.stream;
        for count in [other_records, symbol_mappings, metadata_headers] {
            self.u64(count);
        }
        let mut symbols: Vec<_> = market.symbols.iter().collect();
        symbols.sort_unstable_by_key(|(id, at, _)| (*id, at.start, at.end));
        self.len(symbols.len());
        for (id, at, symbol) in symbols {
            self.u32(id);
            self.u64(at.start);
            self.u64(at.end);
            self.len(symbol.len());
            self.0.extend_from_slice(symbol.as_bytes());
        }
        self.len(market.problems().len());
        for problem in market.problems() {
            self.u8(problem.reason as u8);
            self.u64(problem.at.record);
            self.u64(problem.at.offset);
            self.0.extend_from_slice(mbo_bytes(&problem.record));
        }
        self.len(market.len());
        for (key, book) in market.books() {
            self.u32(u32::from(key.publisher_id));
            self.u32(key.instrument_id);
            self.event_book(book);
        }
    }

    fn event_book(&mut self, book: &EventBook) {
        let Moment { seq, ts_event, ts_recv, sequence } = book.moment;
        for value in [seq, ts_event, ts_recv, u64::from(sequence), book.epoch] {
            self.u64(value);
        }
        for is in [book.is_past_end, book.is_loading, book.is_suspect] {
            self.u8(u8::from(is));
        }
        self.optional(book.verdict.map(u64::from));
        for count in [book.forced_events, book.bad_book_marks] {
            self.u64(count);
        }
        self.optional(book.held_since);
        self.u64(book.event_ts);
        self.len(book.held.len());
        for record in &book.held {
            self.0.extend_from_slice(mbo_bytes(record));
        }
        let c = &book.book.counters;
        for count in c.by_action {
            self.u64(count);
        }
        for count in [
            c.unknown_cancels,
            c.unknown_modifies,
            c.duplicate_adds,
            c.over_cancels,
            c.zero_sizes,
            c.rejected_side,
            c.rejected_price,
        ] {
            self.u64(count);
        }
        for side in Side::BOTH {
            self.optional(book.book.quote(side).map(|(_, size)| size));
            self.u64(book.book.quote(side).map_or(0, |(price, _)| price) as u64);
            self.len(book.book.level_count(side));
            for (level, queue) in book.book.queues(side) {
                self.u64(level.price as u64);
                self.u32(level.count);
                for order in queue {
                    self.u64(order.order_id);
                    self.u64(order.ts_event);
                    self.u32(order.size);
                }
            }
        }
    }
}

struct In<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl In<'_> {
    fn damaged(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError { offset: self.at, what: what.into() }
    }

    fn take(&mut self, len: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged(format!("{len} more bytes expected, {} left", self.bytes.len() - self.at)));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    fn bool(&mut self) -> Result<bool> {
        match self.array::<1>()? {
            [value @ (0 | 1)] => Ok(value == 1),
            [value] => Err(self.damaged(format!("{value}, expected 0 or 1"))),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u64s<const N: usize>(&mut self) -> Result<[u64; N]> {
        let mut values = [0; N];
        for value in &mut values {
            *value = self.u64()?;
        }
        Ok(values)
    }

    fn counts<const N: usize>(&mut self) -> Result<[u64; N]> {
        let counts = self.u64s()?;
        match counts.iter().find(|count| **count > COUNT_MAX) {
            Some(count) => Err(self.damaged(format!("a count of {count}, expected at most {COUNT_MAX}"))),
            None => Ok(counts),
        }
    }

    fn optional(&mut self) -> Result<Option<u64>> {
        let is_some = self.bool()?;
        let value = self.u64()?;
        Ok(is_some.then_some(value))
    }

    fn market(&mut self) -> Result<Market> {
        let same_size = if self.bool()? { SameSizeModify::ToBack } else { SameSizeModify::KeepsPlace };
        let [until, epoch] = self.u64s()?;
        let [records_taken] = self.counts()?;
        let mut market = Market::new(Rules { same_size, until, epoch });
        market.records_taken = records_taken;
        let [other_records, symbol_mappings, metadata_headers] = self.counts()?;
        market.stream = StreamCounters { other_records, symbol_mappings, metadata_headers };
        for _ in 0..self.u64()? {
            let id = self.u32()?;
            let [start, end, len] = self.u64s()?;
            let symbol = String::from_utf8(self.take(len as usize)?.to_vec())
                .map_err(|_| self.damaged("a symbol that is not UTF-8"))?;
            market.symbols.insert(id, start..end, &symbol);
        }
        for _ in 0..self.u64()? {
            let reason = match self.array::<1>()? {
                [0] => Reject::Action,
                [1] => Reject::Side,
                [2] => Reject::Price,
                [other] => return Err(self.damaged(format!("reason {other}, expected 0, 1 or 2"))),
            };
            let [record, offset] = self.u64s()?;
            let mbo = read_mbo(self.take(MBO_BYTES)?);
            market.problems.push(Problem { reason, at: Position { record, offset }, record: mbo });
        }
        for _ in 0..self.u64()? {
            let [publisher_id, instrument_id] = [self.u32()?, self.u32()?];
            let publisher_id = u16::try_from(publisher_id).map_err(|_| self.damaged("a publisher_id above 65,535"))?;
            let key = Key { publisher_id, instrument_id };
            if market.book(key).is_some() {
                return Err(self.damaged(format!("book {key} for the second time")));
            }
            let book = self.event_book(market.rules())?;
            market.add(key, book);
        }
        Ok(market)
    }

    fn event_book(&mut self, rules: &Rules) -> Result<EventBook> {
        let mut book = EventBook::new(rules);
        let [seq] = self.counts()?;
        let [ts_event, ts_recv, sequence, epoch] = self.u64s()?;
        book.moment = Moment { seq, ts_event, ts_recv, sequence: sequence as u32 };
        book.epoch = epoch;
        book.is_past_end = self.bool()?;
        book.is_loading = self.bool()?;
        book.is_suspect = self.bool()?;
        book.verdict = self.optional()?.map(|verdict| verdict != 0);
        [book.forced_events, book.bad_book_marks] = self.counts()?;
        book.held_since = self.optional()?;
        book.event_ts = self.u64()?;
        for _ in 0..self.u64()? {
            let record = read_mbo(self.take(MBO_BYTES)?);
            let action = Action::of(&record);
            if !action.changes_book() || Reject::of(action, &record).is_some() {
                return Err(self.damaged("a held record that is never held"));
            }
            book.held.push(record);
        }
        let by_action = self.counts()?;
        let counters = &mut book.book.counters;
        counters.by_action = by_action;
        [
            counters.unknown_cancels,
            counters.unknown_modifies,
            counters.duplicate_adds,
            counters.over_cancels,
            counters.zero_sizes,
            counters.rejected_side,
            counters.rejected_price,
        ] = self.counts()?;
        for side in Side::BOTH {
            self.side(&mut book.book, side)?;
        }
        book.settle();
        Ok(book)
    }

    fn side(&mut self, book: &mut OrderBook, side: Side) -> Result<()> {
        let quote = self.optional()?;
        let quote_price = self.u64()? as i64;
        if let Some(size) = quote {
            if !(1..=u64::from(u32::MAX)).contains(&size) || quote_price == UNDEF_PRICE {
                return Err(self.damaged(format!("a quote of {size} at {quote_price}, expected a size and a price")));
            }
            book.set_quote(side, quote_price, size);
        }
        for _ in 0..self.u64()? {
            let price = self.u64()? as i64;
            for _ in 0..self.u32()? {
                let [order_id, ts_event] = self.u64s()?;
                let size = self.u32()?;
                if size == 0 || price == UNDEF_PRICE || book.order(order_id).is_some() {
                    return Err(self.damaged(format!("order {order_id} without size or price, or for the second time")));
                }
                book.insert_order(side, price, order_id, ts_event, size);
            }
        }
        Ok(())
    }
}
