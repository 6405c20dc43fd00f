//! What a restart makes of a damaged log: nothing that was durable is lost without a word, nothing comes twice.

#![allow(missing_docs)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use l3book::{
    event::{Rules, State},
    history::{
        Indexer, IndexerSettings, Log, Past, Settings, checkpoint_file,
        index::{self, ENTRY_BYTES, HEADER_BYTES},
        layout::beside,
        restore,
    },
    market::Market,
    record::MBO_BYTES,
};
use support::recorded::{Folder, PATIENCE, apply, assert_good, replayed, segment_paths, simulated};

const RECORDS: usize = 700;
/// The last frame of each segment is short, so that each of its bytes can be tried.
const LAST_RECORDS: usize = 12;

fn stream() -> Vec<u8> {
    let mut bytes = simulated(2 * RECORDS, 2, 17);
    bytes.truncate(2 * RECORDS * MBO_BYTES);
    bytes
}

/// A history of the stream's first half, in one segment of several frames.
fn recorded(folder: &Folder, stream: &[u8]) -> Market {
    let mut market = Market::new(Rules::default());
    let mut recorder = folder.recorder(Settings { fsync_records: 250, ..Settings::default() });
    recorder.begin(&mut market, Some("damage:")).expect("an empty market");
    let (most, last) = stream[..RECORDS * MBO_BYTES].split_at((RECORDS - LAST_RECORDS) * MBO_BYTES);
    apply(&mut market, most);
    assert!(recorder.flush(PATIENCE));
    apply(&mut market, last);
    assert!(recorder.close(PATIENCE));
    market
}

/// The files of the one segment.
fn files(folder: &Folder) -> (PathBuf, PathBuf) {
    let [segment] = segment_paths(&folder.0).try_into().expect("one segment");
    let index = beside(&segment, "index");
    (segment, index)
}

/// The market that the first records of a stream make.
fn market_of(stream: &[u8], records: u64) -> Market {
    let mut market = Market::new(Rules::default());
    apply(&mut market, &stream[..records as usize * MBO_BYTES]);
    market
}

/// Restarts on what is left, goes on with the stream as a resumed source would, and holds the log against it. Returns where
/// it went on, and which ordinal that got.
fn restart(folder: &Folder, stream: &[u8]) -> (u64, u64) {
    let mut recorder = folder.recorder(Settings { fsync_records: 250, ..Settings::default() });
    let recovered = recorder.recovered().clone();
    let (end, next) = (recovered.end_ordinal, recovered.next_ordinal);
    let mut market = market_of(stream, end);
    let session = recovered.session.is_none().then_some("damage:");
    recorder.begin(&mut market, session).expect("a market at the log's end");
    apply(&mut market, &stream[end as usize * MBO_BYTES..]);
    assert!(recorder.close(PATIENCE));
    let log = folder.log();
    assert_good(&log);
    let (bytes, replayed) = replayed(&log);
    assert_eq!(bytes, stream, "each record once, in order");
    if end == next {
        assert_eq!(log.holes(), vec![]);
        assert_eq!(replayed.fingerprint(), market.fingerprint());
    } else {
        let [hole] = log.holes().try_into().expect("one hole");
        assert_eq!((hole.first, hole.end), (end, next));
        assert!(hole.reason.contains("damaged"), "{}", hole.reason);
    }
    (end, next)
}

fn cut(path: &Path, len: usize) {
    let bytes = fs::read(path).expect("a file");
    fs::write(path, &bytes[..len]).expect("a writable file");
}

/// As a killed writer leaves it: the last frame is not whole, and no entry knows of it.
#[test]
fn a_last_frame_cut_anywhere_is_forgotten() {
    let stream = stream();
    let whole = Folder::new();
    recorded(&whole, &stream);
    let last = whole.log().frames().last().expect("frames").entry;
    for len in last.offset..=last.end_offset() {
        let folder = Folder::new();
        recorded(&folder, &stream);
        let (segment, index) = files(&folder);
        cut(&segment, len as usize);
        let entries = fs::metadata(&index).expect("an index").len() as usize;
        cut(&index, entries - ENTRY_BYTES);
        let is_whole = len == last.end_offset();
        let end = if is_whole { last.end_ordinal() } else { last.first_ordinal };
        assert_eq!(restart(&folder, &stream), (end, end), "cut at {len}");
    }
}

