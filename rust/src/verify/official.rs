//! The venue's own MBP-10, row by row: DBN, raw or zstd, or CSV as Databento writes it.
//!
//! In CSV, columns are found by their names, in any order; those that are missing are not compared. Prices may be
//! decimals or integers in 1e-9 units, times ISO 8601 or nanoseconds.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dbn::{
    Mbp10Msg, RecordHeader, Schema, UNDEF_PRICE, VersionUpgradePolicy,
    decode::{DbnMetadata, DecodeRecordRef, dbn::Decoder},
};

use crate::{
    decode::METADATA_PRELUDE_BYTES,
    pieces::{PieceError, Pieces},
};

/// Levels of a row.
pub(super) const LEVELS: usize = 10;

/// Why an MBP-10 file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    /// Not at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no MBP-10, or damaged.
    #[error("{0}")]
    Content(String),
}

/// One row.
#[derive(Clone)]
pub(super) struct Row {
    /// Its number in the file, from 0.
    pub(super) number: u64,
    /// All its values.
    pub(super) values: Mbp10Msg,
    /// The columns (by [`COLUMNS`]) that the file has.
    pub(super) columns: u16,
    /// How many levels of it the file has.
    pub(super) levels: usize,
}

/// Columns before the levels, by the names of Databento's CSV.
pub(super) const COLUMNS: [&str; 12] = [
    "publisher_id",
    "instrument_id",
    "ts_event",
    "action",
    "side",
    "depth",
    "price",
    "size",
    "flags",
    "ts_in_delta",
    "sequence",
    "ts_recv",
];
/// The columns of one level.
const LEVEL_COLUMNS: [&str; 6] = ["bid_px", "ask_px", "bid_sz", "ask_sz", "bid_ct", "ask_ct"];

/// [`Pieces`] as a reader.
struct PieceReader {
    pieces: Pieces,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes handed out; shared, since the decoder keeps the reader to itself.
    read: Arc<AtomicU64>,
}

impl PieceReader {
    /// Makes sure that something is in the buffer, unless the file is over.
    fn fill(&mut self) -> io::Result<()> {
        if self.at == self.buffer.len() {
            let piece = self.pieces.read().map_err(|error| match error {
                PieceError::Io(error) => error,
                PieceError::Decode(fault) => io::Error::new(io::ErrorKind::InvalidData, fault),
            })?;
            self.buffer.clear();
            self.buffer.extend_from_slice(piece);
            self.at = 0;
        }
        Ok(())
    }
}

impl Read for PieceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let count = out.len().min(self.buffer.len() - self.at);
        out[..count].copy_from_slice(&self.buffer[self.at..self.at + count]);
        self.at += count;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

enum Source {
    Dbn(Box<Dbn>),
    Csv(Box<Csv>),
}

struct Dbn {
    decoder: Decoder<PieceReader>,
    read: Arc<AtomicU64>,
    /// Of the metadata and the whole rows so far: the decoder takes a cut row for the end.
    whole_bytes: u64,
}

struct Csv {
    reader: csv::Reader<PieceReader>,
    layout: Layout,
    record: csv::StringRecord,
}

/// The rows of one file.
pub(super) struct Official {
    pub(super) path: PathBuf,
    source: Source,
    rows: u64,
}

impl Official {
    pub(super) fn open(path: &Path) -> Result<Self, OfficialError> {
        let mut reader = PieceReader { pieces: Pieces::open(path)?, buffer: Vec::new(), at: 0, read: Arc::default() };
        reader.fill()?;
        let is_dbn = reader.buffer.starts_with(b"DBN");
        let source = if is_dbn { Self::dbn(reader)? } else { Self::csv(reader)? };
        Ok(Self { path: path.to_owned(), source, rows: 0 })
    }

    fn dbn(reader: PieceReader) -> Result<Source, OfficialError> {
        let fail = |what: String| OfficialError::Content(what);
        let read = Arc::clone(&reader.read);
        let length = reader
            .buffer
            .get(4..METADATA_PRELUDE_BYTES)
            .map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let whole_bytes = METADATA_PRELUDE_BYTES as u64 + u64::from(length);
        let decoder = Decoder::with_upgrade_policy(reader, VersionUpgradePolicy::UpgradeToV3);
        let decoder = decoder.map_err(|error| fail(format!("invalid DBN: {error}")))?;
        match decoder.metadata().schema {
            None | Some(Schema::Mbp10) => Ok(Source::Dbn(Box::new(Dbn { decoder, read, whole_bytes }))),
            Some(schema) => Err(fail(format!("schema {schema}, expected mbp-10"))),
        }
    }

