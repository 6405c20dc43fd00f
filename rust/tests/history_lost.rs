//! What is made of a log of which whole segments are lost: no record that is there is left out, no session is missed.

#![allow(missing_docs)]

mod support;

use std::fs;

use l3book::{
    event::{Rules, State},
    history::{Batch, Indexer, IndexerSettings, Log, SessionStart, Settings, checkpoint_file, layout::beside, restore},
    market::Market,
    record::{MBO_BYTES, flags, read_mbo},
    watch::WatchedFeed,
};
use support::{
    recorded::{Folder, PATIENCE, apply, simulated},
    timeline::checkpoints,
};

const RECORDS: usize = 700;
/// As rows have it.
const SUSPECT: u8 = 3;

fn stream() -> Vec<u8> {
    let mut bytes = simulated(RECORDS, 2, 17);
    bytes.truncate(RECORDS * MBO_BYTES);
    bytes
}

/// Two sessions of the same records, each in several segments.
fn recorded(stream: &[u8]) -> Folder {
    recorded_in(stream, 6_000)
}

fn recorded_in(stream: &[u8], segment_bytes_max: u64) -> Folder {
    let folder = Folder::new();
    for uri in ["first:", "second:"] {
        let settings = Settings { fsync_records: 100, segment_bytes_max, ..Settings::default() };
        let mut recorder = folder.recorder(settings);
        let mut market = Market::new(Rules::default());
        recorder.begin(&mut market, Some(uri)).expect("an empty market");
        for piece in stream.chunks(100 * MBO_BYTES) {
            apply(&mut market, piece);
            assert!(recorder.flush(PATIENCE));
        }
        assert!(recorder.close(PATIENCE));
    }
    folder
}

fn lose(log: &Log, segment: usize) {
    let path = &log.segments()[segment].path;
    fs::remove_file(path).expect("there");
    fs::remove_file(beside(path, "index")).expect("there");
}

fn segment_of(log: &Log, ordinal: u64) -> usize {
    log.frames()[log.find_ordinal(ordinal)].segment
}

fn batches(folder: &Folder, ordinal: u64) -> Vec<Batch> {
    let settings =
        IndexerSettings { ordinal, checkpoint_records: 1_000_000, keeps_checkpoints: false, keeps_records: true };
    let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
    std::iter::from_fn(|| indexer.advance(20).expect("readable")).collect()
}

fn starts(batches: &[Batch]) -> Vec<SessionStart> {
    batches.iter().flat_map(|batch| batch.sessions.clone()).collect()
}

fn ordinals(batches: &[Batch]) -> Vec<u64> {
    batches.iter().flat_map(|batch| batch.ordinals.clone()).collect()
}

#[test]
fn a_session_begins_with_the_first_record_of_it_that_is_there() {
    let stream = stream();
    let folder = recorded(&stream);
    let log = folder.log();
    let second = log.sessions()[1].ordinal;
    let lost = segment_of(&log, second);
    let end = log.segments()[lost + 1].first_ordinal;
    lose(&log, lost);
    let record = |ordinal: u64| read_mbo(&stream[(ordinal - second) as usize * MBO_BYTES..][..MBO_BYTES]);
    let first = (end..).map(record).find(|record| record.flags.raw() & flags::SNAPSHOT == 0).expect("records");
    let log = folder.log();
    let told = log.session_starts().expect("readable");
    assert_eq!((told[1].ordinal, told[1].ts_recv), (second, first.ts_recv));
    assert_eq!(starts(&batches(&folder, 0)), told);
}

/// Wherever an indexer begins, it tells of all sessions behind, and of all records.
#[test]
fn who_begins_in_what_is_lost_misses_no_session_behind_it() {
    let stream = stream();
    let folder = recorded(&stream);
    let log = folder.log();
    let second = log.sessions()[1].ordinal;
    let [before, behind] = [segment_of(&log, second - 1), segment_of(&log, second)];
    let first_lost = log.segments()[before].first_ordinal;
    lose(&log, before);
    for begin in [first_lost, first_lost + 1, second - 1, second] {
        let made = batches(&folder, begin);
        assert_eq!(starts(&made).iter().map(|start| start.ordinal).collect::<Vec<_>>(), [second], "from {begin} on");
        assert_eq!(ordinals(&made), (second..log.end_ordinal()).collect::<Vec<_>>(), "from {begin} on");
    }
    // And where the session's beginning is lost with it.
    lose(&log, behind);
    let there = log.segments()[behind + 1].first_ordinal;
    let made = batches(&folder, first_lost + 1);
    assert_eq!(starts(&made), folder.log().session_starts().expect("readable")[1..]);
    assert_eq!(ordinals(&made), (there..log.end_ordinal()).collect::<Vec<_>>());
}

