//! BBO by interval: the last quote and the last trade.

use dbn::{BboMsg, BidAskPair, RecordHeader, UNDEF_PRICE, UNDEF_TIMESTAMP};

use super::schema::Schema;
use crate::{market::Key, record::MboMsg};

/// What an instrument's row tells beside the BBO itself.
#[derive(Clone, Copy)]
pub(super) struct Last {
    trade_ts_event: u64,
    trade_price: i64,
    trade_size: u32,
    trade_side: u8,
    sequence: u32,
    flags: u8,
}

impl Default for Last {
    fn default() -> Self {
        Self {
            trade_ts_event: UNDEF_TIMESTAMP,
            trade_price: UNDEF_PRICE,
            trade_size: 0,
            trade_side: b'N',
            sequence: 0,
            flags: 0,
        }
    }
}

impl Last {
    /// Notes an update of the BBO, or a trade.
    pub(super) fn update(&mut self, record: &MboMsg) {
        self.sequence = record.sequence;
        self.flags = record.flags.raw();
    }

    /// Notes a trade; it stays the last one until the next, through any number of intervals.
    pub(super) fn trade(&mut self, record: &MboMsg) {
        self.trade_ts_event = record.hd.ts_event;
        self.trade_price = record.price;
        self.trade_size = record.size;
        self.trade_side = record.side as u8;
        self.update(record);
    }

    /// The row of an interval that ended at `end_ns`.
    pub(super) fn row(&self, schema: Schema, key: Key, end_ns: u64, best: BidAskPair) -> BboMsg {
        let header =
            RecordHeader::new::<BboMsg>(schema.rtype(), key.publisher_id, key.instrument_id, self.trade_ts_event);
        BboMsg {
            hd: header,
            price: self.trade_price,
            size: self.trade_size,
            side: self.trade_side as std::ffi::c_char,
            flags: self.flags.into(),
            ts_recv: end_ns,
            sequence: self.sequence,
            levels: [best],
            ..BboMsg::default_for_schema(schema.dbn())
        }
    }
}
