//! The recorded past, held against markets that were there: restored markets, books as of a time, replays, and what a
//! watch knows after a restart.
//!
//! `L3BOOK_HISTORY_ORDINALS` sets how many ordinals of long streams are restored; of CLX5 perhaps all.

#![allow(missing_docs)]

mod support;

use std::{collections::BTreeMap, fs, path::Path, sync::OnceLock};

use l3book::{
    decode::Decoder,
    event::{Rules, State},
    feed::Feed,
    fingerprint::Fingerprint,
    history::{
        Cursor, HistoryError, Indexer, IndexerSettings, Item, Log, Past, PastError, QUEUE_BYTES_MIN, Recorder, Replay,
        Settings, Shadow, checkpoint_file, layout, restore,
    },
    market::{Key, LookupError, Market, Name},
    record::{MBO_BYTES, MboMsg, flags, read_mbo},
    sim::{Config, Simulator},
    stream::{Channel, Kind, Stream},
    view::{Extent, View},
    watch::{Resumption, WatchedFeed},
};
use proptest::prelude::*;
use support::{
    hostile,
    recorded::{Folder, PATIENCE},
};

const ALL: Extent = Extent { depth: usize::MAX, with_queues: true };
const STREAM_RECORDS: usize = 5_000;

fn recorder(dir: &Path, frame_records: u64) -> Recorder {
    let settings = Settings { fsync_records: frame_records, segment_bytes_max: 1 << 16, ..Settings::default() };
    Recorder::open(dir, settings).expect("a free folder")
}

/// Records a stream in one session.
fn recorded(stream: &[u8], frame_records: u64) -> Folder {
    let folder = Folder::new();
    record_session(&folder.0, stream, frame_records, "one");
    folder
}

fn record_session(dir: &Path, stream: &[u8], frame_records: u64, uri: &str) {
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
fn right_after(log: &Log, ordinal: u64) -> (Shadow, Cursor) {
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
fn checkpoints(dir: &Path, ordinals: &[u64]) {
    let log = Log::open(dir).expect("a log");
    for ordinal in ordinals {
        let (shadow, _) = right_after(&log, *ordinal);
        checkpoint_file::save(dir, shadow.head(), &shadow.market, shadow.watch.as_ref()).expect("saved");
    }
}

/// All that the market was between the record before an ordinal and that one: marks that a record brings with it can stand
/// before it or behind.
fn states_at(log: &Log, ordinal: u64) -> Vec<Fingerprint> {
    let (mut shadow, mut cursor) = right_after(log, ordinal);
    let mut states = vec![shadow.market.fingerprint()];
    while let Some(item) = cursor.next(log).expect("good frames")
        && !matches!(item, Item::Records { .. })
    {
        shadow.apply(&item);
        states.push(shadow.market.fingerprint());
    }
    states
}

fn ordinals(fractions: &[f64], records: usize) -> Vec<u64> {
    let mut ordinals: Vec<u64> = fractions.iter().map(|fraction| (fraction * records as f64) as u64).collect();
    ordinals.sort_unstable();
    ordinals
}

fn simulated() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| simulate(3, STREAM_RECORDS))
}

fn simulate(instruments: u32, records: usize) -> Vec<u8> {
    let config = Config { instruments, seed: 11, crossed: false, resting_max: Some(64) };
    let mut bytes = Vec::new();
    Simulator::new(config).expect("valid").read(records, &mut bytes);
    bytes.truncate(records * MBO_BYTES);
    bytes
}

fn until(stream: &[u8], at: u64) -> Market {
    let mut feed = Feed::new(Rules { until: at, ..Rules::default() });
    feed.feed(stream).expect("good records");
    feed.market
}

/// What a view shows but for its epoch and symbol.
fn shown(market: &Market, key: Key) -> Option<View> {
    market.book(key).map(|book| View::of(key, None, book, ALL))
}

/// Every book of the stream as of a time, as the past has it and as a market had it that was fed up to there.
fn assert_as_of(past: &Past, begin: Option<u64>, stream: &[u8], at: u64) {
    let truth = until(stream, at);
    for (key, _) in truth.books() {
        let found = past.market(&Name::Key(key), at);
        if begin.is_none_or(|begin| at < begin) {
            assert!(matches!(found, Err(PastError::History(HistoryError::NotRecorded { .. }))), "{key} at {at}");
        } else {
            let found = found.unwrap_or_else(|error| panic!("{key} at {at}: {error}"));
            assert_eq!(shown(&found, key), shown(&truth, key), "{key} at {at}");
        }
    }
}

