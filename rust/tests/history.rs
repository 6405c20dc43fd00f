//! The log, held against what was recorded: every record once, in order, with the marks at their places.

#![allow(missing_docs)]

mod support;

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use l3book::{
    event::{Rules, State},
    feed::Feed,
    history::{Clock, HistoryError, Item, Log, Mark, Recorder, Settings, checkpoint_file, restore},
    market::Market,
    record::{MBO_BYTES, flags, read_mbo},
    watch::{Resumption, WatchedFeed},
};
use proptest::prelude::*;
use support::{
    hostile,
    recorded::{Folder, PATIENCE, apply, assert_good, replayed, segment_paths, simulated},
};

const DAY_NS: u64 = 86_400_000_000_000;
/// Offset of ts_recv in an MBO record.
const TS_RECV_AT: usize = 40;

fn is_equal(a: &Market, b: &Market) -> bool {
    let state = |market: &Market| -> Vec<_> {
        market.books().map(|(key, book)| (key, book.state(), book.moment(), book.epoch(), book.counters())).collect()
    };
    a.fingerprint() == b.fingerprint() && state(a) == state(b)
}

/// With its ts_recv so many ns later.
fn shifted(records: &[u8], by_ns: u64) -> Vec<u8> {
    let mut out = records.to_vec();
    for record in out.chunks_exact_mut(MBO_BYTES) {
        let at = &mut record[TS_RECV_AT..TS_RECV_AT + 8];
        let ts_recv = u64::from_le_bytes((&*at).try_into().expect("eight bytes")) + by_ns;
        at.copy_from_slice(&ts_recv.to_le_bytes());
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the input is cut, whatever the frames and segments are, and however often the recorder is opened anew.
    #[test]
    fn the_log_is_what_was_applied(
        seed in 0u64..50, pieces in prop::collection::vec((1usize..4_000, 0u8..8), 1..12),
        fsync_records in 1u64..2_000, segment_kb in 1u64..60,
    ) {
        let folder = Folder::new();
        let settings = Settings { fsync_records, segment_bytes_max: segment_kb << 10, ..Settings::default() };
        let stream = simulated(8_000, 3, seed);
        let mut feed = Feed::new(Rules::default());
        let mut recorder = folder.recorder(settings);
        recorder.begin(&mut feed.market, Some("synthetic:")).expect("an empty market");
        let (mut rest, mut fed) = (&stream[..], 0);
        for (bytes, what) in pieces {
            let (piece, after) = rest.split_at((bytes * 17).min(rest.len()));
            feed.feed(piece).expect("good records");
            (rest, fed) = (after, fed + piece.len());
            match what {
                0 => prop_assert!(recorder.flush(PATIENCE)),
                1 => {
                    prop_assert!(recorder.close(PATIENCE));
                    recorder = folder.recorder(settings);
                    prop_assert_eq!(recorder.next_ordinal(), feed.market.records_taken());
                    recorder.begin(&mut feed.market, None).expect("a market at the log's end");
                }
                _ => {}
            }
        }
        prop_assert!(recorder.close(PATIENCE));
        let log = folder.log();
        let (bytes, market) = replayed(&log);
        prop_assert_eq!(&bytes[..], &stream[..fed / MBO_BYTES * MBO_BYTES]);
        prop_assert!(is_equal(&market, &feed.market));
        prop_assert_eq!(log.holes(), vec![]);
        prop_assert!(log.sessions().len() <= 1);
        assert_good(&log);
        // A cursor from anywhere in between begins with exactly that record.
        for ordinal in (0..log.end_ordinal()).step_by(97) {
            let mut cursor = log.cursor(ordinal);
            let first = loop {
                match cursor.next(&log).expect("a good log").expect("a record behind") {
                    Item::Records { first_ordinal, records } => break (first_ordinal, records[0].order_id),
                    _ => continue,
                }
            };
            let record = read_mbo(&stream[ordinal as usize * MBO_BYTES..]);
            prop_assert_eq!(first, (ordinal, record.order_id));
        }
    }

    /// A live stream that breaks and repeats itself, through the watch: records once, marks where the books moved.
    #[test]
    fn reconnections_leave_their_marks(
        cuts in prop::collection::vec((0usize..150_000, 0u8..3), 1..10), fsync_records in 1u64..500,
    ) {
        let folder = Folder::new();
        let stream = simulated(6_000, 3, 11);
        let mut feed = WatchedFeed::new(Rules::default());
        let mut recorder = folder.recorder(Settings { fsync_records, ..Settings::default() });
        recorder.begin(&mut feed.market, Some("live:")).expect("an empty market");
        for (cut, how) in cuts {
            feed.feed(&stream[..cut.min(stream.len())]).expect("good records");
            feed.disconnected();
            feed.reconnected([Resumption::Resume, Resumption::Unknown, Resumption::Snapshot][usize::from(how)]);
        }
        feed.feed(&stream).expect("good records");
        prop_assert!(recorder.close(PATIENCE));
        let (bytes, market) = replayed(&folder.log());
        prop_assert_eq!((bytes.len() / MBO_BYTES) as u64, feed.market.records_taken());
        prop_assert!(is_equal(&market, &feed.market));
        assert_good(&folder.log());
    }

    /// Whatever the records and the breaks are.
    #[test]
    fn hostile_streams_are_replayed_as_they_were(
        raw in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1usize..900, how in 0u8..3,
    ) {
        let folder = Folder::new();
        let bytes = hostile::to_bytes(&hostile::records(&raw, 4));
        let mut feed = WatchedFeed::new(Rules::default());
        let mut recorder = folder.recorder(Settings { fsync_records: 50, ..Settings::default() });
        recorder.begin(&mut feed.market, Some("hostile:")).expect("an empty market");
        for (n, piece) in bytes.chunks(cut).enumerate() {
            let _ = feed.feed(piece);
            if n % 5 == 4 {
                feed.disconnected();
                feed.reconnected([Resumption::Resume, Resumption::Snapshot, Resumption::Unknown][usize::from(how)]);
            }
        }
        prop_assert!(recorder.close(PATIENCE));
        if feed.market.records_taken() > 0 {
            prop_assert!(is_equal(&replayed(&folder.log()).1, &feed.market));
        }
    }
}

#[test]
fn each_day_has_its_folder_and_each_size_its_file() {
    let folder = Folder::new();
    let stream = simulated(3_000, 1, 3);
    let settings = Settings { segment_bytes_max: 20_000, fsync_records: 400, ..Settings::default() };
    let mut recorder = folder.recorder(settings);
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("days:")).expect("an empty market");
    for day in 0..3 {
        apply(&mut market, &shifted(&stream, day * DAY_NS));
    }
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    let days: Vec<&str> = log.segments().iter().map(|segment| &*segment.day).collect();
    assert!(days.is_sorted(), "{days:?}");
    for day in ["2026-01-05", "2026-01-06", "2026-01-07"] {
        assert!(days.iter().filter(|name| **name == day).count() > 1, "{day} of {days:?}");
    }
    // The last frame may begin before the limit and end beyond it.
    assert!(log.segments().iter().all(|segment| fs::metadata(&segment.path).expect("a file").len() < 40_000));
    assert_eq!(log.sessions().len(), 1, "rotation is no new session");
    assert_eq!(log.sessions()[0].uri, "days:");
    assert_good(&log);
}

