//! What an indexer derives from a log, held against the records themselves: rows by the slow model, lives of orders by
//! looking through everything, whole books by adding up their levels.

#![allow(missing_docs)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use l3book::{
    decode::{Position, Sink},
    event::Rules,
    history::{Batch, Hole, Indexer, IndexerSettings, Settings, checkpoint_file, layout, orders, restore},
    market::{Key, Market},
    record::{MBO_BYTES, MboMsg, Side, mbo_bytes, read_mbo},
};
use proptest::prelude::*;
use support::{
    hostile,
    recorded::{Folder, PATIENCE, apply, simulated},
    rows_model::{Made, Model, NS_PER_S, Step, difference},
};

fn settings(ordinal: u64) -> IndexerSettings {
    IndexerSettings { ordinal, checkpoint_records: 1_000_000, keeps_checkpoints: true, keeps_records: true }
}

/// Small frames and segments, so that a little has many.
fn small(fsync_records: u64) -> Settings {
    Settings { fsync_records, segment_bytes_max: 16 << 10, ..Settings::default() }
}

/// Records sessions, each of a market of its own.
fn record(folder: &Folder, settings: Settings, sessions: &[Vec<MboMsg>]) {
    let mut recorder = folder.recorder(settings);
    for (at, session) in sessions.iter().enumerate() {
        let mut market = Market::new(Rules::default());
        recorder.begin(&mut market, Some(&format!("test:{at}"))).expect("an empty market");
        for record in session {
            market.mbo(mbo_bytes(record), MBO_BYTES, Position::default());
        }
        recorder.end(&mut market);
    }
    assert!(recorder.close(PATIENCE));
}

/// All batches from an ordinal on.
fn batches(folder: &Folder, settings: IndexerSettings, records_max: usize) -> Vec<Batch> {
    let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
    let batches = std::iter::from_fn(|| indexer.advance(records_max).expect("a good log")).collect();
    assert!(indexer.take_error().is_none());
    batches
}

fn records_of(bytes: &[u8]) -> Vec<MboMsg> {
    bytes.chunks_exact(MBO_BYTES).map(read_mbo).collect()
}

/// Every record of a log by its order, the plain way.
fn lives(sessions: &[Vec<MboMsg>]) -> BTreeMap<(Key, u64), Vec<(u64, MboMsg)>> {
    let mut lives: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (ordinal, record) in (0..).zip(sessions.iter().flatten()) {
        lives.entry((Key::of(record), record.order_id)).or_default().push((ordinal, *record));
    }
    lives
}

fn life(folder: &Folder, (key, order_id): (Key, u64), limit: usize) -> (Vec<(u64, MboMsg)>, orders::Life) {
    let life = orders::life(&folder.log(), key, order_id, limit).expect("a good log");
    (life.ordinals.iter().copied().zip(life.records.iter().copied()).collect(), life)
}

fn filter_paths(folder: &Folder) -> Vec<PathBuf> {
    let log = folder.log();
    log.segments().iter().map(|segment| layout::beside(&segment.path, "orders")).collect()
}

