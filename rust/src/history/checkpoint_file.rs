//! Checkpoints on disk: `checkpoints/<ordinal>.l3ck`, one market each, of which one book can be read alone.
//!
//! Layout, little endian; the parts are those of [`crate::checkpoint`], each compressed by itself:
//!
//! ```text
//! "L3CK", u32 version, then u64 each: ordinal, session, ts_event_max, ts_event, ts_recv, first epoch of the books
//! u32 books, u32 CRC-32 of the directory, u32 CRC-32 of the 64 bytes before
//! directory: 24 bytes each for the head, the watch (0 bytes: none) and every book:
//!   u32 stored bytes, u32 plain bytes, u64 XXH3-64 of the stored bytes, u32 publisher_id, u32 instrument_id
//! parts, in the order of the directory: zstd frames
//! ```
//!
//! A file stands under its name only once it is whole and on disk. What does not fit its checksums is named and never
//! used: an older checkpoint and a longer replay give the same books.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use twox_hash::XxHash3_64;

use super::{
    ahead::processors,
    error::HistoryError,
    platform::{self, FileExt},
};
use crate::{
    checkpoint::{self, CheckpointError, Parts},
    event::{EventBook, Rules},
    market::{Key, Market},
    watch::Watch,
};

const MAGIC: &[u8; 4] = b"L3CK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 68;
const ENTRY_BYTES: usize = 24;
/// Entries before the first book's.
const HEAD_AND_WATCH: usize = 2;
/// A part that says to be longer is taken for damage.
const PLAIN_BYTES_MAX: u32 = 1 << 31;
/// Plain bytes for which another thread is worth while: some 10,000 orders.
const THREAD_BYTES_MIN: u64 = 128 * 1024;
const FOLDER: &str = "checkpoints";
const EXTENSION: &str = "l3ck";
const ORDINAL_DIGITS: usize = 20;

/// Why a checkpoint file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFileError {
    /// The system says so.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{}: damaged checkpoint: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
}

type Result<T> = std::result::Result<T, CheckpointFileError>;

impl CheckpointFileError {
    /// Whether the file is not there, as one is that was removed.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Of which moment a checkpoint is: right after the record before `ordinal`, and before any mark that stands there; but at
/// the end of a hole, right after its mark. Times in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// MBO records of the history before it.
    pub ordinal: u64,
    /// The ordinal at which its session began.
    pub session: u64,
    /// The latest ts_event of the session's records before it.
    pub ts_event_max: u64,
    /// ts_event of the last record.
    pub ts_event: u64,
    /// ts_recv of the last record.
    pub ts_recv: u64,
}

/// The folder of a history's checkpoints.
#[must_use]
pub fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// Where the checkpoint at an ordinal stands.
#[must_use]
pub fn path_of(dir: &Path, ordinal: u64) -> PathBuf {
    folder(dir).join(format!("{ordinal:0ORDINAL_DIGITS$}.{EXTENSION}"))
}

/// Writes a market down, with what watches it if it is to go on with a stream; on disk when this returns. One that stands
/// there already is replaced.
///
/// # Errors
/// What the system says; what stood under that name is then untouched.
pub fn save(dir: &Path, head: &Head, market: &Market, watch: Option<&Watch>) -> io::Result<PathBuf> {
    write(dir, head.ordinal, &encode(head, market, watch))
}

/// The bytes of a checkpoint file: the half of [`save`] that needs the market.
#[must_use]
pub fn encode(head: &Head, market: &Market, watch: Option<&Watch>) -> Vec<u8> {
    to_bytes(head, market.rules().epoch, &Parts::of(market, watch))
}

