//! A market that is moved along a log, as the live one was.

use std::path::{Path, PathBuf};

use super::{
    ahead::{Ahead, ahead},
    checkpoint_file::{self, CheckpointFile, CheckpointFileError, Head},
    cursor::{Cursor, Item},
    error::HistoryError,
    frame::Plain,
    log::{Log, Session},
    mark::Mark,
};
use crate::{
    decode::Position,
    event::{Rules, State},
    market::{Key, Market},
    record::MboMsg,
    symbols::Symbols,
    watch::Watch,
};

/// Why books are suspect behind a hole whose checkpoint is not there.
pub(super) const HOLE: &str = "hole in the history";

/// What the live market was at some ordinal, and what watched it, if that is wanted.
pub struct Shadow {
    /// The books.
    pub market: Market,
    /// What must be known of them when a live stream goes on.
    pub watch: Option<Watch>,
    head: Head,
    /// Of the segment that is read: those that a session begins with.
    symbols: Symbols,
    dir: PathBuf,
    damaged: u64,
    /// While books are in doubt since a hole: where the next checkpoint is, which may know better.
    mends_at: Option<u64>,
    /// Whether books that are not known yet may have begun in a hole: then they are in doubt from their first record on.
    doubts_unknown: bool,
    /// Whether somebody follows the market's books: then they stay, whatever becomes of them, and each time in another epoch.
    pub(super) is_followed: bool,
}

impl Shadow {
    /// The nearest moment at or before an ordinal that nothing must be replayed for: a checkpoint, or the session's
    /// beginning. Checkpoints that are damaged are passed over, and counted.
    ///
    /// # Errors
    /// [`HistoryError::NotRecorded`] if there is none.
    pub fn before(log: &Log, ordinal: u64, is_watched: bool) -> Result<Self, HistoryError> {
        Self::before_if(log, ordinal, is_watched, |_| Ok(true))
    }

    /// … of the checkpoints that are good for something.
    pub(super) fn before_if(
        log: &Log,
        ordinal: u64,
        is_watched: bool,
        is_good: impl FnMut(&CheckpointFile) -> Result<bool, CheckpointFileError>,
    ) -> Result<Self, HistoryError> {
        let sessions = log.sessions();
        let session = sessions.iter().rev().find(|session| session.ordinal <= ordinal);
        Self::before_in(log, session, ordinal, is_watched, is_good)
    }

    /// … of one session, at whose end another may have begun.
    pub(super) fn before_in(
        log: &Log,
        session: Option<&Session>,
        ordinal: u64,
        is_watched: bool,
        mut is_good: impl FnMut(&CheckpointFile) -> Result<bool, CheckpointFileError>,
    ) -> Result<Self, HistoryError> {
        let (begin, first) = session.map_or((0, 0), |session| (session.ordinal, session.first_ordinal));
        let mut damaged = 0;
        let checkpoints = checkpoint_file::list(log.dir())?;
        for (at, path) in checkpoints.iter().rev().filter(|(at, _)| (first..=ordinal).contains(at)) {
            let loaded = CheckpointFile::open(path).and_then(|file| {
                let head = *file.head();
                if (head.ordinal, head.session) != (*at, begin) || !is_good(&file)? {
                    return Ok(None);
                }
                let market = file.market()?;
                let watch = if is_watched { file.watch(&market)? } else { None };
                Ok(Some((head, market, watch)))
            });
            match loaded {
                Ok(Some((head, market, watch))) => {
                    let watch = is_watched.then(|| watch.unwrap_or_else(|| Watch::new(&market)));
                    let mut shadow = Self::at(log, head, market, watch);
                    shadow.damaged = damaged;
                    return Ok(shadow);
                }
                Ok(None) => {}
                Err(error) if error.is_gone() => {}
                Err(_) => damaged += 1,
            }
        }
        if session.is_some_and(|session| session.first_ordinal != session.ordinal) {
            let what =
                format!("ordinal {ordinal}: the log has no checkpoint before it, and its session's beginning is gone");
            return Err(HistoryError::NotRecorded { dir: log.dir().into(), what });
        }
        let mut shadow = Self::beginning(log, session, Rules::default(), is_watched);
        shadow.damaged = damaged;
        Ok(shadow)
    }

