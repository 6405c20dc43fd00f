//! One file of the log, and what is known of its frames.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dbn::Metadata;

use super::{
    error::HistoryError,
    frame::{self, PLAIN_BYTES_MAX, Plain, Run, Unpacker, describe},
    index::{self, Entry, flags},
    layout::{SEGMENT_SUFFIX, beside, log_path, ordinal_of},
    mark::Mark,
    platform::FileExt,
};
use crate::decode::METADATA_BYTES_MAX;

/// One file of the log.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Whose records these are; the name of the folder.
    pub dataset: String,
    /// `2025-09-30`: the UTC day of the first record's ts_recv; the name of the folder.
    pub day: String,
    /// Ordinal of its first record.
    pub first_ordinal: u64,
    /// The marks it opens with: its session, and the hole before it.
    pub opening: Vec<Mark>,
    /// The frame with the metadata.
    pub(crate) head: Entry,
    /// Whether there was no good index, and the file itself was read instead.
    pub(crate) is_scanned: bool,
    /// What is wrong with the frame that holds the metadata: the records behind it are good for all that.
    pub(crate) head_damage: Option<String>,
    /// … with that of the marks that it opens with: `opening` is then what else is known of them.
    pub(crate) opening_damage: Option<String>,
    /// … with its end, and where that is: frames that its index knows of are not there.
    end_damage: Option<(u64, String)>,
}

impl Segment {
    /// A segment whose frames are not read yet.
    pub(crate) fn at(path: PathBuf) -> Option<Self> {
        let folder = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let day = path.parent()?;
        Some(Self {
            first_ordinal: ordinal_of(&path)?,
            dataset: folder(day.parent()?)?,
            day: folder(day)?,
            opening: Vec::new(),
            head: Entry::default(),
            is_scanned: false,
            head_damage: None,
            opening_damage: None,
            end_damage: None,
            path,
        })
    }

    /// All segments below a history's folder, by ordinal.
    pub(crate) fn list(dir: &Path) -> Result<Vec<Self>, HistoryError> {
        let mut segments = Vec::new();
        for dataset in folders(&log_path(dir))? {
            for day in folders(&dataset)? {
                let names = entries(&day)?.into_iter();
                let paths =
                    names.filter(|path| path.as_os_str().as_encoded_bytes().ends_with(SEGMENT_SUFFIX.as_bytes()));
                segments.extend(paths.filter_map(Segment::at));
            }
        }
        segments.sort_unstable_by_key(|segment| segment.first_ordinal);
        Ok(segments)
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        beside(&self.path, "index")
    }

    pub(crate) fn damaged(&self, entry: &Entry, what: impl Into<String>) -> HistoryError {
        let Entry { offset, first_ordinal: ordinal, .. } = *entry;
        HistoryError::Damaged { path: self.path.clone(), offset, ordinal, what: what.into() }
    }

