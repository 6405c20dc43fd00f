//! Sessions whose beginnings are still to be told.

use crate::history::{
    HistoryError, Log,
    beginnings::{Beginning, SessionStart},
};

/// The sessions that began, until it is known when that was.
#[derive(Default)]
pub(super) struct Sessions {
    pending: Vec<Beginning>,
}

impl Sessions {
    /// The session of this ordinal begins.
    pub(super) fn begin(&mut self, log: &Log, ordinal: u64) {
        let sessions = log.sessions();
        let found = sessions.iter().find(|session| session.ordinal == ordinal);
        self.pending.extend(found.map(|session| Beginning::of(log, session)));
    }

    /// Those of which the log says by now when they began.
    pub(super) fn take_known(&mut self, log: &Log) -> Result<Vec<SessionStart>, HistoryError> {
        let mut known = Vec::new();
        if self.pending.is_empty() {
            return Ok(known);
        }
        let sessions = log.sessions();
        for mut beginning in std::mem::take(&mut self.pending) {
            match beginning.look(log, &sessions)? {
                Some(start) => known.push(start),
                None => self.pending.push(beginning),
            }
        }
        Ok(known)
    }

    /// Where the first began that is not told yet.
    pub(super) fn resume_ordinal(&self) -> Option<u64> {
        self.pending.first().map(Beginning::ordinal)
    }
}
