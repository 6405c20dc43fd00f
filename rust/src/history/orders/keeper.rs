//! Makes the filters of one segment after the other, beside whoever reads the log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use super::{
    UNIT_ORDERS_MAX, UNIT_RECORDS_MAX, UNITS_MAX,
    group::{Group, Seen, encode},
    hash_of, path_of,
};
use crate::{
    history::{Cursor, Item, Log, Segment, error::HistoryError},
    market::Key,
    record::MboMsg,
};

const RECENT: usize = 1 << 16;
const RECENT_SHIFT: u32 = 64 - RECENT.trailing_zeros();

/// What the groups of a file cover, from its beginning on without gaps.
pub(super) struct Covered {
    pub(super) end_ordinal: u64,
    pub(super) end_offset: u64,
}

impl Covered {
    /// By a file beside a segment; nothing is covered by one that is absent.
    pub(super) fn of(segment: &Segment) -> io::Result<Self> {
        let mut covered = Self { end_ordinal: segment.first_ordinal, end_offset: 0 };
        let file = match File::open(path_of(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(covered),
            file => file?,
        };
        while let Some(group) = Group::read(&file, covered.end_offset)? {
            if group.first_ordinal != covered.end_ordinal {
                break;
            }
            covered = Self { end_ordinal: group.end_ordinal(), end_offset: group.end_offset() };
        }
        Ok(covered)
    }
}

/// Where the groups go.
struct Place {
    path: PathBuf,
    end_offset: u64,
}

impl Place {
    /// All of a group or nothing that would be taken for one. Whoever finds a damaged file removes it; then, or if there is
    /// another that writes, it is not whole, and is left alone until it is looked at anew.
    fn write(&mut self, group: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let len = file.metadata()?.len();
        if len != self.end_offset {
            return Err(io::Error::other(format!("{len} bytes, expected {}", self.end_offset)));
        }
        file.write_all(group)?;
        self.end_offset += group.len() as u64;
        Ok(())
    }
}

/// Makes the filters of a segment while it is read.
pub struct Keeper {
    /// Nothing before the first segment, and after an error until the next.
    place: Option<Place>,
    /// Of the group that is being made: its first ordinal, the end of each unit that is whole, and what was seen.
    first_ordinal: u64,
    ends: Vec<u64>,
    seen: Vec<Seen>,
    /// Of the unit that is being made.
    unit_first_ordinal: u64,
    unit_seen: usize,
    /// Hashes that this unit has already, by their first bits; a later one takes the place of an earlier.
    recent: Box<[u64]>,
    next_ordinal: u64,
    error: Option<HistoryError>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Keeper {
    /// Makes none yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            place: None,
            first_ordinal: 0,
            ends: Vec::new(),
            seen: Vec::new(),
            unit_first_ordinal: 0,
            unit_seen: 0,
            recent: vec![0; RECENT].into(),
            next_ordinal: 0,
            error: None,
        }
    }

    /// What went wrong since this was last asked. Filters are not needed for anything but speed.
    pub fn take_error(&mut self) -> Option<HistoryError> {
        self.error.take()
    }