    fn beginning(log: &Log, session: Option<&Session>, rules: Rules, is_watched: bool) -> Self {
        let ordinal = session.map_or(0, |session| session.ordinal);
        let mut market = Market::new(rules);
        market.records_taken = ordinal;
        Self::at(log, Head { ordinal, session: ordinal, ..Head::default() }, market, is_watched.then(Watch::default))
    }

    /// Where a session's first record is that is there, if its beginning is lost: whatever its books were, they are in doubt.
    pub(super) fn in_doubt(log: &Log, session: &Session) -> Self {
        let mut shadow = Self::beginning(log, Some(session), Rules::default(), true);
        shadow.jump(session.first_ordinal);
        shadow
    }

    fn at(log: &Log, head: Head, mut market: Market, watch: Option<Watch>) -> Self {
        market.records_taken = head.ordinal;
        let (symbols, dir) = (Symbols::default(), log.dir().into());
        let (damaged, mends_at, doubts_unknown, is_followed) = (0, None, false, false);
        Self { market, watch, head, symbols, dir, damaged, mends_at, doubts_unknown, is_followed }
    }

    /// Of which moment it is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Checkpoints that were damaged or missing, so that something else had to do.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Where books that are in doubt since a hole may be known again: they become what the checkpoint there has when what follows the
    /// record before that ordinal is applied.
    pub(super) fn mends_at(&self) -> Option<u64> {
        self.mends_at
    }

    /// Whether books may yet become others than the records lead to: known again, or in doubt from their first record on.
    pub(super) fn is_doubtful(&self) -> bool {
        self.mends_at.is_some() || self.doubts_unknown
    }

    /// Goes along the log, up to the record of this ordinal and without it, but with all marks before it.
    ///
    /// # Errors
    /// If the log cannot be read there, or does not have that ordinal.
    pub fn advance(&mut self, log: &Log, cursor: &mut Cursor, ordinal: u64) -> Result<(), HistoryError> {
        let end = log.frames().len().min(log.find_ordinal(ordinal) + 1);
        let frames = cursor.next_frame(log).min(end)..end;
        ahead(log, frames, &|_, plain| plain, |frames| self.advance_by(log, cursor, ordinal, frames))?;
        if self.head.ordinal != ordinal {
            let (first, end) = (log.first_ordinal(), log.end_ordinal());
            let what = format!("ordinal {ordinal} is not in the log, which has {first} to {end} and its holes");
            return Err(HistoryError::NotRecorded { dir: self.dir.clone(), what });
        }
        Ok(())
    }

    fn advance_by(
        &mut self,
        log: &Log,
        cursor: &mut Cursor,
        ordinal: u64,
        frames: &mut Ahead<'_, Plain>,
    ) -> Result<(), HistoryError> {
        while let Some(item) = cursor.next_by(log, frames)? {
            match item {
                Item::Records { first_ordinal, records } => {
                    let due = ordinal.saturating_sub(first_ordinal).min(records.len() as u64) as usize;
                    self.records(first_ordinal, &records[..due]);
                    let left = records.len() - due;
                    if left > 0 {
                        cursor.give_back(left);
                        break;
                    }
                }
                // Whoever asks for the first record behind has a time among the missing ones.
                Item::Missing { end, .. } if end >= ordinal => break,
                Item::Mark(Mark::Hole { end: begin, .. }) | Item::Session { ordinal: begin, .. } if begin > ordinal => {
                    break;
                }
                item => self.apply(&item),
            }
        }
        Ok(())
    }