/// What an index vouched for may have been read: its ordinals are not given out again.
#[test]
fn a_vouched_frame_that_is_cut_leaves_a_hole() {
    let stream = stream();
    let whole = Folder::new();
    recorded(&whole, &stream);
    let last = whole.log().frames().last().expect("frames").entry;
    for len in (last.offset..last.end_offset()).step_by(29) {
        let folder = Folder::new();
        recorded(&folder, &stream);
        cut(&files(&folder).0, len as usize);
        assert_eq!(restart(&folder, &stream), (last.first_ordinal, last.end_ordinal()), "cut at {len}");
    }
}

/// Behind what was cut off, a new session begins with its own records, not where the one before ends.
#[test]
fn a_session_behind_damage_begins_with_its_first_record() {
    let stream = stream();
    let folder = Folder::new();
    recorded(&folder, &stream);
    let (segment, _) = files(&folder);
    cut(&segment, fs::metadata(&segment).expect("a segment").len() as usize - 1);
    let settings = Settings { fsync_records: 250, segment_bytes_max: 1, ..Settings::default() };
    let mut recorder = folder.recorder(settings);
    let (end, next) = (recorder.recovered().end_ordinal, recorder.recovered().next_ordinal);
    assert!(end < next);
    // One that no record comes of must not take the hole's mark with it.
    recorder.begin(&mut Market::new(Rules::default()), Some("nothing:")).expect("an empty market");
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("new:")).expect("an empty market");
    apply(&mut market, &stream);
    assert!(recorder.close(PATIENCE));

    let mut log = folder.log();
    assert_good(&log);
    let begins = |log: &Log| log.sessions().iter().map(|session| session.ordinal).collect::<Vec<_>>();
    assert_eq!(begins(&log), [0, next]);
    let settings =
        IndexerSettings { ordinal: 0, checkpoint_records: 1_000, keeps_checkpoints: true, keeps_records: false };
    let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
    let batches: Vec<_> = std::iter::from_fn(|| indexer.advance(10_000).expect("a good log")).collect();
    let told: Vec<u64> = batches.iter().flat_map(|batch| &batch.sessions).map(|session| session.ordinal).collect();
    let holes: Vec<_> = batches.iter().flat_map(|batch| batch.holes.clone()).collect();
    assert_eq!((told, holes), (vec![0, next], log.holes()));
    assert!(log.holes()[0].reason.contains("damaged"), "{:?}", log.holes());
    let saved = batches.iter().find_map(|batch| batch.checkpoint.clone()).expect("one that was due");
    let head = *checkpoint_file::CheckpointFile::open(&saved.path).expect("readable").head();
    assert_eq!(head.session, next);

    let expected = [(end, market_of(&stream, end)), (log.end_ordinal(), market)];
    for (ordinal, market) in &expected {
        let there = restore(&log, *ordinal, false).expect("recorded");
        assert_eq!(there.market.fingerprint(), market.fingerprint(), "ordinal {ordinal}");
    }
    // Retention may leave nothing but what a checkpoint is for.
    for pair in log.segments().windows(2).filter(|pair| pair[1].first_ordinal <= saved.ordinal) {
        fs::remove_file(&pair[0].path).expect("there");
        fs::remove_file(beside(&pair[0].path, "index")).expect("there");
    }
    log.refresh().expect("readable");
    assert!(log.first_ordinal() > next);
    let there = restore(&log, log.end_ordinal(), false).expect("recorded");
    assert_eq!(there.market.fingerprint(), expected[1].1.fingerprint());
}

/// Any byte, of any frame: the frames before it stay, nothing of it or behind it is believed.
#[test]
fn a_flipped_byte_is_found_and_cut_off() {
    let stream = stream();
    let whole = Folder::new();
    recorded(&whole, &stream);
    let log = whole.log();
    let (first, last) = (log.frames()[0].entry, log.frames().last().expect("frames").entry);
    let every = (first.offset..last.offset).step_by(509).chain((last.offset..last.end_offset()).step_by(11));
    for at in every {
        let folder = Folder::new();
        recorded(&folder, &stream);
        let (segment, _) = files(&folder);
        let mut bytes = fs::read(&segment).expect("a segment");
        bytes[at as usize] ^= 0x10;
        fs::write(&segment, bytes).expect("a writable file");
        let damaged = log.frames().iter().find(|frame| frame.entry.end_offset() > at).expect("a frame").entry;
        let verdict = folder.log().verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
        assert_eq!(verdict.damages.first().expect("damage").offset, damaged.offset, "byte {at}");
        let damaged_bytes = fs::read(&segment).expect("a segment");
        let expected = (damaged.first_ordinal, last.end_ordinal());
        assert_eq!(restart(&folder, &stream), expected, "byte {at}");
        let aside = segment.with_extension("zst.damaged");
        assert_eq!(fs::read(aside).expect("what was cut off"), damaged_bytes, "nothing is destroyed");
    }
}