#[test]
fn a_new_session_begins_with_empty_books_and_goes_on_with_the_ordinals() {
    let folder = Folder::new();
    let stream = simulated(2_000, 2, 5);
    let mut recorder = folder.recorder(Settings::default());
    for uri in ["first:", "second:", "third:"] {
        let mut market = Market::new(Rules::default());
        recorder.begin(&mut market, Some(uri)).expect("an empty market");
        apply(&mut market, &stream);
        recorder.end(&mut market);
        apply(&mut market, &stream);
    }
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    let records = (stream.len() / MBO_BYTES) as u64;
    let sessions: Vec<_> = log.sessions().into_iter().map(|s| (s.uri, s.ordinal, s.end_ordinal)).collect();
    let expected = ["first:", "second:", "third:"]
        .into_iter()
        .zip(0..)
        .map(|(uri, n)| (uri.into(), n * records, (n + 1) * records));
    assert_eq!(sessions, expected.collect::<Vec<_>>());
    let mut alone = Market::new(Rules::default());
    apply(&mut alone, &stream);
    assert!(is_equal(&replayed(&log).1, &alone));
}

#[test]
fn a_session_without_a_record_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut recorder = folder.recorder(Settings::default());
    for uri in ["one:", "two:"] {
        recorder.begin(&mut Market::new(Rules::default()), Some(uri)).expect("an empty market");
        assert!(recorder.flush(PATIENCE));
    }
    assert!(recorder.close(PATIENCE));
    assert!(segment_paths(&folder.0).is_empty());
    assert!(folder.recorder(Settings::default()).recovered().is_new);
}

