//! Rows in dbn's layouts, as bytes.

use dbn::{BidAskPair, HasRType, MboMsg, Mbp1Msg, Mbp10Msg, RecordHeader, TradeMsg};

use super::ladder::LEVELS_MAX;
use crate::record::MBO_BYTES;

/// Appends a record.
#[inline(always)]
pub(super) fn push<R: AsRef<[u8]>>(out: &mut Vec<u8>, row: &R) {
    out.extend_from_slice(row.as_ref());
}

/// The header of a row made from a record.
#[inline(always)]
pub(super) fn header<R: HasRType>(rtype: u8, record: &MboMsg) -> RecordHeader {
    RecordHeader::new::<R>(rtype, record.hd.publisher_id, record.hd.instrument_id, record.hd.ts_event)
}

#[inline(always)]
pub(super) fn mbp10(record: &MboMsg, depth: u8, levels: &[BidAskPair; LEVELS_MAX]) -> Mbp10Msg {
    Mbp10Msg {
        hd: header::<Mbp10Msg>(dbn::rtype::MBP_10, record),
        price: record.price,
        size: record.size,
        action: record.action,
        side: record.side,
        flags: record.flags,
        depth,
        ts_recv: record.ts_recv,
        ts_in_delta: record.ts_in_delta,
        sequence: record.sequence,
        levels: *levels,
    }
}

#[inline(always)]
pub(super) fn mbp1(record: &MboMsg, best: BidAskPair) -> Mbp1Msg {
    Mbp1Msg {
        hd: header::<Mbp1Msg>(dbn::rtype::MBP_1, record),
        price: record.price,
        size: record.size,
        action: record.action,
        side: record.side,
        flags: record.flags,
        depth: 0,
        ts_recv: record.ts_recv,
        ts_in_delta: record.ts_in_delta,
        sequence: record.sequence,
        levels: [best],
    }
}

pub(super) fn trade(record: &MboMsg) -> TradeMsg {
    TradeMsg {
        hd: header::<TradeMsg>(dbn::rtype::MBP_0, record),
        price: record.price,
        size: record.size,
        action: record.action,
        side: record.side,
        flags: record.flags,
        depth: 0,
        ts_recv: record.ts_recv,
        ts_in_delta: record.ts_in_delta,
        sequence: record.sequence,
    }
}

/// The record itself, whose header says 56 bytes even where it came with `ts_out`.
pub(super) fn mbo(record: &MboMsg) -> [u8; MBO_BYTES] {
    let mut bytes = *crate::record::mbo_bytes(record);
    bytes[0] = (MBO_BYTES / 4) as u8;
    bytes
}