type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn an_index_is_made_anew_wherever_it_is_damaged() {
    let stream = stream();
    let whole = Folder::new();
    recorded(&whole, &stream);
    let len = fs::metadata(files(&whole).1).expect("an index").len() as usize;
    let damages: [Damage; 4] = [
        &|bytes| bytes.clear(),
        &|bytes| bytes[3] ^= 1,
        &|bytes| bytes[HEADER_BYTES + ENTRY_BYTES + 9] ^= 1,
        &|bytes| bytes.truncate(len - ENTRY_BYTES / 2),
    ];
    for damage in damages {
        let folder = Folder::new();
        recorded(&folder, &stream);
        let (_, index) = files(&folder);
        let good = fs::read(&index).expect("an index");
        let mut bytes = good.clone();
        damage(&mut bytes);
        fs::write(&index, bytes).expect("a writable file");
        let recorder = folder.recorder(Settings::default());
        assert_eq!(recorder.recovered().indexes_rebuilt, 1);
        assert_eq!((recorder.recovered().bytes_cut, recorder.recovered().frames_cut), (0, 0));
        assert_eq!(fs::read(&index).expect("an index"), good);
        drop(recorder);
        assert_eq!(restart(&folder, &stream), (RECORDS as u64, RECORDS as u64));
    }
    let folder = Folder::new();
    recorded(&folder, &stream);
    fs::remove_file(files(&folder).1).expect("an index");
    assert_eq!(replayed(&folder.log()).0, stream[..RECORDS * MBO_BYTES], "a reader does without");
    assert!(!files(&folder).1.exists(), "and writes none");
    assert_eq!(restart(&folder, &stream), (RECORDS as u64, RECORDS as u64));
}

#[test]
fn damage_in_an_older_segment_is_named_and_nothing_is_touched() {
    let stream = stream();
    let folder = Folder::new();
    recorded(&folder, &stream);
    restart(&folder, &stream);
    let paths = segment_paths(&folder.0);
    let mut bytes = fs::read(&paths[0]).expect("a segment");
    let at = bytes.len() - 40;
    bytes[at] ^= 4;
    fs::write(&paths[0], &bytes).expect("a writable file");
    let recorder = folder.recorder(Settings::default());
    assert_eq!((recorder.recovered().bytes_cut, recorder.recovered().indexes_rebuilt), (0, 0));
    assert_eq!(recorder.next_ordinal(), 2 * RECORDS as u64);
    assert_eq!(fs::read(&paths[0]).expect("a segment"), bytes);
    let log = folder.log();
    let verdict = log.verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
    let [damage] = verdict.damages.try_into().expect("one damage");
    assert_eq!(damage.path, paths[0]);
    assert!(damage.what.contains("XXH3"), "{}", damage.what);
    let mut cursor = log.cursor(0);
    let error = loop {
        match cursor.next(&log) {
            Ok(item) => assert!(item.is_some(), "the damage was passed over"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains(&paths[0].display().to_string()), "{error}");
}

#[test]
fn a_damaged_index_is_named_by_verify() {
    let stream = stream();
    let folder = Folder::new();
    recorded(&folder, &stream);
    restart(&folder, &stream);
    for path in segment_paths(&folder.0) {
        let index = beside(&path, "index");
        let good = fs::read(&index).expect("an index");
        let mut bytes = good.clone();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&index, &bytes).expect("a writable file");
        let verdict = folder.log().verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
        let [damage] = verdict.damages.try_into().expect("one damage");
        assert_eq!((damage.path, damage.offset as usize), (index.clone(), good.len() - ENTRY_BYTES));
        fs::write(&index, &good).expect("a writable file");
    }
    assert_good(&folder.log());
}

/// A segment that was begun when the power failed, with nothing in it that holds a record.
#[test]
fn a_segment_without_a_record_is_removed() {
    let stream = stream();
    let whole = Folder::new();
    recorded(&whole, &stream);
    let first = whole.log().frames()[1].entry;
    for len in [0, 1, first.offset as usize - 3, first.offset as usize, first.offset as usize + 5] {
        let folder = Folder::new();
        recorded(&folder, &stream);
        let (segment, index) = files(&folder);
        cut(&segment, len);
        fs::write(&index, index::header()).expect("a writable file");
        let recorder = folder.recorder(Settings::default());
        assert!(recorder.recovered().is_new, "{:?}", recorder.recovered());
        assert!(!segment.exists() && !index.exists());
        drop(recorder);
        assert_eq!(restart(&folder, &stream), (0, 0), "cut at {len}");
    }
}

#[test]
fn a_log_is_readable_without_the_right_to_write() {
    let stream = stream();
    let folder = Folder::new();
    recorded(&folder, &stream);
    let before = listing(&folder.0);
    let log: Log = folder.log();
    assert_good(&log);
    replayed(&log);
    assert_eq!(listing(&folder.0), before, "reading writes nothing");
}

fn listing(path: &Path) -> Vec<(PathBuf, u64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("an entry").path();
        all.push((path.clone(), fs::metadata(&path).expect("an entry").len()));
        if path.is_dir() {
            all.extend(listing(&path));
        }
    }
    all.sort();
    all
}