/// … and the half that needs the disk.
///
/// # Errors
/// As [`save`].
pub fn write(dir: &Path, ordinal: u64, bytes: &[u8]) -> io::Result<PathBuf> {
    let folder = folder(dir);
    fs::create_dir_all(&folder)?;
    let path = path_of(dir, ordinal);
    let unfinished = path.with_extension("tmp");
    let written = write_durably(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path));
    if written.is_err() {
        // What is left of it would only take room; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&unfinished);
    }
    written?;
    platform::sync_folder(&folder)?;
    Ok(path)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn to_bytes(head: &Head, epoch: u64, parts: &Parts) -> Vec<u8> {
    let mut compressor =
        zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL).expect("zstd allocates a context");
    let (mut directory, mut stored) = (Vec::new(), Vec::new());
    let mut add = |key: Key, plain: &[u8]| {
        let packed = match plain {
            [] => Vec::new(),
            _ => compressor.compress(plain).expect("zstd has room for the worst case"),
        };
        let len = |len: usize| u32::try_from(len).expect("a book of fewer than 2^27 orders");
        directory.extend_from_slice(&len(packed.len()).to_le_bytes());
        directory.extend_from_slice(&len(plain.len()).to_le_bytes());
        directory.extend_from_slice(&XxHash3_64::oneshot(&packed).to_le_bytes());
        directory.extend_from_slice(&u32::from(key.publisher_id).to_le_bytes());
        directory.extend_from_slice(&key.instrument_id.to_le_bytes());
        stored.extend_from_slice(&packed);
    };
    add(Key::default(), &parts.head);
    add(Key::default(), parts.watch.as_deref().unwrap_or_default());
    for (key, book) in &parts.books {
        add(*key, book);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    for value in [head.ordinal, head.session, head.ts_event_max, head.ts_event, head.ts_recv, epoch] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&(parts.books.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&directory).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    debug_assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.append(&mut directory);
    bytes.append(&mut stored);
    bytes
}

