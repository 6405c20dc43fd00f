//! One book as it was: the nearest checkpoint before, and the book's own records from there on.
//!
//! "As of T" means all events complete at or before T, by ts_event, as a market with `until` = T gives it that is fed the
//! whole session. So a checkpoint is good if no record before it is later than T; and replay ends when the book has met an
//! event later than T, or when no later record of the session is old enough.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    checkpoint_file::{self, CheckpointFile, Head},
    cursor::Item,
    error::HistoryError,
    log::{Log, Session},
    names::Names,
    shadow::restore,
    walk::Walk,
};
use crate::{
    event::{EventBook, Rules},
    fingerprint::Fingerprint,
    market::{Key, LookupError, Market, Name},
    record::flags,
    view::{Extent, View},
};

/// Why there is no such book.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The log cannot be read, or has nothing of that time.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No book, or several, go by that name.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

/// A session and from when (ns) on its books can be known.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The session.
    pub session: Session,
    /// ts_event of its first complete event, or of the oldest checkpoint if its beginning is gone.
    pub begin: u64,
}

/// What of a history is known at one time; it only grows, but for what retention removes.
struct Known {
    log: Log,
    reaches: Vec<Reach>,
    checkpoints: Vec<(Head, PathBuf)>,
    /// Checkpoint files that cannot be opened.
    damaged: Vec<PathBuf>,
}

/// Books as they were, at any time of a history. Any number of threads may ask; nothing here touches the live market.
pub struct Past {
    known: RwLock<Arc<Known>>,
    /// Held while something newer is made known.
    refreshing: Mutex<()>,
    names: Mutex<HashMap<u64, Names>>,
    damaged: AtomicU64,
}

impl Past {
    /// Of the history in a folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        let known = Known::of(Log::open(dir)?, None)?;
        Ok(Self {
            known: RwLock::new(Arc::new(known)),
            refreshing: Mutex::default(),
            names: Mutex::default(),
            damaged: AtomicU64::new(0),
        })
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refresh(&self) -> Result<Arc<Known>, HistoryError> {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.known();
        let mut log = before.log.clone();
        log.refresh()?;
        let known = Arc::new(Known::of(log, Some(&before))?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known)
    }

    /// What is known, and if a time (ns) may lie at its end, what is there by now.
    fn known_at(&self, at: u64) -> Result<Arc<Known>, HistoryError> {
        let known = self.known();
        let last = known.log.frames().iter().rfind(|frame| frame.entry.records > 0);
        let is_inside = last.is_some_and(|frame| at < frame.entry.ts_event.min);
        if is_inside { Ok(known) } else { self.refresh() }
    }

    /// A picture of one book as of a time (ts_event, ns).
    ///
    /// # Errors
    /// If the log has nothing of that time, or the session of that time no such book.
    pub fn view(&self, name: &Name, at: u64, extent: Extent) -> Result<View, PastError> {
        let market = self.market(name, at)?;
        let (key, book) = market.books().next().expect("the book that was asked for");
        Ok(View::of(key, market.symbol(key), book, extent))
    }

