//! All of a log from an ordinal on, item by item.

use std::ops::Range;

use dbn::Metadata;

use super::{
    ahead::Ahead,
    error::HistoryError,
    frame::{Plain, Run, records_of},
    frame_reader::FrameReader,
    frames::Frame,
    index::flags,
    log::Log,
    mark::Mark,
};
use crate::record::{MBO_BYTES, MboMsg};

/// What stands next in a log.
#[derive(Debug)]
pub enum Item<'a> {
    /// What the segment begins with that now follows: all symbols known then.
    Metadata(&'a Metadata),
    /// Records that follow each other.
    Records {
        /// Ordinal of the first.
        first_ordinal: u64,
        /// At least one.
        records: &'a [MboMsg],
    },
    /// Records that no mark speaks of: a segment is lost. What it held may have moved books; what follows moves those.
    Missing {
        /// Ordinal of the first.
        first: u64,
        /// Of the first that is there again.
        end: u64,
    },
    /// A symbol mapping: 176 bytes, as DBN 3 has them.
    Mapping(&'a [u8]),
    /// A new session begins.
    Session {
        /// Where: the ordinal of the segment's first record, also behind records that are missing.
        ordinal: u64,
        /// Its source.
        uri: String,
    },
    /// Anything else that moved books without a record.
    Mark(Mark),
}

/// A place in a log. Stays where it is at the log's end, and goes on from there once the log has been refreshed.
#[derive(Debug)]
pub struct Cursor {
    /// The segment (by its first ordinal) and offset at or behind which the next frame begins.
    next: (u64, u64),
    /// The segment whose metadata was handed out last, by its first ordinal.
    segment: Option<u64>,
    metadata: Option<Box<Metadata>>,
    /// Nothing while it reads.
    reader: Option<Box<FrameReader>>,
    plain: Plain,
    /// Whether these are MBO records and nothing else.
    is_records_only: bool,
    /// What of the plain bytes is still to come.
    rest: Range<usize>,
    ordinal: u64,
    /// What comes before this record is passed over.
    start: u64,
    /// The session whose end is the log's for it, by its ordinal.
    within: Option<u64>,
}

/// Who reads the frames that a cursor comes to.
pub(super) trait Reads {
    fn read(&mut self, log: &Log, at: usize, plain: &mut Plain) -> Result<(), HistoryError>;
}

impl Reads for FrameReader {
    fn read(&mut self, log: &Log, at: usize, plain: &mut Plain) -> Result<(), HistoryError> {
        FrameReader::read(self, log, at, plain)
    }
}

impl Reads for Ahead<'_, Plain> {
    fn read(&mut self, log: &Log, at: usize, plain: &mut Plain) -> Result<(), HistoryError> {
        match self.next()? {
            Some((next, read)) => {
                assert_eq!(next, at, "a cursor goes on by one frame after the other");
                self.give_back(std::mem::replace(plain, read));
                Ok(())
            }
            // Behind those that were expected to be wanted.
            None => FrameReader::default().read(log, at, plain),
        }
    }
}

/// As [`Item`], in places of the cursor's buffer.
enum Found {
    Metadata,
    Records(u64, Range<usize>),
    Missing(u64, u64),
    Mapping(Range<usize>),
    Mark(Mark),
}

impl Cursor {
    pub(super) fn new(log: &Log, ordinal: u64) -> Self {
        let behind_last = |frame: &Frame| (place_of(log, frame).0, frame.entry.end_offset());
        let next = match log.frames().get(log.frame_behind(ordinal)) {
            Some(frame) => place_of(log, frame),
            None => log.frames().last().map_or((0, 0), behind_last),
        };
        Self {
            next,
            segment: None,
            metadata: None,
            reader: None,
            plain: Plain::default(),
            is_records_only: false,
            rest: 0..0,
            ordinal,
            start: ordinal,
            within: None,
        }
    }

    /// One that ends with this session (its ordinal), though another begins there.
    pub(super) fn within(mut self, session: u64) -> Self {
        self.within = Some(session);
        self
    }

    /// At a session's end: one that goes on with the next session, and ends with that.
    pub(super) fn beyond(&self, log: &Log) -> Option<Self> {
        let frame = log.frames().get(self.next_frame(log)).filter(|_| self.rest.is_empty())?;
        let within = log.segments()[frame.segment].session().map(|(session, _)| session);
        let (next, segment, ordinal, start) = (self.next, self.segment, self.ordinal, self.start);
        Some(Self { next, segment, start, within, ..Self::new(log, ordinal) })
    }