/// For each book a last event, later than all: a market that stopped is known to have done so only by an event that is later,
/// and a snapshot without an end would keep it waiting.
fn closing(records: &[MboMsg]) -> Vec<MboMsg> {
    let last: BTreeMap<Key, MboMsg> = records.iter().map(|record| (Key::of(record), *record)).collect();
    let close = |mut record: MboMsg| {
        (record.hd.ts_event, record.action) = (u64::MAX - 1, b'N' as _);
        record.flags = flags::LAST.into();
        record
    };
    last.into_values().map(close).collect()
}

fn begin_of(past: &Past) -> Option<u64> {
    let reaches = past.range().expect("a log");
    reaches.first().map(|reach| reach.begin).filter(|begin| *begin < u64::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Snapshots, events of many records, clears, disorder, absurd times: at each time of the stream, and around it.
    #[test]
    fn a_book_as_of_a_time_is_that_of_a_market_that_stopped_there(
        bytes in prop::collection::vec(any::<u8>(), 8..1_200), frame_records in 1u64..40,
        at in prop::collection::vec(0f64..1.0, 0..4), times in prop::collection::vec((0f64..1.0, 0u64..3), 6),
    ) {
        let mut records = hostile::records(&bytes, hostile::KEYS.len());
        records.extend(closing(&records));
        let stream = hostile::to_bytes(&records);
        let folder = recorded(&stream, frame_records);
        checkpoints(&folder.0, &ordinals(&at, records.len()));
        let past = Past::open(&folder.0).expect("a log");
        let begin = begin_of(&past);
        for (place, beside) in times {
            let ts_event = records[(place * records.len() as f64) as usize].hd.ts_event;
            assert_as_of(&past, begin, &stream, ts_event.wrapping_add(beside).wrapping_sub(1).min(u64::MAX - 1));
        }
        assert_as_of(&past, begin, &stream, u64::MAX - 1);
        prop_assert_eq!(past.damaged_checkpoints(), 0);
    }

    #[test]
    fn a_synthetic_book_as_of_a_time(
        at in prop::collection::vec(0f64..1.0, 0..3), frame_records in 50u64..2_000, places in prop::collection::vec(0f64..1.0, 4),
    ) {
        let stream = simulated();
        let folder = recorded(stream, frame_records);
        checkpoints(&folder.0, &ordinals(&at, STREAM_RECORDS));
        let past = Past::open(&folder.0).expect("a log");
        let begin = begin_of(&past);
        for place in places {
            let record = read_mbo(&stream[(place * STREAM_RECORDS as f64) as usize * MBO_BYTES..]);
            assert_as_of(&past, begin, stream, record.hd.ts_event);
        }
    }

    /// Cut anywhere, any number of times, also inside an overlap; then the process is killed, and another goes on from what
    /// is on disk: it has the same books, and after the overlap all are live and exact.
    #[test]
    fn a_restart_is_a_break_like_any_other(
        cuts in prop::collection::vec((0usize..STREAM_RECORDS * MBO_BYTES, 0u8..4), 1..7),
        at in prop::collection::vec(0f64..1.0, 0..4), frame_records in 60u64..3_000,
    ) {
        let stream = simulated();
        let mut whole = Feed::new(Rules::default());
        whole.feed(stream).expect("good records");
        let folder = Folder::new();
        let mut recorder = recorder(&folder.0, frame_records);
        let mut live = WatchedFeed::new(Rules::default());
        recorder.begin(&mut live.market, Some("sim")).expect("an empty market");
        let mut start = None;
        for (n, (cut, how)) in cuts.iter().enumerate() {
            let bytes = replay(stream, start);
            live.feed(&bytes[..(*cut).min(bytes.len())]).expect("good records");
            // The last one is the end of the process.
            if n + 1 < cuts.len() {
                live.disconnected();
                start = live.resume_ts();
                live.reconnected(if *how > 0 || start.is_none() { Resumption::Resume } else { Resumption::Unknown });
            }
        }
        recorder.end(&mut live.market);
        prop_assert!(recorder.close(PATIENCE));
        let log = Log::open(&folder.0).expect("a log");
        checkpoints(&folder.0, &ordinals(&at, log.end_ordinal() as usize));
        let Shadow { mut market, watch, .. } = restore(&log, log.end_ordinal(), true).expect("recorded");
        let mut watch = watch.expect("asked for");
        prop_assert_eq!(market.fingerprint(), live.market.fingerprint());
        prop_assert_eq!(market.counters(), live.market.counters());

        watch.disconnected(&mut market);
        live.disconnected();
        prop_assert_eq!(market.fingerprint(), live.market.fingerprint());
        let resume_ts = watch.resume_ts(&market);
        prop_assert!(resume_ts <= live.resume_ts(), "{:?} after {:?}", resume_ts, live.resume_ts());
        watch.reconnected(&mut market, Resumption::Resume);
        Decoder::verifying().push(&replay(stream, resume_ts), &mut watch.over(&mut market)).expect("good records");
        prop_assert_eq!(watch.suspects(&market), vec![], "{:?}", watch.stats());
        prop_assert!(market.books().all(|(_, book)| book.state() == State::Live));
        prop_assert_eq!(market.fingerprint(), whole.market.fingerprint());
        prop_assert_eq!(market.counters(), whole.market.counters());
    }

    /// After each record and each thing that the watch does, the log restores the very market.
    #[test]
    fn any_ordinal_restores_the_market_that_was_there(
        cuts in prop::collection::vec(1usize..400, 1..8), at in prop::collection::vec(0f64..1.0, 0..4),
        frame_records in 3u64..200, bytes in prop::collection::vec(any::<u8>(), 64..2_400),
    ) {
        let records = hostile::records(&bytes, 3);
        let folder = Folder::new();
        let mut recorder = recorder(&folder.0, frame_records);
        let mut live = WatchedFeed::new(Rules::default());
        recorder.begin(&mut live.market, Some("hostile")).expect("an empty market");
        let mut truth = BTreeMap::new();
        let mut note = |live: &WatchedFeed| _ = truth.insert(live.market.records_taken(), live.market.fingerprint());
        let hows = [Resumption::Resume, Resumption::Snapshot, Resumption::Unknown];
        for (n, piece) in records.chunks(cuts[0]).enumerate() {
            for record in piece {
                live.feed(l3book::record::mbo_bytes(record)).expect("a good record");
                note(&live);
            }
            live.disconnected();
            live.reconnected(hows[cuts[n % cuts.len()] % hows.len()]);
            if n % 3 == 0 {
                live.doubt(&"told so".into(), None);
            }
            note(&live);
        }
        recorder.end(&mut live.market);
        prop_assert!(recorder.close(PATIENCE));
        let log = Log::open(&folder.0).expect("a log");
        checkpoints(&folder.0, &ordinals(&at, log.end_ordinal() as usize));
        for (ordinal, expected) in &truth {
            let restored = restore(&log, *ordinal, false).expect("recorded").market;
            let states = states_at(&log, *ordinal);
            prop_assert!(states.contains(expected), "ordinal {}: {} is none of {:?}", ordinal, expected, states);
            prop_assert_eq!(Some(&restored.fingerprint()), states.last());
            prop_assert_eq!(restored.records_taken(), *ordinal);
        }
        let watched = restore(&log, log.end_ordinal(), true).expect("recorded");
        prop_assert_eq!(Some(&watched.market.fingerprint()), truth.values().next_back());
    }
}

/// An ordinal at or behind one from which on all records are later than those before; and the latest time before it.
fn step_in_time(stream: &[u8], from: usize) -> (usize, u64) {
    let times: Vec<u64> = stream.chunks_exact(MBO_BYTES).map(|record| read_mbo(record).hd.ts_event).collect();
    let latest = |at: usize| times[..at].iter().copied().max().expect("records");
    let earliest = |at: usize| times[at..].iter().copied().min().expect("records");
    let at = (from..times.len()).find(|at| earliest(*at) > latest(*at)).expect("a step");
    (at, latest(at))
}

/// What a watch does to books between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Doubt,
    Pause,
    Back(Resumption),
}