    /// What its index says, and whether that is whole.
    pub(crate) fn indexed(&self) -> Result<(Vec<Entry>, bool), HistoryError> {
        let path = self.index_path();
        match fs::read(&path) {
            Ok(bytes) => Ok(index::read(&bytes, self.first_ordinal)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), false)),
            Err(error) => Err(HistoryError::io(&path)(error)),
        }
    }

    /// Reads what there is to know of it; returns its frames of records. What an index lacks is looked for in the file,
    /// except at the end of the last segment, where it may not be durable yet.
    pub(crate) fn load(&mut self, is_last: bool) -> Result<Vec<Entry>, HistoryError> {
        let (mut entries, is_whole) = self.indexed()?;
        let len = fs::metadata(&self.path).map_err(HistoryError::io(&self.path))?.len();
        let known = entries.last().map_or(0, Entry::end_offset);
        if (entries.is_empty() && !is_whole) || (!is_last && (!is_whole || known < len)) {
            entries = self.scan(&entries)?;
            self.is_scanned = true;
        }
        self.end_damage = (known > len).then(|| (len, format!("the file ends here, its index knows of {known} bytes")));
        if entries.is_empty() {
            return Ok(entries);
        }
        self.head = entries.remove(0);
        self.read_beginning(entries.first())?;
        Ok(entries)
    }

    /// The frames that its index has beyond these, of which there is at least one; nothing if it has fewer.
    pub(crate) fn load_more(&self, frames: usize, last: &Entry) -> Result<Option<Vec<Entry>>, HistoryError> {
        let path = self.index_path();
        let known = (index::HEADER_BYTES + (1 + frames) * index::ENTRY_BYTES) as u64;
        let read = || -> io::Result<Option<Vec<u8>>> {
            let file = File::open(&path)?;
            let Some(more) = file.metadata()?.len().checked_sub(known) else { return Ok(None) };
            let mut bytes = vec![0; more as usize / index::ENTRY_BYTES * index::ENTRY_BYTES];
            file.read_exact_at(&mut bytes, known)?;
            Ok(Some(bytes))
        };
        let bytes = read().map_err(HistoryError::io(&path))?;
        Ok(bytes.map(|bytes| index::read_on(&bytes, self.first_ordinal, Some(last)).0))
    }

    /// Finds the frames in the file itself, from behind these known ones on, up to the first that is not whole.
    pub(crate) fn scan(&self, known: &[Entry]) -> Result<Vec<Entry>, HistoryError> {
        let bytes = fs::read(&self.path).map_err(HistoryError::io(&self.path))?;
        let mut entries = known.to_vec();
        let (mut unpacker, mut plain) = (Unpacker::default(), Plain::default());
        loop {
            let last = entries.last();
            let (offset, ordinal) = last.map_or((0, self.first_ordinal), |e| (e.end_offset(), e.end_ordinal()));
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            match entry_at(rest, offset, ordinal, &mut unpacker, &mut plain) {
                Ok(entry) => entries.push(entry),
                Err(_) => return Ok(entries),
            }
        }
    }

    /// The plain bytes of a frame; of a damaged one that it opens with, the marks that stand in for those.
    pub(crate) fn read(
        &self,
        file: &File,
        entry: &Entry,
        unpacker: &mut Unpacker,
        plain: &mut Plain,
    ) -> Result<(), HistoryError> {
        if self.opening_damage.is_some() && entry.offset == self.head.end_offset() {
            let marks: Vec<u8> = self.opening.iter().flat_map(|mark| mark.to_record(0)).collect();
            *plain = Plain::of(&marks);
            return Ok(());
        }
        self.read_as_written(file, entry, unpacker, plain)
    }

    /// The plain bytes of a frame, of which every byte is as it was written.
    pub(crate) fn read_as_written(
        &self,
        file: &File,
        entry: &Entry,
        unpacker: &mut Unpacker,
        plain: &mut Plain,
    ) -> Result<(), HistoryError> {
        let read = |frame: &mut [u8]| self.read_packed(file, entry, frame);
        unpacker.unpack_entry(entry, plain, read, |what| self.damaged(entry, what))
    }

    fn read_packed(&self, file: &File, entry: &Entry, frame: &mut [u8]) -> Result<(), HistoryError> {
        match file.read_exact_at(frame, entry.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(entry, "the file ends inside this frame"))
            }
            read => read.map_err(HistoryError::io(&self.path)),
        }
    }

    pub(crate) fn open(&self) -> Result<File, HistoryError> {
        File::open(&self.path).map_err(HistoryError::io(&self.path))
    }

    /// Reads the metadata, which is the first frame.
    pub(crate) fn metadata(&self) -> Result<Metadata, HistoryError> {
        let mut plain = Plain::default();
        self.read_as_written(&self.open()?, &self.head, &mut Unpacker::default(), &mut plain)?;
        crate::decode::decode_metadata(&plain, 0).map_err(|error| self.damaged(&self.head, error.to_string()))
    }

    /// The session that its records are of: where it began, and its source.
    pub(crate) fn session(&self) -> Option<(u64, &str)> {
        self.opening.iter().find_map(|mark| match mark {
            Mark::Session { uri } => Some((self.first_ordinal, uri.as_str())),
            Mark::Continues { ordinal, uri } => Some((*ordinal, uri.as_str())),
            _ => None,
        })
    }

    /// What is wrong with its beginning and its end, each with where that is.
    pub(crate) fn damages(&self) -> impl Iterator<Item = HistoryError> + '_ {
        let behind_head = self.head.end_offset();
        let found = [
            self.head_damage.as_ref().map(|what| (self.head.offset, what)),
            self.opening_damage.as_ref().map(|what| (behind_head, what)),
            self.end_damage.as_ref().map(|(offset, what)| (*offset, what)),
        ];
        let damaged = |(offset, what)| self.damaged(&Entry { offset, ..self.head }, what);
        found.into_iter().flatten().map(damaged)
    }

    /// Looks whether the metadata is as it was written, and reads the marks that it opens with from its first frame of records.
    fn read_beginning(&mut self, first: Option<&Entry>) -> Result<(), HistoryError> {
        let (file, mut unpacker, mut plain) = (self.open()?, Unpacker::default(), Plain::default());
        let head = self.head;
        let damage_of = |read| match read {
            Err(HistoryError::Damaged { what, .. }) => Ok(Some(what)),
            read => read.map(|()| None),
        };
        // Not unpacked: with a venue's symbols these are megabytes, in every segment, of which nothing is used here.
        let read_head = |frame: &mut [u8]| self.read_packed(&file, &head, frame);
        self.head_damage = damage_of(unpacker.check_entry(&head, read_head, |what| self.damaged(&head, what)))?;
        let Some(first) = first.filter(|entry| entry.has(flags::SESSION | flags::HOLE)) else { return Ok(()) };
        if let Some(what) = damage_of(self.read_as_written(&file, first, &mut unpacker, &mut plain))? {
            // Nothing stands in for records.
            self.opening_damage = (first.records == 0).then_some(what);
            return Ok(());
        }
        let mut rest = &plain[..];
        while let Ok(Run::System(record)) = Run::of(rest) {
            self.opening.extend(Mark::of(record));
            rest = &rest[record.len()..];
        }
        Ok(())
    }
}

