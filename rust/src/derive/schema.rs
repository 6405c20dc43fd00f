//! What can be derived.

use dbn::rtype;

const NS_PER_S: u64 = 1_000_000_000;

/// A schema whose records can be made from MBO records alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Every MBO record as it is, without `ts_out`.
    Mbo,
    /// Every update of the ten best levels, and every trade.
    Mbp10,
    /// Every update of the best level, and every trade.
    Mbp1,
    /// Every trade with the BBO before its effect.
    Tbbo,
    /// The last BBO and trade of every second with an update.
    Bbo1S,
    /// The last BBO and trade of every minute with an update.
    Bbo1M,
    /// Every trade.
    Trades,
    /// A bar for every second with a trade.
    Ohlcv1S,
    /// A bar for every minute with a trade.
    Ohlcv1M,
    /// A bar for every hour with a trade.
    Ohlcv1H,
    /// A bar for every UTC day with a trade.
    Ohlcv1D,
}

impl Schema {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Mbo,
        Self::Mbp10,
        Self::Mbp1,
        Self::Tbbo,
        Self::Bbo1S,
        Self::Bbo1M,
        Self::Trades,
        Self::Ohlcv1S,
        Self::Ohlcv1M,
        Self::Ohlcv1H,
        Self::Ohlcv1D,
    ];

    /// The schema of this name, as Databento writes it: `mbp-10`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// Databento's name: `mbp-10`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.dbn().as_str()
    }

    /// The same in the format's own crate.
    #[must_use]
    pub fn dbn(self) -> dbn::Schema {
        match self {
            Self::Mbo => dbn::Schema::Mbo,
            Self::Mbp10 => dbn::Schema::Mbp10,
            Self::Mbp1 => dbn::Schema::Mbp1,
            Self::Tbbo => dbn::Schema::Tbbo,
            Self::Bbo1S => dbn::Schema::Bbo1S,
            Self::Bbo1M => dbn::Schema::Bbo1M,
            Self::Trades => dbn::Schema::Trades,
            Self::Ohlcv1S => dbn::Schema::Ohlcv1S,
            Self::Ohlcv1M => dbn::Schema::Ohlcv1M,
            Self::Ohlcv1H => dbn::Schema::Ohlcv1H,
            Self::Ohlcv1D => dbn::Schema::Ohlcv1D,
        }
    }

    /// The record type of its rows.
    #[must_use]
    pub fn rtype(self) -> u8 {
        match self {
            Self::Mbo => rtype::MBO,
            Self::Mbp10 => rtype::MBP_10,
            Self::Mbp1 | Self::Tbbo => rtype::MBP_1,
            Self::Bbo1S => rtype::BBO_1S,
            Self::Bbo1M => rtype::BBO_1M,
            Self::Trades => rtype::MBP_0,
            Self::Ohlcv1S => rtype::OHLCV_1S,
            Self::Ohlcv1M => rtype::OHLCV_1M,
            Self::Ohlcv1H => rtype::OHLCV_1H,
            Self::Ohlcv1D => rtype::OHLCV_1D,
        }
    }

    /// Bytes of one row.
    #[must_use]
    pub fn row_bytes(self) -> usize {
        match self {
            Self::Mbo => size_of::<dbn::MboMsg>(),
            Self::Mbp10 => size_of::<dbn::Mbp10Msg>(),
            Self::Mbp1 | Self::Tbbo => size_of::<dbn::Mbp1Msg>(),
            Self::Bbo1S | Self::Bbo1M => size_of::<dbn::BboMsg>(),
            Self::Trades => size_of::<dbn::TradeMsg>(),
            Self::Ohlcv1S | Self::Ohlcv1M | Self::Ohlcv1H | Self::Ohlcv1D => size_of::<dbn::OhlcvMsg>(),
        }
    }

    /// Where in a row the time stands by which rows are sorted and symbols are found: ts_recv, or a bar's ts_event.
    pub(super) fn index_ts_offset(self) -> usize {
        match self {
            Self::Mbo => std::mem::offset_of!(dbn::MboMsg, ts_recv),
            Self::Mbp10 => std::mem::offset_of!(dbn::Mbp10Msg, ts_recv),
            Self::Mbp1 | Self::Tbbo => std::mem::offset_of!(dbn::Mbp1Msg, ts_recv),
            Self::Bbo1S | Self::Bbo1M => std::mem::offset_of!(dbn::BboMsg, ts_recv),
            Self::Trades => std::mem::offset_of!(dbn::TradeMsg, ts_recv),
            Self::Ohlcv1S | Self::Ohlcv1M | Self::Ohlcv1H | Self::Ohlcv1D => {
                std::mem::offset_of!(dbn::RecordHeader, ts_event)
            }
        }
    }

    /// Length of its intervals, ns; `None` for a schema whose rows come with the records.
    #[must_use]
    pub fn interval_ns(self) -> Option<u64> {
        match self {
            Self::Bbo1S | Self::Ohlcv1S => Some(NS_PER_S),
            Self::Bbo1M | Self::Ohlcv1M => Some(60 * NS_PER_S),
            Self::Ohlcv1H => Some(3_600 * NS_PER_S),
            Self::Ohlcv1D => Some(86_400 * NS_PER_S),
            _ => None,
        }
    }

    /// Levels of the book that its rows show; 0: it needs no book.
    pub(super) fn depth(self) -> usize {
        match self {
            Self::Mbp10 => 10,
            Self::Mbp1 | Self::Tbbo | Self::Bbo1S | Self::Bbo1M => 1,
            _ => 0,
        }
    }
}