fn cases(cases: u32) -> ProptestConfig {
    let cases = std::env::var("L3BOOK_INDEXER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(24))]

    /// Stops anywhere and goes on from where the last batch says, with an indexer that knows nothing; checkpoints come
    /// and go meanwhile, frames and segments end anywhere.
    #[test]
    fn rows_are_those_of_the_model_however_often_an_indexer_begins_anew(
        sessions in prop::collection::vec(prop::collection::vec(any::<u8>(), 8..8 * 120), 1..4),
        steps_ns in prop::collection::vec(prop::sample::select(vec![0, NS_PER_S / 4, NS_PER_S / 4, NS_PER_S, 90 * NS_PER_S]), 1..9),
        sizes in prop::collection::vec(1_usize..90, 1..12),
        (fsync_records, checkpoint_records) in (1_u64..60, 1_u64..100),
    ) {
        let folder = Folder::new();
        let mut ts_recv = hostile::T0;
        let mut timed = |mut record: MboMsg, step: &u64| {
            ts_recv += step;
            record.ts_recv = ts_recv;
            record
        };
        let sessions: Vec<Vec<MboMsg>> = sessions
            .iter()
            .map(|bytes| hostile::records(bytes, 3).into_iter().zip(steps_ns.iter().cycle()).map(|(r, s)| timed(r, s)).collect())
            .collect();
        record(&folder, small(fsync_records), &sessions);
        let mut steps = Vec::new();
        for session in &sessions {
            steps.push(Step::Session);
            steps.extend(session.iter().map(|record| Step::Record(*record)));
        }
        let (mut made, mut begun, mut ordinal) = (Made::default(), BTreeSet::new(), 0);
        let mut sizes = sizes.iter().cycle();
        let open = |ordinal| Indexer::open(&folder.0, IndexerSettings { checkpoint_records, ..settings(ordinal) });
        let mut indexer = open(ordinal).expect("a log");
        while let Some(batch) = indexer.advance(*sizes.next().expect("endless")).expect("a good log") {
            made.add(&batch.rows);
            begun.extend(batch.sessions.iter().map(|session| session.ordinal));
            prop_assert_eq!(batch.end_ordinal, indexer.next_ordinal());
            prop_assert_eq!(batch.records.len() as u64, batch.end_ordinal - batch.first_ordinal);
            prop_assert!(batch.resume_ordinal >= ordinal && batch.resume_ordinal <= batch.end_ordinal);
            ordinal = batch.resume_ordinal;
            if sizes.next().expect("endless") % 3 == 0 {
                let stopped_at = indexer.next_ordinal();
                indexer = open(ordinal).expect("a log");
                let again = indexer.advance((stopped_at - ordinal) as usize).expect("a good log");
                again.iter().for_each(|batch| made.add(&batch.rows));
            }
        }
        prop_assert!(indexer.take_error().is_none());
        prop_assert_eq!(difference(&made.without_ordinals(), &Model::rows(&steps).without_ordinals()), None);
        let starts: BTreeSet<u64> = folder.log().sessions().iter().map(|session| session.ordinal).collect();
        prop_assert_eq!(begun.len(), starts.len());
    }

    /// With all filters, some, none, and some that are damaged.
    #[test]
    fn the_life_of_an_order_is_what_looking_through_everything_finds(
        sessions in prop::collection::vec(prop::collection::vec(any::<u8>(), 8..8 * 150), 1..5),
        (fsync_records, limit) in (1_u64..60, 0_usize..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..4), 0..4),
    ) {
        let folder = Folder::new();
        let sessions: Vec<Vec<MboMsg>> = sessions.iter().map(|bytes| hostile::records(bytes, 3)).collect();
        record(&folder, small(fsync_records), &sessions);
        batches(&folder, settings(0), 1_000);
        let paths: Vec<PathBuf> = filter_paths(&folder).into_iter().filter(|path| path.exists()).collect();
        for (path, place, what) in damage {
            let Some(path) = paths.get(path.index(paths.len().max(1))).filter(|path| path.exists()) else { continue };
            let mut bytes = fs::read(path).expect("readable");
            match what {
                0 => fs::remove_file(path).expect("there"),
                1 => bytes.truncate(place.index(bytes.len())),
                _ => {
                    let at = place.index(bytes.len());
                    bytes[at] ^= 1 << what;
                }
            }
            if what > 0 {
                fs::write(path, bytes).expect("writable");
            }
        }
        for (order, mut expected) in lives(&sessions) {
            let is_cut = expected.len() > limit;
            expected.drain(..expected.len().saturating_sub(limit));
            let (found, life) = life(&folder, order, limit);
            prop_assert_eq!(found, expected);
            prop_assert_eq!(life.is_cut, is_cut);
        }
        let nobody = Key { publisher_id: 77, instrument_id: 1 };
        prop_assert!(life(&folder, (nobody, 1), 10).0.is_empty());
    }
}

