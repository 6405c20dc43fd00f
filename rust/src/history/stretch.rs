//! A stretch of a log that is on its way to the disk.

use dbn::UNDEF_TIMESTAMP;

use super::{layout::DAY_NS, mark::Mark};
use crate::{
    record::{MBO_BYTES, MboMsg},
    symbols::Symbols,
};

/// The session that is being recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionStart {
    pub(crate) ordinal: u64,
    pub(crate) uri: String,
}

/// What a new segment begins with.
pub(crate) struct Begin {
    pub(crate) dataset: String,
    pub(crate) symbols: Symbols,
    pub(crate) marks: Vec<Mark>,
}

/// What becomes one frame.
#[derive(Default)]
pub(crate) struct Stretch {
    /// It begins a new segment.
    pub(crate) begin: Option<Begin>,
    /// The market as it was before it.
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) session: SessionStart,
    pub(crate) bytes: Vec<u8>,
    pub(crate) first_ordinal: u64,
    pub(crate) records: u64,
    /// The day (since 1970-01-01) of its first record.
    pub(crate) day: Option<u64>,
}

impl Stretch {
    /// Whether it must wait for a record: no segment is without.
    pub(crate) fn waits(&self) -> bool {
        self.begin.is_some() && self.records == 0
    }
}

/// The day (since 1970-01-01) that a record belongs to, if it has a time.
pub(crate) fn day_of(record: &MboMsg) -> Option<u64> {
    let ts = if record.ts_recv == UNDEF_TIMESTAMP { record.hd.ts_event } else { record.ts_recv };
    (ts != UNDEF_TIMESTAMP).then_some(ts / DAY_NS)
}

/// ts_out is the connection's: the record ends before it, and says so.
pub(crate) fn push_without_ts_out(out: &mut Vec<u8>, records: &[MboMsg]) {
    for record in records {
        let at = out.len();
        out.extend_from_slice(crate::record::mbo_bytes(record));
        out[at] = (MBO_BYTES / 4) as u8;
    }
}
