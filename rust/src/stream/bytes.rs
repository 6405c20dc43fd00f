//! The channel `dbn`: a DBN stream of one book.

use std::num::NonZeroU64;

use dbn::{MappingInterval, Metadata, RecordHeader, SType, Schema, SymbolMapping};
use time::{Date, Duration, OffsetDateTime};

use crate::{
    book::OrderBook,
    market::Key,
    mbo_snapshot, metadata,
    record::{MBO_BYTES, MboMsg, mbo_bytes},
    view::Head,
};

/// How long the symbol is said to hold, from the day of the snapshot on: a socket lives no longer, and readers keep the
/// symbol of each day.
const MAPPED_DAYS: i64 = 7;
/// What metadata have room for, in ASCII; a longer symbol, or one with other letters, is left out.
const SYMBOL_BYTES_MAX: usize = 70;

/// What a client's stream begins with: metadata, and the book as an MBO snapshot.
pub(super) fn beginning(key: Key, symbol: Option<&str>, book: &OrderBook, head: &Head) -> Vec<u8> {
    let metadata = metadata_of(key, symbol, head.moment.ts_recv);
    let mut bytes = metadata::bytes(&metadata).expect("the symbol fits");
    mbo_snapshot::append(&mut bytes, key, Some(book), head.moment, head.moment.ts_recv);
    bytes
}

fn metadata_of(key: Key, symbol: Option<&str>, ts_recv: u64) -> Metadata {
    let fits = |symbol: &&str| symbol.is_ascii() && symbol.len() <= SYMBOL_BYTES_MAX;
    let symbol = symbol.filter(fits).map(str::to_owned);
    let start_date = OffsetDateTime::from_unix_timestamp_nanos(ts_recv.into()).map_or(Date::MIN, OffsetDateTime::date);
    let end_date = start_date.saturating_add(Duration::days(MAPPED_DAYS));
    let interval = MappingInterval { start_date, end_date, symbol: key.instrument_id.to_string() };
    Metadata::builder()
        .dataset(metadata::dataset_of(key.publisher_id))
        .schema(Some(Schema::Mbo))
        .start(ts_recv)
        .end(None::<NonZeroU64>)
        .limit(None)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(symbol.iter().cloned().collect())
        .mappings(
            symbol.map(|raw_symbol| SymbolMapping { raw_symbol, intervals: vec![interval] }).into_iter().collect(),
        )
        .version(3)
        .build()
}

/// Records as they were received, each without the `ts_out` that it may have come with.
pub(super) fn of(records: &[MboMsg]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(records));
    for record in records {
        let length_at = bytes.len();
        bytes.extend_from_slice(mbo_bytes(record));
        bytes[length_at] = (MBO_BYTES / RecordHeader::LENGTH_MULTIPLIER) as u8;
    }
    bytes
}