/// Sizes and counts of all levels, by the rows in force.
fn levels(made: &Made) -> BTreeMap<(Key, u8, i64), (u64, u32)> {
    let mut last = BTreeMap::new();
    for ((key, ts, side, price), (ordinal, size, count)) in &made.levels {
        let newest = last.entry((*key, *side, *price)).or_insert((*ordinal, *ts, (*size, *count)));
        if (*ordinal, *ts) > (newest.0, newest.1) {
            *newest = (*ordinal, *ts, (*size, *count));
        }
    }
    let at_rest = last.into_iter().map(|(level, (_, _, totals))| (level, totals));
    at_rest.filter(|(_, (size, _))| *size > 0).collect()
}

fn levels_of(market: &Market) -> BTreeMap<(Key, u8, i64), (u64, u32)> {
    let mut levels = BTreeMap::new();
    for (key, book) in market.books() {
        for side in Side::BOTH {
            for level in book.book().levels(side) {
                levels.insert((key, side.letter() as u8, level.price), (level.size, level.count));
            }
        }
    }
    levels
}

fn simulated_session(records: usize, instruments: u32) -> Vec<MboMsg> {
    records_of(&simulated(records, instruments, 5))
}

#[test]
fn levels_add_up_to_the_books() {
    let folder = Folder::new();
    let session = simulated_session(60_000, 7);
    record(&folder, Settings::default(), std::slice::from_ref(&session));
    let mut made = Made::default();
    let mut symbols = BTreeSet::new();
    for batch in batches(&folder, settings(0), 7_777) {
        made.add(&batch.rows);
        symbols.extend(batch.instruments.iter().map(|one| one.key));
    }
    let mut market = Market::new(Rules::default());
    session.iter().for_each(|record| apply(&mut market, mbo_bytes(record)));
    assert_eq!(levels(&made), levels_of(&market));
    assert_eq!(symbols, market.books().map(|(key, _)| key).collect());
    assert!(made.trades.len() > 100);
}

/// What changed unseen is told behind the hole, again and again until its second is over: at once where a checkpoint stands
/// at its end, or else as soon as there is one.
#[test]
fn levels_add_up_to_the_books_behind_a_hole() {
    for records_behind in [0, 1, 4_321] {
        levels_add_up_behind_a_hole(records_behind);
    }
}

fn levels_add_up_behind_a_hole(records_behind: u64) {
    let folder = Folder::new();
    let session = simulated_session(60_000, 3);
    record(&folder, Settings { segment_bytes_max: 200 << 10, ..small(2_000) }, std::slice::from_ref(&session));
    let log = folder.log();
    assert!(log.segments().len() > 4, "{} segments", log.segments().len());
    let [gone, next] = [&log.segments()[1], &log.segments()[2]];
    let end = next.first_ordinal;
    let there = restore(&log, end + records_behind, false).expect("recorded");
    checkpoint_file::save(&folder.0, there.head(), &there.market, None).expect("writable");
    fs::remove_file(&gone.path).expect("there");
    fs::remove_file(layout::beside(&gone.path, "index")).expect("there");
    let hole = Hole { first: gone.first_ordinal, end, reason: "a segment is missing".into() };

    let mut made = Made::default();
    let mut ordinal = 0;
    let mut holes = 0;
    for size in [500, 20_000, 1, 10, 100, 1_000].into_iter().cycle() {
        // Checkpoints of books that are in doubt until a better one would be begun with.
        let settings = IndexerSettings { checkpoint_records: 1_000, ..settings(ordinal) };
        let mut indexer = Indexer::open(&folder.0, settings).expect("a log");
        // A second has more records than that: enough to get beyond it.
        let mut wanted = size + 15_000;
        let mut last = None;
        while let Some(batch) = indexer.advance(wanted).expect("a good log") {
            made.add(&batch.rows);
            assert!(batch.holes.iter().all(|passed| *passed == hole));
            holes += batch.holes.len();
            wanted -= (batch.end_ordinal - batch.first_ordinal).min(wanted as u64) as usize;
            last = Some(batch);
            if wanted == 0 {
                break;
            }
        }
        let Some(batch) = last else { break };
        if batch.end_ordinal == log.end_ordinal() {
            break;
        }
        ordinal = batch.resume_ordinal;
    }
    assert!(holes > 0);
    let mut market = Market::new(Rules::default());
    session.iter().for_each(|record| apply(&mut market, mbo_bytes(record)));
    assert_eq!(levels(&made), levels_of(&market), "with a checkpoint {records_behind} records behind the hole");
}

