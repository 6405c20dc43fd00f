//! A market of its own that is moved along the log, forwards at any pace, and to any time.
//!
//! The market belongs to whoever lets others follow it; it is lent for each change, so that others may look in between.

use std::path::Path;

use super::{
    Log,
    checkpoint_file::{CheckpointFile, CheckpointFileError},
    cursor::{Cursor, Item},
    error::HistoryError,
    past::{Past, PastError},
    shadow::{Shadow, restore, restore_in},
};
use crate::{
    market::{Key, Market, Name},
    record::MboMsg,
};

/// Records that are applied while the market is lent once.
const LENT_RECORDS_MAX: usize = 1024;

/// Who lends the market.
pub trait Lender {
    /// Lends it for one change.
    fn lend(&mut self, change: &mut dyn FnMut(&mut Market));
}

impl Lender for Market {
    fn lend(&mut self, change: &mut dyn FnMut(&mut Market)) {
        change(self);
    }
}

/// Where in the log a market is.
pub struct Replay {
    past: Past,
    log: Log,
    cursor: Cursor,
    /// Its market is a stand-in, but while the true one is lent.
    shadow: Shadow,
    next_ts: Option<u64>,
}

impl Replay {
    /// A replay that begins at a time (ts_event, ns), or with the newest session; the market, which must be new, becomes what
    /// it was then. `epoch` is the first that its books have.
    ///
    /// # Errors
    /// If the log has nothing of that time.
    pub fn open(dir: &Path, at: Option<u64>, epoch: u64, market: &mut impl Lender) -> Result<Self, HistoryError> {
        let past = Past::open(dir)?;
        let (log, mut shadow) = match at {
            Some(at) => shadow_at(&past, at)?,
            None => newest(&past)?,
        };
        shadow.market.rebase(epoch);
        market.lend(&mut |market| std::mem::swap(market, &mut shadow.market));
        shadow.is_followed = true;
        let cursor = cursor_behind(&log, &shadow);
        let mut replay = Self { past, log, cursor, shadow, next_ts: None };
        replay.look_ahead(market)?;
        Ok(replay)
    }

