//! Recorded files, one after the other, once or again and again, with recorded or fresh times.
//!
//! A pass is one time through all files. Each pass but the first begins with a Clear of every book that the first one
//! knew, since a recording rarely begins and ends with the same book. These Clears are records of the tape like any
//! other: they have a position and a time.

use std::{path::PathBuf, sync::Arc};

use dbn::{Metadata, UNDEF_TIMESTAMP};

use super::{
    clock::{Clock, restamp},
    facts::Facts,
    layout::{Layout, due_ns, for_each_record, index_ts, u32_at},
    symbology::Names,
    tape_file::{Head, Served, Step, TapeError, TapeFile},
};

/// Of any clock: more than a century of passes of one second.
const PASSES_MAX: u64 = 1 << 32;

/// What makes a tape.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) paths: Arc<[PathBuf]>,
    pub(super) is_raw: bool,
    pub(super) is_looped: bool,
    pub(super) clock: Option<Clock>,
}

pub(super) struct Tape {
    config: Config,
    /// Names of all files' instruments.
    pub(super) names: Names,
    /// How often the tape itself has told further names.
    names_told: u64,
    pub(super) head: Head,
    file: TapeFile,
    file_index: usize,
    facts: Facts,
    /// The pass that the ready records belong to.
    pass: u64,
    /// Records consumed.
    position: u64,
    /// Times of the ready records as recorded, where they have been given others; consumed ones included.
    recorded: Vec<u64>,
    consumed_of_run: usize,
    fault: Option<TapeError>,
    is_over: bool,
    skipped: u64,
}

impl Tape {
    /// Opens all files, and looks at what each begins with.
    pub(super) fn open(config: Config) -> Result<Self, TapeError> {
        let Some((first_path, others)) = config.paths.split_first() else {
            let error = std::io::Error::new(std::io::ErrorKind::NotFound, "no file, expected at least one");
            return Err(TapeError::Io { path: PathBuf::new(), error });
        };
        let (file, mut head) = TapeFile::open(first_path, config.is_raw)?;
        let mut names = Names::default();
        head.metadata.iter().for_each(|metadata| names.add_metadata(metadata));
        let mut merged = head.metadata.clone();
        for path in others {
            let (_, other) = TapeFile::open(path, config.is_raw)?;
            let differs = |what: &str, found: &str, expected: &str| TapeError::Unservable {
                path: path.clone(),
                what: format!("{what} {found}, expected {expected} as in {}", first_path.display()),
            };
            if other.dataset != head.dataset {
                return Err(differs("dataset", &other.dataset, &head.dataset));
            }
            if other.schema != head.schema {
                return Err(differs("schema", other.schema.as_str(), head.schema.as_str()));
            }
            other.metadata.iter().for_each(|metadata| names.add_metadata(metadata));
            merged =
                merge(merged, other.metadata).map_err(|what| TapeError::Unservable { path: path.clone(), what })?;
        }
        if !others.is_empty()
            && let Some(metadata) = &merged
        {
            head.bytes = super::wire::metadata_bytes(metadata)
                .map_err(|what| TapeError::Unservable { path: first_path.clone(), what })?;
        }
        Ok(Self {
            config,
            names,
            names_told: 0,
            head,
            file,
            file_index: 0,
            facts: Facts::default(),
            pass: 0,
            position: 0,
            recorded: Vec::new(),
            consumed_of_run: 0,
            fault: None,
            is_over: false,
            skipped: 0,
        })
    }

    /// Length of each record; `None` if they differ.
    pub(super) fn record_bytes(&self) -> Option<usize> {
        match self.file.served() {
            Served::One { record_bytes, .. } => Some(record_bytes),
            Served::Everything => None,
        }
    }

    /// Makes records ready if none are; says whether any are. If not, the tape is over or has a fault.
    #[inline]
    pub(super) fn fill(&mut self) -> bool {
        !self.file.run().is_empty() || self.fill_slowly()
    }

    fn fill_slowly(&mut self) -> bool {
        while self.fault.is_none() && !self.is_over {
            match self.file.step() {
                Ok(Step::Run) => {
                    self.take_run();
                    return true;
                }
                Ok(Step::Metadata(metadata)) => {
                    self.names.add_metadata(&metadata);
                    self.names_told += 1;
                }
                Ok(Step::Mapping(record)) => {
                    self.names.add_record(&record);
                    self.names_told += 1;
                }
                Ok(Step::End) => {
                    if let Err(fault) = self.next_file() {
                        self.fault = Some(fault);
                    }
                    if !self.file.run().is_empty() {
                        return true;
                    }
                }
                Err(fault) => self.fault = Some(fault),
            }
        }
        false
    }