#[test]
fn who_begins_behind_the_lost_beginning_of_a_session_goes_on_in_doubt() {
    let stream = stream();
    let folder = recorded(&stream);
    let log = folder.log();
    let second = log.sessions()[1].ordinal;
    let lost = segment_of(&log, second);
    let there = log.segments()[lost + 1].first_ordinal;
    let late = log.end_ordinal() - 50;
    // Of the books of another moment nothing is taken.
    let saved = restore(&log, late, false).expect("recorded");
    checkpoint_file::save(&folder.0, saved.head(), &saved.market, None).expect("writable");
    lose(&log, lost);
    for begin in [second, there, there + 1, late - 30] {
        let made = batches(&folder, begin);
        assert_eq!(ordinals(&made), (begin.max(there)..log.end_ordinal()).collect::<Vec<_>>(), "from {begin} on");
        let states: Vec<u8> = made.iter().flat_map(|batch| &batch.rows.bbo).map(|bbo| bbo.state).collect();
        assert!(states.contains(&SUSPECT), "{states:?}");
    }
}

/// A log that begins in the middle of a session, without a checkpoint.
#[test]
fn without_its_first_segment_a_log_is_told_of_in_doubt() {
    let folder = recorded(&stream());
    let log = folder.log();
    let first_of_second = segment_of(&log, log.sessions()[1].ordinal);
    (first_of_second..log.segments().len()).for_each(|segment| lose(&log, segment));
    lose(&log, 0);
    let log = folder.log();
    let made = batches(&folder, 0);
    assert_eq!(ordinals(&made), (log.first_ordinal()..log.end_ordinal()).collect::<Vec<_>>());
}

/// A checkpoint behind where the next session began is no place to begin: nobody would be told of that.
#[test]
fn who_begins_in_doubt_tells_of_the_session_behind_though_its_beginning_is_lost_too() {
    let folder = recorded(&stream());
    let log = folder.log();
    let second = log.sessions()[1].ordinal;
    let saved = restore(&log, log.end_ordinal() - 50, false).expect("recorded");
    checkpoint_file::save(&folder.0, saved.head(), &saved.market, None).expect("writable");
    let lost = segment_of(&log, second);
    let there = log.segments()[lost + 1].first_ordinal;
    lose(&log, 0);
    lose(&log, lost);
    let log = folder.log();
    let made = batches(&folder, 0);
    assert_eq!(starts(&made), log.session_starts().expect("readable")[1..]);
    let expected = (log.first_ordinal()..second).chain(there..log.end_ordinal());
    assert_eq!(ordinals(&made), expected.collect::<Vec<_>>());
}

/// A mark that opens the segment behind a lost one counts, though the books there come from a checkpoint.
#[test]
fn a_doubt_behind_a_lost_segment_stays() {
    const FRAME_RECORDS: usize = 100;
    let (stream, folder) = (stream(), Folder::new());
    let settings = Settings {
        fsync_records: FRAME_RECORDS as u64,
        fsync_ms: 3_600_000,
        segment_bytes_max: 1,
        ..Settings::default()
    };
    let mut recorder = folder.recorder(settings);
    let mut feed = WatchedFeed::new(Rules::default());
    recorder.begin(&mut feed.market, Some("marks:")).expect("an empty market");
    for (at, piece) in stream.chunks(FRAME_RECORDS * MBO_BYTES).enumerate() {
        if at == 4 {
            assert_eq!(feed.doubt(&"by hand".into(), None), 2);
        }
        feed.feed(piece).expect("good records");
        assert!(recorder.flush(PATIENCE));
    }
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    let behind = 4 * FRAME_RECORDS as u64;
    assert_eq!(log.segments()[4].first_ordinal, behind);
    checkpoints(&folder.0, &[behind]);
    let states = |log: &Log| {
        let there = restore(log, behind + 50, false).expect("recorded").market;
        there.books().map(|(_, book)| book.state()).collect::<Vec<_>>()
    };
    assert_eq!(states(&log), [State::Suspect; 2]);
    lose(&log, 3);
    assert_eq!(states(&folder.log()), [State::Suspect; 2]);
    let made = batches(&folder, 0);
    let last = made.last().expect("batches").rows.bbo.iter().map(|bbo| bbo.state).collect::<Vec<_>>();
    assert_eq!(last, [SUSPECT; 2]);
}

/// Ordinals that a checkpoint knows of are those of other records, also once these are gone.
#[test]
fn what_a_checkpoint_knows_of_is_no_other_records_place() {
    let stream = stream();
    let folder = recorded(&stream);
    let log = folder.log();
    let end = log.end_ordinal();
    let saved = restore(&log, end - 10, false).expect("recorded");
    checkpoint_file::save(&folder.0, saved.head(), &saved.market, None).expect("writable");
    let last = log.segments().len() - 1;
    let left = log.segments()[last].first_ordinal;
    lose(&log, last);
    let mut recorder = folder.recorder(Settings::default());
    assert_eq!((recorder.recovered().end_ordinal, recorder.recovered().next_ordinal), (left, end - 10));
    let mut market = restore(&folder.log(), left, false).expect("recorded").market;
    recorder.begin(&mut market, None).expect("a market at the log's end");
    apply(&mut market, &stream[100 * MBO_BYTES..200 * MBO_BYTES]);
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    let [hole] = log.holes().try_into().expect("one hole");
    assert_eq!((hole.first, hole.end, hole.reason.as_str()), (left, end - 10, "the segment is missing or damaged"));
    let there = restore(&log, log.end_ordinal(), false).expect("recorded").market;
    assert_eq!(there.fingerprint(), market.fingerprint());
}

