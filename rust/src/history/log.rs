//! Reading a log, also while it is written.

use std::{fs, ops::Range, path::Path, sync::Arc};

use dbn::Metadata;

use super::{
    cursor::Cursor,
    error::HistoryError,
    export::metadata_of,
    frame::Plain,
    frame_reader::FrameReader,
    frames::{Frame, Frames},
    index::{Entry, Span, flags},
    kept_from,
    mark::Mark,
    openings,
    segment::Segment,
};
use crate::symbols::Symbols;

/// Why something is missing where a segment's metadata cannot be read.
const HEAD_DAMAGED: &str = "the segment's metadata is damaged: names of instruments may be missing";

/// Why something is missing where a segment should be.
pub(super) const SEGMENT_MISSING: &str = "the segment is missing or damaged";

/// One uninterrupted history of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Ordinal at which it began. Its beginning may be gone from the log: see `first_ordinal`.
    pub ordinal: u64,
    /// Ordinal of its first record that is in the log.
    pub first_ordinal: u64,
    /// Ordinal after its last record's.
    pub end_ordinal: u64,
    /// Its source.
    pub uri: String,
    /// ts_event of its records in the log, ns.
    pub ts_event: Span,
    /// ts_recv of its records in the log, ns.
    pub ts_recv: Span,
    /// Positions of its frames in [`Log::frames`].
    pub frames: Range<usize>,
}

/// What is not in the log: records, and marks before, between and behind them; or only marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Ordinal of the first missing record.
    pub first: u64,
    /// Ordinal of the first that is there again; `first`, if only marks are missing.
    pub end: u64,
    /// Why.
    pub reason: String,
}

/// Which of a record's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// ts_event.
    Event,
    /// ts_recv.
    Receive,
}

/// What is durable of a log. Needs no lock; another process may write meanwhile. A copy shares nearly all with this one.
#[derive(Clone, Debug)]
pub struct Log {
    dir: Arc<Path>,
    segments: Vec<Arc<Segment>>,
    frames: Frames,
    /// How often it had to be read from its beginning.
    readings: u64,
    /// Where it is to begin, if that is told.
    kept_from: Option<u64>,
}

