//! The thread that writes a log: stretches become frames, frames become durable, then their entries are written.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    checkpoint_file,
    error::HistoryError,
    export::segment_head,
    files::{make_folders, sync_folder},
    frame::{Packer, Run, describe},
    index::{self, Entry, flags},
    kept_from,
    layout::{beside, segment_path},
    mark::Mark,
    platform::FileExt,
    queue::Queue,
    recorder::Settings,
    stretch::{Begin, SessionStart, Stretch},
};
use crate::{latency::Latency, symbols::Symbols};

/// Compressed bytes that wait for the disk at most, whatever the settings say.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// After a failed attempt the next waits so long, then twice as long, up to the maximum.
const RETRY_MS_MIN: u64 = 50;
const RETRY_MS_MAX: u64 = 2_000;
/// Higher levels cost more time than they save room: `cargo bench --bench history` compares them.
const ZSTD_LEVEL: i32 = 1;

/// The segment that is being written.
struct Target {
    path: PathBuf,
    day: u64,
    /// What of it is durable: frames and entries.
    end: u64,
    index_end: u64,
    /// Whether both files were made.
    is_made: bool,
    files: Option<(File, File)>,
}

/// Frames that become durable together.
#[derive(Default)]
struct Batch {
    checkpoint: Option<(u64, Vec<u8>)>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Its bytes are durable, and its entries may not be written yet.
    is_durable: bool,
    stretches: u64,
    queued_bytes: usize,
}

pub(crate) struct Writer {
    dir: PathBuf,
    queue: Arc<Queue>,
    settings: Settings,
    packer: Packer,
    target: Option<Target>,
    batch: Batch,
    /// All symbols known at the end of what was taken.
    symbols: Symbols,
    dataset: String,
    fsync_latency: Latency,
    committed: Instant,
    /// No segment is there yet.
    is_first: bool,
}

impl Writer {
    /// `last` is the log's last segment: marks that no record has followed yet go into it.
    pub(crate) fn new(
        dir: &Path,
        queue: Arc<Queue>,
        settings: Settings,
        last: Option<&Path>,
    ) -> Result<Self, HistoryError> {
        Ok(Self {
            dir: dir.into(),
            queue,
            settings,
            packer: Packer::new(ZSTD_LEVEL),
            target: last.map(Target::recovered).transpose()?,
            batch: Batch::default(),
            symbols: Symbols::default(),
            dataset: String::new(),
            fsync_latency: Latency::default(),
            committed: Instant::now(),
            is_first: last.is_none(),
        })
    }

    /// Writes until the queue is closed.
    pub(crate) fn run(mut self) {
        let interval = Duration::from_millis(self.settings.fsync_ms);
        loop {
            let turn = self.queue.take(self.committed + interval);
            let is_good = turn.stretch.is_none_or(|stretch| self.take(stretch));
            let is_due = turn.is_due || self.committed.elapsed() >= interval || self.is_batch_full();
            if !is_good || (is_due && !self.commit()) || turn.is_over {
                break;
            }
        }
    }

    fn is_batch_full(&self) -> bool {
        let records: u64 = self.batch.entries.iter().map(|entry| u64::from(entry.records)).sum();
        records >= self.settings.fsync_records || self.batch.bytes.len() >= BATCH_BYTES_MAX
    }

    /// Makes a stretch part of the batch; false if the writer is to end.
    fn take(&mut self, mut stretch: Stretch) -> bool {
        let begin = stretch.begin.take();
        let is_later = |target: &Target| {
            let is_full = target.end + self.batch.bytes.len() as u64 >= self.settings.segment_bytes_max;
            is_full || stretch.day.is_some_and(|day| day > target.day)
        };
        // No segment is without a record.
        let is_over = stretch.records > 0 && self.target.as_ref().is_none_or(is_later);
        if begin.is_some() || is_over {
            if !self.commit() {
                return false;
            }
            self.begin_segment(&stretch, begin);
        }
        if let Some(checkpoint) = stretch.checkpoint.take() {
            self.batch.checkpoint = Some((stretch.first_ordinal, checkpoint));
        }
        let entry = describe(&stretch.bytes, stretch.first_ordinal).expect("the queue holds whole records");
        self.note_mappings(&stretch.bytes);
        self.push_frame(&stretch.bytes, entry);
        self.batch.stretches += 1;
        self.batch.queued_bytes += stretch.bytes.len();
        self.queue.give_back(stretch.bytes);
        true
    }

    fn note_mappings(&mut self, mut bytes: &[u8]) {
        while let Ok(run) = Run::of(bytes) {
            if let Run::Mapping(record) = run {
                self.symbols.add_record(record);
            }
            bytes = &bytes[run.bytes().len()..];
            if bytes.is_empty() {
                break;
            }
        }
    }

    fn begin_segment(&mut self, stretch: &Stretch, begin: Option<Begin>) {
        let SessionStart { ordinal, uri } = stretch.session.clone();
        let marks = match begin {
            Some(begin) => {
                (self.symbols, self.dataset) = (begin.symbols, begin.dataset);
                begin.marks
            }
            None => vec![Mark::Continues { ordinal, uri }],
        };
        let first_ordinal = stretch.first_ordinal;
        let (day, dataset) = (stretch.day.unwrap_or(0), super::layout::dataset_name(&self.dataset));
        let path = segment_path(&self.dir, dataset, day, first_ordinal);
        let index_end = index::HEADER_BYTES as u64;
        self.target = Some(Target { path, day, end: 0, index_end, is_made: false, files: None });
        let start = describe(&stretch.bytes, first_ordinal).map_or(0, |entry| entry.ts_recv.min);
        let head = segment_head(dataset, start, &self.symbols);
        self.push_frame(&head, Entry { first_ordinal, flags: flags::METADATA, ..Entry::default() });
        let opening: Vec<u8> = marks.iter().flat_map(|mark| mark.to_record(start)).collect();
        let entry = describe(&opening, first_ordinal).expect("marks are records");
        self.push_frame(&opening, entry);
    }