const BREAKS: [Break; 5] = [
    Break::Doubt,
    Break::Pause,
    Break::Back(Resumption::Resume),
    Break::Back(Resumption::Snapshot),
    Break::Back(Resumption::Unknown),
];

/// Breaks a stream; returns what is to be fed then, which repeats what was there if the stream is resumed.
fn broken(live: &mut WatchedFeed, stream: &[u8], taken: usize, how: Break) -> Vec<u8> {
    match how {
        Break::Doubt => _ = live.doubt(&"by hand".into(), None),
        Break::Pause => live.disconnected(),
        Break::Back(resumption) => {
            live.disconnected();
            let start = live.resume_ts();
            live.reconnected(resumption);
            if resumption == Resumption::Resume {
                return replay(stream, start);
            }
        }
    }
    stream[taken * MBO_BYTES..].to_vec()
}

/// Every book as of a time is what the log restores behind all marks before an ordinal.
fn assert_as_restored(folder: &Folder, ordinal: u64, at: u64, what: &str) {
    let there = restore(&folder.log(), ordinal, false).expect("recorded").market;
    let past = Past::open(&folder.0).expect("a log");
    for (key, _) in there.books() {
        let found = past.market(&Name::Key(key), at).unwrap_or_else(|error| panic!("{what}: {key}: {error}"));
        assert_eq!(shown(&found, key), shown(&there, key), "{what}: {key}");
    }
}