    fn csv(reader: PieceReader) -> Result<Source, OfficialError> {
        let mut reader = csv::Reader::from_reader(reader);
        let fail = |error: csv::Error| OfficialError::Content(format!("neither DBN nor CSV: {error}"));
        let layout = Layout::of(reader.headers().map_err(fail)?)?;
        Ok(Source::Csv(Box::new(Csv { reader, layout, record: csv::StringRecord::new() })))
    }

    /// The next row; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row>, OfficialError> {
        let number = self.rows;
        let fail = |what: String| OfficialError::Content(format!("row {number}: {what}"));
        let row = match &mut self.source {
            Source::Dbn(dbn) => {
                let record = dbn.decoder.decode_record_ref().map_err(|error| fail(error.to_string()))?;
                let Some(record) = record else {
                    let rest = dbn.read.load(Ordering::Relaxed).saturating_sub(dbn.whole_bytes);
                    return if rest == 0 { Ok(None) } else { Err(fail(format!("the file ends {rest} bytes into it"))) };
                };
                dbn.whole_bytes += record.header().record_size() as u64;
                let Some(values) = record.get::<Mbp10Msg>() else {
                    return Err(fail(format!("record type 0x{:02X}, expected 0x0A (MBP-10)", record.header().rtype)));
                };
                Row { number, values: *values, columns: u16::MAX, levels: LEVELS }
            }
            Source::Csv(csv) => {
                let Csv { reader, layout, record } = &mut **csv;
                if !reader.read_record(record).map_err(|error| fail(error.to_string()))? {
                    return Ok(None);
                }
                Row { number, ..layout.row(record).map_err(fail)? }
            }
        };
        self.rows += 1;
        Ok(Some(row))
    }
}

/// Where each value stands in a row of CSV.
struct Layout {
    columns: [Option<usize>; COLUMNS.len()],
    levels: Vec<[usize; LEVEL_COLUMNS.len()]>,
}