fn damages(log: &Log) -> Vec<(u64, u64)> {
    let verdict = log.verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
    verdict.damages.iter().map(|damage| (damage.ordinal, damage.end_ordinal)).collect()
}

#[test]
fn every_lost_segment_is_named_and_all_damage_behind_it() {
    let folder = recorded_in(&stream(), 1);
    let log = folder.log();
    let ordinals: Vec<_> = log.segments().iter().map(|segment| segment.first_ordinal).collect();
    assert!(ordinals.len() > 8, "{ordinals:?}");
    lose(&log, 2);
    lose(&log, 5);
    let frame = log.frames()[log.frames_of(6).end - 1].entry;
    let path = &log.segments()[6].path;
    let mut bytes = fs::read(path).expect("a segment");
    bytes[frame.offset as usize + 10] ^= 4;
    fs::write(path, bytes).expect("a writable file");
    fs::File::options()
        .write(true)
        .open(&log.segments()[7].path)
        .expect("a segment")
        .set_len(frame.offset)
        .expect("cut");
    let there = folder.log();
    let frames = |segment: usize| log.frames().range(log.frames_of(segment)).map(|frame| frame.entry);
    let cut = frames(7).find(|entry| entry.end_offset() > frame.offset).expect("beyond the cut");
    let expected = [
        (ordinals[2], ordinals[3]),
        (ordinals[5], ordinals[6]),
        (frame.first_ordinal, frame.end_ordinal()),
        (cut.first_ordinal, ordinals[8]),
    ];
    assert_eq!(damages(&there), expected);
    let verdict = there.verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
    assert_eq!(verdict.segments as usize, log.segments().len() - 4);
    let lost: u64 = expected.iter().map(|(first, end)| end - first).sum();
    assert_eq!(verdict.records, log.end_ordinal() - lost);
}

/// What was removed on purpose is none: whoever does so tells the log before.
#[test]
fn a_lost_first_segment_is_a_hole() {
    let folder = recorded(&stream());
    let log = folder.log();
    let ordinals: Vec<_> = log.segments().iter().map(|segment| segment.first_ordinal).collect();
    log.keep_from(ordinals[2]).expect("a writable folder");
    assert_eq!((folder.log().kept_from(), damages(&folder.log())), (0, vec![]), "nothing is removed yet");
    lose(&log, 0);
    lose(&log, 1);
    let kept = folder.log();
    assert_eq!((kept.kept_from(), kept.holes(), damages(&kept)), (ordinals[2], vec![], vec![]));

    lose(&log, 2);
    let there = folder.log();
    let [hole] = there.holes().try_into().expect("one hole");
    assert_eq!((hole.first, hole.end), (ordinals[2], ordinals[3]));
    assert_eq!(damages(&there), [(ordinals[2], ordinals[3])]);
    drop(folder.recorder(Settings::default()));
    assert_eq!(folder.log().holes(), [hole], "no start forgets it");
}

#[test]
fn a_log_of_an_earlier_version_begins_where_the_next_start_finds_it() {
    let folder = recorded(&stream());
    let log = folder.log();
    fs::remove_file(folder.0.join("log/kept-from")).expect("told");
    lose(&log, 0);
    let begin = log.segments()[1].first_ordinal;
    assert_eq!((folder.log().kept_from(), folder.log().holes(), damages(&folder.log())), (begin, vec![], vec![]));
    drop(folder.recorder(Settings::default()));
    lose(&log, 1);
    assert_eq!(damages(&folder.log()), [(begin, log.segments()[2].first_ordinal)]);
}

/// … and begins with its first segment, not with the first of which something can be read.
#[test]
fn a_log_of_an_earlier_version_whose_first_segment_cannot_be_read_still_begins_with_it() {
    let folder = recorded(&stream());
    let log = folder.log();
    fs::remove_file(folder.0.join("log/kept-from")).expect("told");
    let first = &log.segments()[0].path;
    fs::write(first, b"nothing of this is a frame").expect("a writable folder");
    fs::remove_file(first.with_extension("").with_extension("index")).expect("an index");
    let there = folder.log();
    assert_eq!(there.kept_from(), 0);
    assert!(there.holes().iter().all(|hole| hole.first <= hole.end), "{:?}", there.holes());
    assert!(damages(&there).iter().all(|(ordinal, end)| ordinal <= end), "{:?}", damages(&there));
    assert!(damages(&there).contains(&(0, log.segments()[1].first_ordinal)), "{:?}", damages(&there));
}

/// Ordinals of what is not kept any more were given, too.
#[test]
fn no_ordinal_is_given_again_where_all_segments_are_lost() {
    let folder = recorded(&stream());
    let log = folder.log();
    log.keep_from(log.segments()[2].first_ordinal).expect("a writable folder");
    (0..log.segments().len()).for_each(|segment| lose(&log, segment));
    assert_eq!(folder.recorder(Settings::default()).next_ordinal(), log.segments()[2].first_ordinal);
}