/// Marks have no time: they belong to the record before them, whether or not they share a frame with it, or with the one
/// after, or have a frame of their own.
#[test]
fn marks_belong_to_the_record_before_them_wherever_their_frame_ends() {
    let stream = simulated();
    let (taken, at) = step_in_time(stream, 2_000);
    for how in BREAKS {
        for (is_before, is_behind) in [(false, false), (false, true), (true, false), (true, true)] {
            let folder = Folder::new();
            let settings = Settings { fsync_ms: 60_000, ..Settings::default() };
            let mut recorder = folder.recorder(settings);
            let mut live = WatchedFeed::new(Rules::default());
            recorder.begin(&mut live.market, Some("marks")).expect("an empty market");
            live.feed(&stream[..taken * MBO_BYTES]).expect("good records");
            assert!(!is_before || recorder.flush(PATIENCE));
            let rest = broken(&mut live, stream, taken, how);
            assert!(!is_behind || recorder.flush(PATIENCE));
            let states: Vec<State> = live.market.books().map(|(_, book)| book.state()).collect();
            assert!(states.iter().all(|state| *state != State::Live), "{states:?}");
            live.feed(&rest).expect("good records");
            recorder.end(&mut live.market);
            assert!(recorder.close(PATIENCE));
            let what = format!("{how:?}, flushed before {is_before}, behind {is_behind}");
            assert_as_restored(&folder, taken as u64, at, &what);
            checkpoints(&folder.0, &[taken as u64]);
            assert_as_restored(&folder, taken as u64, at, &format!("{what}, from a checkpoint"));
        }
    }
}

/// Records a stream that breaks after so many records, with a queue that had room for the last of them and for no mark.
fn record_break(folder: &Folder, queue_bytes_max: usize, stream: &[u8], taken: usize, how: Break) -> WatchedFeed {
    let settings = Settings { fsync_ms: 600_000, fsync_records: u64::MAX, queue_bytes_max, ..Settings::default() };
    let mut recorder = Recorder::open(&folder.0, settings).expect("a free folder");
    let mut live = WatchedFeed::new(Rules::default());
    recorder.begin(&mut live.market, Some("marks")).expect("an empty market");
    let (before, last) = stream[..taken * MBO_BYTES].split_at((taken - FULL_RECORDS) * MBO_BYTES);
    live.feed(before).expect("good records");
    assert!(recorder.flush(PATIENCE));
    live.feed(last).expect("good records");
    let rest = broken(&mut live, stream, taken, how);
    let stats = recorder.stats();
    assert_eq!((stats.holes, stats.records_lost), (u64::from(queue_bytes_max == QUEUE_BYTES_MIN), 0), "{how:?}");
    assert!(recorder.flush(PATIENCE));
    for piece in rest.chunks(1_000 * MBO_BYTES) {
        assert!(recorder.flush(PATIENCE));
        live.feed(piece).expect("good records");
    }
    recorder.end(&mut live.market);
    assert!(recorder.close(PATIENCE));
    live
}

/// What leaves no room for a mark in the smallest queue.
const FULL_RECORDS: usize = QUEUE_BYTES_MIN / MBO_BYTES - 2;

