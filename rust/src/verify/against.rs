//! Our books against the venue's own MBP-10, row by row.
//!
//! The rows that [`Deriver`] makes of the MBO records must be the venue's, in order, in every column. Files need not
//! cover the same time: rows of either from before the other's first ts_event are passed over, and so are rows from after
//! the other's last record of that book. Both are counted. What nobody derives is not compared: columns that a CSV lacks, `ts_recv`
//! where it only repeats `ts_event`, symbols.
//!
//! Two things were found in files of XNAS.ITCH, and are accepted and counted where they occur:
//! - a row for an update *beyond the ten levels* (its depth is 10 or more), for which we derive none. Its record must
//!   be the very one at hand, and its ten levels ours;
//! - *one row for an execution*, its Trade, that shows the book after the Cancels or Modifies which belong to it and
//!   may state the side of the order that was resting, where we derive a row for each.

use std::{collections::HashMap, path::Path};

use dbn::{BidAskPair, Mbp10Msg, RecordHeader, UNDEF_PRICE};
use serde::Serialize;

use super::{
    difference::{Mismatch, decimal},
    official::{COLUMNS, LEVELS, Official, OfficialError, Row},
    selection::Selection,
};
use crate::{
    book::OrderBook,
    derive::{Deriver, Schema},
    market::Key,
    record::{Action, MboMsg, Reject, Side, flags},
};

/// What the venue's own MBP-10 was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgainstReport {
    /// The file.
    pub file: String,
    /// Rows that agree in every column.
    pub rows: u64,
    /// … of which so many have a ts_recv that only repeats ts_event, and was not compared.
    pub rows_without_ts_recv: u64,
    /// … of which so many are of updates beyond the ten levels.
    pub rows_beyond: u64,
    /// … of which so many are a Trade that already shows what it did to the book.
    pub rows_merged: u64,
    /// Rows of ours from before the file's first.
    pub ours_before: u64,
    /// Rows of the file from before our first.
    pub theirs_before: u64,
    /// Rows of ours after the file's last.
    pub ours_after: u64,
    /// Rows of the file after our last.
    pub theirs_after: u64,
    /// Why the file could not be read to its end.
    pub fault: Option<String>,
}

/// How far a stream has come, of one book.
#[derive(Clone, Copy)]
struct Edge {
    ts_event: u64,
    sequence: u32,
    /// It ends with a whole event, so everything of this moment is there.
    is_complete: bool,
}

impl Edge {
    fn of(ts_event: u64, sequence: u32, bits: u8) -> Self {
        Self { ts_event, sequence, is_complete: bits & flags::LAST != 0 }
    }

    /// Whether a row of this moment should have been seen by now.
    fn is_past(self, ts_event: u64, sequence: u32) -> bool {
        let (moment, own) = ((ts_event, sequence), (self.ts_event, self.sequence));
        moment < own || (moment == own && self.is_complete)
    }
}

/// By book; `None` is the newest of any, for files whose columns do not tell books apart.
type Edges = HashMap<Option<Key>, Edge>;

/// The venue's rows beside ours.
pub(super) struct Against {
    official: Official,
    deriver: Deriver,
    /// The venue's next row.
    next: Option<Row>,
    is_over: bool,
    /// Books that move record by record, as rows do.
    books: HashMap<Key, OrderBook>,
    /// A Trade of ours whose levels are not the venue's: the records that follow may make them so.
    trade: Option<(Mbp10Msg, Mismatch)>,
    records_until: Edges,
    rows_until: Edges,
    report: AgainstReport,
}

impl Against {
    pub(super) fn open(path: &Path) -> Result<Self, OfficialError> {
        let report = AgainstReport { file: path.display().to_string(), ..AgainstReport::default() };
        let mut official = Official::open(path)?;
        let next = official.next()?;
        Ok(Self {
            is_over: next.is_none(),
            official,
            deriver: Deriver::new(Schema::Mbp10),
            next,
            books: HashMap::new(),
            trade: None,
            records_until: Edges::new(),
            rows_until: Edges::new(),
            report,
        })
    }