    /// Ends the segment at hand, and goes on with another where its filters end.
    pub fn begin(&mut self, segment: &Segment) {
        self.end();
        let path = path_of(segment);
        let cut = || -> io::Result<Covered> {
            let covered = Covered::of(segment)?;
            match OpenOptions::new().write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => file?.set_len(covered.end_offset)?,
            }
            Ok(covered)
        };
        match cut() {
            Ok(Covered { end_ordinal, end_offset }) => {
                self.begin_group(end_ordinal);
                self.place = Some(Place { path, end_offset });
            }
            Err(error) => self.error = Some(HistoryError::Io { path, error }),
        }
    }

    fn begin_group(&mut self, first_ordinal: u64) {
        self.first_ordinal = first_ordinal;
        self.next_ordinal = first_ordinal;
        self.ends.clear();
        self.seen.clear();
        self.begin_unit();
    }

    fn begin_unit(&mut self) {
        self.unit_first_ordinal = self.next_ordinal;
        self.unit_seen = 0;
        self.recent.fill(0);
        // Only where it must not be taken for the hash 0.
        self.recent[0] = u64::MAX;
    }

    /// Ordinal of the first record of the segment that it has not been told of; nothing if it makes no filter.
    fn next_ordinal(&self) -> Option<u64> {
        self.place.as_ref().map(|_| self.next_ordinal)
    }

    /// Reads what it was not told of, up to an ordinal.
    ///
    /// # Errors
    /// If the log cannot be read there; then it makes no filter of this segment.
    pub fn catch_up(&mut self, log: &Log, ordinal: u64) -> Result<(), HistoryError> {
        let Some(next) = self.next_ordinal() else { return Ok(()) };
        let mut cursor = log.cursor(next);
        while cursor.ordinal() < ordinal {
            match cursor.next(log) {
                Ok(Some(Item::Records { first_ordinal, records })) => {
                    let due = ordinal.saturating_sub(first_ordinal).min(records.len() as u64) as usize;
                    self.add(first_ordinal, &records[..due]);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    self.place = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes records that follow each other, and those it was told of; what it knows already is passed over.
    pub fn add(&mut self, first_ordinal: u64, records: &[MboMsg]) {
        if first_ordinal > self.next_ordinal {
            // A filter must not cover what it was not told of.
            self.place = None;
        }
        let known = self.next_ordinal.saturating_sub(first_ordinal).min(records.len() as u64) as usize;
        let mut rest = &records[known..];
        while self.place.is_some() && !rest.is_empty() {
            let room = self.unit_first_ordinal + UNIT_RECORDS_MAX - self.next_ordinal;
            let stretch = &rest[..rest.len().min(room as usize)];
            let taken = self.add_to_unit(stretch);
            self.next_ordinal += taken as u64;
            rest = &rest[taken..];
            if self.unit_seen == UNIT_ORDERS_MAX || self.next_ordinal - self.unit_first_ordinal == UNIT_RECORDS_MAX {
                self.end_unit();
            }
        }
    }

    /// Takes records until the unit has as many orders as it may have; says how many.
    fn add_to_unit(&mut self, records: &[MboMsg]) -> usize {
        let unit = self.ends.len();
        for (at, record) in records.iter().enumerate() {
            let hash = hash_of(Key::of(record), record.order_id);
            let recent = &mut self.recent[(hash >> RECENT_SHIFT) as usize];
            if *recent != hash {
                if self.unit_seen == UNIT_ORDERS_MAX {
                    return at;
                }
                *recent = hash;
                self.seen.push(Seen::new(hash, unit));
                self.unit_seen += 1;
            }
        }
        records.len()
    }

    fn end_unit(&mut self) {
        self.ends.push(self.next_ordinal);
        if self.ends.len() == UNITS_MAX {
            self.end_group();
        } else {
            self.begin_unit();
        }
    }

    fn end_group(&mut self) {
        let group = encode(self.first_ordinal, &self.ends, &self.seen);
        if let Some(place) = &mut self.place
            && let Err(error) = place.write(&group)
        {
            self.error = Some(HistoryError::Io { path: place.path.clone(), error });
            self.place = None;
        }
        self.begin_group(self.next_ordinal);
    }

    /// The segment at hand is over.
    pub fn end(&mut self) {
        if self.place.is_some() && self.next_ordinal > self.unit_first_ordinal {
            self.ends.push(self.next_ordinal);
        }
        if self.place.is_some() && !self.ends.is_empty() {
            self.end_group();
        }
        self.place = None;
    }
}

/// Makes the filters that older segments lack, a little at a time.
pub struct Catching {
    keeper: Keeper,
    cursor: Option<Cursor>,
    /// First ordinals of segments that are still to be looked at, the newest last.
    left: Vec<u64>,
    /// The segment at hand, by its first ordinal, and where it ends.
    at: Option<(u64, u64)>,
}

impl Catching {
    /// Will look at all segments that end before an ordinal.
    #[must_use]
    pub fn before(log: &Log, ordinal: u64) -> Self {
        let ends = log.segments().iter().skip(1).map(|next| next.first_ordinal);
        let closed = log.segments().iter().zip(ends).filter(|(_, end)| *end <= ordinal);
        let left = closed.map(|(segment, _)| segment.first_ordinal).collect();
        Self { keeper: Keeper::new(), cursor: None, left, at: None }
    }

    /// Reads about so many records, if filters are missing; false if none is.
    ///
    /// # Errors
    /// If the log cannot be read there; the segment is given up.
    pub fn go_on(&mut self, log: &Log, records_max: u64) -> Result<bool, HistoryError> {
        let Some((_, end)) = self.at.or_else(|| self.next(log)) else { return Ok(false) };
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let stop = cursor.ordinal().saturating_add(records_max).min(end);
        while cursor.ordinal() < stop {
            match cursor.next(log) {
                Ok(Some(Item::Records { first_ordinal, records })) if first_ordinal < end => {
                    self.keeper.add(first_ordinal, records);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    *self = Self { left: std::mem::take(&mut self.left), ..Self::before(log, 0) };
                    return Err(error);
                }
            }
        }
        if stop == end {
            self.keeper.end();
            self.at = None;
        }
        Ok(true)
    }

    /// The next segment that lacks some.
    fn next(&mut self, log: &Log) -> Option<(u64, u64)> {
        while let Some(first_ordinal) = self.left.pop() {
            let segments = log.segments();
            let Some(at) = segments.iter().rposition(|segment| segment.first_ordinal == first_ordinal) else {
                continue;
            };
            let Some(last) = log.frames_of(at).next_back() else { continue };
            let end = log.frames()[last].entry.end_ordinal();
            let is_covered = Covered::of(&segments[at]).is_ok_and(|covered| covered.end_ordinal >= end);
            if !is_covered {
                self.keeper.begin(&segments[at]);
                self.cursor = self.keeper.next_ordinal().map(|ordinal| log.cursor(ordinal));
                if self.cursor.is_some() {
                    self.at = Some((first_ordinal, end));
                    return self.at;
                }
            }
        }
        None
    }
}