    /// Ordinal of the next record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.shadow.head().ordinal
    }

    /// ts_event of the last record, ns; 0 before the first.
    #[must_use]
    pub fn ts_event(&self) -> u64 {
        self.shadow.head().ts_event
    }

    /// ts_recv of the last record, ns; 0 before the first.
    #[must_use]
    pub fn ts_recv(&self) -> u64 {
        self.shadow.head().ts_recv
    }

    /// ts_recv of the next record, ns; nothing at the log's end, as it was when this was last moved.
    #[must_use]
    pub fn next_ts(&self) -> Option<u64> {
        self.next_ts
    }

    /// Goes to a time (ts_event, ns): before the first record that is later. Every book begins another epoch.
    ///
    /// # Errors
    /// If the log has nothing of that time; the market is then where it was.
    pub fn seek(&mut self, market: &mut impl Lender, at: u64) -> Result<(), HistoryError> {
        let (log, shadow) = shadow_at(&self.past, at)?;
        self.log = log;
        self.go_to(market, shadow)
    }

    fn go_to(&mut self, market: &mut impl Lender, mut shadow: Shadow) -> Result<(), HistoryError> {
        let cursor = cursor_behind(&self.log, &shadow);
        market.lend(&mut |market| {
            let mut moment = std::mem::replace(&mut shadow.market, Market::new(*market.rules()));
            moment.rebase(market.latest_epoch() + 1);
            market.become_other(moment);
        });
        shadow.is_followed = true;
        (self.shadow, self.cursor) = (shadow, cursor);
        self.look_ahead(market)
    }

    /// Applies what was received until `ts_recv` (ns), at most so many records; says how many.
    ///
    /// # Errors
    /// If the log cannot be read there; what came before is applied.
    pub fn advance(
        &mut self,
        market: &mut impl Lender,
        ts_recv: u64,
        records_max: usize,
    ) -> Result<usize, HistoryError> {
        let mut taken = 0;
        self.walk(market, |records| {
            let wanted = &records[..records.len().min(records_max - taken)];
            let due = wanted.iter().position(|record| record.ts_recv > ts_recv).unwrap_or(wanted.len());
            taken += due;
            due
        })?;
        Ok(taken)
    }

    /// Goes on until one book has completed so many more events, by at most so many records, or back by so many; says how
    /// many it were. A way back ends where it began once it `is_wanted` no more.
    ///
    /// # Errors
    /// If no single book goes by that name, or the log cannot be read there.
    pub fn step(
        &mut self,
        market: &mut impl Lender,
        name: &Name,
        events: i64,
        records_max: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<i64, PastError> {
        let mut found = None;
        market.lend(&mut |market| {
            let key = market.lookup(name);
            found = Some(key.map(|key| (key, market.book(key).map_or(0, |book| book.moment().seq))));
        });
        let (key, seq) = found.expect("lent")?;
        if events < 0 {
            return Ok(self.step_back(market, key, seq, events.unsigned_abs(), is_wanted)?);
        }
        let (mut seq, mut done, mut left) = (seq, 0, records_max);
        while done < events && left > 0 {
            let mut is_there = false;
            // Up to the next record of the book: whether that completed an event, only the book can tell.
            self.walk(market, |records| {
                if is_there {
                    return 0;
                }
                let allowed = &records[..records.len().min(left)];
                let own = allowed.iter().position(|record| Key::of(record) == key);
                is_there = own.is_some();
                let wanted = own.map_or(allowed.len(), |at| at + 1);
                left -= wanted;
                wanted
            })?;
            let mut now = 0;
            market.lend(&mut |market| now = market.book(key).map_or(0, |book| book.moment().seq));
            // A session that begins counts anew.
            done += i64::from(now > seq);
            seq = now;
            if !is_there {
                break;
            }
        }
        Ok(done)
    }

    fn step_back(
        &mut self,
        market: &mut impl Lender,
        key: Key,
        seq: u64,
        events: u64,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<i64, HistoryError> {
        let target = seq.saturating_sub(events);
        let ordinal = self.ordinal();
        self.log.refresh()?;
        let base = self.before_if(|file| {
            let rules = *file.frame()?.rules();
            let before = file.book(key, &rules)?.map_or(0, |book| book.moment().seq);
            Ok(before < target || !is_wanted())
        })?;
        if !is_wanted() {
            return Ok(0);
        }
        let begin = base.head().ordinal;
        if self.log.holes().iter().any(|hole| begin < hole.end && hole.first < ordinal) {
            return self.step_back_over_hole(market, key, seq, events, is_wanted);
        }
        let (mut shadow, mut cursor) = (base, self.log.cursor(begin));
        while seq_of(&shadow, key) < target && shadow.head().ordinal < ordinal {
            if !is_wanted() {
                return Ok(0);
            }
            let Some(item) = cursor.next(&self.log)? else { break };
            let Item::Records { first_ordinal, records } = item else {
                shadow.apply(&item);
                continue;
            };
            let mut first = first_ordinal;
            for run in due_before(ordinal, first_ordinal, records).split_inclusive(|record| Key::of(record) == key) {
                shadow.records(first, run);
                first += run.len() as u64;
                if seq_of(&shadow, key) >= target {
                    break;
                }
            }
        }
        let reached = seq_of(&shadow, key);
        self.go_to(market, shadow)?;
        Ok(reached as i64 - seq as i64)
    }

    /// A moment before this one, of the same session: another may have begun where this one ends.
    fn before_if(
        &self,
        is_good: impl FnMut(&CheckpointFile) -> Result<bool, CheckpointFileError>,
    ) -> Result<Shadow, HistoryError> {
        let (sessions, begin) = (self.log.sessions(), self.shadow.head().session);
        let own = sessions.iter().find(|session| session.ordinal == begin);
        Shadow::before_in(&self.log, own, self.ordinal(), false, is_good)
    }

    /// Where records are missing seq does not lead from one event to the next: those that are there are counted.
    fn step_back_over_hole(
        &mut self,
        market: &mut impl Lender,
        key: Key,
        seq: u64,
        events: u64,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<i64, HistoryError> {
        let ordinal = self.ordinal();
        let (mut limit, mut reach, mut states) = (ordinal, 1, Vec::new());
        // From ever older moments, until there are enough events; each time from twice as far, as all is read again.
        while states.len() as u64 <= events {
            let far = limit.min(ordinal.saturating_sub(reach));
            let base = match self.before_if(|file| Ok(file.head().ordinal <= far)) {
                // Nothing is so old: perhaps what retention has left is older than what was counted.
                Err(HistoryError::NotRecorded { .. }) if limit < ordinal => {
                    match self.before_if(|file| Ok(file.head().ordinal < limit)) {
                        Err(HistoryError::NotRecorded { .. }) => break,
                        base => base?,
                    }
                }
                base => base?,
            };
            limit = base.head().ordinal;
            reach = (ordinal - limit).saturating_mul(2);
            let is_beginning = limit == base.head().session;
            states = self.states(base, key, seq, ordinal, is_wanted)?;
            if !is_wanted() {
                return Ok(0);
            }
            if is_beginning {
                break;
            }
        }
        let done = events.min((states.len() as u64).saturating_sub(1));
        if done > 0 {
            let shadow = restore(&self.log, states[states.len() - 1 - done as usize], false)?;
            self.go_to(market, shadow)?;
        }
        Ok(-(done as i64))
    }

    /// Ordinals at which a book became what it was, from a moment on; the last is that of now, when it has a seq.
    fn states(
        &self,
        mut shadow: Shadow,
        key: Key,
        seq: u64,
        ordinal: u64,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u64>, HistoryError> {
        let mut cursor = self.log.cursor(shadow.head().ordinal);
        let (mut states, mut last) = (vec![shadow.head().ordinal], seq_of(&shadow, key));
        while shadow.head().ordinal < ordinal && is_wanted() {
            let Some(item) = cursor.next(&self.log)? else { break };
            let Item::Records { first_ordinal, records } = item else {
                let before = shadow.head().ordinal;
                shadow.apply(&item);
                // Nobody stands right before a hole: whoever comes there is at its end at once.
                let is_passed = shadow.head().ordinal > before && states.pop_if(|state| *state == before).is_some();
                if is_passed || seq_of(&shadow, key) != last {
                    last = seq_of(&shadow, key);
                    states.push(shadow.head().ordinal);
                }
                continue;
            };
            let due = due_before(ordinal, first_ordinal, records);
            let mut first = first_ordinal;
            let mut note = |shadow: &Shadow| {
                if seq_of(shadow, key) != last {
                    last = seq_of(shadow, key);
                    states.push(shadow.head().ordinal);
                }
            };
            for run in due.split_inclusive(|record| Key::of(record) == key) {
                // What a checkpoint makes of a book that was in doubt is a state of its own.
                let before = shadow.mends_at().map_or(0, |at| at.saturating_sub(first) as usize).min(run.len());
                shadow.records(first, &run[..before]);
                if shadow.mend_if_due() {
                    note(&shadow);
                }
                shadow.records(first + before as u64, &run[before..]);
                note(&shadow);
                first += run.len() as u64;
            }
            if due.len() < records.len() {
                break;
            }
        }
        if last != seq {
            // A checkpoint has made it another since.
            states.push(ordinal);
        }
        Ok(states)
    }

    /// Goes on as long as all records at hand are wanted; `wanted` says how many of the next ones are. Another session begins with
    /// its first record, not with the end of the one before, whose books stay until then.
    fn walk(
        &mut self,
        market: &mut impl Lender,
        mut wanted: impl FnMut(&[MboMsg]) -> usize,
    ) -> Result<(), HistoryError> {
        let mut has_refreshed = false;
        // Of the records that come next, wanted already.
        let mut granted = 0;
        loop {
            let Self { log, cursor, shadow, .. } = self;
            match cursor.next(log)? {
                None if has_refreshed => {
                    let Some(next) = cursor.beyond(log) else {
                        self.next_ts = None;
                        return Ok(());
                    };
                    let mut ahead = cursor.beyond(log).expect("as just now");
                    let first = loop {
                        match ahead.next(log)? {
                            Some(Item::Records { records, .. }) => {
                                break &records[..records.len().min(LENT_RECORDS_MAX)];
                            }
                            Some(_) => {}
                            None => {
                                self.next_ts = None;
                                return Ok(());
                            }
                        }
                    };
                    granted = wanted(first);
                    if granted == 0 {
                        self.next_ts = Some(first[0].ts_recv);
                        return Ok(());
                    }
                    *cursor = next;
                }
                None => {
                    log.refresh()?;
                    has_refreshed = true;
                }
                Some(Item::Records { first_ordinal, records }) => {
                    let mut done = 0;
                    while done < records.len() {
                        let rest = &records[done..records.len().min(done + LENT_RECORDS_MAX)];
                        let due = if granted > 0 { std::mem::take(&mut granted) } else { wanted(rest) };
                        let first = first_ordinal + done as u64;
                        if due > 0 {
                            lent(market, shadow, |shadow| shadow.records(first, &rest[..due]));
                        }
                        done += due;
                        if due < rest.len() {
                            self.next_ts = Some(rest[due].ts_recv);
                            let left = records.len() - done;
                            cursor.give_back(left);
                            return Ok(());
                        }
                    }
                }
                Some(item) => lent(market, shadow, |shadow| shadow.apply(&item)),
            }
        }
    }

    /// Applies the marks that stand before the next record, and sees when that is.
    fn look_ahead(&mut self, market: &mut impl Lender) -> Result<(), HistoryError> {
        self.walk(market, |_| 0)
    }
}

/// What the market was at a time (ts_event, ns): at the end of a session its last books, though another has begun there.
fn shadow_at(past: &Past, at: u64) -> Result<(Log, Shadow), HistoryError> {
    let (session, ordinal) = past.place_of(at)?;
    let log = past.refresh()?.log.clone();
    let shadow = restore_in(&log, &session, ordinal)?;
    refuse_in_hole(&log, &shadow, at)?;
    Ok((log, shadow))
}

/// … where the newest session begins.
fn newest(past: &Past) -> Result<(Log, Shadow), HistoryError> {
    let log = past.known().log.clone();
    let begin = log.sessions().last().map_or(0, |session| session.first_ordinal);
    let shadow = restore(&log, begin, false)?;
    Ok((log, shadow))
}

/// A cursor behind a moment, to the end of its session.
fn cursor_behind(log: &Log, shadow: &Shadow) -> Cursor {
    log.cursor(shadow.head().ordinal).within(shadow.head().session)
}

/// A time inside a hole leads to the hole's end, whose books are of later times.
fn refuse_in_hole(log: &Log, shadow: &Shadow, at: u64) -> Result<(), HistoryError> {
    let head = shadow.head();
    if head.ts_event_max <= at {
        return Ok(());
    }
    match log.holes().iter().find(|hole| hole.end == head.ordinal) {
        None => Ok(()),
        Some(hole) => Err(HistoryError::in_hole(log.dir(), at, hole.first)),
    }
}

/// Those of some records that lie before an ordinal.
fn due_before(ordinal: u64, first: u64, records: &[MboMsg]) -> &[MboMsg] {
    &records[..(ordinal.saturating_sub(first) as usize).min(records.len())]
}

/// Lets the shadow work on the true market.
fn lent(market: &mut impl Lender, shadow: &mut Shadow, mut work: impl FnMut(&mut Shadow)) {
    market.lend(&mut |market| {
        std::mem::swap(market, &mut shadow.market);
        work(shadow);
        std::mem::swap(market, &mut shadow.market);
    });
}

fn seq_of(shadow: &Shadow, key: Key) -> u64 {
    shadow.market.book(key).map_or(0, |book| book.moment().seq)
}
