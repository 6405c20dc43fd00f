//! What of a history is known at one time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    checkpoint_file::{self, CheckpointFile, Head},
    cursor::Item,
    error::HistoryError,
    log::{Clock, Log, Session},
};
use crate::{market::Key, record::flags};

/// So long after its last change, a folder that has not changed since is the same: clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// A session and from when (ns) on its books can be known.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The session.
    pub session: Session,
    /// ts_event of its first complete event, or of the oldest checkpoint if its beginning is gone.
    pub begin: u64,
}

/// What of a history is known at one time; it only grows, but for what retention removes.
pub(super) struct Known {
    pub(super) log: Log,
    pub(super) reaches: Vec<Reach>,
    pub(super) checkpoints: Arc<Checkpoints>,
}

/// The checkpoints of a history.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// By ordinal.
    pub(super) files: Vec<(Head, PathBuf)>,
    /// Those that cannot be opened.
    pub(super) damaged: Vec<PathBuf>,
    /// When their folder was last changed; nothing if it may have changed since.
    changed: Option<SystemTime>,
}

impl Checkpoints {
    /// Those in a history's folder: the same as before if nothing came or went.
    fn of(dir: &Path, before: Option<&Arc<Self>>) -> Result<Arc<Self>, HistoryError> {
        let folder = checkpoint_file::folder(dir);
        let changed = folder.metadata().and_then(|metadata| metadata.modified()).ok();
        if let Some(before) = before.filter(|before| before.changed.is_some() && before.changed == changed) {
            return Ok(before.clone());
        }
        let is_settled = |changed: &SystemTime| changed.elapsed().is_ok_and(|since| since > SETTLED);
        let mut checkpoints = Self { changed: changed.filter(is_settled), ..Self::default() };
        let earlier: HashMap<&PathBuf, Head> =
            before.iter().flat_map(|before| &before.files).map(|(head, path)| (path, *head)).collect();
        for (_, path) in checkpoint_file::list(dir)? {
            let head = match earlier.get(&path) {
                Some(head) => Ok(*head),
                None => CheckpointFile::open(&path).map(|file| *file.head()),
            };
            match head {
                Ok(head) => checkpoints.files.push((head, path)),
                Err(error) if error.is_gone() => {}
                Err(_) => checkpoints.damaged.push(path),
            }
        }
        Ok(Arc::new(checkpoints))
    }
}

impl Known {
    pub(super) fn of(log: Log, before: Option<&Self>) -> Result<Self, HistoryError> {
        let checkpoints = Checkpoints::of(log.dir(), before.map(|known| &known.checkpoints))?;
        let mut reaches = Vec::new();
        for session in log.sessions() {
            let same = |reach: &&Reach| reach.session.ordinal == session.ordinal && reach.begin < u64::MAX;
            let earlier = before.and_then(|known| known.reaches.iter().find(same));
            let begin = match earlier.filter(|reach| reach.session.first_ordinal == session.first_ordinal) {
                Some(reach) => reach.begin,
                None => begin_of(&log, &session, &checkpoints.files)?,
            };
            reaches.push(Reach { session, begin });
        }
        Ok(Self { log, reaches, checkpoints })
    }

    /// The checkpoints of a session that no later record is in, the newest first.
    pub(super) fn checkpoints_before(&self, session: &Session, at: u64) -> impl Iterator<Item = &(Head, PathBuf)> {
        let (ordinal, first_ordinal) = (session.ordinal, session.first_ordinal);
        let is_good =
            move |head: &Head| head.session == ordinal && head.ordinal >= first_ordinal && head.ts_event_max <= at;
        self.checkpoints.files.iter().rev().filter(move |(head, _)| is_good(head))
    }

    pub(super) fn reach(&self, at: u64) -> Result<&Reach, HistoryError> {
        self.reaches.iter().rev().find(|reach| reach.begin <= at).ok_or_else(|| self.not_recorded(at))
    }

    pub(super) fn ordinal_at(&self, at: u64) -> Result<u64, HistoryError> {
        self.place_of(at).map(|(_, ordinal)| ordinal)
    }

    /// The session of a time, and where in it that lies.
    pub(super) fn place_of(&self, at: u64) -> Result<(Session, u64), HistoryError> {
        let session = &self.reach(at)?.session;
        let place = |ordinal| Ok((session.clone(), ordinal));
        let frame = self.log.frames().first_later(session.frames.clone(), Clock::Event, at);
        if frame == session.frames.end {
            return place(session.end_ordinal);
        }
        let mut cursor = self.log.cursor(self.log.frames()[frame].entry.first_ordinal);
        while let Some(item) = cursor.next(&self.log)? {
            if let Item::Records { first_ordinal, records } = item
                && let Some(found) = records.iter().position(|record| record.hd.ts_event > at)
            {
                return place(first_ordinal + found as u64);
            }
        }
        place(session.end_ordinal)
    }

    pub(super) fn not_recorded(&self, at: u64) -> HistoryError {
        let what = match self.reaches.iter().map(|reach| reach.begin).min().filter(|begin| *begin < u64::MAX) {
            Some(begin) => format!("time {at}: the history begins at {begin} (ts_event, ns)"),
            None => format!("time {at}: nothing has been recorded"),
        };
        HistoryError::NotRecorded { dir: self.log.dir().into(), what }
    }
}

/// From when on the books of a session can be known: before its first complete event, an earlier session is meant, though
/// the orders of a snapshot carry older times.
fn begin_of(log: &Log, session: &Session, checkpoints: &[(Head, PathBuf)]) -> Result<u64, HistoryError> {
    if session.first_ordinal != session.ordinal {
        let own = |head: &&Head| head.session == session.ordinal && head.ordinal >= session.first_ordinal;
        return Ok(checkpoints.iter().map(|(head, _)| head).find(own).map_or(u64::MAX, |head| head.ts_event_max));
    }
    let mut latest: HashMap<Key, u64> = HashMap::new();
    let mut cursor = log.cursor(session.ordinal);
    while cursor.ordinal() < session.end_ordinal {
        let item = match cursor.next(log) {
            // As early as the index says: of what comes then, whoever asks is told of the damage.
            Err(HistoryError::Damaged { .. }) => return Ok(cursor.received(log).min(session.ts_recv.max)),
            item => item?,
        };
        let Some(item) = item else { break };
        let Item::Records { records, .. } = item else { continue };
        for record in records {
            let latest = latest.entry(Key::of(record)).or_default();
            *latest = record.hd.ts_event.max(*latest);
            if record.flags.raw() & flags::LAST != 0 {
                return Ok(*latest);
            }
        }
    }
    Ok(u64::MAX)
}
