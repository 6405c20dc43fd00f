//! Whether a log is what was written: every byte of it.

use std::{fs, path::PathBuf};

use super::{
    error::HistoryError,
    frame::{Plain, Unpacker, describe},
    index::{self, Entry, flags},
    log::Log,
    mark::Mark,
    segment::Segment,
};

/// What is wrong at one place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment; of one that is missing the next one, or its index.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The ordinal of the first record that is concerned.
    pub ordinal: u64,
    /// The ordinal after the last record that is lost by it; `ordinal` if none is.
    pub end_ordinal: u64,
    /// What was found, and what was expected.
    pub what: String,
}

/// What was looked at, and how much of it is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Segments that are good as a whole.
    pub segments: u64,
    /// Good frames of records.
    pub frames: u64,
    /// MBO records in them.
    pub records: u64,
    /// Bytes of segments, good or not.
    pub bytes: u64,
    /// Everything that is wrong, by place; empty if all is good.
    pub damages: Vec<Damage>,
}

impl Log {
    /// Bytes of all segments that are known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (0..self.segments().len()).map(|segment| self.segment_bytes(segment)).sum()
    }

    /// Bytes of a segment that are known.
    #[must_use]
    pub fn segment_bytes(&self, segment: usize) -> u64 {
        let last = self.frames_of(segment).next_back();
        last.map_or(self.segments()[segment].head.end_offset(), |at| self.frames()[at].entry.end_offset())
    }

    /// Reads everything: each frame's checksums, what it holds, and that nothing is missing that no hole accounts for.
    /// `progress` is told how many bytes were looked at, and stops the reading by an error of its own.
    ///
    /// # Errors
    /// If a file cannot be read, and what `progress` says. Damage is no error but the verdict.
    pub fn verify<E: From<HistoryError>>(&self, mut progress: impl FnMut(u64) -> Result<(), E>) -> Result<Verdict, E> {
        let mut verdict = Verdict::default();
        let mut expected = self.kept_from();
        for (at, segment) in self.segments().iter().enumerate() {
            let said = segment.opening.iter().find_map(|mark| match mark {
                Mark::Hole { first, .. } => Some(*first),
                _ => None,
            });
            let first = segment.first_ordinal;
            if first != expected && said.is_none_or(|said| said > expected) {
                let what =
                    format!("records {expected} to {first} are missing before this segment: one or more are lost");
                let place = damage(segment, &segment.head, what);
                verdict.damages.push(Damage { ordinal: expected, end_ordinal: first, ..place });
            }
            let known = verdict.damages.len();
            self.verify_segment(at, &mut verdict, &mut progress)?;
            verdict.segments += u64::from(verdict.damages.len() == known);
            expected = self.end_of(at);
        }
        Ok(verdict)
    }

    fn verify_segment<E: From<HistoryError>>(
        &self,
        at: usize,
        verdict: &mut Verdict,
        progress: &mut impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let segment = &self.segments()[at];
        if segment.head.frame_bytes == 0 {
            verdict.damages.push(damage(segment, &segment.head, "no metadata, expected a frame with it"));
            return Ok(());
        }
        note(segment.metadata().map(drop), verdict, &segment.head)?;
        verdict.damages.extend(self.index_damage(at)?);
        verdict.bytes += u64::from(segment.head.frame_bytes);
        let file = segment.open()?;
        let (mut unpacker, mut plain) = (Unpacker::default(), Plain::default());
        let len = file.metadata().map_err(HistoryError::io(&segment.path))?.len();
        for frame in self.frames().range(self.frames_of(at)) {
            let entry = &frame.entry;
            if entry.end_offset() > len {
                // So it is with all that follow.
                let lost = damage(segment, entry, "the file ends inside this frame");
                verdict.damages.push(Damage { end_ordinal: self.end_of(at), ..lost });
                return Ok(());
            }
            verdict.bytes += u64::from(entry.frame_bytes);
            let read = segment.read_as_written(&file, entry, &mut unpacker, &mut plain);
            if note(read, verdict, entry)? {
                match difference(&plain, entry) {
                    Some(what) => verdict.damages.push(damage(segment, entry, what)),
                    None => {
                        verdict.frames += 1;
                        verdict.records += u64::from(entry.records);
                    }
                }
            }
            progress(verdict.bytes)?;
        }
        // The last segment may be growing at this moment.
        let (is_last, known) = (at + 1 == self.segments().len(), self.segment_bytes(at));
        if len > known && !is_last {
            let end = Entry { offset: known, first_ordinal: self.end_of(at), ..Entry::default() };
            verdict.damages.push(damage(segment, &end, format!("{len} bytes in the file, expected {known}")));
        }
        Ok(())
    }

    /// Where a segment's index, if there is one, does not say what was found.
    fn index_damage(&self, at: usize) -> Result<Option<Damage>, HistoryError> {
        let segment = &self.segments()[at];
        let path = segment.index_path();
        if !path.exists() {
            return Ok(None);
        }
        let (entries, is_whole) = segment.indexed()?;
        let frames = self.frames().range(self.frames_of(at)).map(|frame| frame.entry);
        let same = std::iter::once(segment.head).chain(frames).zip(&entries).take_while(|(a, b)| a == *b).count();
        let expected = 1 + self.frames_of(at).len();
        // The last one may be growing at this moment: it may have more entries, and the beginning of another.
        let len = fs::metadata(&path).map_err(HistoryError::io(&path))?.len() as usize;
        let is_growing =
            at + 1 == self.segments().len() && (index::HEADER_BYTES + (entries.len() + 1) * index::ENTRY_BYTES) > len;
        let is_good = same == expected && (is_growing || (is_whole && entries.len() == expected));
        let offset = (index::HEADER_BYTES + same * index::ENTRY_BYTES) as u64;
        let what = "not what the segment holds; a recorder that opens the history makes it anew".into();
        let ordinal = segment.first_ordinal;
        Ok((!is_good).then_some(Damage { path, offset, ordinal, end_ordinal: ordinal, what }))
    }

    /// Ordinal after a segment's last record's.
    fn end_of(&self, segment: usize) -> u64 {
        let last = self.frames_of(segment).next_back();
        last.map_or(self.segments()[segment].first_ordinal, |at| self.frames()[at].entry.end_ordinal())
    }
}

