//! Folders that end with their test, and what a log makes of a market.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use l3book::{
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    event::Rules,
    history::{Item, Log, Mark, Recorder, Settings},
    market::Market,
    record::{MBO_BYTES, mbo_slice_bytes},
    sim::{Config, Simulator},
};

/// Long enough for any disk; nothing waits so long unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("l3book-history-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub fn recorder(&self, settings: Settings) -> Recorder {
        Recorder::open(&self.0, settings).expect("nobody else records there")
    }

    pub fn log(&self) -> Log {
        Log::open(&self.0).expect("a log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Records of the synthetic market, without its metadata.
pub fn simulated(records: usize, instruments: u32, seed: u64) -> Vec<u8> {
    let config = Config { instruments, seed, crossed: false, resting_max: Some(64) };
    let mut simulator = Simulator::new(config).expect("valid");
    let mut bytes = Vec::new();
    simulator.read(records, &mut bytes);
    bytes
}

/// Gives a market whole records, in blocks.
pub fn apply(market: &mut Market, records: &[u8]) {
    for block in records.chunks(BLOCK_RECORDS_MAX * MBO_BYTES) {
        market.mbo(block, MBO_BYTES, Position::default());
    }
}

/// All records of a log, and a market that they and the marks have moved, but for what lies before a hole's end.
pub fn replayed(log: &Log) -> (Vec<u8>, Market) {
    let mut cursor = log.cursor(log.first_ordinal());
    let (mut bytes, mut market) = (Vec::new(), Market::new(Rules::default()));
    let mut ordinal = log.first_ordinal();
    while let Some(item) = cursor.next(log).expect("a good log") {
        match item {
            Item::Metadata(metadata) => market.metadata(metadata),
            Item::Mapping(record) => market.symbol_mapping(record),
            Item::Records { first_ordinal, records } => {
                assert_eq!(first_ordinal, ordinal, "records follow each other");
                ordinal += records.len() as u64;
                bytes.extend_from_slice(mbo_slice_bytes(records));
                apply(&mut market, mbo_slice_bytes(records));
            }
            Item::Missing { first, .. } => panic!("nothing is lost, and record {first} is missing"),
            Item::Session { .. } => market = Market::new(Rules::default()),
            Item::Mark(Mark::Hole { end, .. }) => ordinal = end,
            Item::Mark(mark) => mark.apply(&mut market),
        }
    }
    assert_eq!(ordinal, log.end_ordinal());
    (bytes, market)
}

/// Everything that a log is must be what was written.
pub fn assert_good(log: &Log) {
    let verdict = log.verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
    assert_eq!(verdict.damages, vec![]);
    assert_eq!(verdict.frames as usize, log.frames().len());
}

/// The segments of a history, by ordinal.
pub fn segment_paths(dir: &Path) -> Vec<PathBuf> {
    let log = Log::open(dir).expect("a log");
    log.segments().iter().map(|segment| segment.path.clone()).collect()
}
