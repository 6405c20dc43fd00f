//! Histories of streams that are known, with checkpoints where they are wanted, and what must come out of them.

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use l3book::{
    event::Rules,
    feed::Feed,
    fingerprint::Fingerprint,
    history::{Cursor, Item, Log, Past, Recorder, Settings, Shadow, checkpoint_file},
    market::{Key, Market},
    record::{MBO_BYTES, read_mbo},
    sim::{Config, Simulator},
    view::{Extent, View},
};

use super::recorded::{Folder, PATIENCE};

pub const ALL: Extent = Extent::queued(usize::MAX);
pub const STREAM_RECORDS: usize = 5_000;

pub fn recorder(dir: &Path, frame_records: u64) -> Recorder {
    let settings = Settings { fsync_records: frame_records, segment_bytes_max: 1 << 16, ..Settings::default() };
    Recorder::open(dir, settings).expect("a free folder")
}

/// Records a stream in one session.
pub fn recorded(stream: &[u8], frame_records: u64) -> Folder {
    let folder = Folder::new();
    record_session(&folder.0, stream, frame_records, "one");
    folder
}

pub fn record_session(dir: &Path, stream: &[u8], frame_records: u64, uri: &str) {
    let mut recorder = recorder(dir, frame_records);
    let mut feed = Feed::new(Rules::default());
    recorder.begin(&mut feed.market, Some(uri)).expect("an empty market");
    for piece in stream.chunks(10_000 * MBO_BYTES) {
        assert!(recorder.wait_room(PATIENCE), "{:?}", recorder.stats());
        feed.feed(piece).expect("good records");
    }
    recorder.end(&mut feed.market);
    assert!(recorder.close(PATIENCE), "{:?}", recorder.stats());
}

/// The market right after the record before an ordinal, without the marks that follow; and what does follow.
pub fn right_after(log: &Log, ordinal: u64) -> (Shadow, Cursor) {
    let mut shadow = Shadow::before(log, ordinal, true).expect("a beginning");
    let mut cursor = log.cursor(shadow.head().ordinal);
    while shadow.head().ordinal < ordinal {
        match cursor.next(log).expect("good frames").expect("in the log") {
            Item::Records { first_ordinal, records } => {
                let due = (ordinal - first_ordinal).min(records.len() as u64) as usize;
                shadow.apply(&Item::Records { first_ordinal, records: &records[..due] });
            }
            item => shadow.apply(&item),
        }
    }
    (shadow, log.cursor(ordinal))
}

/// Makes checkpoints as an indexer does, each from the one before.
pub fn checkpoints(dir: &Path, ordinals: &[u64]) {
    let log = Log::open(dir).expect("a log");
    for ordinal in ordinals {
        let (shadow, _) = right_after(&log, *ordinal);
        checkpoint_file::save(dir, shadow.head(), &shadow.market, shadow.watch.as_ref()).expect("saved");
    }
}

pub fn ordinals(fractions: &[f64], records: usize) -> Vec<u64> {
    let mut ordinals: Vec<u64> = fractions.iter().map(|fraction| (fraction * records as f64) as u64).collect();
    ordinals.sort_unstable();
    ordinals
}

pub fn simulated() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| simulate(3, STREAM_RECORDS))
}

pub fn simulate(instruments: u32, records: usize) -> Vec<u8> {
    let config = Config { instruments, seed: 11, crossed: false, resting_max: Some(64) };
    let mut bytes = Vec::new();
    Simulator::new(config).expect("valid").read(records, &mut bytes);
    bytes.truncate(records * MBO_BYTES);
    bytes
}

pub fn until(stream: &[u8], at: u64) -> Market {
    let mut feed = Feed::new(Rules { until: at, ..Rules::default() });
    feed.feed(stream).expect("good records");
    feed.market
}

/// What a view shows but for its epoch and symbol.
pub fn shown(market: &Market, key: Key) -> Option<View> {
    market.book(key).map(|book| View::of(key, None, book, ALL))
}

pub fn begin_of(past: &Past) -> Option<u64> {
    let reaches = past.range().expect("a log");
    reaches.first().map(|reach| reach.begin).filter(|begin| *begin < u64::MAX)
}

/// What a gateway sends that is asked for `start`.
pub fn replay(stream: &[u8], start: Option<u64>) -> Vec<u8> {
    let start = start.unwrap_or(0);
    let is_in = |record: &&[u8]| read_mbo(record).hd.ts_event >= start;
    let mut out: Vec<u8> = stream.chunks_exact(MBO_BYTES).filter(is_in).flatten().copied().collect();
    let mut completed = vec![0; 320];
    (completed[0], completed[1], completed[319]) = (80, 0x17, 3);
    out.extend(completed);
    out
}

/// A stream's state hashes before the records of these ordinals.
pub fn truth_of(stream: &[u8], ordinals: &[u64]) -> BTreeMap<u64, Fingerprint> {
    let mut truth: BTreeMap<u64, Fingerprint> = BTreeMap::new();
    let mut sorted = ordinals.to_vec();
    sorted.sort_unstable();
    let (mut feed, mut at) = (Feed::new(Rules::default()), 0);
    for ordinal in sorted {
        let next = ordinal as usize * MBO_BYTES;
        feed.feed(&stream[at..next]).expect("good records");
        at = next;
        truth.insert(ordinal, feed.market.fingerprint());
    }
    truth
}