/// Whether what was read is good; damage is noted, any other error is one.
fn note(read: Result<(), HistoryError>, verdict: &mut Verdict, entry: &Entry) -> Result<bool, HistoryError> {
    match read {
        Ok(()) => return Ok(true),
        Err(HistoryError::Damaged { path, offset, ordinal, what }) => {
            let end_ordinal = ordinal + u64::from(entry.records);
            verdict.damages.push(Damage { path, offset, ordinal, end_ordinal, what });
        }
        Err(error) => return Err(error),
    }
    Ok(false)
}

/// Where a frame is not what its entry says.
fn difference(plain: &Plain, entry: &Entry) -> Option<String> {
    let found = match describe(plain, entry.first_ordinal) {
        Ok(found) => Entry { offset: entry.offset, frame_bytes: entry.frame_bytes, xxh3: entry.xxh3, ..found },
        Err(what) => return Some(what),
    };
    // Earlier versions did not say which.
    let which = flags::BEGINS | flags::CONTINUES;
    let flags = if entry.has(which) { found.flags } else { found.flags & !which };
    let is_same = Entry { flags, ..found } == *entry;
    (!is_same).then(|| format!("{} records and other facts that the index does not say", found.records))
}

fn damage(segment: &Segment, entry: &Entry, what: impl Into<String>) -> Damage {
    let ordinal = entry.first_ordinal.max(segment.first_ordinal);
    let end_ordinal = ordinal + u64::from(entry.records);
    Damage { path: segment.path.clone(), offset: entry.offset, ordinal, end_ordinal, what: what.into() }
}