    /// Takes an MBO record of a book that is looked at, and compares the rows it makes.
    pub(super) fn push(&mut self, record: &MboMsg, selection: &mut Selection) -> Result<(), Mismatch> {
        let key = Key::of(record);
        let action = Action::of(record);
        if Reject::of(action, record).is_none() {
            self.books.entry(key).or_default().apply(action, record);
        }
        let edge = Edge::of(record.hd.ts_event, record.sequence, record.flags.raw());
        self.records_until.insert(Some(key), edge);
        self.records_until.insert(None, edge);
        self.deriver.push(record);
        if self.compare_rows(selection)? == 0 {
            self.compare_beyond(key, record)?;
        }
        Ok(())
    }

    /// Compares the rows that are there, and says how many.
    fn compare_rows(&mut self, selection: &mut Selection) -> Result<usize, Mismatch> {
        if self.deriver.rows().is_empty() {
            return Ok(0);
        }
        let rows = self.deriver.take();
        let mut rest = rows.chunks_exact(size_of::<Mbp10Msg>());
        let count = rest.len();
        let outcome = rest.try_for_each(|row| {
            // SAFETY: a whole row of the deriver's, read unaligned; every bit pattern of these integers is valid.
            let ours = unsafe { row.as_ptr().cast::<Mbp10Msg>().read_unaligned() };
            self.compare(&ours, selection)
        });
        self.deriver.recycle(rows);
        outcome.map(|()| count)
    }

    /// The venue may have a row for a record that changed nothing in the ten levels.
    fn compare_beyond(&mut self, key: Key, record: &MboMsg) -> Result<(), Mismatch> {
        let Some(theirs) = &self.next else { return Ok(()) };
        let values = &theirs.values;
        let is_beyond = usize::from(values.depth) >= LEVELS
            && values.hd.ts_event == record.hd.ts_event
            && values.sequence == record.sequence
            && (values.action, values.side, values.price) == (record.action, record.side, record.price);
        if !is_beyond || self.trade.is_some() {
            return Ok(());
        }
        let ours = Mbp10Msg {
            hd: RecordHeader::new::<Mbp10Msg>(
                dbn::rtype::MBP_10,
                key.publisher_id,
                key.instrument_id,
                record.hd.ts_event,
            ),
            price: record.price,
            size: record.size,
            action: record.action,
            side: record.side,
            flags: record.flags,
            depth: values.depth,
            ts_recv: record.ts_recv,
            ts_in_delta: record.ts_in_delta,
            sequence: record.sequence,
            levels: top_ten(&self.books[&key]),
        };
        let rows_before = self.report.rows;
        self.agree(&ours)?;
        self.report.rows_beyond += self.report.rows - rows_before;
        Ok(())
    }

    /// A row of ours when the venue has no more.
    fn after_theirs(&mut self, ours: &Mbp10Msg) -> Result<(), Mismatch> {
        let key = Key { publisher_id: ours.hd.publisher_id, instrument_id: ours.hd.instrument_id };
        let until = self.rows_until.get(&Some(key)).or_else(|| self.rows_until.get(&None));
        if self.report.fault.is_none() && until.is_some_and(|until| until.is_past(ours.hd.ts_event, ours.sequence)) {
            return Err(Mismatch::new("rows of the MBP-10", "none after its last", row_text(ours)));
        }
        self.report.ours_after += 1;
        Ok(())
    }

    /// A row of the venue's when we have no more.
    fn after_ours(&mut self, theirs: &Row) -> Result<(), Mismatch> {
        let values = &theirs.values;
        let until = self.records_until.get(&book_of(theirs));
        if until.is_some_and(|until| until.is_past(values.hd.ts_event, values.sequence)) {
            return Err(Mismatch::new(format!("row {} of the MBP-10", theirs.number), row_text(values), "no row"));
        }
        self.report.theirs_after += 1;
        Ok(())
    }