    /// Applies the next item of the log.
    pub fn apply(&mut self, item: &Item<'_>) {
        // What leads to other books needs none that are mended; and a segment's metadata may stand before that.
        if matches!(item, Item::Records { .. } | Item::Mapping(_))
            || matches!(item, Item::Mark(mark) if !matches!(mark, Mark::Hole { .. }))
        {
            self.mend_if_due();
        }
        match item {
            Item::Metadata(metadata) => {
                self.market.symbols.add_metadata(metadata);
                self.symbols = Symbols::default();
                self.symbols.add_metadata(metadata);
            }
            Item::Records { first_ordinal, records } => self.records(*first_ordinal, records),
            Item::Missing { end, .. } => self.pass_missing(*end),
            Item::Mapping(record) => {
                self.market.symbols.add_record(record);
                self.market.stream.symbol_mappings += 1;
            }
            Item::Session { ordinal, .. } => self.begin_session(*ordinal),
            // Also where no record is missing: marks may be, and the checkpoint knows what they did.
            Item::Mark(Mark::Hole { end, .. }) if *end >= self.head.ordinal => self.jump(*end),
            Item::Mark(Mark::Hole { .. }) => {}
            // The session's beginning is lost, and what its books were before.
            Item::Mark(Mark::Continues { ordinal, .. }) if *ordinal > self.head.session => {
                self.begin_session(*ordinal);
                self.doubts_unknown = true;
            }
            Item::Mark(mark) => self.observe(mark),
        }
    }

    pub(super) fn records(&mut self, first_ordinal: u64, records: &[MboMsg]) {
        if records.is_empty() {
            return;
        }
        self.pass_missing(first_ordinal);
        let mut done = 0;
        while done < records.len() {
            self.mend_if_due();
            let left = self.mends_at.map_or(usize::MAX, |at| (at - self.head.ordinal) as usize);
            let end = records.len().min(done.saturating_add(left));
            self.take(first_ordinal + done as u64, &records[done..end]);
            done = end;
        }
    }

    /// A segment may be missing that no mark speaks of.
    fn pass_missing(&mut self, first_ordinal: u64) {
        if first_ordinal > self.head.ordinal {
            self.jump(first_ordinal);
        }
    }

    fn take(&mut self, first_ordinal: u64, records: &[MboMsg]) {
        let Some(last) = records.last() else { return };
        self.meet(records, |_| {});
        let first = Position { record: first_ordinal, offset: 0 };
        match &mut self.watch {
            Some(watch) => watch.observe(&mut self.market, records, first),
            None => self.market.take_records(records, first),
        }
        let latest = records.iter().map(|record| record.hd.ts_event).max().unwrap_or(0);
        self.head = Head {
            ordinal: first_ordinal + records.len() as u64,
            ts_event_max: self.head.ts_event_max.max(latest),
            ts_event: last.hd.ts_event,
            ts_recv: last.ts_recv,
            ..self.head
        };
    }

    /// Doubts the books that are not known yet where they may have begun in a hole; `met` is told the first record of each.
    pub(super) fn meet(&mut self, records: &[MboMsg], mut met: impl FnMut(&MboMsg)) {
        if !self.doubts_unknown {
            return;
        }
        for record in records {
            let key = Key::of(record);
            if self.market.book(key).is_none() {
                met(record);
                self.observe(&Mark::Doubt { key, reason: HOLE.into() });
            }
        }
    }

    fn observe(&mut self, mark: &Mark) {
        match &mut self.watch {
            Some(watch) => watch.observe_mark(&mut self.market, mark),
            None => mark.apply(&mut self.market),
        }
    }

    /// Whether books became others. Not before something follows: marks that stand there come after the checkpoint, as when
    /// it is what is begun with.
    pub(super) fn mend_if_due(&mut self) -> bool {
        let Some(at) = self.mends_at.take_if(|at| *at <= self.head.ordinal) else { return false };
        let is_mended = self.load(at);
        self.doubts_unknown &= !is_mended;
        // One that was made while books were in doubt knows nothing better; a later one may.
        if !is_mended || self.market.books().any(|(_, book)| book.state() == State::Suspect) {
            self.mends_at = checkpoint_after(&self.dir, at, self.head.session);
        }
        is_mended
    }

    /// Takes another market for its own.
    pub(super) fn replace(&mut self, mut market: Market) {
        if self.is_followed {
            market.rebase(self.market.latest_epoch() + 1);
            self.market.become_other(market);
        } else {
            self.market = market;
        }
    }

    fn begin_session(&mut self, ordinal: u64) {
        let mut market = Market::new(*self.market.rules());
        market.symbols = self.symbols.clone();
        market.records_taken = ordinal;
        self.replace(market);
        self.watch = self.watch.as_ref().map(|_| Watch::default());
        self.head = Head { ordinal, session: ordinal, ..Head::default() };
        self.mends_at = None;
        self.doubts_unknown = false;
    }

