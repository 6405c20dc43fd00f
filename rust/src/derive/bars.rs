//! OHLCV: trades summed up by interval.

use dbn::{OhlcvMsg, RecordHeader};

use super::schema::Schema;
use crate::{market::Key, record::MboMsg};

/// An instrument's bar of the current interval.
#[derive(Clone, Copy, Default)]
pub(super) struct Bar {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: u64,
}

impl Bar {
    /// Begins with the first trade of an interval.
    pub(super) fn of(trade: &MboMsg) -> Self {
        let price = trade.price;
        Self { open: price, high: price, low: price, close: price, volume: u64::from(trade.size) }
    }

    /// Takes a further trade.
    pub(super) fn add(&mut self, trade: &MboMsg) {
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume = self.volume.saturating_add(u64::from(trade.size));
    }

    /// The row of an interval that began at `start_ns`.
    pub(super) fn row(&self, schema: Schema, key: Key, start_ns: u64) -> OhlcvMsg {
        OhlcvMsg {
            hd: RecordHeader::new::<OhlcvMsg>(schema.rtype(), key.publisher_id, key.instrument_id, start_ns),
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
        }
    }
}