    fn next_file(&mut self) -> Result<(), TapeError> {
        self.skipped += std::mem::take(&mut self.file.skipped);
        if self.file_index + 1 < self.config.paths.len() {
            return self.open_file(self.file_index + 1);
        }
        self.facts.is_complete = true;
        if !self.config.is_looped || self.facts.records == 0 {
            self.is_over = true;
            return Ok(());
        }
        self.begin_pass(self.pass + 1)
    }

    fn open_file(&mut self, index: usize) -> Result<(), TapeError> {
        self.file = TapeFile::open(&self.config.paths[index], self.config.is_raw)?.0;
        self.file_index = index;
        Ok(())
    }

    /// Goes to the beginning of a pass.
    fn begin_pass(&mut self, pass: u64) -> Result<(), TapeError> {
        self.open_file(0)?;
        self.pass = pass;
        self.position = self.facts.pass_start(pass);
        self.recorded.clear();
        self.consumed_of_run = 0;
        self.is_over = false;
        self.fault = None;
        let clears = if pass > 0 { self.facts.clears() } else { Vec::new() };
        if !clears.is_empty() {
            self.file.insert(&clears);
            self.take_run();
        }
        Ok(())
    }

    /// Learns from fresh records, and gives them their times.
    fn take_run(&mut self) {
        self.consumed_of_run = 0;
        self.recorded.clear();
        if self.pass == 0 && !self.facts.is_complete {
            self.note_run();
        }
        if self.config.clock.is_some() || self.pass > 0 {
            self.restamp_run();
        }
    }

    fn note_run(&mut self) {
        let (facts, run) = (&mut self.facts, self.file.run());
        if self.config.is_looped {
            for_each_record(run, |record| facts.note(record, index_ts(record)));
        } else if facts.first_ns.is_none() {
            facts.first_ns = Some(index_ts(run)).filter(|ts_ns| *ts_ns != UNDEF_TIMESTAMP);
        }
    }

    fn restamp_run(&mut self) {
        let (first_ns, pass) = (self.facts.first_ns.unwrap_or(0), self.pass);
        let pass_ns = i128::from(pass) * i128::from(self.facts.pass_ns());
        let sequences = self.facts.pass_sequences().wrapping_mul(pass as u32);
        let (clock, recorded, mut index) = (self.config.clock, &mut self.recorded, self.position);
        let run = self.file.run_mut();
        let mut at = 0;
        while at < run.len() {
            let len = usize::from(run[at]) * 4;
            let record = &mut run[at..at + len];
            let recorded_ns = index_ts(record);
            recorded.push(recorded_ns);
            if let Some(clock) = clock {
                let since_first_ns = i128::from(recorded_ns) - i128::from(first_ns) + pass_ns;
                restamp(record, recorded_ns, clock.time_ns(index, since_first_ns));
            }
            if let Some(at) = Layout::of(record[1]).sequence {
                let sequence = u32_at(record, at);
                if sequence != 0 {
                    record[at..at + 4].copy_from_slice(&sequence.wrapping_add(sequences).to_le_bytes());
                }
            }
            index += 1;
            at += len;
        }
    }

    /// The ready records; see [`fill`](Self::fill).
    #[inline]
    pub(super) fn run(&self) -> &[u8] {
        self.file.run()
    }

    /// When ready record `i` was recorded; `record` are its bytes.
    #[inline(always)]
    pub(super) fn recorded_ns(&self, i: usize, record: &[u8]) -> u64 {
        if self.recorded.is_empty() { index_ts(record) } else { self.recorded[self.consumed_of_run + i] }
    }

    /// Goes on behind the first `records` ready records, which have so many bytes.
    #[inline]
    pub(super) fn consume(&mut self, records: usize, bytes: usize) {
        self.file.consume(bytes);
        self.position += records as u64;
        self.consumed_of_run += records;
    }

    /// The time of the next record.
    pub(super) fn next_ns(&mut self) -> Option<u64> {
        self.fill().then(|| due_ns(self.run()))
    }

