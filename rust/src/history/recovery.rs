//! What a restart makes of the log that it finds.
//!
//! Whatever an index vouched for was durable, and somebody may have read it: its ordinals are never given out again,
//! even if it is damaged now; what is cut off of it stays beside as `….dbn.zst.damaged`. Nor are those of records that a
//! checkpoint or somebody else knows of, if all of their segment is gone. What lies behind the last entry of the last segment was not: whole
//! frames there are kept, the rest is cut off.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{
    checkpoint_file::{self, CheckpointFile},
    error::HistoryError,
    files::{replace, sync_folder},
    frame::{Plain, Unpacker},
    index::{self, Entry},
    kept_from,
    layout::beside,
    log::{Log, SEGMENT_MISSING, Session},
    platform::FileExt,
    segment::Segment,
};

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Ordinal of the next record.
    pub next_ordinal: u64,
    /// Ordinal after the last record that is good: what a market must be restored to. Less than `next_ordinal` if
    /// records were lost that somebody may have read.
    pub end_ordinal: u64,
    /// Bytes cut off the last segment.
    pub bytes_cut: u64,
    /// Frames among them that an index had vouched for.
    pub frames_cut: u64,
    /// Indexes made anew.
    pub indexes_rebuilt: u64,
    /// The newest session; nothing if there is none.
    pub session: Option<Session>,
    /// The last segment; nothing if there is none.
    pub segment: Option<PathBuf>,
    /// … and its dataset.
    pub dataset: Option<String>,
    /// What is wrong with the beginnings and ends of segments, which are left as they are.
    pub damages: Vec<String>,
    /// Whether nothing was recorded yet.
    pub is_new: bool,
}

impl Recovered {
    /// Why records are missing that were there.
    pub(super) fn loss(&self) -> &'static str {
        if self.frames_cut > 0 { "damaged frames were cut off" } else { SEGMENT_MISSING }
    }
}

/// Makes the log of a locked history ready to be written on.
pub(crate) fn recover(dir: &Path, ordinal_min: u64) -> Result<Recovered, HistoryError> {
    let mut recovered = Recovered::default();
    let mut segments = Segment::list(dir)?;
    // The last one that holds records decides; what was begun behind it and holds none is removed.
    while let Some(segment) = segments.pop() {
        if recover_last(&segment, &mut recovered)? {
            break;
        }
    }
    for segment in &segments {
        rebuild_index_if_damaged(segment, &mut recovered)?;
    }
    let log = Log::open(dir)?;
    if !log.frames().is_empty() {
        match kept_from::begin(dir, log.kept_from()) {
            // What is recorded is worth more: the next start tells it.
            Err(error) if kept_from::is_no_room(&error) => {}
            told => told?,
        }
    }
    recovered.end_ordinal = log.end_ordinal();
    recovered.next_ordinal = recovered.next_ordinal.max(recovered.end_ordinal).max(checkpointed(dir)?).max(ordinal_min);
    // What is not kept any more was given, too.
    recovered.next_ordinal = recovered.next_ordinal.max(kept_from::read(dir).unwrap_or(0));
    recovered.session = log.sessions().pop();
    recovered.segment = log.segments().last().map(|segment| segment.path.clone());
    recovered.dataset = log.segments().last().map(|segment| segment.dataset.clone());
    recovered.damages = log.damages().map(|error| error.to_string()).collect();
    recovered.is_new = log.frames().is_empty() && recovered.next_ordinal == 0;
    Ok(recovered)
}

/// The ordinal up to which checkpoints know of records, also of a segment that is lost: what comes next must not take their place.
fn checkpointed(dir: &Path) -> Result<u64, HistoryError> {
    let is_good = |at: u64, path: &Path| CheckpointFile::open(path).is_ok_and(|file| file.head().ordinal == at);
    let known = checkpoint_file::list(dir)?;
    Ok(known.into_iter().rfind(|(at, path)| is_good(*at, path)).map_or(0, |(at, _)| at))
}

