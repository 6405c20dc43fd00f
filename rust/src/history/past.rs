//! One book as it was: the nearest checkpoint before, and the book's own records from there on.
//!
//! "As of T" means all events complete at or before T, by ts_event, as a market with `until` = T gives it that is fed the
//! whole session. So a checkpoint is good if no record before it is later than T; and replay ends when the book has met an
//! event later than T, or when no later record of the session is old enough.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    checkpoint_file::{CheckpointFile, CheckpointFileError, Head},
    error::HistoryError,
    known::{Known, Reach},
    log::{Log, Session},
    names::Names,
    orders::{self, Life},
    recent::Recent,
    shadow::restore,
    walk::Walk,
};
use crate::{
    event::{EventBook, Rules},
    fingerprint::Fingerprint,
    market::{Key, LookupError, Market, Name},
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

/// Books as they were, at any time of a history. Any number of threads may ask; nothing here touches the live market.
pub struct Past {
    known: RwLock<Arc<Known>>,
    /// Held while something newer is made known.
    refreshing: Mutex<()>,
    names: Mutex<HashMap<u64, Names>>,
    recent: Mutex<Recent>,
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
            recent: Mutex::default(),
            damaged: AtomicU64::new(0),
        })
    }

    pub(super) fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What there is by now.
    pub(super) fn refresh(&self) -> Result<Arc<Known>, HistoryError> {
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
        let mut named = Market::new(Rules { until: at, ..Rules::default() });
        let key = self.name(known, session, name, &mut named)?;
        let (readings, of) = (known.log.readings(), (session.ordinal, key));
        let walk = |ordinal, latest, begin: &dyn Fn(&Rules) -> Result<EventBook, CheckpointFileError>| {
            let mut market = Market::new(*named.rules());
            market.symbols = named.symbols.clone();
            let walked = Walk::new(&known.log, session, key, market, ordinal, latest).to(at, begin)?;
            Ok::<_, CheckpointFileError>(walked.map(|(market, moment)| {
                moment.into_iter().for_each(|moment| self.recent().keep(readings, of, moment));
                market
            }))
        };
        let recent = self.recent().before(readings, of, at);
        let is_newer = |head: &Head| recent.as_ref().is_none_or(|recent| head.ordinal > recent.ordinal);
        for (head, path) in known.checkpoints_before(session, at).take_while(|(head, _)| is_newer(head)) {
            let begin = |rules: &Rules| {
                let book = CheckpointFile::open(path)?.book(key, rules)?;
                Ok(book.unwrap_or_else(|| EventBook::new(rules)))
            };
            match walk(head.ordinal, head.ts_event_max, &begin) {
                Ok(walked) => return Ok(walked?),
                Err(error) if error.is_gone() => {}
                Err(_) => _ = self.damaged.fetch_add(1, Ordering::Relaxed),
            }
        }
        let (ordinal, latest) = match &recent {
            Some(recent) => (recent.ordinal, recent.latest),
            None if session.first_ordinal == session.ordinal => (session.ordinal, 0),
            None => return Err(known.not_recorded(at).into()),
        };
        let begin = |rules: &Rules| {
            let mut book = recent.as_ref().map_or_else(|| EventBook::new(rules), |recent| (*recent.book).clone());
            book.until = rules.until;
            Ok(book)
        };
        Ok(walk(ordinal, latest, &begin).expect("nothing is read for that")?)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose book it is; gives the market the instrument's symbols.
    fn name(&self, known: &Known, session: &Session, name: &Name, market: &mut Market) -> Result<Key, PastError> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.entry(session.ordinal).or_insert_with(|| Names::of(session, &known.checkpoints.files));
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

    /// The session of a time (ts_event, ns), at whose end another may have begun, and the ordinal there.
    pub(super) fn place_of(&self, at: u64) -> Result<(Session, u64), HistoryError> {
        self.ask(at, HistoryError::is_gone, |known| known.place_of(at))
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

    /// As [`orders::life`], by what is in the log now.
    ///
    /// # Errors
    /// As there.
    pub fn life(&self, key: Key, order_id: u64, limit: usize) -> Result<Life, HistoryError> {
        let ask = |known: &Known| orders::life(&known.log, key, order_id, limit);
        match ask(&*self.refresh()?) {
            // What retention has removed meanwhile is no part of its life any more.
            Err(error) if error.is_gone() => ask(&*self.refresh()?),
            outcome => outcome,
        }
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
        self.damaged.load(Ordering::Relaxed) + self.known().checkpoints.damaged.len() as u64
    }
}
