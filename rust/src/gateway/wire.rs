//! The records that a gateway makes itself, and a session's metadata.

use std::{ffi::c_char, num::NonZeroU64};

use dbn::{ErrorMsg, Metadata, RecordHeader, SType, SymbolMappingMsg, SystemMsg, UNDEF_TIMESTAMP, rtype};

/// What a mapping of a live stream has for its types of symbol: the subscriber knows what it asked for.
const STYPE_UNSTATED: u8 = u8::MAX;
const SYMBOL_BYTES_MAX: usize = 70;

/// The metadata of a live session: equal for all sessions but for `start_ns`.
pub(super) fn session_metadata(dataset: &str, start_ns: u64, ts_out: bool) -> Metadata {
    Metadata::builder()
        .dataset(dataset.to_owned())
        .schema(None)
        .start(start_ns)
        .end(None::<NonZeroU64>)
        .limit(None)
        .stype_in(None)
        .stype_out(SType::InstrumentId)
        .ts_out(ts_out)
        .version(3)
        .build()
}

pub(super) fn metadata_bytes(metadata: &Metadata) -> Result<Vec<u8>, String> {
    crate::metadata::bytes(metadata).map_err(|error| error.to_string())
}

/// As much of a text as its place in a record holds, at a character's end.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(super) fn mapping(ts_ns: u64, instrument_id: u32, symbol_in: &str, symbol_out: &str) -> SymbolMappingMsg {
    let [symbol_in, symbol_out] = [symbol_in, symbol_out].map(|symbol| cut(symbol, SYMBOL_BYTES_MAX));
    let (stype, undefined) = (SType::RawSymbol, UNDEF_TIMESTAMP);
    let mapping =
        SymbolMappingMsg::new(instrument_id, ts_ns, stype, symbol_in, stype, symbol_out, undefined, undefined);
    let mut mapping = mapping.expect("symbols of at most 70 bytes");
    mapping.stype_in = STYPE_UNSTATED;
    mapping.stype_out = STYPE_UNSTATED;
    mapping
}

pub(super) fn system(ts_ns: u64, code: u8, text: &str) -> SystemMsg {
    let mut record = SystemMsg::heartbeat(ts_ns);
    write_text(&mut record.msg, text);
    record.code = code;
    record
}

pub(super) fn error(ts_ns: u64, code: u8, text: &str) -> ErrorMsg {
    let mut record = ErrorMsg { hd: RecordHeader::new::<ErrorMsg>(rtype::ERROR, 0, 0, ts_ns), ..ErrorMsg::default() };
    write_text(&mut record.err, text);
    record.code = code;
    record.is_last = 1;
    record
}

/// Writes as much of a text as fits, and at least one NUL.
fn write_text(place: &mut [c_char], text: &str) {
    place.fill(0);
    let text = cut(text, place.len() - 1);
    for (place, byte) in place.iter_mut().zip(text.bytes()) {
        *place = byte as c_char;
    }
}