/// A queue without room for marks, though no record is lost: whoever reads the log has them from the checkpoint.
#[test]
fn marks_that_are_lost_are_a_hole_too() {
    let stream = &simulate(3, 30_000)[..];
    let (taken, at) = step_in_time(stream, 10_000 + FULL_RECORDS);
    for how in BREAKS {
        let (folder, roomy) = (Folder::new(), Folder::new());
        let live = record_break(&folder, QUEUE_BYTES_MIN, stream, taken, how);
        record_break(&roomy, 64 << 20, stream, taken, how);
        let end = taken as u64;
        let expected = restore(&roomy.log(), end, false).expect("recorded").market.fingerprint();

        let log = folder.log();
        let hole = log.holes().pop().expect("a hole");
        assert_eq!((hole.first, hole.end, log.end_ordinal()), (end, end, live.market.records_taken()));
        assert_eq!(log.verify::<HistoryError>(|_| Ok(())).expect("readable").damage, None);
        for is_watched in [false, true] {
            let there = restore(&log, end, is_watched).expect("recorded");
            assert_eq!(there.market.fingerprint(), expected, "{how:?}");
            assert_eq!(there.damaged(), 0);
            let there = restore(&log, log.end_ordinal(), is_watched).expect("recorded");
            assert_eq!(there.market.fingerprint(), live.market.fingerprint(), "{how:?}");
        }
        assert_as_restored(&folder, end, at, &format!("{how:?}"));
        let mut market = Market::new(Rules::default());
        let begin = begin_of(&Past::open(&folder.0).expect("a log"));
        let mut replay = Replay::open(&folder.0, begin, 0, &mut market).expect("recorded");
        while replay.advance(&mut market, u64::MAX, 10_000).expect("a good log") > 0 {}
        assert_eq!(market.fingerprint(), live.market.fingerprint(), "{how:?}");

        let settings =
            IndexerSettings { ordinal: 0, checkpoint_records: 5_000, keeps_checkpoints: true, keeps_records: false };
        let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
        let mut holes = Vec::new();
        while let Some(batch) = indexer.advance(10_000).expect("a good log") {
            holes.extend(batch.holes);
        }
        assert_eq!(holes, [hole], "{how:?}");
        assert_as_restored(&folder, end, at, &format!("{how:?}, with checkpoints"));

        // Without the checkpoint, nobody knows.
        fs::remove_file(checkpoint_file::path_of(&folder.0, end)).expect("there");
        let there = restore(&log, end, false).expect("recorded");
        assert_eq!(there.damaged(), 1);
        assert!(there.market.books().all(|(_, book)| book.state() == State::Suspect));
        assert_as_restored(&folder, end, at, &format!("{how:?}, without its checkpoint"));
    }
}

/// Retention removes segments and checkpoints under whoever asks: what is gone was not recorded, what is there is told.
#[test]
fn what_retention_removes_meanwhile_is_not_recorded() {
    let stream = simulated();
    let folder = Folder::new();
    let settings = Settings { fsync_records: 200, segment_bytes_max: 1, ..Settings::default() };
    let mut recorder = folder.recorder(settings);
    let mut feed = Feed::new(Rules::default());
    recorder.begin(&mut feed.market, Some("one")).expect("an empty market");
    feed.feed(stream).expect("good records");
    assert!(recorder.close(PATIENCE));
    checkpoints(&folder.0, &[1_000, 3_000, 4_000]);
    let past = Past::open(&folder.0).expect("a log");
    let key = Key::of(&read_mbo(stream));
    let ts_of = |ordinal: usize| read_mbo(&stream[ordinal * MBO_BYTES..]).hd.ts_event;
    past.market(&Name::Key(key), ts_of(2_000)).expect("recorded");
    let log = folder.log();
    for pair in log.segments().windows(2).filter(|pair| pair[1].first_ordinal <= 3_000) {
        fs::remove_file(&pair[0].path).expect("there");
        fs::remove_file(layout::beside(&pair[0].path, "index")).expect("there");
    }
    assert!(folder.log().first_ordinal() > 1_500);
    fs::remove_file(checkpoint_file::path_of(&folder.0, 1_000)).expect("there");
    for _ in 0..2 {
        let error = past.market(&Name::Key(key), ts_of(2_000)).err().expect("removed");
        assert!(matches!(error, PastError::History(HistoryError::NotRecorded { .. })), "{error}");
    }
    // One that knows of nothing yet what was removed, and asks for other things first.
    let past = Past::open(&folder.0).expect("a log");
    fs::remove_file(checkpoint_file::path_of(&folder.0, 3_000)).expect("there");
    for pair in folder.log().segments().windows(2).filter(|pair| pair[1].first_ordinal <= 4_000) {
        fs::remove_file(&pair[0].path).expect("there");
        fs::remove_file(layout::beside(&pair[0].path, "index")).expect("there");
    }
    let error = past.ordinal_at(ts_of(3_500)).expect_err("removed");
    assert!(matches!(error, HistoryError::NotRecorded { .. }), "{error}");
    let last = STREAM_RECORDS as u64 - 1;
    assert!(matches!(past.fingerprint(3_500), Err(HistoryError::NotRecorded { .. })));
    past.fingerprint(last).expect("recorded");
    let found = past.market(&Name::Key(key), ts_of(4_500)).expect("recorded");
    assert_eq!(shown(&found, key), shown(&until(stream, ts_of(4_500)), key));
    assert_eq!(past.damaged_checkpoints(), 0);
}