impl Log {
    /// The log in a history's folder; an empty one if nothing was recorded there.
    ///
    /// # Errors
    /// If the folder or an index cannot be read.
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        fs::metadata(dir).map_err(HistoryError::io(dir))?;
        let mut log =
            Self { dir: dir.into(), segments: Vec::new(), frames: Frames::default(), readings: 0, kept_from: None };
        log.refresh()?;
        Ok(log)
    }

    /// Sees what became durable since, and what was removed.
    ///
    /// # Errors
    /// As [`open`](Self::open); what was known stays.
    pub fn refresh(&mut self) -> Result<(), HistoryError> {
        let listed = Segment::list(&self.dir)?;
        let is_same = |(ours, theirs): (&Arc<Segment>, &Segment)| ours.path == theirs.path;
        let same = self.segments.iter().zip(&listed).take_while(|pair| is_same(*pair)).count();
        // Only the last segment grows. What retention removes is at the beginning, and then all is read again.
        let more = if same == self.segments.len() { self.more_of_last()? } else { None };
        let kept = if more.is_some() { same } else { 0 };
        let mut loaded = Vec::new();
        let last = listed.len().saturating_sub(1);
        for (at, mut segment) in listed.into_iter().enumerate().skip(kept) {
            let frames = segment.load(at == last)?;
            loaded.push((segment, frames));
        }
        if loaded.iter().any(|(segment, _)| segment.opening_damage.is_some()) {
            let before = if kept == 0 { None } else { self.sessions().pop() };
            openings::stand_in(&self.dir, before.as_ref(), &mut loaded)?;
        }
        if kept == 0 {
            self.segments.clear();
            self.frames.clear();
            self.readings += 1;
            // Behind the list: it is told anew before anything is removed.
            self.kept_from = kept_from::read(&self.dir);
        }
        let segment = self.segments.len().saturating_sub(1);
        more.into_iter().flatten().for_each(|entry| self.frames.push(Frame { segment, entry }));
        for (segment, frames) in loaded {
            let (at, end) = (self.segments.len(), self.end_ordinal());
            // Which of the two is right, nobody knows.
            if let (Some(first), Some(last)) = (frames.first(), self.segments.last())
                && first.first_ordinal < end
            {
                let (path, before, first) = (segment.path.display(), last.path.display(), first.first_ordinal);
                let what = format!(
                    "{path} begins with ordinal {first}, and {before} ends before ordinal {end}: expected one of them, or \
                     one after the other: move the one that does not belong there out of the folder"
                );
                return Err(HistoryError::Refused { dir: self.dir.as_ref().into(), what });
            }
            frames.into_iter().for_each(|entry| self.frames.push(Frame { segment: at, entry }));
            self.segments.push(Arc::new(segment));
        }
        Ok(())
    }

    /// What the last segment has beyond what is known; nothing if it must be read from its beginning.
    fn more_of_last(&self) -> Result<Option<Vec<Entry>>, HistoryError> {
        let Some(segment) = self.segments.last().filter(|segment| !segment.is_scanned) else { return Ok(None) };
        let frames = self.frames_of(self.segments.len() - 1);
        let Some(last) = frames.clone().next_back() else { return Ok(None) };
        segment.load_more(frames.len(), &self.frames[last].entry)
    }

    /// The history's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How often it had to be read from its beginning, as when files were removed: else it has only grown.
    pub(super) fn readings(&self) -> u64 {
        self.readings
    }

    /// The files, by ordinal.
    #[must_use]
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// All frames of records, by ordinal.
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Positions of a segment's frames in [`frames`](Self::frames).
    #[must_use]
    pub fn frames_of(&self, segment: usize) -> Range<usize> {
        let start = self.frames.partition_point(|frame| frame.segment < segment);
        start..self.frames.partition_point(|frame| frame.segment <= segment)
    }

    /// Ordinal of the first record.
    #[must_use]
    pub fn first_ordinal(&self) -> u64 {
        self.frames.first().map_or(0, |frame| frame.entry.first_ordinal)
    }

    /// Ordinal after the last record's.
    #[must_use]
    pub fn end_ordinal(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.entry.end_ordinal())
    }

    /// Ordinal at which it is to begin: what is missing from there on is lost. Of a log whose recorder did not tell, that of its
    /// first record.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        // Not that of the first frame: the frames of the first segment may be lost.
        let first = self.segments.first().map_or(0, |segment| segment.first_ordinal);
        self.kept_from.unwrap_or(first).min(first)
    }

    /// Tells durably that nothing from before an ordinal is to be kept, unless there is no room. Whoever removes the
    /// oldest segments does so first.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_from(&self, ordinal: u64) -> Result<(), HistoryError> {
        kept_from::keep(&self.dir, ordinal)
    }

    /// Sessions, the newest last.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<Session> = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let frames = self.frames_of(at);
            let Some(last) = frames.clone().next_back() else { continue };
            let known = sessions.last().map(|session| session.ordinal);
            if let Some((ordinal, uri)) = segment.session().filter(|(ordinal, _)| known != Some(*ordinal)) {
                sessions.push(Session {
                    ordinal,
                    first_ordinal: segment.first_ordinal,
                    end_ordinal: segment.first_ordinal,
                    uri: uri.into(),
                    ts_event: Span::default(),
                    ts_recv: Span::default(),
                    frames: frames.start..frames.start,
                });
            }
            let Some(session) = sessions.last_mut() else { continue };
            session.end_ordinal = self.frames[last].entry.end_ordinal();
            session.frames.end = frames.end;
        }
        for session in &mut sessions {
            [session.ts_event, session.ts_recv] = self.frames.spans(session.frames.clone());
        }
        sessions
    }

    /// What is missing before the last record, as far as the log knows.
    #[must_use]
    pub fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut expected = Some(self.kept_from());
        for (at, segment) in self.segments.iter().enumerate() {
            let end = segment.first_ordinal;
            // Behind a lost segment, what the recorder lost is a part of what is missing.
            let begin = expected.unwrap_or(end);
            let said = segment.opening.iter().find_map(|mark| match mark {
                Mark::Hole { first, end, reason } => {
                    Some(Hole { first: (*first).min(begin), end: *end, reason: reason.clone() })
                }
                _ => None,
            });
            let found =
                expected.filter(|first| *first != end).map(|first| Hole { first, end, reason: SEGMENT_MISSING.into() });
            let marks = |reason: &str| Hole { first: end, end, reason: reason.into() };
            let opening = segment.opening_damage.as_ref().map(|_| marks(openings::DAMAGED));
            let head = segment.head_damage.as_ref().map(|_| marks(HEAD_DAMAGED));
            holes.extend(said.or(found).or(opening).or(head));
            expected = Some(self.frames_of(at).next_back().map_or(end, |last| self.frames[last].entry.end_ordinal()));
        }
        holes
    }

    /// The frame with this record, or the first one after it; as many as there are if there is none.
    #[must_use]
    pub fn find_ordinal(&self, ordinal: u64) -> usize {
        self.frames.partition_point(|frame| frame.entry.end_ordinal() <= ordinal)
    }

    /// The frame in which what follows the record before this ordinal begins.
    pub(crate) fn frame_behind(&self, ordinal: u64) -> usize {
        let start = self.frames.partition_point(|frame| frame.entry.end_ordinal() < ordinal);
        let is_behind = |frame: &&Frame| frame.entry.end_ordinal() == ordinal && !frame.entry.has(flags::TRAILING);
        start + self.frames.range(start..self.frames.len()).take_while(is_behind).count()
    }

    /// Of a session's frames, those that may hold records on both sides of a time (ns): all before them are not later
    /// than it, all after them are later.
    #[must_use]
    pub fn frames_around(&self, session: &Session, clock: Clock, ts: u64) -> Range<usize> {
        let start = self.frames.first_later(session.frames.clone(), clock, ts);
        start..self.frames.behind_last_due(start..session.frames.end, clock, ts)
    }

    /// The metadata of a segment. Where that is damaged, what the next one of the session has, which begins with all symbols
    /// that were known by then; or else none but the dataset.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn metadata(&self, segment: usize) -> Result<Metadata, HistoryError> {
        let is_continued = |segment: &&Arc<Segment>| segment.session().is_some_and(|s| s.0 < segment.first_ordinal);
        let (first, more) = self.segments[segment..].split_first().expect("a segment of the log");
        for segment in std::iter::once(first).chain(more.iter().take_while(is_continued)) {
            match segment.metadata() {
                Err(HistoryError::Damaged { .. }) => {}
                metadata => return metadata,
            }
        }
        Ok(metadata_of(&first.dataset, None, 0, &Symbols::default()))
    }

    /// What is wrong with the beginnings and ends of segments. The records that are there are read all the same, and damage in
    /// these is found when they are, or by [`verify`](Self::verify).
    pub fn damages(&self) -> impl Iterator<Item = HistoryError> + '_ {
        self.segments.iter().flat_map(|segment| segment.damages())
    }

    /// The whole records of a frame.
    ///
    /// # Errors
    /// If they cannot be read, or are not what was written.
    pub fn read_frame(&self, at: usize) -> Result<Plain, HistoryError> {
        let mut plain = Plain::default();
        FrameReader::default().read(self, at, &mut plain)?;
        Ok(plain)
    }

    /// Everything that follows the record before this ordinal, marks between the two included.
    #[must_use]
    pub fn cursor(&self, ordinal: u64) -> Cursor {
        Cursor::new(self, ordinal)
    }
}