#[test]
fn only_one_recorder_writes_and_says_who() {
    let folder = Folder::new();
    let recorder = folder.recorder(Settings::default());
    match Recorder::open(&folder.0, Settings::default()) {
        // On Windows nobody can read what another has locked.
        Err(HistoryError::Locked { pid, .. }) => assert_eq!(pid, (!cfg!(windows)).then(std::process::id)),
        other => panic!("{:?}, expected a lock", other.err()),
    }
    drop(recorder);
    folder.recorder(Settings::default());
}

#[test]
fn a_market_that_is_elsewhere_is_refused() {
    let folder = Folder::new();
    let mut recorder = folder.recorder(Settings::default());
    let mut market = Market::new(Rules::default());
    assert!(recorder.begin(&mut market, None).is_err(), "there is no session to go on with");
    apply(&mut market, &simulated(100, 1, 1));
    let error = recorder.begin(&mut market, Some("late:")).expect_err("it has taken records");
    assert!(error.to_string().contains("expected an empty one"), "{error}");
}

/// A queue that is full because nothing can be written: the feed goes on, and the log says what it lacks.
#[test]
fn a_full_queue_makes_a_hole_that_a_checkpoint_fills() {
    let folder = Folder::new();
    let blocker = folder.0.join("log");
    let settings = Settings { queue_bytes_max: 1 << 20, fsync_ms: 20, ..Settings::default() };
    let mut recorder = folder.recorder(settings);
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("full:")).expect("an empty market");
    let stream = simulated(60_000, 2, 7);
    let pieces: Vec<&[u8]> = stream.chunks(20_000 * MBO_BYTES).collect();
    // A file stands where a folder is wanted.
    fs::write(&blocker, "in the way").expect("a writable folder");
    apply(&mut market, pieces[0]);
    apply(&mut market, pieces[1]);
    assert!(!recorder.flush(std::time::Duration::from_millis(200)));
    let stats = recorder.stats();
    assert_eq!((stats.state(), stats.holes), ("failing", 1));
    assert!(stats.records_lost > 0 && stats.queue_bytes <= stats.queue_bytes_max, "{stats:?}");
    assert_eq!(stats.next_ordinal, market.records_taken(), "what is lost has its ordinals too");
    fs::remove_file(&blocker).expect("just written");
    for piece in pieces[2].chunks(2_000 * MBO_BYTES) {
        assert!(recorder.wait_room(PATIENCE));
        apply(&mut market, piece);
    }
    assert!(recorder.close(PATIENCE));
    assert_eq!(recorder.stats().error, None);

    let log = folder.log();
    let [hole] = log.holes().try_into().expect("one hole");
    assert_eq!(hole.end - hole.first, recorder.stats().records_lost);
    assert_eq!(log.end_ordinal(), market.records_taken());
    assert_good(&log);
    assert!(hole.reason.contains(&blocker.display().to_string()), "{}", hole.reason);
    // The checkpoint at its end and the rest of the log are the market.
    let checkpoint = checkpoint_file::path_of(&folder.0, hole.end);
    let checkpoint = checkpoint_file::CheckpointFile::open(&checkpoint).expect("a checkpoint at the hole's end");
    let mut restored = checkpoint.market().expect("sound books");
    let mut cursor = log.cursor(hole.end);
    while let Some(item) = cursor.next(&log).expect("a good log") {
        if let Item::Records { records, .. } = item {
            apply(&mut restored, l3book::record::mbo_slice_bytes(records));
        }
    }
    assert!(is_equal(&restored, &market));
}

