//! When sessions begin.

use crate::record::{MboMsg, flags};

/// A session that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// Ordinal of its first record.
    pub ordinal: u64,
    /// Its source.
    pub uri: String,
    /// ts_recv of its first record that is no MBO snapshot's, ns; or else of its first.
    pub ts_recv: u64,
}

/// The session that began last, until it is known when that was.
#[derive(Default)]
pub(super) struct Sessions {
    beginning: Option<Beginning>,
}

struct Beginning {
    ordinal: u64,
    uri: String,
    first_ts_recv: Option<u64>,
}

impl Sessions {
    /// One begins; says of the one before that is not told yet.
    pub(super) fn begin(&mut self, ordinal: u64, uri: &str) -> Option<SessionStart> {
        let next = Beginning { ordinal, uri: uri.into(), first_ts_recv: None };
        let Beginning { ordinal, uri, first_ts_recv } = self.beginning.replace(next)?;
        Some(SessionStart { ordinal, uri, ts_recv: first_ts_recv? })
    }

    /// The session, once its records say when it began.
    pub(super) fn note(&mut self, records: &[MboMsg]) -> Option<SessionStart> {
        let beginning = self.beginning.as_mut()?;
        let first = beginning.first_ts_recv.or(records.first().map(|record| record.ts_recv));
        beginning.first_ts_recv = first;
        let is_live = |record: &&MboMsg| record.flags.raw() & flags::SNAPSHOT == 0;
        let ts_recv = records.iter().find(is_live)?.ts_recv;
        self.beginning.take().map(|Beginning { ordinal, uri, .. }| SessionStart { ordinal, uri, ts_recv })
    }

    /// Where one began that is not told yet.
    pub(super) fn resume_ordinal(&self) -> Option<u64> {
        self.beginning.as_ref().map(|beginning| beginning.ordinal)
    }
}