    fn compare(&mut self, ours: &Mbp10Msg, selection: &mut Selection) -> Result<(), Mismatch> {
        if self.is_over {
            return self.after_theirs(ours);
        }
        let is_first = self.report.rows == 0;
        while let Some(theirs) = &self.next {
            let header = &theirs.values.hd;
            if !is_looked_at(theirs, selection) {
                self.advance();
            } else if is_first && header.ts_event < ours.hd.ts_event {
                self.report.theirs_before += 1;
                self.advance();
            } else {
                break;
            }
        }
        let Some(theirs) = &self.next else { return self.after_theirs(ours) };
        if is_first && ours.hd.ts_event < theirs.values.hd.ts_event {
            self.report.ours_before += 1;
            return Ok(());
        }
        if let Some((trade, mismatch)) = self.trade.take() {
            return self.merge(&trade, ours, mismatch);
        }
        self.agree(ours)
    }

    /// Compares a row of ours with the venue's next one.
    fn agree(&mut self, ours: &Mbp10Msg) -> Result<(), Mismatch> {
        let theirs = self.next.as_ref().expect("the venue's next row");
        let is_ts_recv_repeated = theirs.values.ts_recv == theirs.values.hd.ts_event;
        let number = theirs.number;
        if let Some((column, expected, got)) = first_difference(theirs, ours, is_ts_recv_repeated) {
            let may_be_merged = column == "side" || !COLUMNS.contains(&column.as_str());
            let mismatch = Mismatch::new(format!("{column} in row {number} of the MBP-10"), expected, got);
            if may_be_merged && ours.action as u8 == b'T' && self.trade.is_none() {
                self.trade = Some((*ours, mismatch));
                return Ok(());
            }
            return Err(mismatch);
        }
        self.report.rows += 1;
        self.report.rows_without_ts_recv += u64::from(is_ts_recv_repeated);
        self.advance();
        Ok(())
    }

    /// A Trade with the levels of the row after it must be the venue's row, or it differs as it did alone.
    fn merge(&mut self, trade: &Mbp10Msg, ours: &Mbp10Msg, mismatch: Mismatch) -> Result<(), Mismatch> {
        let is_part = matches!(ours.action as u8, b'C' | b'M')
            && (ours.hd.ts_event, ours.sequence) == (trade.hd.ts_event, trade.sequence);
        if !is_part {
            return Err(mismatch);
        }
        let theirs = self.next.as_ref().expect("the venue's row of the trade");
        let side = if theirs.values.side == ours.side { ours.side } else { trade.side };
        let merged = Mbp10Msg { levels: ours.levels, side, ..*trade };
        let rows_before = self.report.rows;
        self.agree(&merged)?;
        // Still not: the execution took more than one order.
        if let Some((_, waiting)) = &mut self.trade {
            *waiting = mismatch;
        }
        self.report.rows_merged += self.report.rows - rows_before;
        Ok(())
    }

    fn advance(&mut self) {
        if let Some(row) = &self.next {
            let edge = Edge::of(row.values.hd.ts_event, row.values.sequence, row.values.flags.raw());
            self.rows_until.insert(book_of(row), edge);
            self.rows_until.insert(None, edge);
        }
        self.next = match self.official.next() {
            Ok(next) => next,
            Err(fault) => {
                self.report.fault = Some(format!("{}: {fault}", self.official.path.display()));
                None
            }
        };
        self.is_over = self.next.is_none();
    }

    /// Ends the MBO stream; `is_compared` unless a difference was found before.
    pub(super) fn finish(mut self, selection: &mut Selection, is_compared: bool) -> (AgainstReport, Option<Mismatch>) {
        let mut mismatch = None;
        if is_compared {
            self.deriver.finish();
            mismatch = self.compare_rows(selection).err().or_else(|| self.trade.take().map(|(_, mismatch)| mismatch));
            while mismatch.is_none()
                && let Some(theirs) = self.next.clone()
            {
                if is_looked_at(&theirs, selection) {
                    mismatch = self.after_ours(&theirs).err();
                }
                self.advance();
            }
        }
        (self.report, mismatch)
    }
}

/// The book of a row of the venue's, if its columns tell.
fn book_of(theirs: &Row) -> Option<Key> {
    const BOTH_IDS: u16 = 0b11;
    let header = &theirs.values.hd;
    let key = Key { publisher_id: header.publisher_id, instrument_id: header.instrument_id };
    (theirs.columns & BOTH_IDS == BOTH_IDS).then_some(key)
}