/// The synthetic market's times, far enough apart for a second to have few records.
fn slow(session: &mut [MboMsg]) {
    let start = session[0].ts_recv;
    for record in session {
        record.ts_recv = start + (record.ts_recv - start) * 100;
    }
}

#[test]
fn the_second_that_runs_is_all_that_is_made_anew() {
    let folder = Folder::new();
    let mut session = simulated_session(40_000, 3);
    slow(&mut session);
    record(&folder, Settings::default(), std::slice::from_ref(&session));
    for batch in batches(&folder, settings(0), 1_234) {
        let second = |ordinal: u64| session[ordinal as usize].ts_recv / NS_PER_S;
        assert_eq!(second(batch.resume_ordinal), second(batch.end_ordinal - 1));
        assert!(batch.resume_ordinal == 0 || second(batch.resume_ordinal - 1) < second(batch.resume_ordinal));
    }
}

#[test]
fn checkpoints_come_in_time_and_once() {
    let folder = Folder::new();
    record(&folder, small(1_000), &[simulated_session(30_000, 3)]);
    let every = |ordinal| IndexerSettings { checkpoint_records: 7_000, ..settings(ordinal) };
    let saved = |batches: &[Batch]| -> Vec<u64> {
        batches.iter().flat_map(|batch| &batch.checkpoint).map(|checkpoint| checkpoint.ordinal).collect()
    };
    let first = saved(&batches(&folder, every(0), 100_000));
    assert!(first.len() == 4 && first.is_sorted_by(|a, b| b - a >= 7_000 && b - a < 8_001), "{first:?}");
    for ordinal in &first {
        let file = checkpoint_file::CheckpointFile::open(&checkpoint_file::path_of(&folder.0, *ordinal));
        let market = file.expect("whole").market().expect("good");
        fs::remove_file(checkpoint_file::path_of(&folder.0, *ordinal)).expect("there");
        let replayed = restore(&folder.log(), *ordinal, false).expect("recorded");
        assert_eq!(market.fingerprint(), replayed.market.fingerprint());
        checkpoint_file::save(&folder.0, replayed.head(), &replayed.market, None).expect("writable");
    }
    assert!(saved(&batches(&folder, every(0), 100_000)).is_empty());
    let off = IndexerSettings { keeps_checkpoints: false, checkpoint_records: 1, ..settings(0) };
    assert!(saved(&batches(&folder, off, 100_000)).is_empty());
}

#[test]
fn an_indexer_follows_a_log_that_grows_and_comes_back_from_its_end() {
    let folder = Folder::new();
    let mut recorder = folder.recorder(Settings::default());
    let mut market = Market::new(Rules::default());
    let mut indexer = Indexer::open(&folder.0, settings(0)).expect("an empty log");
    assert!(indexer.advance(10).expect("a log").is_none());
    recorder.begin(&mut market, Some("test:")).expect("an empty market");
    let mut made = Made::default();
    let session = simulated_session(9_000, 2);
    for piece in session.chunks(3_000) {
        piece.iter().for_each(|record| apply(&mut market, mbo_bytes(record)));
        assert!(recorder.flush(PATIENCE));
        while let Some(batch) = indexer.advance(usize::MAX).expect("a good log") {
            made.add(&batch.rows);
        }
        assert_eq!(indexer.next_ordinal(), market.records_taken());
    }
    assert_eq!(levels(&made), levels_of(&market));
    let beyond = Indexer::open(&folder.0, settings(9_001)).err().expect("no such ordinal");
    assert!(beyond.to_string().contains("the log ends at 9000"), "{beyond}");
}

