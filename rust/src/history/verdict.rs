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

/// The first damage in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The ordinal of the first record that is concerned.
    pub ordinal: u64,
    /// What was found, and what was expected.
    pub what: String,
}

/// What was looked at, up to the first damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Segments.
    pub segments: u64,
    /// Frames of records.
    pub frames: u64,
    /// MBO records.
    pub records: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// Nothing if all is good.
    pub damage: Option<Damage>,
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
        let mut ordinal = self.first_ordinal();
        for (at, segment) in self.segments().iter().enumerate() {
            let said = segment.opening.iter().find_map(|mark| match mark {
                Mark::Hole { first, .. } => Some(*first),
                _ => None,
            });
            if segment.first_ordinal != ordinal && said != Some(ordinal) {
                let what = format!("ordinal {ordinal} was expected here, {} comes", segment.first_ordinal);
                verdict.damage = Some(damage(segment, &segment.head, what));
                return Ok(verdict);
            }
            match self.verify_segment(at, &mut verdict, &mut progress) {
                Ok(()) => {}
                Err(Stop::Damage(damage)) => {
                    verdict.damage = Some(damage);
                    return Ok(verdict);
                }
                Err(Stop::Error(error)) => return Err(error),
            }
            verdict.segments += 1;
            ordinal = self.frames_of(at).next_back().map_or(ordinal, |frame| self.frames()[frame].entry.end_ordinal());
        }
        Ok(verdict)
    }

    fn verify_segment<E: From<HistoryError>>(
        &self,
        at: usize,
        verdict: &mut Verdict,
        progress: &mut impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let segment = &self.segments()[at];
        if segment.head.frame_bytes == 0 {
            return Err(Stop::Damage(damage(segment, &segment.head, "no metadata, expected a frame with it")));
        }
        segment.metadata().map_err(Stop::of)?;
        if let Some(damage) = self.index_damage(at).map_err(Stop::of)? {
            return Err(Stop::Damage(damage));
        }
        verdict.bytes += u64::from(segment.head.frame_bytes);
        let file = segment.open().map_err(Stop::of)?;
        let (mut unpacker, mut plain) = (Unpacker::default(), Plain::default());
        for frame in self.frames().range(self.frames_of(at)) {
            let entry = &frame.entry;
            segment.read_as_written(&file, entry, &mut unpacker, &mut plain).map_err(Stop::of)?;
            let found =
                describe(&plain, entry.first_ordinal).map_err(|what| Stop::Damage(damage(segment, entry, what))).map(
                    |found| Entry { offset: entry.offset, frame_bytes: entry.frame_bytes, xxh3: entry.xxh3, ..found },
                )?;
            // Earlier versions did not say which.
            let which = flags::BEGINS | flags::CONTINUES;
            let flags = if entry.has(which) { found.flags } else { found.flags & !which };
            if (Entry { flags, ..found }) != *entry {
                let what = format!("{} records and other facts that the index does not say", found.records);
                return Err(Stop::Damage(damage(segment, entry, what)));
            }
            verdict.frames += 1;
            verdict.records += u64::from(entry.records);
            verdict.bytes += u64::from(entry.frame_bytes);
            progress(verdict.bytes).map_err(Stop::Error)?;
        }
        // The last segment may be growing at this moment.
        let is_last = at + 1 == self.segments().len();
        let (known, len) =
            (self.segment_bytes(at), fs::metadata(&segment.path).map_err(HistoryError::io(&segment.path)));
        let len = len.map_err(Stop::of)?.len();
        if len != known && !(is_last && len > known) {
            let end = Entry { offset: known, first_ordinal: self.end_of(at), ..Entry::default() };
            return Err(Stop::Damage(damage(segment, &end, format!("{len} bytes in the file, expected {known}"))));
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
        Ok((!is_good).then_some(Damage { path, offset, ordinal: segment.first_ordinal, what }))
    }

    /// Ordinal after a segment's last record's.
    fn end_of(&self, segment: usize) -> u64 {
        let last = self.frames_of(segment).next_back();
        last.map_or(self.segments()[segment].first_ordinal, |at| self.frames()[at].entry.end_ordinal())
    }
}

enum Stop<E> {
    Damage(Damage),
    Error(E),
}

impl<E: From<HistoryError>> Stop<E> {
    fn of(error: HistoryError) -> Self {
        match error {
            HistoryError::Damaged { path, offset, ordinal, what } => {
                Self::Damage(Damage { path, offset, ordinal, what })
            }
            error => Self::Error(error.into()),
        }
    }
}

fn damage(segment: &Segment, entry: &Entry, what: impl Into<String>) -> Damage {
    let ordinal = entry.first_ordinal.max(segment.first_ordinal);
    Damage { path: segment.path.clone(), offset: entry.offset, ordinal, what: what.into() }
}
