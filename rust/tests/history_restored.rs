//! Markets that a log restores, held against those that were there; and what a watch knows after a restart.
//!
//! `L3BOOK_HISTORY_ORDINALS` sets how many ordinals of long streams are restored; of CLX5 perhaps all.

#![allow(missing_docs)]

mod support;

use std::{collections::BTreeMap, fs, path::Path};

use l3book::{
    decode::Decoder,
    event::{Rules, State},
    feed::Feed,
    fingerprint::Fingerprint,
    history::{HistoryError, Item, Log, Past, Shadow, restore},
    market::Name,
    record::{MBO_BYTES, read_mbo},
    watch::{Resumption, WatchedFeed},
};
use proptest::prelude::*;
use support::{
    hostile,
    recorded::{Folder, PATIENCE},
    timeline::{
        STREAM_RECORDS, checkpoints, ordinals, recorded, recorder, replay, right_after, shown, simulate, simulated,
        truth_of, until,
    },
};

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

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

/// So long a stretch that several threads unpack it; where a frame of it is damaged, what comes before it is there.
#[test]
fn a_stretch_that_threads_share_is_restored_as_it_was() {
    const RECORDS: usize = 150_000;
    let stream = simulate(4, RECORDS);
    let folder = recorded(&stream, 10_000);
    let log = folder.log();
    for (ordinal, expected) in truth_of(&stream, &[70_000, 149_999, RECORDS as u64]) {
        let restored = restore(&log, ordinal, false).expect("recorded").market;
        assert_eq!(restored.fingerprint(), expected, "ordinal {ordinal}");
    }
    let past = Past::open(&folder.0).expect("a log");
    let ts_of = |ordinal: usize| read_mbo(&stream[ordinal * MBO_BYTES..]).hd.ts_event;
    let same = |past: &Past, at: u64| {
        for (key, _) in until(&stream, at).books() {
            let found = past.market(&Name::Key(key), at).expect("recorded");
            assert_eq!(shown(&found, key), shown(&until(&stream, at), key), "{key} at {at}");
        }
    };
    same(&past, ts_of(120_000));

    let frame = log.frames()[log.find_ordinal(100_000)];
    let path = &log.segments()[frame.segment].path;
    let mut bytes = fs::read(path).expect("read");
    bytes[frame.entry.offset as usize + 20] ^= 1;
    fs::write(path, &bytes).expect("written");
    let is_damage = |error: &HistoryError| matches!(error, HistoryError::Damaged { ordinal, .. } if *ordinal == frame.entry.first_ordinal);
    let before = frame.entry.first_ordinal;
    assert_eq!(restore(&log, before - 1, false).expect("good").market.records_taken(), before - 1);
    assert!(restore(&log, 120_000, false).is_err_and(|error| is_damage(&error)));
}
