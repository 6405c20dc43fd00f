//! Books as of a time, held against markets that stopped there, and against what the log restores.

#![allow(missing_docs)]

mod support;

use std::{collections::BTreeMap, fs};

use l3book::{
    event::{Rules, State},
    feed::Feed,
    history::{
        HistoryError, Indexer, IndexerSettings, Log, Past, PastError, QUEUE_BYTES_MIN, Recorder, Replay, Settings,
        checkpoint_file, layout, restore,
    },
    market::{Key, Market, Name},
    record::{MBO_BYTES, MboMsg, flags, read_mbo},
    watch::{Resumption, WatchedFeed},
};
use proptest::prelude::*;
use support::{
    hostile,
    recorded::{Folder, PATIENCE},
    timeline::{
        STREAM_RECORDS, begin_of, checkpoints, ordinals, record_session, recorded, replay, shown, simulate, simulated,
        truth_of, until,
    },
};

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
        assert_eq!(log.verify::<HistoryError>(|_| Ok(())).expect("readable").damages, vec![]);
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
#[cfg_attr(windows, ignore = "Windows renames no folder in which a file is open, as the recorder's is")]
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

/// One who drags a slider: each answer may begin where an earlier one has come by, and must not be told from one that does
/// not.
#[test]
fn questions_that_follow_each_other_are_answered_as_the_first_would_be() {
    const RECORDS: usize = 60_000;
    let stream = simulate(3, RECORDS);
    let folder = recorded(&stream, 6_000);
    checkpoints(&folder.0, &[20_000]);
    let past = Past::open(&folder.0).expect("a log");
    let ts_of = |ordinal: usize| read_mbo(&stream[ordinal * MBO_BYTES..]).hd.ts_event;
    let keys: Vec<Key> = until(&stream, u64::MAX).books().map(|(key, _)| key).collect();
    let forth = (30_000..RECORDS).step_by(2_500);
    for ordinal in forth.clone().chain(forth.rev()).chain([59_000, 21_000]) {
        let alone = Past::open(&folder.0).expect("a log");
        for key in &keys {
            let name = Name::Key(*key);
            let [found, expected] = [&past, &alone].map(|past| past.market(&name, ts_of(ordinal)).expect("recorded"));
            assert_eq!(shown(&found, *key), shown(&expected, *key), "{key} at the time of {ordinal}");
        }
    }
}
