//! Where the records of each type have the fields that a tape reads or changes.

use std::mem::offset_of;

use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, Schema, StatMsg,
    StatusMsg, TradeMsg, UNDEF_TIMESTAMP, rtype,
};

use crate::market::Key;

/// Fields of one record type, as offsets in its bytes; those that it lacks are `None`.
#[derive(Clone, Copy, Default)]
pub(super) struct Layout {
    pub(super) ts_recv: Option<usize>,
    pub(super) sequence: Option<usize>,
    pub(super) flags: Option<usize>,
}

macro_rules! with_all {
    ($record:ty) => {
        Layout {
            ts_recv: Some(offset_of!($record, ts_recv)),
            sequence: Some(offset_of!($record, sequence)),
            flags: Some(offset_of!($record, flags)),
        }
    };
}

macro_rules! with_ts_recv {
    ($record:ty) => {
        Layout { ts_recv: Some(offset_of!($record, ts_recv)), sequence: None, flags: None }
    };
}

impl Layout {
    pub(super) const fn of(rtype: u8) -> Self {
        match rtype {
            rtype::MBO => with_all!(MboMsg),
            rtype::MBP_0 => with_all!(TradeMsg),
            rtype::MBP_1 => with_all!(Mbp1Msg),
            rtype::MBP_10 => with_all!(Mbp10Msg),
            rtype::BBO_1S | rtype::BBO_1M => with_all!(BboMsg),
            rtype::CMBP_1 | rtype::TCBBO => with_ts_recv!(Cmbp1Msg),
            rtype::CBBO_1S | rtype::CBBO_1M => with_ts_recv!(CbboMsg),
            rtype::STATUS => with_ts_recv!(StatusMsg),
            rtype::INSTRUMENT_DEF => with_ts_recv!(InstrumentDefMsg),
            rtype::IMBALANCE => with_ts_recv!(ImbalanceMsg),
            rtype::STATISTICS => with_ts_recv!(StatMsg),
            _ => Layout { ts_recv: None, sequence: None, flags: None },
        }
    }
}

/// Record type and length of a schema's records in DBN 3; `None` for one whose files hold several lengths.
pub(super) fn record_of(schema: Schema) -> Option<(u8, usize)> {
    Some(match schema {
        Schema::Mbo => (rtype::MBO, size_of::<MboMsg>()),
        Schema::Mbp1 | Schema::Tbbo => (rtype::MBP_1, size_of::<Mbp1Msg>()),
        Schema::Mbp10 => (rtype::MBP_10, size_of::<Mbp10Msg>()),
        Schema::Trades => (rtype::MBP_0, size_of::<TradeMsg>()),
        Schema::Bbo1S => (rtype::BBO_1S, size_of::<BboMsg>()),
        Schema::Bbo1M => (rtype::BBO_1M, size_of::<BboMsg>()),
        Schema::Ohlcv1S => (rtype::OHLCV_1S, size_of::<OhlcvMsg>()),
        Schema::Ohlcv1M => (rtype::OHLCV_1M, size_of::<OhlcvMsg>()),
        Schema::Ohlcv1H => (rtype::OHLCV_1H, size_of::<OhlcvMsg>()),
        Schema::Ohlcv1D => (rtype::OHLCV_1D, size_of::<OhlcvMsg>()),
        Schema::Cmbp1 => (rtype::CMBP_1, size_of::<Cmbp1Msg>()),
        Schema::Tcbbo => (rtype::TCBBO, size_of::<Cmbp1Msg>()),
        Schema::Cbbo1S => (rtype::CBBO_1S, size_of::<CbboMsg>()),
        Schema::Cbbo1M => (rtype::CBBO_1M, size_of::<CbboMsg>()),
        Schema::Definition => (rtype::INSTRUMENT_DEF, size_of::<InstrumentDefMsg>()),
        Schema::Statistics => (rtype::STATISTICS, size_of::<StatMsg>()),
        Schema::Status => (rtype::STATUS, size_of::<StatusMsg>()),
        Schema::Imbalance => (rtype::IMBALANCE, size_of::<ImbalanceMsg>()),
        _ => return None,
    })
}

#[inline(always)]
pub(super) fn u64_at(record: &[u8], at: usize) -> u64 {
    record.get(at..at + 8).map_or(UNDEF_TIMESTAMP, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

#[inline(always)]
pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    record.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

#[inline(always)]
pub(super) fn ts_event(record: &[u8]) -> u64 {
    u64_at(record, offset_of!(dbn::RecordHeader, ts_event))
}

/// A record's time: ts_recv, or ts_event where it has no other.
#[inline(always)]
pub(super) fn index_ts(record: &[u8]) -> u64 {
    let at = if record[1] == rtype::MBO { Some(offset_of!(MboMsg, ts_recv)) } else { Layout::of(record[1]).ts_recv };
    let ts_recv = at.map_or(UNDEF_TIMESTAMP, |at| u64_at(record, at));
    if ts_recv == UNDEF_TIMESTAMP { ts_event(record) } else { ts_recv }
}

/// The time at which a record is due; one without any is due at once.
#[inline(always)]
pub(super) fn due_ns(record: &[u8]) -> u64 {
    let ts_ns = index_ts(record);
    if ts_ns == UNDEF_TIMESTAMP { 0 } else { ts_ns }
}

/// The book that a record belongs to.
#[inline(always)]
pub(super) fn key_of(record: &[u8]) -> Key {
    Key { publisher_id: u16::from_le_bytes([record[2], record[3]]), instrument_id: u32_at(record, 4) }
}

/// Each record of bytes that hold whole records, by its own length.
pub(super) fn for_each_record(records: &[u8], mut each: impl FnMut(&[u8])) {
    let mut at = 0;
    while at < records.len() {
        let len = usize::from(records[at]) * 4;
        each(&records[at..at + len]);
        at += len;
    }
}