    /// Records consumed or passed over.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn names_told(&self) -> u64 {
        self.names_told
    }

    pub(super) fn pass(&self) -> u64 {
        self.pass
    }

    /// The pass in which the record before the position lies.
    pub(super) fn consumed_pass(&self) -> u64 {
        let is_at_start = self.position == self.facts.pass_start(self.pass);
        self.pass.saturating_sub(u64::from(is_at_start))
    }

    pub(super) fn has_clock(&self) -> bool {
        self.config.clock.is_some()
    }

    /// Records that are not of the tape's schema.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped + self.file.skipped
    }

    /// That the files hold less than they did.
    pub(super) fn changed(&self, position: u64) -> TapeError {
        let what = format!("ends after record {}, but {position} were read before: it has changed", self.position);
        TapeError::Unservable { path: self.config.paths[self.file_index].clone(), what }
    }

    /// What stopped the tape; told once, after which it is over.
    pub(super) fn take_fault(&mut self) -> Option<TapeError> {
        let fault = self.fault.take();
        self.is_over |= fault.is_some();
        fault
    }

    /// Whether no record will come, and no fault.
    pub(super) fn is_over(&self) -> bool {
        self.is_over && self.fault.is_none()
    }

    /// Goes on to the first record that is wanted, none of which has a time before `ts_ns`; or to the end of a first
    /// pass that has none.
    pub(super) fn seek(&mut self, ts_ns: u64, is_wanted: impl Fn(&[u8]) -> bool) {
        let mut last_pass = None;
        while self.fill() {
            if self.facts.is_complete && self.pass > 0 {
                let last_pass = *last_pass.get_or_insert_with(|| self.skip_passes_before(ts_ns));
                if self.pass > last_pass {
                    return;
                }
            }
            let (mut records, mut bytes, mut is_found) = (0, 0, false);
            for_each_record(self.run(), |record| {
                is_found = is_found || is_wanted(record);
                if !is_found {
                    records += 1;
                    bytes += record.len();
                }
            });
            self.consume(records, bytes);
            if is_found {
                return;
            }
        }
    }

    /// Whole passes that end before a time need no reading, once the first is known. Returns the last pass in which
    /// anything can be found: times repeat without a clock, and no record has the latest of all times.
    fn skip_passes_before(&mut self, ts_ns: u64) -> u64 {
        let Some(clock) = self.config.clock else { return 0 };
        let begins_ns = |pass: u64| {
            let since_first_ns = i128::from(pass) * i128::from(self.facts.pass_ns());
            clock.time_ns(self.facts.pass_start(pass), since_first_ns)
        };
        let (mut least, mut beyond) = (self.pass, self.pass + 1);
        while begins_ns(beyond) <= ts_ns && beyond < PASSES_MAX {
            (least, beyond) = (beyond, beyond * 2);
        }
        while least + 1 < beyond {
            let middle = least.midpoint(beyond);
            if begins_ns(middle) <= ts_ns { least = middle } else { beyond = middle }
        }
        if least > self.pass
            && let Err(fault) = self.begin_pass(least)
        {
            self.fault = Some(fault);
        }
        least + 1
    }

    /// Goes to a position, or to the end of a tape that is shorter.
    pub(super) fn seek_position(&mut self, position: u64) -> Result<(), TapeError> {
        if position < self.position {
            self.begin_pass(0)?;
        }
        loop {
            if self.facts.is_complete && self.config.is_looped && self.facts.records > 0 {
                let behind_first = position.saturating_sub(self.facts.records);
                let pass =
                    if position < self.facts.records { 0 } else { 1 + behind_first / self.facts.later_pass_records() };
                if pass > self.pass {
                    self.begin_pass(pass)?;
                }
            }
            if self.position == position || !self.fill() {
                return Ok(());
            }
            let wanted = position - self.position;
            let (mut records, mut bytes) = (0, 0);
            for_each_record(self.run(), |record| {
                if records < wanted {
                    records += 1;
                    bytes += record.len();
                }
            });
            self.consume(usize::try_from(records).expect("as many as are ready"), bytes);
        }
    }

    /// A tape of its own that begins with the pass in which this one's last record lies.
    pub(super) fn rewound(&self) -> Result<Self, TapeError> {
        let mut tape = Self::open(self.config.clone())?;
        tape.facts = self.facts.clone();
        let pass = self.consumed_pass();
        if pass > 0 {
            tape.begin_pass(pass)?;
        } else if !tape.facts.is_complete {
            tape.facts = Facts::beginning_at(self.facts.first_ns);
        }
        Ok(tape)
    }
}

fn merge(merged: Option<Metadata>, other: Option<Metadata>) -> Result<Option<Metadata>, String> {
    let (Some(mut merged), Some(mut other)) = (merged, other) else { return Ok(None) };
    for metadata in [&mut merged, &mut other] {
        metadata.upgrade(dbn::VersionUpgradePolicy::UpgradeToV3);
    }
    merged.merge([other]).map(Some).map_err(|error| format!("metadata that cannot be merged: {error}"))
}