    fn push_frame(&mut self, plain: &[u8], mut entry: Entry) {
        let frame = self.packer.pack(plain, &mut entry);
        let durable = self.target.as_ref().map_or(0, |target| target.end);
        entry.offset = durable + self.batch.bytes.len() as u64;
        self.batch.bytes.extend_from_slice(frame);
        self.batch.entries.push(entry);
    }

    /// Makes the batch durable, however often that must be tried; false if the writer is to end before it is.
    fn commit(&mut self) -> bool {
        let mut pause_ms = RETRY_MS_MIN;
        while !self.batch.entries.is_empty() {
            match self.try_commit() {
                Ok(()) => {}
                Err(error) => {
                    self.queue.failed(error.to_string());
                    // The next attempt opens them anew: what a failed write leaves in an open file is not defined.
                    if let Some(target) = &mut self.target {
                        target.files = None;
                    }
                    if !self.queue.wait_to_retry(Duration::from_millis(pause_ms)) {
                        return false;
                    }
                    pause_ms = (pause_ms * 2).min(RETRY_MS_MAX);
                }
            }
        }
        self.committed = Instant::now();
        true
    }

    fn try_commit(&mut self) -> Result<(), HistoryError> {
        if let Some((ordinal, bytes)) = &self.batch.checkpoint {
            let written = checkpoint_file::write(&self.dir, *ordinal, bytes);
            written.map_err(HistoryError::io(&checkpoint_file::path_of(&self.dir, *ordinal)))?;
            self.batch.checkpoint = None;
        }
        let target = self.target.as_mut().expect("a batch has a segment");
        if target.files.is_none() {
            if std::mem::take(&mut self.is_first) {
                kept_from::begin(&self.dir, 0).inspect_err(|_| self.is_first = true)?;
            }
            target.open()?;
        }
        let (segment, index) = target.files.as_ref().expect("just opened");
        if !self.batch.is_durable {
            let start = Instant::now();
            let write = || {
                segment.write_all_at(&self.batch.bytes, target.end)?;
                segment.sync_data()
            };
            write().map_err(HistoryError::io(&target.path))?;
            if target.is_without_entries() {
                sync_folder(target.path.parent().expect("in a folder"))?;
            }
            self.fsync_latency.record(start.elapsed());
            target.end += self.batch.bytes.len() as u64;
            self.batch.is_durable = true;
        }
        let entries: Vec<u8> = self.batch.entries.iter().flat_map(Entry::to_bytes).collect();
        index.write_all_at(&entries, target.index_end).map_err(HistoryError::io(&beside(&target.path, "index")))?;
        let segments = u64::from(target.is_without_entries());
        target.index_end += entries.len() as u64;
        self.count(segments);
        Ok(())
    }

    /// Counts the batch, which has become durable, and begins another.
    fn count(&mut self, segments: u64) {
        let batch = std::mem::take(&mut self.batch);
        let percentiles = self.fsync_latency.percentiles();
        self.queue.made_durable(batch.stretches, batch.queued_bytes, |stats| {
            stats.error = None;
            stats.segments += segments;
            stats.fsyncs += 1;
            (stats.fsync_p50_ns, stats.fsync_p99_ns) = (percentiles.p50_ns, percentiles.p99_ns);
            stats.bytes_written += batch.bytes.len() as u64;
            stats.bytes_plain += batch.queued_bytes as u64;
            for entry in batch.entries.iter().filter(|entry| !entry.has(flags::METADATA)) {
                stats.records += u64::from(entry.records);
                stats.frames += 1;
                stats.durable_ordinal = entry.end_ordinal();
            }
        });
    }
}

impl Target {
    /// A segment that recovery has left whole. No record is added to it: whoever begins to record begins a segment.
    fn recovered(path: &Path) -> Result<Self, HistoryError> {
        let len = |path: &Path| std::fs::metadata(path).map(|file| file.len()).map_err(HistoryError::io(path));
        let (end, index_end) = (len(path)?, len(&beside(path, "index"))?);
        Ok(Self { path: path.into(), day: 0, end, index_end, is_made: true, files: None })
    }

    fn is_without_entries(&self) -> bool {
        self.index_end == index::HEADER_BYTES as u64
    }

    /// Opens the files, and cuts off what an earlier attempt may have left behind what is durable.
    fn open(&mut self) -> Result<(), HistoryError> {
        let index_path = beside(&self.path, "index");
        if !self.is_made {
            make_folders(self.path.parent().expect("in a folder"))?;
            let make = |path: &Path| OpenOptions::new().write(true).create(true).truncate(true).open(path);
            let segment = make(&self.path).map_err(HistoryError::io(&self.path))?;
            let index = make(&index_path).and_then(|index| index.write_all_at(&index::header(), 0).map(|()| index));
            self.files = Some((segment, index.map_err(HistoryError::io(&index_path))?));
            self.is_made = true;
            return Ok(());
        }
        let open = |path: &Path, len: u64| -> io::Result<File> {
            let file = OpenOptions::new().write(true).open(path)?;
            let have = file.metadata()?.len();
            if have < len {
                return Err(io::Error::other(format!("{have} bytes long, expected the {len} that were written")));
            }
            file.set_len(len)?;
            Ok(file)
        };
        let segment = open(&self.path, self.end).map_err(HistoryError::io(&self.path))?;
        let index = open(&index_path, self.index_end).map_err(HistoryError::io(&index_path))?;
        self.files = Some((segment, index));
        Ok(())
    }
}