/// Whether a row of the venue's is of a book that was asked for, as far as its columns tell.
fn is_looked_at(theirs: &Row, selection: &mut Selection) -> bool {
    book_of(theirs).is_none_or(|key| selection.takes(key))
}

/// A row in a few words.
fn row_text(row: &Mbp10Msg) -> String {
    let (action, side, price) = (letter(row.action), letter(row.side), price_text(row.price));
    format!("{action} {side} {price} × {}, sequence {}, ts_event {}", row.size, row.sequence, row.hd.ts_event)
}

/// The first column that differs, theirs and ours.
fn first_difference(theirs: &Row, ours: &Mbp10Msg, is_ts_recv_repeated: bool) -> Option<(String, String, String)> {
    let values = &theirs.values;
    type Text = fn(&Mbp10Msg) -> String;
    let columns: [(bool, Text); COLUMNS.len()] = [
        (values.hd.publisher_id == ours.hd.publisher_id, |row| row.hd.publisher_id.to_string()),
        (values.hd.instrument_id == ours.hd.instrument_id, |row| row.hd.instrument_id.to_string()),
        (values.hd.ts_event == ours.hd.ts_event, |row| row.hd.ts_event.to_string()),
        (values.action == ours.action, |row| letter(row.action)),
        (values.side == ours.side, |row| letter(row.side)),
        (values.depth == ours.depth, |row| row.depth.to_string()),
        (values.price == ours.price, |row| price_text(row.price)),
        (values.size == ours.size, |row| row.size.to_string()),
        (values.flags.raw() == ours.flags.raw(), |row| row.flags.raw().to_string()),
        (values.ts_in_delta == ours.ts_in_delta, |row| row.ts_in_delta.to_string()),
        (values.sequence == ours.sequence, |row| row.sequence.to_string()),
        (values.ts_recv == ours.ts_recv || is_ts_recv_repeated, |row| row.ts_recv.to_string()),
    ];
    for (i, (is_same, text)) in columns.iter().enumerate() {
        if !is_same && theirs.columns & 1 << i != 0 {
            return Some((COLUMNS[i].into(), text(values), text(ours)));
        }
    }
    for (i, (theirs, ours)) in values.levels.iter().zip(&ours.levels).enumerate().take(theirs.levels) {
        if theirs != ours {
            let fields = [
                ("bid_px", price_text(theirs.bid_px), price_text(ours.bid_px)),
                ("ask_px", price_text(theirs.ask_px), price_text(ours.ask_px)),
                ("bid_sz", theirs.bid_sz.to_string(), ours.bid_sz.to_string()),
                ("ask_sz", theirs.ask_sz.to_string(), ours.ask_sz.to_string()),
                ("bid_ct", theirs.bid_ct.to_string(), ours.bid_ct.to_string()),
                ("ask_ct", theirs.ask_ct.to_string(), ours.ask_ct.to_string()),
            ];
            let different = fields.into_iter().find(|(_, theirs, ours)| theirs != ours);
            return different.map(|(name, theirs, ours)| (format!("{name}_{i:02}"), theirs, ours));
        }
    }
    None
}

/// The ten best levels of a book, as a row shows them.
fn top_ten(book: &OrderBook) -> [BidAskPair; LEVELS] {
    let absent = BidAskPair { bid_px: UNDEF_PRICE, ask_px: UNDEF_PRICE, ..BidAskPair::default() };
    let mut shown = [absent; LEVELS];
    let narrow = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
    for (place, level) in shown.iter_mut().zip(book.levels(Side::Bid)) {
        (place.bid_px, place.bid_sz, place.bid_ct) = (level.price, narrow(level.size), level.count);
    }
    for (place, level) in shown.iter_mut().zip(book.levels(Side::Ask)) {
        (place.ask_px, place.ask_sz, place.ask_ct) = (level.price, narrow(level.size), level.count);
    }
    shown
}

fn letter(byte: std::ffi::c_char) -> String {
    (byte as u8).escape_ascii().to_string()
}

fn price_text(price: i64) -> String {
    if price == UNDEF_PRICE { "none".into() } else { decimal(price) }
}