#[test]
fn what_retention_left_is_indexed_from_its_first_checkpoint() {
    let folder = Folder::new();
    record(&folder, Settings { segment_bytes_max: 100 << 10, ..small(2_000) }, &[simulated_session(40_000, 3)]);
    let every = IndexerSettings { checkpoint_records: 3_000, ..settings(0) };
    let checkpoints: Vec<u64> =
        batches(&folder, every, 5_000).iter().filter_map(|batch| Some(batch.checkpoint.as_ref()?.ordinal)).collect();
    let log = folder.log();
    let left = log.segments()[2].first_ordinal;
    for segment in &log.segments()[..2] {
        for path in [segment.path.clone(), layout::beside(&segment.path, "index")] {
            fs::remove_file(path).expect("there");
        }
    }
    let begins = |ordinal| Indexer::open(&folder.0, settings(ordinal)).map(|indexer| indexer.next_ordinal());
    let has_one = checkpoints.iter().find(|at| **at <= left && **at + 3_000 > left).expect("a checkpoint before");
    assert_eq!(
        begins(0).expect("a checkpoint"),
        if *has_one == left { left } else { *checkpoints.iter().find(|at| **at > left).expect("one") }
    );
    for checkpoint in checkpoints {
        fs::remove_file(checkpoint_file::path_of(&folder.0, checkpoint)).expect("there");
    }
    // Without one nothing is known, and what is there is told.
    assert_eq!(begins(0).expect("books in doubt"), left);
}

/// Filters of a closed segment answer from a few pages, and are made anew by whoever comes next.
#[test]
fn filters_spare_reading_and_are_made_anew() {
    let folder = Folder::new();
    let session = |(seed, records)| records_of(&simulated(records, 3, seed));
    let sessions: Vec<Vec<MboMsg>> = (0..).zip([100_000, 100_000, 100_000, 100_000, 1_000]).map(session).collect();
    record(&folder, Settings::default(), &sessions);
    batches(&folder, settings(0), 100_000);
    let paths = filter_paths(&folder);
    assert!(paths[..4].iter().all(|path| path.exists()));
    let all = lives(&sessions);
    let frames = folder.log().frames().len() as u64;
    let (mut read, mut asked) = (0, 0);
    for (order, expected) in all.iter().filter(|((_, order_id), _)| *order_id > 0).step_by(5_000) {
        let (found, life) = life(&folder, *order, usize::MAX);
        assert_eq!(&found, expected);
        read += life.frames_read;
        asked += 1;
        assert_eq!(life.pages_read, 8);
    }
    assert!(asked > 20 && read < asked * 5 && frames >= 9, "{read} frames read of {frames} in {asked} searches");
    let whole: Vec<Vec<u8>> = paths[..4].iter().map(|path| fs::read(path).expect("there")).collect();
    fs::remove_file(&paths[0]).expect("there");
    fs::write(&paths[2], &whole[2][..whole[2].len() - 1]).expect("writable");
    // One that has nothing else to do.
    let end = folder.log().end_ordinal();
    batches(&folder, settings(end), 100_000);
    let mut indexer = Indexer::open(&folder.0, settings(end)).expect("a log");
    for _ in 0..8 {
        assert!(indexer.advance(1).expect("a log").is_none());
    }
    assert!(indexer.take_error().is_none());
    let again: Vec<Vec<u8>> = paths[..4].iter().map(|path| fs::read(path).expect("there")).collect();
    assert!(whole == again);
}

/// A page that is damaged where it is asked: the answer is right all the same, and the file is gone.
#[test]
fn a_damaged_filter_is_read_around_and_removed() {
    let folder = Folder::new();
    let sessions = [simulated_session(20_000, 2), simulated_session(10, 1)];
    record(&folder, Settings::default(), &sessions);
    batches(&folder, settings(0), 100_000);
    let path = &filter_paths(&folder)[0];
    let mut bytes = fs::read(path).expect("there");
    bytes[4_096..].fill(0);
    fs::write(path, bytes).expect("writable");
    let all = lives(&sessions);
    let (order, expected) = all.iter().nth(1_000).expect("orders");
    assert_eq!(&life(&folder, *order, usize::MAX).0, expected);
    assert!(!path.exists());
    assert_eq!(&life(&folder, *order, usize::MAX).0, expected);
}