/// The checkpoints of a history by ordinal, going by their names.
///
/// # Errors
/// What the system says of the folder; one that is not there has none.
pub fn list(dir: &Path) -> std::result::Result<Vec<(u64, PathBuf)>, HistoryError> {
    let folder = folder(dir);
    let failed = |error| HistoryError::io(&folder)(error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let digits = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == ORDINAL_DIGITS);
        if let (true, Some(ordinal)) = (is_ours, digits.and_then(|digits| digits.parse().ok())) {
            found.push((ordinal, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[derive(Clone, Copy)]
struct Entry {
    key: Key,
    offset: u64,
    stored_bytes: u32,
    plain_bytes: u32,
    hash: u64,
}

/// A checkpoint file that is open; its parts are read when they are asked for. Epochs are counted from 0: a run's first
/// epoch is no part of its history.
pub struct CheckpointFile {
    path: PathBuf,
    file: File,
    head: Head,
    /// What epochs were counted from.
    epoch: u64,
    entries: Vec<Entry>,
}

impl CheckpointFile {
    /// Opens a file and reads what it has.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| CheckpointFileError::Io { path: path.into(), source };
        let damaged = |what: String| CheckpointFileError::Damaged { path: path.into(), what };
        let mut file = File::open(path).map_err(failed)?;
        let mut header = [0; HEADER_BYTES];
        read_or(&mut file, &mut header, path)?;
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        if header[..4] != *MAGIC {
            return Err(damaged("expected the magic bytes L3CK".into()));
        }
        if u32_at(4) != VERSION {
            return Err(damaged(format!("version {}, expected {VERSION}", u32_at(4))));
        }
        if u32_at(64) != crc32fast::hash(&header[..64]) {
            return Err(damaged("the header's checksum does not fit it".into()));
        }
        let head = Head {
            ordinal: u64_at(8),
            session: u64_at(16),
            ts_event_max: u64_at(24),
            ts_event: u64_at(32),
            ts_recv: u64_at(40),
        };
        let directory_bytes = (u64::from(u32_at(56)) + HEAD_AND_WATCH as u64) * ENTRY_BYTES as u64;
        // Before room is made for it.
        if directory_bytes > file.metadata().map_err(failed)?.len() {
            return Err(damaged(format!("it is shorter than its directory of {} books", u32_at(56))));
        }
        let mut directory = vec![0; directory_bytes as usize];
        read_or(&mut file, &mut directory, path)?;
        if u32_at(60) != crc32fast::hash(&directory) {
            return Err(damaged("the directory's checksum does not fit it".into()));
        }
        let entries = entries_of(&directory);
        Ok(Self { path: path.into(), file, head, epoch: u64_at(48), entries })
    }

    /// Of which moment it is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whose books it has.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.entries[HEAD_AND_WATCH..].iter().map(|entry| entry.key)
    }

    /// The market without its books: rules, symbols, counters.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn frame(&self) -> Result<Market> {
        let bytes = self.part(self.entries[0])?;
        let (mut market, keys) = checkpoint::read_head(&bytes).map_err(|error| self.damaged_part(&error))?;
        if !self.keys().eq(keys) {
            return Err(self.damaged("its head has other books than its directory"));
        }
        market.rebase(0);
        Ok(market)
    }

    /// One book; nothing if there was none.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn book(&self, key: Key, rules: &Rules) -> Result<Option<EventBook>> {
        let entry = self.entries[HEAD_AND_WATCH..].iter().find(|entry| entry.key == key);
        entry.copied().map(|entry| self.read_book(entry, rules)).transpose()
    }

    fn read_book(&self, entry: Entry, rules: &Rules) -> Result<EventBook> {
        let bytes = self.part(entry)?;
        let mut book = checkpoint::read_book(&bytes, rules).map_err(|error| self.damaged_part(&error))?;
        book.epoch = book.epoch.wrapping_sub(self.epoch);
        Ok(book)
    }

    /// The whole market. Books do not depend on each other: those of a large one are read by several threads.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn market(&self) -> Result<Market> {
        let mut market = self.frame()?;
        let (rules, entries) = (*market.rules(), &self.entries[HEAD_AND_WATCH..]);
        let bytes: u64 = entries.iter().map(|entry| u64::from(entry.plain_bytes)).sum();
        let threads = processors().min((bytes / THREAD_BYTES_MIN) as usize + 1).min(entries.len());
        let books: Vec<OnceLock<Result<EventBook>>> = entries.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let read = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = entries.get(at) else { break };
                _ = books[at].set(self.read_book(*entry, &rules));
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(read);
            }
            read();
        });
        for (entry, book) in entries.iter().zip(books) {
            market.add(entry.key, book.into_inner().expect("each was read")?);
        }
        Ok(market)
    }

    /// What watched it, if that was written.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn watch(&self, market: &Market) -> Result<Option<Watch>> {
        let bytes = self.part(self.entries[1])?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Watch::from_bytes(&bytes, market).map(Some).map_err(|error| self.damaged_part(&error))
    }

    fn part(&self, entry: Entry) -> Result<Vec<u8>> {
        if entry.plain_bytes == 0 && entry.stored_bytes == 0 {
            return Ok(Vec::new());
        }
        let failed = |source| CheckpointFileError::Io { path: self.path.clone(), source };
        let length = self.file.metadata().map_err(failed)?.len();
        if entry.plain_bytes > PLAIN_BYTES_MAX || entry.offset + u64::from(entry.stored_bytes) > length {
            return Err(self.damaged(format!("it ends after {length} bytes, inside a part")));
        }
        let mut stored = vec![0; entry.stored_bytes as usize];
        self.file.read_exact_at(&mut stored, entry.offset).map_err(|error| short(error, stored.len(), &self.path))?;
        if XxHash3_64::oneshot(&stored) != entry.hash {
            return Err(self.damaged(format!("byte {}: a part's checksum does not fit it", entry.offset)));
        }
        zstd::bulk::decompress(&stored, entry.plain_bytes as usize)
            .map_err(|error| self.damaged(format!("byte {}: {error}", entry.offset)))
    }

    fn damaged(&self, what: impl Into<String>) -> CheckpointFileError {
        CheckpointFileError::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn damaged_part(&self, error: &CheckpointError) -> CheckpointFileError {
        self.damaged(error.to_string())
    }
}

fn entries_of(directory: &[u8]) -> Vec<Entry> {
    let mut offset = (HEADER_BYTES + directory.len()) as u64;
    let mut entries = Vec::with_capacity(directory.len() / ENTRY_BYTES);
    for bytes in directory.chunks_exact(ENTRY_BYTES) {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let (stored_bytes, plain_bytes) = (u32_at(0), u32_at(4));
        let hash = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        let key = Key { publisher_id: u32_at(16) as u16, instrument_id: u32_at(20) };
        entries.push(Entry { key, offset, stored_bytes, plain_bytes, hash });
        offset += u64::from(stored_bytes);
    }
    entries
}

fn read_or(file: &mut File, bytes: &mut [u8], path: &Path) -> Result<()> {
    file.read_exact(bytes).map_err(|error| short(error, bytes.len(), path))
}