/// Two sessions of the stream in turn, each in several segments, and the last segment of a third.
fn recorded_in_segments(folder: &Folder, stream: &[u8]) {
    let settings = Settings { fsync_records: 100, segment_bytes_max: 6_000, ..Settings::default() };
    for uri in ["first:", "second:", "third:"] {
        let mut recorder = folder.recorder(settings);
        let mut market = Market::new(Rules::default());
        recorder.begin(&mut market, Some(uri)).expect("an empty market");
        for piece in stream[..RECORDS * MBO_BYTES].chunks(100 * MBO_BYTES) {
            apply(&mut market, piece);
            assert!(recorder.flush(PATIENCE));
        }
        assert!(recorder.close(PATIENCE));
    }
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).expect("a segment");
    bytes[at as usize] ^= 4;
    fs::write(path, bytes).expect("a writable file");
}

/// What an indexer makes of all of a log: where it ends, its trades, sessions and holes.
fn indexed(folder: &Folder) -> (u64, usize, Vec<u64>, Vec<(u64, u64)>) {
    let settings =
        IndexerSettings { ordinal: 0, checkpoint_records: 1_000_000, keeps_checkpoints: false, keeps_records: false };
    let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
    let batches: Vec<_> = std::iter::from_fn(|| indexer.advance(10_000).expect("readable")).collect();
    let trades = batches.iter().map(|batch| batch.rows.trades.len()).sum();
    let sessions = batches.iter().flat_map(|batch| &batch.sessions).map(|session| session.ordinal).collect();
    let holes = batches.iter().flat_map(|batch| &batch.holes).map(|hole| (hole.first, hole.end)).collect();
    (indexer.next_ordinal(), trades, sessions, holes)
}