/// A session that begins while nothing can be written, and is told of only once something can: what is missing before it is
/// named, also when its own first records are missing with it.
#[test]
#[cfg_attr(windows, ignore = "Windows renames no folder in which a file is open, as the recorder's is")]
fn a_session_that_begins_in_a_hole_names_it() {
    for is_full in [false, true] {
        let folder = Folder::new();
        let blocker = folder.0.join("log");
        let settings = Settings { queue_bytes_max: 1 << 20, fsync_ms: 20, segment_bytes_max: 1, ..Settings::default() };
        let mut recorder = folder.recorder(settings);
        let stream = simulated(40_000, 2, 7);
        let mut markets = [Market::new(Rules::default()), Market::new(Rules::default())];
        recorder.begin(&mut markets[0], Some("one:")).expect("an empty market");
        apply(&mut markets[0], &stream[..1_000 * MBO_BYTES]);
        assert!(recorder.flush(PATIENCE));
        let away = folder.0.join("away");
        fs::rename(&blocker, &away).expect("renamed");
        fs::write(&blocker, "in the way").expect("a writable folder");
        // The writer, whose turn comes late on a busy machine, meets what is in its way before its queue is full.
        apply(&mut markets[0], &stream[1_000 * MBO_BYTES..2_000 * MBO_BYTES]);
        let waited = Instant::now();
        while recorder.stats().error.is_none() && waited.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        apply(&mut markets[0], &stream[2_000 * MBO_BYTES..]);
        let first_lost = recorder.next_ordinal() - recorder.stats().records_lost;
        assert!(first_lost < 41_000);
        recorder.end(&mut markets[0]);
        let begun = recorder.next_ordinal();
        recorder.begin(&mut markets[1], Some("two:")).expect("an empty market");
        let (before, after) = stream.split_at(if is_full { 5_000 * MBO_BYTES } else { 0 });
        apply(&mut markets[1], before);
        fs::remove_file(&blocker).expect("just written");
        fs::rename(&away, &blocker).expect("renamed");
        for piece in after.chunks(2_000 * MBO_BYTES) {
            assert!(recorder.wait_room(PATIENCE));
            apply(&mut markets[1], piece);
        }
        assert!(recorder.close(PATIENCE));

        let log = folder.log();
        assert_good(&log);
        let [hole] = log.holes().try_into().expect("one hole");
        assert_eq!(hole.first, first_lost);
        assert!(hole.reason.contains(&blocker.display().to_string()), "{}", hole.reason);
        assert_eq!(hole.end, begun + (before.len() / MBO_BYTES) as u64);
        let sessions: Vec<_> = log.sessions().into_iter().map(|s| (s.uri, s.ordinal, s.first_ordinal)).collect();
        assert_eq!(sessions, [("one:".into(), 0, 0), ("two:".into(), hole.end, hole.end)]);
        let there = restore(&log, log.end_ordinal(), false).expect("recorded");
        assert_eq!(there.head().session, hole.end);
        assert_eq!(there.damaged(), 0);
        assert!(is_equal(&there.market, &markets[1]));
        assert_eq!(restore(&log, first_lost, false).expect("recorded").head().session, 0);
    }
}