    /// A market of that one book.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    pub fn market(&self, name: &Name, at: u64) -> Result<Market, PastError> {
        let is_gone = |error: &PastError| matches!(error, PastError::History(error) if error.is_gone());
        match self.ask(at, is_gone, |known| self.market_in(known, name, at)) {
            Err(PastError::Lookup(LookupError::Unknown(..))) => self.market_in(&*self.refresh()?, name, at),
            outcome => outcome,
        }
    }

    /// Asks what is known of a time (ns), and once more where a file that it speaks of has been removed meanwhile.
    fn ask<T, E: From<HistoryError>>(
        &self,
        at: u64,
        is_gone: impl Fn(&E) -> bool,
        question: impl Fn(&Known) -> Result<T, E>,
    ) -> Result<T, E> {
        match question(&*self.known_at(at)?) {
            Err(error) if is_gone(&error) => {}
            outcome => return outcome,
        }
        let known = self.refresh()?;
        match question(&known) {
            Err(error) if is_gone(&error) => Err(known.not_recorded(at).into()),
            outcome => outcome,
        }
    }

    fn market_in(&self, known: &Known, name: &Name, at: u64) -> Result<Market, PastError> {
        let session = &known.reach(at)?.session;
        let mut market = Market::new(Rules { until: at, ..Rules::default() });
        let key = self.name(known, session, name, &mut market)?;
        let own = |head: &Head| {
            head.session == session.ordinal && head.ordinal >= session.first_ordinal && head.ts_event_max <= at
        };
        for (head, path) in known.checkpoints.iter().rev().filter(|(head, _)| own(head)) {
            let rules = *market.rules();
            match CheckpointFile::open(path).and_then(|mut file| file.book(key, &rules)) {
                Ok(book) => {
                    market.add(key, book.unwrap_or_else(|| EventBook::new(&rules)));
                    return Ok(Walk::new(&known.log, session, key, market, head.ordinal, head.ts_event_max).to(at)?);
                }
                Err(error) if error.is_gone() => {}
                Err(_) => _ = self.damaged.fetch_add(1, Ordering::Relaxed),
            }
        }
        if session.first_ordinal != session.ordinal {
            return Err(known.not_recorded(at).into());
        }
        market.find_or_add(key);
        Ok(Walk::new(&known.log, session, key, market, session.ordinal, 0).to(at)?)
    }

    /// Whose book it is; gives the market the instrument's symbols.
    fn name(&self, known: &Known, session: &Session, name: &Name, market: &mut Market) -> Result<Key, PastError> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.entry(session.ordinal).or_insert_with(|| Names::of(session, &known.checkpoints));
        let key = match names.lookup(name) {
            Err(LookupError::Unknown(..)) => {
                names.extend(&known.log, session)?;
                names.lookup(name)?
            }
            found => found?,
        };
        market.symbols.extend_by(names.symbols(), key.instrument_id);
        Ok(key)
    }

    /// The book that goes by a name in the newest session in which any does, whatever times are in force.
    ///
    /// # Errors
    /// If none does, or several do, or the log cannot be read.
    pub fn resolve(&self, name: &Name) -> Result<Key, PastError> {
        let known = self.refresh()?;
        let mut unknown = PastError::Lookup(Market::new(Rules::default()).lookup(name).expect_err("no book"));
        for reach in known.reaches.iter().rev() {
            match self.name(&known, &reach.session, name, &mut Market::new(Rules::default())) {
                Err(PastError::Lookup(error @ LookupError::Unknown(..))) => unknown = error.into(),
                outcome => return outcome,
            }
        }
        Err(unknown)
    }

    /// Where a time (ts_event, ns) lies: the ordinal of the first record of its session that is later, or that after the
    /// last.
    ///
    /// # Errors
    /// If the log has nothing of that time.
    pub fn ordinal_at(&self, at: u64) -> Result<u64, HistoryError> {
        self.ask(at, HistoryError::is_gone, |known| known.ordinal_at(at))
    }

    /// The hash of all books as they were right before the record of an ordinal.
    ///
    /// # Errors
    /// If the log does not have that ordinal.
    pub fn fingerprint(&self, ordinal: u64) -> Result<Fingerprint, HistoryError> {
        let known = self.known();
        let known = if ordinal > known.log.end_ordinal() { self.refresh()? } else { known };
        let shadow = match restore(&known.log, ordinal, false) {
            Err(error) if error.is_gone() => restore(&self.refresh()?.log, ordinal, false),
            outcome => outcome,
        }?;
        Ok(shadow.market.fingerprint())
    }

    /// The sessions, the newest last.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn range(&self) -> Result<Vec<Reach>, HistoryError> {
        Ok(self.refresh()?.reaches.clone())
    }

    /// Damaged checkpoints that were passed over, each time that one was.
    #[must_use]
    pub fn damaged_checkpoints(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed) + self.known().damaged.len() as u64
    }
}

impl Known {
    fn of(log: Log, before: Option<&Self>) -> Result<Self, HistoryError> {
        let (mut checkpoints, mut damaged) = (Vec::new(), Vec::new());
        let earlier: HashMap<&PathBuf, Head> =
            before.iter().flat_map(|known| &known.checkpoints).map(|(head, path)| (path, *head)).collect();
        for (_, path) in checkpoint_file::list(log.dir())? {
            let head = match earlier.get(&path) {
                Some(head) => Ok(*head),
                None => CheckpointFile::open(&path).map(|file| *file.head()),
            };
            match head {
                Ok(head) => checkpoints.push((head, path)),
                Err(error) if error.is_gone() => {}
                Err(_) => damaged.push(path),
            }
        }
        let mut reaches = Vec::new();
        for session in log.sessions() {
            let same = |reach: &&Reach| reach.session.ordinal == session.ordinal && reach.begin < u64::MAX;
            let earlier = before.and_then(|known| known.reaches.iter().find(same));
            let begin = match earlier.filter(|reach| reach.session.first_ordinal == session.first_ordinal) {
                Some(reach) => reach.begin,
                None => begin_of(&log, &session, &checkpoints)?,
            };
            reaches.push(Reach { session, begin });
        }
        Ok(Self { log, reaches, checkpoints, damaged })
    }

    fn reach(&self, at: u64) -> Result<&Reach, HistoryError> {
        self.reaches.iter().rev().find(|reach| reach.begin <= at).ok_or_else(|| self.not_recorded(at))
    }

    fn ordinal_at(&self, at: u64) -> Result<u64, HistoryError> {
        let session = &self.reach(at)?.session;
        let frames = &self.log.frames()[session.frames.clone()];
        let is_before = |frame: &&super::log::Frame| frame.entry.records == 0 || frame.entry.ts_event.max <= at;
        let Some(frame) = frames.iter().find(|frame| !is_before(frame)) else { return Ok(session.end_ordinal) };
        let mut cursor = self.log.cursor(frame.entry.first_ordinal);
        while let Some(item) = cursor.next(&self.log)? {
            if let Item::Records { first_ordinal, records } = item
                && let Some(found) = records.iter().position(|record| record.hd.ts_event > at)
            {
                return Ok(first_ordinal + found as u64);
            }
        }
        Ok(session.end_ordinal)
    }

    fn not_recorded(&self, at: u64) -> HistoryError {
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
    while cursor.ordinal() < session.end_ordinal
        && let Some(item) = cursor.next(log)?
    {
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