/// What a gateway sends that is asked for `start`.
fn replay(stream: &[u8], start: Option<u64>) -> Vec<u8> {
    let start = start.unwrap_or(0);
    let is_in = |record: &&[u8]| read_mbo(record).hd.ts_event >= start;
    let mut out: Vec<u8> = stream.chunks_exact(MBO_BYTES).filter(is_in).flatten().copied().collect();
    let mut completed = vec![0; 320];
    (completed[0], completed[1], completed[319]) = (80, 0x17, 3);
    out.extend(completed);
    out
}

/// So many ordinals as the environment says, or all.
fn wanted_ordinals(records: usize, default: usize) -> Vec<u64> {
    let wanted = std::env::var("L3BOOK_HISTORY_ORDINALS").ok();
    let count = wanted.map_or(default, |text| text.parse().expect("a number"));
    if count > records {
        return (0..=records as u64).collect();
    }
    // A stride without common factors visits places as scattered as random ones, the same every time.
    const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;
    (1..=count as u64).map(|n| n.wrapping_mul(STRIDE) % (records as u64 + 1)).collect()
}

/// A stream's state hashes before the records of these ordinals.
fn truth_of(stream: &[u8], ordinals: &[u64]) -> BTreeMap<u64, Fingerprint> {
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

fn assert_restored(stream: &[u8], checkpoint_records: usize, ordinals: &[u64]) {
    let records = stream.len() / MBO_BYTES;
    let folder = recorded(stream, 4_096);
    let places: Vec<u64> = (1..=records / checkpoint_records).map(|n| (n * checkpoint_records) as u64).collect();
    checkpoints(&folder.0, &places);
    let past = Past::open(&folder.0).expect("a log");
    let truth = truth_of(stream, ordinals);
    for (ordinal, expected) in &truth {
        assert_eq!(past.fingerprint(*ordinal).expect("recorded"), *expected, "ordinal {ordinal}");
    }
    println!("{} ordinals of {records} records, a checkpoint every {checkpoint_records}: all equal", truth.len());
}

#[test]
fn a_long_synthetic_stream_restored_at_scattered_ordinals() {
    const ORDINALS_MAX: usize = 400;
    let scale = if std::env::var_os("L3BOOK_HISTORY_ORDINALS").is_some() { 50 } else { 1 };
    for instruments in [1, 20] {
        let stream = simulate(instruments, 40_000 * scale);
        let mut ordinals = wanted_ordinals(40_000 * scale, 12);
        ordinals.truncate(ORDINALS_MAX);
        assert_restored(&stream, 15_000 * scale, &ordinals);
    }
}

#[test]
fn clx5_restored_at_its_ordinals() {
    let Some(folder) = std::env::var_os("L3BOOK_TEST_DATA") else {
        println!("skipped: L3BOOK_TEST_DATA is not set: it names the folder of real recordings");
        return;
    };
    let file = fs::read(Path::new(&folder).join("clx5/CLX5_mbo.dbn")).expect("the recording");
    let metadata = 8 + u32::from_le_bytes(file[4..8].try_into().expect("4 bytes")) as usize;
    let stream = &file[metadata..];
    assert_restored(stream, 1_000, &wanted_ordinals(stream.len() / MBO_BYTES, 25));
}

#[test]
fn the_newest_session_that_reaches_back_is_meant() {
    let stream = simulated();
    let half = STREAM_RECORDS / 2 * MBO_BYTES;
    let folder = recorded(stream, 500);
    // The second half again, as a session that begins inside: before its first event, the first session knows.
    record_session(&folder.0, &stream[half..], 500, "two");
    let past = Past::open(&folder.0).expect("a log");
    let reaches = past.range().expect("a log");
    assert_eq!(reaches.iter().map(|reach| reach.session.uri.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let [first, second] = [&reaches[0], &reaches[1]];
    for (at, stream) in [(second.begin - 1, stream), (second.begin, &stream[half..]), (u64::MAX - 1, &stream[half..])] {
        assert_as_of(&past, Some(first.begin), stream, at);
    }
    let before = past.market(&Name::Text("1:1".into()), first.begin - 1).err().expect("nothing before").to_string();
    assert!(before.contains(&format!("the history begins at {}", first.begin)), "{before}");
    let log = Log::open(&folder.0).expect("a log");
    let end = restore(&log, log.end_ordinal(), false).expect("recorded").market;
    assert_eq!(end.fingerprint(), until(&stream[half..], u64::MAX).fingerprint());
    // Where the second begins, its market is empty; one record earlier, it is the first one's.
    assert!(restore(&log, STREAM_RECORDS as u64, false).expect("recorded").market.is_empty());
    assert!(restore(&log, log.end_ordinal() + 1, false).is_err());
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_counted() {
    let stream = simulated();
    let folder = recorded(stream, 500);
    checkpoints(&folder.0, &[1_000, 2_000, 3_000]);
    let path = checkpoint_file::path_of(&folder.0, 3_000);
    let mut bytes = fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("written");
    fs::write(checkpoint_file::path_of(&folder.0, 2_000), b"L3CK").expect("written");
    let log = Log::open(&folder.0).expect("a log");
    let shadow = restore(&log, 4_000, false).expect("recorded");
    assert_eq!(shadow.damaged(), 2);
    assert_eq!(shadow.market.fingerprint(), truth_of(stream, &[4_000])[&4_000]);
    let past = Past::open(&folder.0).expect("a log");
    assert_eq!(past.damaged_checkpoints(), 1, "one cannot even be opened");
    assert_as_of(&past, begin_of(&past), stream, read_mbo(&stream[4_000 * MBO_BYTES..]).hd.ts_event);
}

/// A disk that takes nothing for a while, and a queue that is too short for it: before the hole and from its end on all is
/// known, and in between nothing.
#[test]
fn what_lies_in_a_hole_is_not_recorded() {
    const RECORDS: usize = 60_000;
    let stream = simulate(3, RECORDS);
    let folder = Folder::new();
    let settings =
        Settings { fsync_records: 500, segment_bytes_max: 1, queue_bytes_max: QUEUE_BYTES_MIN, ..Settings::default() };
    let mut recorder = Recorder::open(&folder.0, settings).expect("a free folder");
    let mut live = Feed::new(Rules::default());
    recorder.begin(&mut live.market, Some("holed")).expect("an empty market");
    let (log, away) = (folder.0.join("log"), folder.0.join("away"));
    live.feed(&stream[..2_000 * MBO_BYTES]).expect("good records");
    assert!(recorder.flush(PATIENCE));
    fs::rename(&log, &away).expect("renamed");
    fs::write(&log, "no folder").expect("written");
    let mut end = 2_000;
    while recorder.stats().records_lost == 0 {
        live.feed(&stream[end * MBO_BYTES..(end + 100) * MBO_BYTES]).expect("good records");
        end += 100;
    }
    live.feed(&stream[end * MBO_BYTES..(end + 3_000) * MBO_BYTES]).expect("good records");
    end += 3_000;
    fs::remove_file(&log).expect("removed");
    fs::rename(&away, &log).expect("renamed");
    assert!(recorder.wait_room(PATIENCE), "{:?}", recorder.stats());
    live.feed(&stream[end * MBO_BYTES..(end + 2_000) * MBO_BYTES]).expect("good records");
    recorder.end(&mut live.market);
    assert!(recorder.close(PATIENCE), "{:?}", recorder.stats());

    let log = Log::open(&folder.0).expect("a log");
    let [hole] = &log.holes()[..] else { panic!("{:?}", log.holes()) };
    assert_eq!((hole.end, log.end_ordinal()), (end as u64, end as u64 + 2_000));
    let truth = truth_of(&stream, &[hole.first, hole.end, log.end_ordinal()]);
    for (ordinal, expected) in truth {
        assert_eq!(
            restore(&log, ordinal, false).expect("recorded").market.fingerprint(),
            expected,
            "ordinal {ordinal}"
        );
    }
    let refused = restore(&log, hole.first + 1, false).err().expect("in the hole").to_string();
    assert!(refused.contains(&format!("ordinal {} is not in the log", hole.first + 1)), "{refused}");

    let past = Past::open(&folder.0).expect("a log");
    let fed = &stream[..(end + 2_000) * MBO_BYTES];
    let ts_of = |ordinal: u64| read_mbo(&stream[ordinal as usize * MBO_BYTES..]).hd.ts_event;
    for at in [ts_of(1_000), ts_of(hole.first - 1) - 1, ts_of(hole.end), ts_of(hole.end + 500), u64::MAX - 1] {
        assert_as_of(&past, begin_of(&past), fed, at);
    }
    let busiest = until(fed, u64::MAX).books().max_by_key(|(_, book)| book.moment().seq).expect("books").0;
    let refused =
        past.market(&Name::Key(busiest), ts_of((hole.first + hole.end) / 2)).err().expect("in the hole").to_string();
    assert!(refused.contains("it lies in a hole of the history that begins at ordinal"), "{refused}");
}

#[test]
fn a_replay_goes_anywhere_and_its_books_can_be_followed() {
    let stream = simulated();
    let folder = recorded(stream, 700);
    checkpoints(&folder.0, &[1_500, 3_000]);
    let ts_of = |ordinal: usize| read_mbo(&stream[ordinal * MBO_BYTES..]);
    let mut market = Market::new(Rules::default());
    let mut replay = Replay::open(&folder.0, Some(ts_of(2_000).hd.ts_event), 70, &mut market).expect("recorded");
    let same = |market: &Market, ordinal: u64| {
        let log = Log::open(&folder.0).expect("a log");
        let restored = restore(&log, ordinal, false).expect("recorded").market;
        for (key, _) in restored.books() {
            let (ours, theirs) = (shown(market, key).expect("there"), shown(&restored, key).expect("there"));
            assert_eq!(View { epoch: 0, ..ours }, View { epoch: 0, ..theirs }, "{key} at ordinal {ordinal}");
        }
        assert_eq!(market.records_taken(), ordinal);
    };
    same(&market, replay.ordinal());
    let key = Key::of(&ts_of(2_000));
    let mut followed = [Channel::Depth(ALL), Channel::Orders, Channel::Trades, Channel::Dbn]
        .map(|channel| Stream::open(&market, &Name::Key(key), channel).expect("a book"));
    let mut epochs = vec![market.book(key).expect("there").epoch()];
    for stream in &mut followed {
        let look = stream.look(&mut market);
        assert_eq!(stream.tell(look).expect("a beginning").kind(), Kind::Snapshot);
    }
    for at in [500, 4_000, 4_000, 1_499, 3_001] {
        replay.seek(&mut market, ts_of(at).hd.ts_event).expect("recorded");
        same(&market, replay.ordinal());
        market.check().expect("sound books");
        let epoch = market.book(key).expect("it stays").epoch();
        assert!(!epochs.contains(&epoch), "{epoch} again, after {epochs:?}");
        epochs.push(epoch);
        for (n, stream) in followed.iter_mut().enumerate() {
            let look = stream.look(&mut market);
            assert_eq!(stream.tell(look).expect("a new beginning").kind(), Kind::Snapshot, "stream {n}");
        }
    }

    // Forwards at a pace: as many as are due, and no more than wanted.
    let begin = replay.ordinal();
    let due = ts_of(begin as usize + 300).ts_recv;
    let expected = (begin as usize..STREAM_RECORDS).take_while(|at| ts_of(*at).ts_recv <= due).count();
    assert_eq!(replay.advance(&mut market, due, 100).expect("recorded"), 100);
    assert_eq!(replay.advance(&mut market, due, usize::MAX).expect("recorded"), expected - 100);
    assert_eq!(replay.advance(&mut market, due, usize::MAX).expect("recorded"), 0);
    assert_eq!(replay.ordinal(), begin + expected as u64);
    assert_eq!(replay.next_ts(), Some(ts_of(begin as usize + expected).ts_recv));
    same(&market, replay.ordinal());

    // By events of one book, there and back.
    let seq = |market: &Market| market.book(key).expect("there").moment().seq;
    let before = seq(&market);
    assert_eq!(replay.step(&mut market, &Name::Key(key), 40).expect("recorded"), 40);
    assert_eq!(seq(&market), before + 40);
    same(&market, replay.ordinal());
    assert_eq!(replay.step(&mut market, &Name::Key(key), -41).expect("recorded"), -41);
    assert_eq!(seq(&market), before - 1);
    same(&market, replay.ordinal());
    assert_eq!(replay.step(&mut market, &Name::Key(key), i64::MIN).expect("recorded"), -(before as i64 - 1));
    assert_eq!((seq(&market), replay.ordinal()), (0, 0));
    let unknown = replay.step(&mut market, &Name::InstrumentId(77), 1);
    assert!(matches!(unknown, Err(PastError::Lookup(LookupError::Unknown(..)))));

    // To the end, and on with what is recorded then.
    replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded");
    assert_eq!((replay.ordinal(), replay.next_ts()), (STREAM_RECORDS as u64, None));
    let end = market.fingerprint();
    assert_eq!(end, until(stream, u64::MAX).fingerprint());
    assert_eq!(replay.step(&mut market, &Name::Key(key), 3).expect("recorded"), 0);
    record_session(&folder.0, &stream[..900 * MBO_BYTES], 700, "two");
    assert_eq!(replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded"), 900);
    same(&market, STREAM_RECORDS as u64 + 900);
    assert!(!epochs.contains(&market.book(key).expect("it stays").epoch()));
}