#[test]
fn a_reader_follows_the_writer() {
    let folder = Folder::new();
    let stream = simulated(20_000, 2, 9);
    let mut recorder =
        folder.recorder(Settings { fsync_records: 300, segment_bytes_max: 50_000, ..Settings::default() });
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("tail:")).expect("an empty market");
    let mut log = folder.log();
    let (mut cursor, mut seen) = (log.cursor(0), Vec::new());
    for piece in stream.chunks(1_000 * MBO_BYTES) {
        apply(&mut market, piece);
        assert!(recorder.flush(PATIENCE));
        log.refresh().expect("readable");
        while let Some(item) = cursor.next(&log).expect("a good log") {
            if let Item::Records { records, .. } = item {
                seen.extend_from_slice(l3book::record::mbo_slice_bytes(records));
            }
        }
        assert_eq!(cursor.ordinal(), market.records_taken());
    }
    assert_eq!(seen, stream);
    // Retention removes the oldest; whoever is behind goes on where the log begins now.
    let paths: Vec<PathBuf> = segment_paths(&folder.0);
    assert!(paths.len() > 3);
    let mut late = log.cursor(0);
    log.keep_from(log.segments()[1].first_ordinal).expect("a writable folder");
    fs::remove_file(&paths[0]).expect("a segment");
    log.refresh().expect("readable");
    assert!(log.first_ordinal() > 0);
    let first = loop {
        match late.next(&log).expect("a good log").expect("an item") {
            Item::Records { first_ordinal, .. } => break first_ordinal,
            _ => continue,
        }
    };
    assert_eq!(first, log.first_ordinal());
    assert_eq!(log.sessions()[0].ordinal, 0, "the session is known without its first segment");
    assert_good(&log);
}

#[test]
fn symbols_come_back_as_they_were_known() {
    let folder = Folder::new();
    let config = l3book::sim::Config { instruments: 3, seed: 1, crossed: false, resting_max: Some(64) };
    let mut simulator = l3book::sim::Simulator::new(config).expect("valid");
    let mut bytes = simulator.header();
    simulator.read(3_000, &mut bytes);
    let mut feed = Feed::new(Rules::default());
    let mut recorder =
        folder.recorder(Settings { segment_bytes_max: 10_000, fsync_records: 500, ..Settings::default() });
    recorder.begin(&mut feed.market, Some("symbols:")).expect("an empty market");
    feed.feed(&bytes).expect("good records");
    // As a live stream says it: without end, in the short form of DBN 1.
    let mut mapping = [0; 80];
    (mapping[0], mapping[1]) = (20, 0x16);
    mapping[4..8].copy_from_slice(&77u32.to_le_bytes());
    mapping[38..42].copy_from_slice(b"LIVE");
    feed.feed(&mapping).expect("a mapping");
    bytes.clear();
    simulator.read(3_000, &mut bytes);
    feed.feed(&bytes).expect("good records");
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    assert!(log.segments().len() > 2);
    assert!(log.segments().iter().all(|segment| segment.dataset == log.segments()[0].dataset));
    assert_ne!(log.segments()[0].dataset, "unknown");
    let (_, market) = replayed(&log);
    for (key, _) in feed.market.books() {
        assert!(feed.market.symbol(key).is_some());
        assert_eq!(market.symbol(key), feed.market.symbol(key));
    }
    let names = |segment: usize| -> Vec<String> {
        let metadata = log.metadata(segment).expect("metadata");
        metadata.mappings.into_iter().map(|mapping| mapping.raw_symbol).collect()
    };
    assert!(!names(0).contains(&"LIVE".into()) && names(log.segments().len() - 1).contains(&"LIVE".into()));
    let all = log.metadata_of(0, log.end_ordinal()).expect("readable").expect("records");
    assert!(all.mappings.iter().any(|mapping| mapping.raw_symbol == "LIVE"));
    assert_eq!(all.mappings.len(), 4);
    assert_eq!(all.symbols.len(), 4);
    // Of a stretch that begins inside a frame, from its own first record on.
    let within = log.frames().first().expect("a frame").entry.first_ordinal + 100;
    let part = log.metadata_of(within, log.end_ordinal()).expect("readable").expect("records");
    let mut cursor = log.cursor(within);
    let earliest = loop {
        if let Some(Item::Records { records, .. }) = cursor.next(&log).expect("readable") {
            break records.iter().map(|record| record.ts_recv).min();
        }
    };
    assert_eq!(Some(part.start), earliest);
    assert!(part.start > all.start);
}