impl Layout {
    fn of(headers: &csv::StringRecord) -> Result<Self, OfficialError> {
        let find = |name: &str| headers.iter().position(|header| header == name);
        let columns = COLUMNS.map(find);
        let level = |i: usize| {
            let mut places = [0; LEVEL_COLUMNS.len()];
            for (place, name) in places.iter_mut().zip(LEVEL_COLUMNS) {
                *place = find(&format!("{name}_{i:02}"))?;
            }
            Some(places)
        };
        let levels: Vec<_> = (0..LEVELS).map_while(level).collect();
        if levels.is_empty() || columns[2].is_none() {
            let what = "no columns ts_event and bid_px_00 to ask_ct_09: expected DBN or CSV of schema mbp-10";
            return Err(OfficialError::Content(what.into()));
        }
        Ok(Self { columns, levels })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<Row, String> {
        let text = |i: usize| self.columns[i].and_then(|at| record.get(at));
        let int = |i: usize| number::<i64>(text(i).unwrap_or("0"), COLUMNS[i]);
        let letter = |i: usize| text(i).and_then(|text| text.bytes().next()).unwrap_or(0) as std::ffi::c_char;
        let narrow = |i: usize, value: i64| format!("{} {value}, out of its range", COLUMNS[i]);
        let publisher_id = u16::try_from(int(0)?).map_err(|_| narrow(0, int(0).unwrap_or(0)))?;
        let instrument_id = number::<u32>(text(1).unwrap_or("0"), COLUMNS[1])?;
        let ts_event = time_ns(text(2).unwrap_or("0"), COLUMNS[2])?;
        let mut values = Mbp10Msg {
            hd: RecordHeader::new::<Mbp10Msg>(dbn::rtype::MBP_10, publisher_id, instrument_id, ts_event),
            price: price(text(6).unwrap_or(""), COLUMNS[6])?,
            size: number(text(7).unwrap_or("0"), COLUMNS[7])?,
            action: letter(3),
            side: letter(4),
            flags: number::<u8>(text(8).unwrap_or("0"), COLUMNS[8])?.into(),
            depth: number(text(5).unwrap_or("0"), COLUMNS[5])?,
            ts_recv: time_ns(text(11).unwrap_or("0"), COLUMNS[11])?,
            ts_in_delta: number(text(9).unwrap_or("0"), COLUMNS[9])?,
            sequence: number(text(10).unwrap_or("0"), COLUMNS[10])?,
            levels: Default::default(),
        };
        for (level, places) in values.levels.iter_mut().zip(&self.levels) {
            let text = |i: usize| record.get(places[i]).unwrap_or("");
            level.bid_px = price(text(0), LEVEL_COLUMNS[0])?;
            level.ask_px = price(text(1), LEVEL_COLUMNS[1])?;
            level.bid_sz = number(text(2), LEVEL_COLUMNS[2])?;
            level.ask_sz = number(text(3), LEVEL_COLUMNS[3])?;
            level.bid_ct = number(text(4), LEVEL_COLUMNS[4])?;
            level.ask_ct = number(text(5), LEVEL_COLUMNS[5])?;
        }
        let columns = (0..COLUMNS.len()).filter(|i| self.columns[*i].is_some()).fold(0, |bits, i| bits | 1 << i);
        Ok(Row { number: 0, values, columns, levels: self.levels.len() })
    }
}

fn number<T: std::str::FromStr>(text: &str, column: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{column} {text:?}, expected a whole number in its range"))
}

/// A decimal such as `5.51`, or an integer in 1e-9 units; empty where there is no price.
fn price(text: &str, column: &str) -> Result<i64, String> {
    const DECIMALS: usize = 9;
    if text.is_empty() {
        return Ok(UNDEF_PRICE);
    }
    let Some((whole, fraction)) = text.split_once('.') else { return number(text, column) };
    let is_decimal = fraction.len() <= DECIMALS && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let digits = format!("{whole}{fraction:0<DECIMALS$}");
    match digits.parse() {
        Ok(units) if is_decimal => Ok(units),
        _ => Err(format!("{column} {text:?}, expected a price with at most {DECIMALS} decimals")),
    }
}

/// ISO 8601 in UTC with up to nine decimals, or nanoseconds.
fn time_ns(text: &str, column: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(dbn::UNDEF_TIMESTAMP);
    }
    if let Ok(ns) = text.parse() {
        return Ok(ns);
    }
    iso_ns(text).ok_or_else(|| format!("{column} {text:?}, expected nanoseconds or ISO 8601 in UTC"))
}

fn iso_ns(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (date, clock) = text.split_once(['T', ' '])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let part = |text: &str, separator| -> Option<[u32; 3]> {
        let parts: Vec<u32> = text.split(separator).map(str::parse).collect::<Result<_, _>>().ok()?;
        parts.try_into().ok()
    };
    let [year, month, day] = part(date, '-')?;
    let [hour, minute, second] = part(clock, ':')?;
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let moment =
        date.with_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?).ok()?;
    let fraction: u64 = (fraction.len() <= 9).then(|| format!("{fraction:0<9}").parse().ok())??;
    u64::try_from(moment.assume_utc().unix_timestamp()).ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        assert_eq!(price("5.51", "price"), Ok(5_510_000_000));
        assert_eq!(price("-0.000000001", "price"), Ok(-1));
        assert_eq!(price("5510000000", "price"), Ok(5_510_000_000));
        assert_eq!(price("", "price"), Ok(UNDEF_PRICE));
        assert!(price("1e5", "price").is_err());
        assert!(price("1.0000000001", "price").is_err());
        assert!(price("1.-5", "price").is_err());
    }

    #[test]
    fn times_are_read_exactly() {
        assert_eq!(time_ns("1752735909035627674", "ts_event"), Ok(1_752_735_909_035_627_674));
        assert_eq!(time_ns("2025-07-17T07:05:09.035627674Z", "ts_event"), Ok(1_752_735_909_035_627_674));
        assert_eq!(time_ns("2025-07-17 07:05:09.035627674+00:00", "ts_event"), Ok(1_752_735_909_035_627_674));
        assert_eq!(time_ns("2025-07-17T07:05:09Z", "ts_event"), Ok(1_752_735_909_000_000_000));
        assert!(time_ns("2025-07-17T25:05:09Z", "ts_event").is_err());
        assert!(time_ns("yesterday", "ts_event").is_err());
    }
}