/// Cuts the last segment down to its whole frames; false if none of them holds a record, and it was removed.
fn recover_last(segment: &Segment, recovered: &mut Recovered) -> Result<bool, HistoryError> {
    let (known, is_whole) = segment.indexed()?;
    let good = good_frames(segment, &known)?;
    let scanned = segment.scan(&known[..good])?;
    let end = scanned.last().map_or(0, Entry::end_offset);
    let len = fs::metadata(&segment.path).map_err(HistoryError::io(&segment.path))?.len();
    // What an index vouched for keeps its ordinals.
    let vouched = known.last().map_or(segment.first_ordinal, Entry::end_ordinal);
    recovered.next_ordinal = recovered.next_ordinal.max(vouched);
    recovered.frames_cut += known.len().saturating_sub(scanned.len()) as u64;
    recovered.bytes_cut += len.saturating_sub(end);
    let is_empty = scanned.iter().all(|entry| entry.records == 0);
    if known.len() > scanned.len() {
        set_aside(segment, if is_empty { 0 } else { end })?;
    }
    if is_empty {
        remove(segment)?;
        return Ok(false);
    }
    if end < len {
        cut(&segment.path, end)?;
    }
    if !is_whole || scanned != known {
        recovered.indexes_rebuilt += 1;
        let is_extended = scanned.len() > known.len() && known.iter().any(|entry| entry.records > 0);
        match write_index(segment, &known, &scanned) {
            // Without room for their entries, frames that nothing vouched for are as if they had never been written.
            Err(HistoryError::Io { error, .. }) if error.kind() == io::ErrorKind::StorageFull && is_extended => {
                let end = known.last().map_or(0, Entry::end_offset);
                recovered.bytes_cut += scanned.last().map_or(0, Entry::end_offset) - end;
                cut(&segment.path, end)?;
                write_index(segment, &known, &known)?;
            }
            written => written?,
        }
    }
    Ok(true)
}

fn cut(path: &Path, len: u64) -> Result<(), HistoryError> {
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    };
    cut().map_err(HistoryError::io(path))
}

/// How many of the frames that an index knows are what it says they are.
fn good_frames(segment: &Segment, known: &[Entry]) -> Result<usize, HistoryError> {
    let file = segment.open()?;
    let (mut unpacker, mut plain) = (Unpacker::default(), Plain::default());
    for (good, entry) in known.iter().enumerate() {
        match segment.read(&file, entry, &mut unpacker, &mut plain) {
            Ok(()) => {}
            Err(HistoryError::Damaged { .. }) => return Ok(good),
            Err(error) => return Err(error),
        }
    }
    Ok(known.len())
}

fn rebuild_index_if_damaged(segment: &Segment, recovered: &mut Recovered) -> Result<(), HistoryError> {
    let (known, is_whole) = segment.indexed()?;
    let len = fs::metadata(&segment.path).map_err(HistoryError::io(&segment.path))?.len();
    if is_whole && known.last().is_some_and(|entry| entry.end_offset() >= len) {
        return Ok(());
    }
    let scanned = segment.scan(&known)?;
    if !is_whole || scanned != known {
        recovered.indexes_rebuilt += 1;
        write_index(segment, &known, &scanned)?;
    }
    Ok(())
}

/// Makes an index say these entries; `known` are those that it begins with already.
fn write_index(segment: &Segment, known: &[Entry], entries: &[Entry]) -> Result<(), HistoryError> {
    let path = segment.index_path();
    let bytes = |entries: &[Entry]| entries.iter().flat_map(Entry::to_bytes).collect::<Vec<u8>>();
    if known.is_empty() || !entries.starts_with(known) {
        return replace(&path, &[&index::header()[..], &bytes(entries)].concat());
    }
    // In place: there may be no room for a second one.
    let good = (index::HEADER_BYTES + known.len() * index::ENTRY_BYTES) as u64;
    cut(&path, good)?;
    let append = || {
        let file = OpenOptions::new().write(true).open(&path)?;
        file.write_all_at(&bytes(&entries[known.len()..]), good)?;
        file.sync_all()
    };
    append().map_err(HistoryError::io(&path))
}

/// Keeps a damaged segment under another name, and under its own the good bytes that it begins with, if there are any.
fn set_aside(segment: &Segment, good_bytes: u64) -> Result<(), HistoryError> {
    let mut aside = segment.path.clone().into_os_string();
    aside.push(".damaged");
    let keep = || {
        if good_bytes == 0 {
            return fs::rename(&segment.path, &aside);
        }
        match fs::hard_link(&segment.path, &aside) {
            // Of an earlier attempt, which has more of it.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    keep().map_err(HistoryError::io(&segment.path))?;
    if good_bytes > 0 {
        let bytes = fs::read(&segment.path).map_err(HistoryError::io(&segment.path))?;
        replace(&segment.path, &bytes[..good_bytes as usize])?;
    }
    Ok(())
}

fn remove(segment: &Segment) -> Result<(), HistoryError> {
    for extension in ["index", "orders"] {
        let path = beside(&segment.path, extension);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(HistoryError::io(&path)(error)),
            _ => {}
        }
    }
    match fs::remove_file(&segment.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(HistoryError::io(&segment.path)(error));
        }
        _ => {}
    }
    sync_folder(segment.path.parent().expect("in a folder"))
}