/// The entry of the frame that these bytes begin with, if it is whole.
fn entry_at(
    bytes: &[u8],
    offset: u64,
    ordinal: u64,
    unpacker: &mut Unpacker,
    plain: &mut Plain,
) -> Result<Entry, String> {
    let is_metadata = offset == 0;
    let (frame_bytes, plain_bytes) = frame::measure(bytes)?;
    let bytes_max = if is_metadata { METADATA_BYTES_MAX } else { PLAIN_BYTES_MAX };
    if plain_bytes > bytes_max {
        return Err(format!("a frame of {plain_bytes} plain bytes, expected at most {bytes_max}"));
    }
    let frame = &bytes[..frame_bytes];
    unpacker.unpack(frame, plain_bytes, plain)?;
    let entry = if is_metadata {
        crate::decode::decode_metadata(plain, 0).map_err(|error| error.to_string())?;
        Entry { first_ordinal: ordinal, flags: flags::METADATA, ..Entry::default() }
    } else {
        describe(plain, ordinal)?
    };
    Ok(Entry {
        offset,
        frame_bytes: frame_bytes as u32,
        plain_bytes: plain_bytes as u32,
        xxh3: twox_hash::XxHash3_64::oneshot(frame),
        ..entry
    })
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let listed = match fs::read_dir(dir) {
        // A day that retention has just removed, or a history that nothing was recorded to.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(HistoryError::io(dir))?,
    };
    listed.map(|entry| entry.map(|entry| entry.path()).map_err(HistoryError::io(dir))).collect()
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    Ok(entries(dir)?.into_iter().filter(|path| path.is_dir()).collect())
}
