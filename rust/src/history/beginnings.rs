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
    /// damaged, as early as the index says: see `is_estimated`.
    pub ts_recv: u64,
    /// Whether a damaged frame hides when it began. Who read that before the damage knows better.
    pub is_estimated: bool,
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

    /// Among the log's sessions; nothing as long as the newest has told nothing but of the books that it begins with.
    ///
    /// # Errors
    /// If the log cannot be read. Damage is no error.
    pub(super) fn look(&mut self, log: &Log, sessions: &[Session]) -> Result<Option<SessionStart>, HistoryError> {
        let Some(at) = sessions.iter().position(|session| session.ordinal == self.ordinal) else { return Ok(None) };
        let session = &sessions[at];
        let first = self.first_live(log, session.end_ordinal)?;
        let is_newest = at + 1 == sessions.len();
        let first_of_all = if is_newest { None } else { self.first_ts_recv };
        let (ordinal, uri) = (session.ordinal, &session.uri);
        Ok(first.or(first_of_all.map(|ts_recv| (ts_recv, false))).map(|(ts_recv, is_estimated)| SessionStart {
            ordinal,
            uri: uri.clone(),
            ts_recv,
            is_estimated,
        }))
    }

    /// Its ts_recv, and whether that is estimated.
    fn first_live(&mut self, log: &Log, end: u64) -> Result<Option<(u64, bool)>, HistoryError> {
        while self.cursor.ordinal() < end {
            let item = match self.cursor.next(log) {
                Err(HistoryError::Damaged { .. }) => return Ok(Some((self.cursor.received(log), true))),
                item => item?,
            };
            match item {
                None => break,
                Some(Item::Records { records, .. }) => {
                    self.first_ts_recv = self.first_ts_recv.or(records.first().map(|record| record.ts_recv));
                    let live = records.iter().find(|record| record.flags.raw() & flags::SNAPSHOT == 0);
                    if let Some(record) = live {
                        return Ok(Some((record.ts_recv, false)));
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
        let sessions = self.sessions();
        let session = sessions.iter().find(|session| session.ordinal == ordinal);
        session.map_or(Ok(None), |session| Beginning::of(self, session).look(self, &sessions))
    }

    /// When its sessions began, oldest first; without the newest, as long as that has told nothing but of the books that it
    /// begins with. Reads the first frame of each.
    ///
    /// # Errors
    /// If the log cannot be read. Damage is no error.
    pub fn session_starts(&self) -> Result<Vec<SessionStart>, HistoryError> {
        let sessions = self.sessions();
        let looks = sessions.iter().map(|session| Beginning::of(self, session).look(self, &sessions));
        looks.filter_map(Result::transpose).collect()
    }
}