#[test]
fn a_time_leads_to_the_frames_around_it() {
    let folder = Folder::new();
    let stream = simulated(10_000, 2, 13);
    let mut market = Market::new(Rules::default());
    let mut recorder = folder.recorder(Settings { fsync_records: 500, ..Settings::default() });
    recorder.begin(&mut market, Some("time:")).expect("an empty market");
    apply(&mut market, &stream);
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    let session = log.sessions().pop().expect("a session");
    let times: Vec<u64> = stream.chunks_exact(MBO_BYTES).map(|record| read_mbo(record).ts_recv).collect();
    for ts in times.iter().step_by(37).copied().chain([0, u64::MAX]) {
        let frames = log.frames_around(&session, Clock::Receive, ts);
        let before = log.frames().range(0..frames.start).map(|frame| frame.entry.end_ordinal()).max().unwrap_or(0);
        let after = log.frames().get(frames.end).map_or(log.end_ordinal(), |frame| frame.entry.first_ordinal);
        assert!(times[..before as usize].iter().all(|time| *time <= ts));
        assert!(times[after as usize..].iter().all(|time| *time > ts));
        assert!(frames.len() <= 2, "{frames:?}");
    }
}

#[test]
fn a_doubt_inside_an_event_and_its_end_are_replayed() {
    let folder = Folder::new();
    let stream = simulated(3_000, 1, 21);
    let mut feed = WatchedFeed::new(Rules::default());
    let mut recorder = folder.recorder(Settings::default());
    recorder.begin(&mut feed.market, Some("doubt:")).expect("an empty market");
    let inside = stream.chunks_exact(MBO_BYTES).rposition(|record| record[36] & flags::LAST == 0).expect("an event");
    let (before, after) = stream.split_at((inside + 1) * MBO_BYTES);
    feed.feed(before).expect("good records");
    assert_eq!(feed.doubt(&"by hand".into(), None), 1);
    feed.feed(after).expect("good records");
    assert!(recorder.close(PATIENCE));
    let log: Log = folder.log();
    let (_, market) = replayed(&log);
    assert_eq!(market.books().next().expect("a book").1.state(), State::Suspect);
    assert!(is_equal(&market, &feed.market));
    let mut cursor = log.cursor(inside as u64 + 1);
    let mark = loop {
        match cursor.next(&log).expect("a good log").expect("the doubt") {
            Item::Mark(mark) => break mark,
            Item::Records { .. } => panic!("records before the doubt"),
            _ => continue,
        }
    };
    assert!(matches!(mark, Mark::Doubt { reason, .. } if reason == "by hand"));
}

#[test]
fn marks_that_no_record_follows_are_in_the_log() {
    let folder = Folder::new();
    let stream = simulated(3_000, 2, 22);
    let (before, after) = stream.split_at(2_000 * MBO_BYTES);
    let mut feed = WatchedFeed::new(Rules::default());
    let mut recorder = folder.recorder(Settings::default());
    recorder.begin(&mut feed.market, Some("marks:")).expect("an empty market");
    feed.feed(before).expect("good records");
    assert!(recorder.close(PATIENCE));
    for reason in ["once", "again"] {
        recorder = folder.recorder(Settings::default());
        recorder.begin(&mut feed.market, None).expect("a market at the log's end");
        feed.disconnected();
        feed.reconnected(Resumption::Snapshot);
        feed.doubt(&reason.into(), None);
        if reason == "once" {
            assert!(recorder.flush(PATIENCE));
            assert!(is_equal(&replayed(&folder.log()).1, &feed.market));
        }
        assert!(recorder.close(PATIENCE));
        let (_, market) = replayed(&folder.log());
        assert!(market.books().all(|(_, book)| book.state() == State::Suspect));
        assert!(is_equal(&market, &feed.market));
    }
    recorder = folder.recorder(Settings::default());
    recorder.begin(&mut feed.market, None).expect("a market at the log's end");
    feed.feed(after).expect("good records");
    assert!(recorder.close(PATIENCE));
    let (bytes, market) = replayed(&folder.log());
    assert_eq!(bytes, stream);
    assert!(is_equal(&market, &feed.market));
    assert_eq!(folder.log().sessions().len(), 1);
    assert_good(&folder.log());
}