    /// Goes on behind a hole, from the checkpoint at its end. Without one, books are what they were, and suspect up to the
    /// session's next.
    fn jump(&mut self, end: u64) {
        self.mends_at = None;
        if self.load(end) {
            self.doubts_unknown = false;
            return;
        }
        let keys: Vec<_> = self.market.books().map(|(key, _)| key).collect();
        for key in keys {
            for mark in [Mark::Drop { key, counts: [0; 4] }, Mark::Doubt { key, reason: HOLE.into() }] {
                self.observe(&mark);
            }
        }
        self.doubts_unknown = true;
        self.head.ordinal = end;
        self.market.records_taken = end;
        self.mends_at = checkpoint_after(&self.dir, end, self.head.session);
    }

    /// Takes the books of the checkpoint at an ordinal; false if there is none that can be read, which is counted.
    fn load(&mut self, ordinal: u64) -> bool {
        let path = checkpoint_file::path_of(&self.dir, ordinal);
        let loaded = CheckpointFile::open(&path).and_then(|file| {
            let market = file.market()?;
            let watch = if self.watch.is_some() { file.watch(&market)? } else { None };
            Ok((*file.head(), market, watch))
        });
        let is_right = |head: &Head| (head.ordinal, head.session) == (ordinal, self.head.session);
        let Some((head, market, watch)) = loaded.ok().filter(|(head, ..)| is_right(head)) else {
            self.damaged += 1;
            return false;
        };
        self.watch = self.watch.take().map(|_| watch.unwrap_or_else(|| Watch::new(&market)));
        let symbols = std::mem::take(&mut self.market.symbols);
        self.replace(market);
        self.market.symbols.extend(&symbols);
        // Where only marks are missing, the last record is known better than from the books.
        let is_behind_record = self.head.ordinal == ordinal && self.head.session < ordinal;
        let last = if is_behind_record { self.head } else { head };
        let ts_event_max = self.head.ts_event_max.max(head.ts_event_max);
        self.head = Head { ordinal, session: self.head.session, ts_event_max, ..last };
        self.market.records_taken = ordinal;
        true
    }
}

/// Where the next checkpoint behind an ordinal is that is of a session.
pub(super) fn checkpoint_after(dir: &Path, ordinal: u64, session: u64) -> Option<u64> {
    // Without the list there is none that could be read either.
    let known = checkpoint_file::list(dir).unwrap_or_default();
    let is_same = |path: &Path| CheckpointFile::open(path).is_ok_and(|file| file.head().session == session);
    known.into_iter().find(|(at, path)| *at > ordinal && is_same(path)).map(|(at, _)| at)
}

/// The market as it was right before the record of an ordinal, with all marks before that.
///
/// # Errors
/// [`HistoryError::NotRecorded`] if it cannot be known; or if the log cannot be read.
pub fn restore(log: &Log, ordinal: u64, is_watched: bool) -> Result<Shadow, HistoryError> {
    let mut shadow = Shadow::before(log, ordinal, is_watched)?;
    let mut cursor = log.cursor(shadow.head.ordinal);
    shadow.advance(log, &mut cursor, ordinal)?;
    Ok(shadow)
}

/// As [`restore`], of a session at whose end another may have begun: its books are those that it left.
pub(super) fn restore_in(log: &Log, session: &Session, ordinal: u64) -> Result<Shadow, HistoryError> {
    let mut shadow = Shadow::before_in(log, Some(session), ordinal, false, |_| Ok(true))?;
    let mut cursor = log.cursor(shadow.head.ordinal).within(session.ordinal);
    shadow.advance(log, &mut cursor, ordinal)?;
    Ok(shadow)
}

/// As [`restore`], right behind records that are missing before an ordinal: a time that leads there lies among them, and has
/// no books; but whoever goes on from there has these.
pub(super) fn restore_behind(log: &Log, ordinal: u64) -> Result<Shadow, HistoryError> {
    let mut shadow = Shadow::before(log, ordinal, false)?;
    let mut cursor = log.cursor(shadow.head.ordinal);
    match shadow.advance(log, &mut cursor, ordinal) {
        Err(HistoryError::NotRecorded { .. }) => shadow.pass_missing(ordinal),
        advanced => advanced?,
    }
    Ok(shadow)
}