    /// Ordinal of the next record that will be handed out.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal.max(self.start)
    }

    /// The next item; nothing at the log's end.
    ///
    /// # Errors
    /// If a frame cannot be read or is damaged; the next call tries the same again.
    pub fn next<'a>(&'a mut self, log: &Log) -> Result<Option<Item<'a>>, HistoryError> {
        let found = self.find_next(log)?;
        self.item(found)
    }

    /// As [`next`](Self::next), but a frame that is damaged is the mark of a hole, and what is behind it comes next.
    ///
    /// # Errors
    /// If a frame cannot be read.
    pub(super) fn next_or_hole<'a>(&'a mut self, log: &Log) -> Result<Option<Item<'a>>, HistoryError> {
        let found = match self.find_next(log) {
            Err(HistoryError::Damaged { what, .. }) => self.pass_damaged(log, &what),
            found => found?,
        };
        self.item(found)
    }

    /// As [`next`](Self::next), with frames that somebody else reads.
    pub(super) fn next_by<'a>(
        &'a mut self,
        log: &Log,
        reader: &mut impl Reads,
    ) -> Result<Option<Item<'a>>, HistoryError> {
        let found = self.find(log, reader)?;
        self.item(found)
    }

    /// Position of the next frame that will be read; as many as there are if there is none.
    pub(super) fn next_frame(&self, log: &Log) -> usize {
        log.frames().partition_point(|frame| place_of(log, frame) < self.next)
    }

    /// When the first record of the next frame was received, ns, by what the index says.
    pub(super) fn received(&self, log: &Log) -> u64 {
        log.frames().get(self.next_frame(log)).map_or(u64::MAX, |frame| frame.entry.ts_recv.min)
    }

    fn find_next(&mut self, log: &Log) -> Result<Option<Found>, HistoryError> {
        let mut reader = self.reader.take().unwrap_or_default();
        let found = self.find(log, &mut *reader);
        self.reader = Some(reader);
        found
    }

    /// Goes past the next frame, which is damaged; the mark of the hole that it leaves.
    fn pass_damaged(&mut self, log: &Log, what: &str) -> Option<Found> {
        let frame = log.frames().get(self.next_frame(log))?;
        let (segment, offset) = place_of(log, frame);
        let (first, end) = (frame.entry.first_ordinal.max(self.start), frame.entry.end_ordinal());
        self.next = (segment, offset + u64::from(frame.entry.frame_bytes));
        self.ordinal = end;
        Some(Found::Mark(Mark::Hole { first, end, reason: format!("a frame is damaged: {what}") }))
    }

    fn item(&mut self, found: Option<Found>) -> Result<Option<Item<'_>>, HistoryError> {
        let Some(found) = found else { return Ok(None) };
        Ok(Some(match found {
            Found::Metadata => Item::Metadata(self.metadata.as_deref().expect("just read")),
            Found::Records(first_ordinal, at) => Item::Records { first_ordinal, records: records_of(&self.plain[at]) },
            Found::Missing(first, end) => Item::Missing { first, end },
            Found::Mapping(at) => Item::Mapping(&self.plain[at]),
            Found::Mark(Mark::Session { uri }) => Item::Session { ordinal: self.ordinal, uri },
            Found::Mark(mark) => Item::Mark(mark),
        }))
    }

    /// Takes so many of the records back that were just handed out: they come again.
    pub(crate) fn give_back(&mut self, records: usize) {
        self.rest.start -= records * MBO_BYTES;
        self.ordinal -= records as u64;
    }

    /// As [`give_back`](Self::give_back), of records that are missing from this one on.
    pub(super) fn give_back_missing(&mut self, first: u64) {
        self.ordinal = first;
    }

    fn find(&mut self, log: &Log, reader: &mut impl Reads) -> Result<Option<Found>, HistoryError> {
        loop {
            if self.rest.is_empty() {
                let at = self.next_frame(log);
                let Some(frame) = log.frames().get(at) else { return Ok(None) };
                let segment = &log.segments()[frame.segment];
                let session = segment.session().map(|(ordinal, _)| ordinal);
                if self.within.is_some_and(|own| session.is_some_and(|session| session != own)) {
                    return Ok(None);
                }
                if self.segment != Some(segment.first_ordinal) {
                    self.metadata = Some(Box::new(log.metadata(frame.segment)?));
                    self.segment = Some(segment.first_ordinal);
                    return Ok(Some(Found::Metadata));
                }
                if let Some(missing) = self.missing_before(log, at) {
                    self.ordinal = missing.end;
                    return Ok(Some(Found::Missing(missing.start, missing.end)));
                }
                reader.read(log, at, &mut self.plain)?;
                self.is_records_only = frame.entry.is_records_only();
                self.rest = 0..self.plain.len();
                self.ordinal = frame.entry.first_ordinal;
                self.next = (segment.first_ordinal, frame.entry.end_offset());
            }
            if let Some(found) = self.take(log)? {
                return Ok(Some(found));
            }
        }
    }

    /// What is missing before a frame that goes on with the same session, if it has no mark that says so.
    fn missing_before(&self, log: &Log, at: usize) -> Option<Range<u64>> {
        let (frame, before) = (log.frames().get(at)?, log.frames().get(at.checked_sub(1)?)?);
        let session = |frame: &Frame| log.segments()[frame.segment].session().map(|(ordinal, _)| ordinal);
        let missing = self.ordinal()..frame.entry.first_ordinal;
        let is_silent = !missing.is_empty() && !frame.entry.has(flags::HOLE) && session(frame) == session(before);
        is_silent.then_some(missing)
    }

    /// Takes the next run from the buffer; nothing if it lies before the start.
    fn take(&mut self, log: &Log) -> Result<Option<Found>, HistoryError> {
        let begin = self.rest.start;
        let rest = &self.plain[self.rest.clone()];
        let run = if self.is_records_only { Ok(Run::Records(rest)) } else { Run::of(rest) };
        let run = run.map_err(|what| HistoryError::Refused {
            dir: log.dir().into(),
            what: format!("the frame of ordinal {} holds {what}", self.ordinal),
        })?;
        let end = begin + run.bytes().len();
        let found = match run {
            Run::Records(records) => {
                let count = (records.len() / MBO_BYTES) as u64;
                let passed = self.start.saturating_sub(self.ordinal).min(count);
                let first = self.ordinal + passed;
                self.ordinal += count;
                (passed < count).then(|| Found::Records(first, begin + passed as usize * MBO_BYTES..end))
            }
            Run::Mapping(_) => (self.ordinal >= self.start).then_some(Found::Mapping(begin..end)),
            Run::System(record) => Mark::of(record).filter(|_| self.ordinal >= self.start).map(Found::Mark),
        };
        self.rest.start = end;
        Ok(found)
    }
}

/// Where a frame is, in a way that stays true when segments are removed.
fn place_of(log: &Log, frame: &Frame) -> (u64, u64) {
    (log.segments()[frame.segment].first_ordinal, frame.entry.offset)
}
