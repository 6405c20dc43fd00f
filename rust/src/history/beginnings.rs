//! When sessions begin: what earlier ones told of that time and later is out of force.
//!
//! What the log has decides it, and nothing else. Tables, files and what is said of a history ask here, so that they
//! agree, also where a part of the log is lost.

use super::{
    cursor::{Cursor, Item},
    error::HistoryError,
    log::{Log, Session},
};
use crate::record::flags;

/// A session that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// Ordinal at which it began, also where that is lost.
    pub ordinal: u64,
    /// Its source.
    pub uri: String,
    /// ts_recv of its first record that is no MBO snapshot's, ns; or else of its first. Where a frame before that is
    /// damaged, as early as the index says.
    pub ts_recv: u64,
}

/// Looks when a session begins, as far as a log goes, and goes on from there once that has more.
pub(super) struct Beginning {
    ordinal: u64,
    cursor: Cursor,
    first_ts_recv: Option<u64>,
}

impl Beginning {
    pub(super) fn of(log: &Log, session: &Session) -> Self {
        Self { ordinal: session.ordinal, cursor: log.cursor(session.first_ordinal), first_ts_recv: None }
    }

    /// Ordinal at which the session began.
    pub(super) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Nothing as long as the newest session has told nothing but of the books that it begins with.
    ///
    /// # Errors
    /// If the log cannot be read. Damage is no error.
    pub(super) fn look(&mut self, log: &Log) -> Result<Option<SessionStart>, HistoryError> {
        let sessions = log.sessions();
        let Some(at) = sessions.iter().position(|session| session.ordinal == self.ordinal) else { return Ok(None) };
        let session = &sessions[at];
        let first = self.first_live(log, session.end_ordinal)?;
        let is_newest = at + 1 == sessions.len();
        let ts_recv = first.or(if is_newest { None } else { self.first_ts_recv });
        let (ordinal, uri) = (session.ordinal, &session.uri);
        Ok(ts_recv.map(|ts_recv| SessionStart { ordinal, uri: uri.clone(), ts_recv }))
    }

    fn first_live(&mut self, log: &Log, end: u64) -> Result<Option<u64>, HistoryError> {
        while self.cursor.ordinal() < end {
            let item = match self.cursor.next(log) {
                Err(HistoryError::Damaged { .. }) => return Ok(Some(self.cursor.received(log))),
                item => item?,
            };
            match item {
                None => break,
                Some(Item::Records { records, .. }) => {
                    self.first_ts_recv = self.first_ts_recv.or(records.first().map(|record| record.ts_recv));
                    let live = records.iter().find(|record| record.flags.raw() & flags::SNAPSHOT == 0);
                    if let Some(record) = live {
                        return Ok(Some(record.ts_recv));
                    }
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }
}

impl Log {
    /// When the session of an ordinal began; nothing if it is not there, or the newest and has told nothing but of the books that
    /// it begins with.
    ///
    /// # Errors
    /// If the log cannot be read. Damage is no error.
    pub fn session_start(&self, ordinal: u64) -> Result<Option<SessionStart>, HistoryError> {
        let session = self.sessions().into_iter().find(|session| session.ordinal == ordinal);
        session.map_or(Ok(None), |session| Beginning::of(self, &session).look(self))
    }

    /// When its sessions began, oldest first; without the newest, as long as that has told nothing but of the books that it
    /// begins with. Reads the first frame of each.
    ///
    /// # Errors
    /// If the log cannot be read. Damage is no error.
    pub fn session_starts(&self) -> Result<Vec<SessionStart>, HistoryError> {
        let looks = self.sessions().iter().map(|session| Beginning::of(self, session).look(self)).collect::<Vec<_>>();
        looks.into_iter().filter_map(Result::transpose).collect()
    }
}
