//! What records a market: the lock, the recovered log, the writer's thread.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    checkpoint_file,
    error::HistoryError,
    files::make_folders,
    lock::Lock,
    mark::{Mark, mark_uri},
    platform,
    queue::{Queue, head_of},
    recovery::{Recovered, recover},
    stats::Stats,
    stretch::SessionStart,
    writer::Writer,
};
use crate::{journal::Journal, market::Market};

/// MBO records of a frame at most.
pub const FRAME_RECORDS_MAX: u64 = 65_536;
/// With less room in the queue than that, holes would be the rule.
pub const QUEUE_BYTES_MIN: usize = 1024 * 1024;
/// How long a recorder that is dropped waits for its writer.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What was recorded is made durable after so many records at the latest …
    pub fsync_records: u64,
    /// … and after so long, ms.
    pub fsync_ms: u64,
    /// A segment of this length is the last frame's.
    pub segment_bytes_max: u64,
    /// Bytes that may wait to become durable.
    pub queue_bytes_max: usize,
    /// Ordinals below are known to somebody, as tables may be ahead of what is left of a log: no other record gets one.
    pub ordinal_min: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fsync_records: FRAME_RECORDS_MAX,
            fsync_ms: 500,
            segment_bytes_max: 256 << 20,
            queue_bytes_max: 64 << 20,
            ordinal_min: 0,
        }
    }
}

/// The one writer of a history.
pub struct Recorder {
    dir: PathBuf,
    recovered: Recovered,
    queue: Arc<Queue>,
    /// Whether anything was recorded here, and the hole that recovery found, if any, is in the log.
    has_begun: bool,
    is_closed: bool,
}

impl Recorder {
    /// Locks a history's folder, makes it if need be, and makes its log ready to be written on.
    ///
    /// # Errors
    /// [`HistoryError::Locked`] if another recorder writes there; if the folder cannot be read or written; if a setting
    /// makes no sense.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, HistoryError> {
        let refuse = |what: String| Err(HistoryError::Refused { dir: dir.into(), what });
        if settings.fsync_records == 0 || settings.fsync_ms == 0 || settings.segment_bytes_max == 0 {
            return refuse("a setting of 0, expected at least 1 record, 1 ms and 1 byte".into());
        }
        if settings.queue_bytes_max < QUEUE_BYTES_MIN {
            return refuse(format!(
                "a queue of {} bytes, expected {QUEUE_BYTES_MIN} or more",
                settings.queue_bytes_max
            ));
        }
        let dir = &std::path::absolute(dir).map_err(HistoryError::io(dir))?;
        make_folders(dir)?;
        let dir = fs::canonicalize(dir).map_err(HistoryError::io(dir))?;
        let lock = Lock::take(&dir)?;
        let recovered = recover(&dir, settings.ordinal_min)?;
        let records_max = settings.fsync_records.min(FRAME_RECORDS_MAX);
        let has_segment = recovered.segment.is_some();
        let queue = Arc::new(Queue::new(settings.queue_bytes_max, records_max, recovered.next_ordinal, has_segment));
        let writer = Writer::new(&dir, queue.clone(), settings, recovered.segment.as_deref())?;
        let over = Over(queue.clone());
        let run = move || {
            // Until the last byte is written nobody else may; whoever waits for the end may at once. Also if it panics:
            // what was declared last is dropped first.
            let _over = over;
            let _lock = lock;
            // It has a queue of seconds, and packs a frame for tens of milliseconds on end, in which whoever is woken to
            // apply or to answer would otherwise wait for a processor.
            platform::give_way();
            writer.run();
        };
        thread::Builder::new().name("history".into()).spawn(run).map_err(HistoryError::io(&dir))?;
        Ok(Self { dir, recovered, queue, has_begun: false, is_closed: false })
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// From now on, this market is recorded, and no other: in a new session (of a market that has taken nothing), or
    /// going on with the last one (of a market restored to [`Recovered::end_ordinal`]).
    ///
    /// # Errors
    /// If the market is not where it must be, or there is no session to go on with.
    pub fn begin(&mut self, market: &mut Market, session: Option<&str>) -> Result<(), HistoryError> {
        let refuse = |what: String| Err(HistoryError::Refused { dir: self.dir.clone(), what });
        if self.is_closed {
            return refuse("this recorder is closed".into());
        }
        let next_ordinal = self.queue.stats().next_ordinal;
        let taken = market.records_taken();
        let lost = (!self.has_begun && self.recovered.end_ordinal < next_ordinal).then_some(self.recovered.end_ordinal);
        let hole = match lost {
            Some(first) => Some(Mark::Hole { first, end: next_ordinal, reason: self.recovered.loss().into() }),
            None => self.queue.pending_hole(),
        };
        let (session, mark, dataset) = match session {
            Some(_) if taken > 0 || !market.is_empty() => {
                return refuse(format!("a market of {taken} records, expected an empty one for a new session"));
            }
            Some(uri) => {
                let uri = mark_uri(uri);
                (SessionStart { ordinal: next_ordinal, uri: uri.clone() }, Mark::Session { uri }, None)
            }
            None => {
                let end_ordinal = lost.unwrap_or(next_ordinal);
                let Some(last) = self.session() else {
                    return refuse("no session to go on with, expected the name of a new one".into());
                };
                if taken != end_ordinal {
                    return refuse(format!("a market of {taken} records, expected one restored to {end_ordinal}"));
                }
                let mark = Mark::Continues { ordinal: last.ordinal, uri: last.uri.clone() };
                (last, mark, self.recovered.dataset.as_deref())
            }
        };
        let head = head_of(next_ordinal, session.ordinal, market);
        let checkpoint = hole.is_some().then(|| checkpoint_file::encode(&head, market, None));
        let marks = [Some(mark), hole].into_iter().flatten().collect();
        self.queue.begin(session, dataset, market.symbols.clone(), marks, checkpoint);
        self.has_begun = true;
        market.set_journal(Some(Journal::new(self.queue.clone())));
        Ok(())
    }

    /// The session that was recorded last, here or before.
    fn session(&self) -> Option<SessionStart> {
        if self.has_begun {
            return Some(self.queue.session());
        }
        let last = self.recovered.session.as_ref()?;
        Some(SessionStart { ordinal: last.ordinal, uri: last.uri.clone() })
    }

    /// This market is no longer recorded.
    pub fn end(&self, market: &mut Market) {
        market.set_journal(None);
        self.queue.end();
    }

    /// Ordinal of the next record to be recorded.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.queue.stats().next_ordinal
    }

    /// What to wait on without holding the recorder.
    #[cfg(feature = "python")]
    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// As [`close`](Self::close), for whoever waits on the queue himself.
    #[cfg(feature = "python")]
    pub(crate) fn set_closed(&mut self) -> Arc<Queue> {
        self.is_closed = true;
        self.queue.clone()
    }

    /// Waits until the queue is at most half full; false if it is not in time.
    #[must_use]
    pub fn wait_room(&self, timeout: Duration) -> bool {
        self.queue.wait_room(timeout)
    }

    /// Makes all that was recorded so far durable; false if it is not in time.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.flush(timeout)
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }

    /// Ends the recording; false if not everything became durable in time. Then, and only then, something is lost.
    pub fn close(&mut self, timeout: Duration) -> bool {
        self.is_closed = true;
        self.queue.close(timeout)
    }
}

/// Says that the writer has ended, however it did.
struct Over(Arc<Queue>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.is_closed {
            self.close(DROP_TIMEOUT);
        }
    }
}