/// A frame that an older segment begins with holds no record: all of them are read, of the session that they were of.
#[test]
fn a_damaged_beginning_of_an_older_segment_costs_no_record() {
    let stream = stream();
    let whole = Folder::new();
    recorded_in_segments(&whole, &stream);
    let log = whole.log();
    assert!(log.segments().len() >= 6 && log.sessions().len() == 3, "{}", log.segments().len());
    let (bytes, market) = replayed(&log);
    let (end, trades, sessions, _) = indexed(&whole);
    for segment in 0..log.segments().len() - 1 {
        let opening = log.frames()[log.frames_of(segment).start].entry;
        for at in [opening.offset / 2, opening.offset + u64::from(opening.frame_bytes) / 2] {
            let place = format!("segment {segment}, byte {at}");
            let folder = Folder::new();
            recorded_in_segments(&folder, &stream);
            let path = &segment_paths(&folder.0)[segment];
            flip(path, at);
            let damaged = fs::read(path).expect("a segment");

            let mut recorder = folder.recorder(Settings::default());
            let recovered = recorder.recovered();
            assert_eq!((recovered.end_ordinal, recovered.bytes_cut), (end, 0), "{place}");
            let [said] = &recovered.damages[..] else { panic!("{place}: {:?}", recovered.damages) };
            assert!(said.contains(&path.display().to_string()) && said.contains("XXH3"), "{said}");

            let first = log.segments()[segment].first_ordinal;
            let there = folder.log();
            let [hole] = there.holes().try_into().expect("one hole");
            assert_eq!((hole.first, hole.end), (first, first), "{place}");
            assert!(hole.reason.contains("damaged"), "{}", hole.reason);
            let places = |log: &Log| log.sessions().iter().map(|s| (s.ordinal, s.end_ordinal)).collect::<Vec<_>>();
            assert_eq!(places(&there), places(&log), "{place}");
            let (read, moved) = replayed(&there);
            assert_eq!((read == bytes, moved.fingerprint()), (true, market.fingerprint()), "{place}");
            let found = indexed(&folder);
            assert_eq!((found.0, found.1, &found.2, found.3.len()), (end, trades, &sessions, 0), "{place}");
            let past = Past::open(&folder.0).expect("what is good can be asked for");
            assert!(past.range().expect("a log").iter().all(|reach| reach.begin < u64::MAX), "{place}");
            let verdict = there.verify::<l3book::history::HistoryError>(|_| Ok(())).expect("readable");
            assert_eq!(&verdict.damages.first().expect("damage").path, path, "{place}");

            recorder.begin(&mut Market::new(Rules::default()), Some("more:")).expect("an empty market");
            assert!(recorder.close(PATIENCE));
            assert_eq!(fs::read(path).expect("a segment"), damaged, "nothing is touched");
        }
    }
}

/// The index of an earlier version does not say whether a session begins with the marks that are damaged, and nothing else
/// does: then the books go on, in doubt.
#[test]
fn where_nothing_says_whose_records_come_the_books_are_in_doubt() {
    let stream = stream();
    let folder = Folder::new();
    recorded_in_segments(&folder, &stream);
    let log = folder.log();
    let sessions = log.sessions();
    let last = (0..log.segments().len()).rfind(|at| log.segments()[*at].first_ordinal < sessions[1].ordinal);
    let (at, path) = (last.expect("segments"), segment_paths(&folder.0));
    let path = &path[at];
    let opening = log.frames()[log.frames_of(at).start].entry;
    flip(path, opening.offset + 20);
    let index_path = beside(path, "index");
    let mut index = fs::read(&index_path).expect("an index");
    let old = index::Entry { flags: opening.flags & !(index::flags::BEGINS | index::flags::CONTINUES), ..opening };
    index[HEADER_BYTES + ENTRY_BYTES..][..ENTRY_BYTES].copy_from_slice(&old.to_bytes());
    fs::write(&index_path, index).expect("a writable file");

    let first = log.segments()[at].first_ordinal;
    let there = folder.log();
    assert_eq!(there.sessions(), sessions);
    let [hole] = there.holes().try_into().expect("one hole");
    assert_eq!((hole.first, hole.end), (first, first));
    let books = restore(&there, first + 1, false).expect("recorded").market;
    assert!(books.books().all(|(_, book)| book.state() == State::Suspect), "not known to be right");
    let next = sessions[1].ordinal + 300;
    let [books, expected] = [&there, &log].map(|log| restore(log, next, false).expect("recorded").market.fingerprint());
    assert_eq!(books, expected, "the next session's are as they were");
}

/// Records that are damaged are a hole to whoever makes tables, wherever they are; what is behind them is told.
#[test]
fn tables_are_made_of_what_is_behind_a_damaged_frame() {
    let stream = stream();
    let folder = Folder::new();
    recorded_in_segments(&folder, &stream);
    let (end, trades, sessions, holes) = indexed(&folder);
    assert_eq!(holes, []);
    let log = folder.log();
    let second = log.sessions()[1].ordinal;
    let at = log.find_ordinal(second);
    let frame = log.frames()[at];
    flip(&log.segments()[frame.segment].path, frame.entry.offset + 30);
    let found = indexed(&folder);
    assert_eq!((found.0, found.2), (end, sessions));
    assert_eq!(found.3, [(second, second + 100)]);
    assert!(found.1 > trades * 2 / 3, "{} of {trades} trades, of which as many are in each session", found.1);
    let past = Past::open(&folder.0).expect("what is good can be asked for");
    let reaches = past.range().expect("a log");
    assert_eq!(reaches.iter().map(|reach| reach.session.ordinal).collect::<Vec<_>>(), [0, second, 2 * second]);
    assert_eq!(reaches[1].begin, frame.entry.ts_recv.min);
}