fn short(source: io::Error, bytes: usize, path: &Path) -> CheckpointFileError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            CheckpointFileError::Damaged { path: path.into(), what: format!("it ends before {bytes} bytes more") }
        }
        _ => CheckpointFileError::Io { path: path.into(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::Sink,
        record::MBO_BYTES,
        sim::{Config, Simulator},
    };

    fn market(instruments: u32, records: usize) -> Market {
        let config = Config { instruments, seed: 3, crossed: false, resting_max: Some(200) };
        let mut simulator = Simulator::new(config).expect("valid");
        let mut bytes = Vec::new();
        simulator.read(records, &mut bytes);
        let mut market = Market::new(Rules::default());
        for block in bytes.chunks(32 * MBO_BYTES) {
            market.mbo(block, MBO_BYTES, Default::default());
        }
        market
    }

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("l3book-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder");
        dir
    }

    const HEAD: Head = Head { ordinal: 42, session: 7, ts_event_max: 9, ts_event: 8, ts_recv: u64::MAX };

    #[test]
    fn what_is_saved_is_loaded_whole_or_book_by_book() {
        let dir = scratch("checkpoint-file");
        let mut market = market(5, 6_000);
        market.rebase(77);
        let mut watch = Watch::new(&market);
        watch.disconnected(&mut Market::new(Rules::default()));
        let path = save(&dir, &HEAD, &market, Some(&watch)).expect("saved");
        let again = save(&dir, &Head { ordinal: 5, ..HEAD }, &Market::new(Rules::default()), None).expect("saved");
        fs::write(folder(&dir).join("1.l3ck"), "no ordinal").expect("written");
        assert_eq!(list(&dir).expect("listed"), [(5, again.clone()), (42, path.clone())]);

        let file = CheckpointFile::open(&path).expect("good");
        assert_eq!(*file.head(), HEAD);
        let loaded = file.market().expect("good");
        assert_eq!(loaded.fingerprint(), market.fingerprint());
        market.rebase(0);
        assert_eq!(checkpoint::to_bytes(&loaded), checkpoint::to_bytes(&market));
        assert_eq!(
            file.watch(&loaded).expect("good").map(|read| read.to_bytes(&loaded)),
            Some(watch.to_bytes(&market))
        );
        for (key, book) in market.books() {
            let loaded = file.book(key, market.rules()).expect("good").expect("there");
            assert_eq!(loaded.counters(), book.counters());
        }
        let unknown = Key { publisher_id: 9, instrument_id: 9 };
        assert!(file.book(unknown, market.rules()).expect("good").is_none());

        let empty = CheckpointFile::open(&again).expect("good");
        assert!(empty.market().expect("good").is_empty() && empty.watch(&loaded).expect("good").is_none());
        fs::remove_dir_all(&dir).expect("removed");
    }

    /// Each bit of a file is vouched for: by the header's checksum, the directory's or its part's.
    #[test]
    fn damage_is_named_wherever_it_is() {
        let dir = scratch("checkpoint-damage");
        let market = market(2, 300);
        let path = save(&dir, &HEAD, &market, Some(&Watch::new(&market))).expect("saved");
        let good = fs::read(&path).expect("read");
        let load = || -> Result<()> {
            let file = CheckpointFile::open(&path)?;
            let market = file.market()?;
            file.watch(&market).map(|_| ())
        };
        load().expect("good");
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs::write(&path, bad).expect("written");
            let refused = load().expect_err("damaged").to_string();
            assert!(refused.contains("00042.l3ck: damaged checkpoint: "), "byte {at}: {refused}");
            fs::write(&path, &good[..at]).expect("written");
            assert!(matches!(load(), Err(CheckpointFileError::Damaged { .. })), "cut at {at}");
        }
        fs::remove_file(&path).expect("removed");
        assert!(matches!(load(), Err(CheckpointFileError::Io { .. })));
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn a_folder_that_takes_nothing_keeps_what_it_has() {
        let dir = scratch("checkpoint-full");
        let market = market(1, 10);
        let path = save(&dir, &HEAD, &market, None).expect("saved");
        // A folder stands where the unfinished file would.
        fs::create_dir(path.with_extension("tmp")).expect("made");
        save(&dir, &HEAD, &Market::new(Rules::default()), None).expect_err("no room");
        let kept = CheckpointFile::open(&path).expect("good").market().expect("good");
        assert_eq!(kept.fingerprint(), market.fingerprint());
        fs::remove_dir_all(&dir).expect("removed");
    }
}
