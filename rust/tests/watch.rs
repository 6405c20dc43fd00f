//! The watch, held against streams that break, lose, repeat and disorder: a book is exact or not live.

#![allow(missing_docs)]

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use l3book::{
    event::{Rules, State},
    feed::Feed,
    market::Key,
    record::{MBO_BYTES, MboMsg, flags, read_mbo},
    sim::{Config, Simulator},
    watch::{ALERTS_MAX, Alert, DENSE_STEPS, Notice, Resumption, WatchedFeed, reason},
};
use proptest::prelude::*;
use support::{content::content, hostile};

const BREAK_RECORDS: usize = 6_000;
const DENSE_RECORDS: usize = 12_000;

fn simulated(records: usize) -> Vec<u8> {
    let config = Config { instruments: 3, seed: 11, crossed: false, resting_max: Some(64) };
    let mut simulator = Simulator::new(config).expect("valid");
    let mut bytes = Vec::new();
    simulator.read(records, &mut bytes);
    bytes
}

fn broken_stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| simulated(BREAK_RECORDS))
}

/// Whole events; each has the sequence number after that of the one before.
fn dense_events() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        let (mut events, mut event) = (Vec::new(), Vec::new());
        for record in simulated(DENSE_RECORDS).chunks_exact(MBO_BYTES) {
            event.extend_from_slice(&record[..52]);
            event.extend_from_slice(&(events.len() as u32).wrapping_sub(DENSE_STEPS as u32 + 500).to_le_bytes());
            if record[36] & flags::LAST != 0 {
                events.push(std::mem::take(&mut event));
            }
        }
        events
    })
}

fn record_of(bytes: &[u8]) -> MboMsg {
    read_mbo(bytes)
}

type Truth = HashMap<(Key, u32), HashSet<u64>>;

/// What each book may hold at each sequence number, of the stream without a fault.
fn truth() -> &'static Truth {
    static TRUTH: OnceLock<Truth> = OnceLock::new();
    TRUTH.get_or_init(|| {
        let mut truth = Truth::new();
        let mut feed = Feed::new(Rules::default());
        for event in dense_events() {
            feed.feed(event).expect("good records");
            let key = Key::of(&record_of(event));
            let book = feed.market.book(key).expect("just fed");
            truth.entry((key, book.moment().sequence)).or_default().insert(content(book));
        }
        truth
    })
}

fn assert_exact_or_not_live(feed: &WatchedFeed) -> usize {
    let mut live = 0;
    for (key, book) in feed.market.books() {
        if book.state() == State::Live {
            live += 1;
            let allowed = truth().get(&(key, book.moment().sequence)).expect("a sequence of the stream");
            assert!(allowed.contains(&content(book)), "{key} is live and wrong at {:?}", book.moment());
        }
    }
    live
}

fn system(code: u8, text: &str) -> Vec<u8> {
    let mut record = vec![0; 320];
    (record[0], record[1]) = (80, 0x17);
    record[16..16 + text.len()].copy_from_slice(text.as_bytes());
    record[319] = code;
    record
}

/// What a gateway sends that is asked for `start`: the records from then on, one by one as Databento's, or from the
/// first on as ours.
fn replay(stream: &[u8], start: Option<u64>, is_filter: bool) -> Vec<u8> {
    let start = start.unwrap_or(0);
    let mut has_begun = false;
    let mut out = Vec::new();
    for record in stream.chunks_exact(MBO_BYTES) {
        let is_in = record_of(record).hd.ts_event >= start;
        has_begun |= is_in;
        if if is_filter { is_in } else { has_begun } {
            out.extend_from_slice(record);
        }
    }
    out.extend(system(3, "Finished mbo replay"));
    out
}

fn with_ts_out(stream: &[u8]) -> Vec<u8> {
    let longer = |record: &[u8]| [&[record[0] + 2], &record[1..], &7u64.to_le_bytes()[..]].concat();
    stream.chunks_exact(MBO_BYTES).flat_map(longer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut at any bytes, any number of times: nothing is missing, nothing applied twice, every book live at the end.
    #[test]
    fn a_resumed_stream_is_the_whole_stream(
        cuts in prop::collection::vec(0usize..BREAK_RECORDS * MBO_BYTES / 2, 1..12), is_filter: bool, ts_out: bool,
    ) {
        let stream = broken_stream();
        let mut whole = Feed::new(Rules::default());
        whole.feed(stream).expect("good records");
        let mut feed = WatchedFeed::new(Rules::default());
        let mut start = None;
        for (n, cut) in cuts.iter().enumerate() {
            let mut bytes = replay(stream, start, is_filter);
            if ts_out && n == 0 {
                bytes = with_ts_out(&bytes[..bytes.len() - 320]);
            }
            feed.feed(&bytes[..(*cut).min(bytes.len())]).expect("good records");
            feed.disconnected();
            prop_assert!(feed.market.books().all(|(_, book)| book.state() == State::Suspect));
            start = feed.resume_ts();
            feed.reconnected(if n % 2 == 0 || start.is_none() { Resumption::Resume } else { Resumption::Unknown });
        }
        feed.feed(&replay(stream, start, is_filter)).expect("good records");
        let stats = feed.watch.stats();
        prop_assert_eq!(feed.watch.suspects(&feed.market), vec![], "{:?}", stats);
        prop_assert_eq!(feed.market.fingerprint(), whole.market.fingerprint());
        prop_assert_eq!(feed.market.counters(), whole.market.counters());
        prop_assert_eq!(stats.disconnections, cuts.len() as u64);
        let expected = [reason::DISCONNECTED, reason::UNFINISHED_SNAPSHOT];
        prop_assert!(stats.suspicions.keys().all(|name| expected.contains(&&**name)), "{:?}", stats);
    }

    /// One fault in a channel that skips no number: from then on each book is exact or not live.
    #[test]
    fn a_fault_in_a_dense_channel_is_never_silent(
        at in 0usize..1_500, kind in 0u8..3, events in 1usize..6, cut in 1usize..3_000,
    ) {
        let all = dense_events();
        let at = DENSE_STEPS as usize + 50 + at;
        let mut faulty: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        match kind {
            0 => drop(faulty.drain(at..at + events)),
            1 => for n in 0..events {
                let event = faulty[at + 2 * n];
                faulty.insert(at + 2 * n, event);
            },
            _ => faulty[at..=at + events].rotate_left(1),
        }
        let mut feed = WatchedFeed::new(Rules::default());
        feed.feed(&faulty[..at].concat()).expect("good records");
        prop_assert_eq!(assert_exact_or_not_live(&feed), 3, "{:?}", feed.watch.stats());
        let mut rest: &[u8] = &faulty[at..].concat();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            feed.feed(piece).expect("good records");
            assert_exact_or_not_live(&feed);
            rest = after;
        }
        // Trades and None records that come twice change nothing, and are not held against a book.
        let twice = || all[at..at + events].iter().flat_map(|event| event.chunks(MBO_BYTES));
        let is_harmless = kind == 1 && !twice().any(|record| matches!(record[38], b'A' | b'C' | b'M' | b'R'));
        // Nor are snapshots.
        let has_snapshot = kind == 1 && twice().any(|record| record[36] & flags::SNAPSHOT != 0);
        let suspicions = feed.watch.stats().suspicions;
        prop_assert!(has_snapshot || suspicions.is_empty() == is_harmless, "{suspicions:?}");
    }

    /// Whatever the records say, a watch counts and the books stay sound; what it drops or doubts changes no order.
    #[test]
    fn hostile_records_never_panic(
        raw in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1usize..900, how in 0u8..3,
    ) {
        let bytes = hostile::to_bytes(&hostile::records(&raw, 4));
        let mut feed = WatchedFeed::new(Rules::default());
        for (n, piece) in bytes.chunks(cut).enumerate() {
            let _ = feed.feed(piece);
            if n % 5 == 4 {
                feed.disconnected();
                let _ = feed.resume_ts();
                feed.reconnected([Resumption::Resume, Resumption::Snapshot, Resumption::Unknown][usize::from(how)]);
            }
        }
        feed.market.check().expect("sound books");
        for (key, book) in feed.market.books() {
            let is_suspect = feed.watch.suspects(&feed.market).contains(&key);
            prop_assert!(book.state() == State::Snapshot || is_suspect == (book.state() == State::Suspect));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..5_000) {
        let mut stream = simulated(100);
        let at = at % stream.len();
        stream.splice(at..at, bytes);
        let mut feed = WatchedFeed::new(Rules::default());
        let _ = feed.feed(&stream);
        feed.disconnected();
        feed.reconnected(Resumption::Resume);
        feed.feed(&replay(&simulated(100), feed.resume_ts(), true)).expect("good records after a break");
        feed.market.check().expect("sound books");
    }

    /// Without a break the watched market is the plain one.
    #[test]
    fn a_watch_changes_nothing_of_a_plain_stream(
        raw in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1usize..900,
    ) {
        let bytes = hostile::to_bytes(&hostile::records(&raw, 4));
        let mut plain = Feed::new(Rules::default());
        let mut feed = WatchedFeed::new(Rules::default());
        for piece in bytes.chunks(cut) {
            let _ = plain.feed(piece);
            let _ = feed.feed(piece);
        }
        prop_assert_eq!(feed.market.counters(), plain.market.counters());
        for ((key, a), (_, b)) in feed.market.books().zip(plain.market.books()) {
            prop_assert_eq!(content(a), content(b), "{}", key);
            prop_assert_eq!(a.moment(), b.moment());
        }
    }
}

#[test]
fn a_synthetic_market_raises_no_alarm() {
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&simulated(300_000)).expect("good records");
    let stats = feed.watch.stats();
    assert!(stats.suspicions.is_empty(), "{stats:?}");
    assert_eq!((stats.duplicates, stats.out_of_order, stats.bad_timestamps, stats.contradictions), (0, 0, 0, 0));
    assert!(feed.take_alerts().is_empty());
}

#[test]
fn a_stream_that_begins_after_the_break_leaves_a_hole() {
    for how in [Resumption::Resume, Resumption::Unknown] {
        let stream = broken_stream();
        let (before, after) = stream.split_at(4_000 * MBO_BYTES);
        let mut feed = WatchedFeed::new(Rules::default());
        feed.feed(before).expect("good records");
        feed.disconnected();
        feed.reconnected(how);
        feed.feed(&after[100 * MBO_BYTES..300 * MBO_BYTES]).expect("good records");
        assert_eq!(feed.watch.suspects(&feed.market).len(), 3, "{how:?}");
        let stats = feed.watch.stats();
        assert_eq!(stats.suspicions[reason::GAP_AFTER_RECONNECTION], 3, "{stats:?}");
    }
}

#[test]
fn a_changed_overlap_is_not_believed() {
    let stream = broken_stream();
    let cut = (3_000..).find(|n| stream[n * MBO_BYTES - 20] & flags::LAST != 0).expect("an event") * MBO_BYTES;
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&stream[..cut]).expect("good records");
    feed.disconnected();
    let start = feed.resume_ts();
    feed.reconnected(Resumption::Resume);
    let mut again = stream.to_vec();
    again[cut - MBO_BYTES + 32] ^= 1;
    let doubted = Key::of(&record_of(&stream[cut - MBO_BYTES..]));
    let mut bytes = replay(&again[..cut], start, true);
    bytes.extend(system(3, "Finished mbo replay"));
    feed.feed(&bytes).expect("good records");
    assert_eq!(feed.watch.suspects(&feed.market), [doubted]);
    assert_eq!(feed.watch.stats().suspicions[reason::OVERLAP_MISMATCH], 1);
}

#[test]
fn after_a_snapshot_reconnection_each_book_waits_for_its_own() {
    let stream = broken_stream();
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(stream).expect("good records");
    let keys: Vec<Key> = feed.market.books().map(|(key, _)| key).collect();
    feed.disconnected();
    feed.reconnected(Resumption::Snapshot);
    // A session of its own begins with the recording: its times are earlier than those seen.
    assert_eq!(feed.watch.suspects(&feed.market), keys);
    for record in stream[..3_000 * MBO_BYTES].chunks_exact(MBO_BYTES) {
        let is_end_of_snapshot = record[36] & (flags::SNAPSHOT | flags::LAST) == flags::SNAPSHOT | flags::LAST;
        let before = feed.watch.suspects(&feed.market).len();
        feed.feed(record).expect("good records");
        assert!(feed.watch.suspects(&feed.market).len() == before || is_end_of_snapshot);
    }
    assert_eq!(feed.watch.stats().recoveries, 3);
    assert_eq!(feed.watch.stats().suspicions.len(), 1, "{:?}", feed.watch.stats());
    let mut plain = Feed::new(Rules::default());
    plain.feed(&stream[..3_000 * MBO_BYTES]).expect("good records");
    for ((_, a), (_, b)) in feed.market.books().zip(plain.market.books()) {
        assert_eq!(content(a), content(b));
    }
}

#[test]
fn what_the_gateway_says_is_heard() {
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&simulated(500)).expect("good records");
    let mut error = system(7, "Skipped 12 records");
    error[1] = 0x15;
    (error[318], error[319]) = (7, 1);
    let mut old = vec![0; 80];
    (old[0], old[1]) = (20, 0x17);
    old[16..25].copy_from_slice(b"Heartbeat");
    feed.feed(
        &[system(1, "Subscription request 1 for mbo data succeeded"), system(0, "Heartbeat"), old, error].concat(),
    )
    .expect("good records");
    let stats = feed.watch.stats();
    assert_eq!((stats.heartbeats, stats.system_messages, stats.errors[&7]), (2, 1, 1));
    assert_eq!(stats.suspicions[reason::RECORDS_SKIPPED], feed.market.len() as u64);
    let alerts = feed.take_alerts();
    let ack = Notice::System(1, "Subscription request 1 for mbo data succeeded".into());
    assert_eq!(alerts[0], Alert::Notice { notice: ack, ts_event: 0 });
    assert!(
        matches!(alerts.last(), Some(Alert::Notice { notice: Notice::Error(7, text), .. }) if text == "Skipped 12 records")
    );
    assert_eq!(feed.market.stream_counters().other_records, 4);
}

#[test]
fn alerts_are_bounded_and_counted() {
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&system(1, "hello").repeat(ALERTS_MAX + 5)).expect("good records");
    assert_eq!(feed.take_alerts().len(), ALERTS_MAX);
    assert_eq!(feed.watch.stats().alerts_dropped, 5);
    assert!(feed.take_alerts().is_empty());
}

/// A stream of some of a channel's books: where one of them had the channel for itself for long, and others follow.
#[test]
fn a_part_of_a_channel_skips_what_the_other_parts_have() {
    for (expects_skips, gaps) in [(false, 1), (true, 0)] {
        let mut feed = WatchedFeed::new(Rules::default());
        feed.watch.expect_skips(expects_skips);
        let last = DENSE_STEPS as u32 + 10;
        let add = |sequence: u32| {
            let record = hostile::record(b'A', b'B', hostile::UNIT, 1, u64::from(sequence), flags::LAST);
            MboMsg { sequence, ..record }
        };
        let records: Vec<MboMsg> = (1..=last).chain([last + 7]).map(add).collect();
        feed.feed(&hostile::to_bytes(&records)).expect("good records");
        assert_eq!(feed.watch.stats().gaps, gaps);
        assert_eq!(feed.watch.suspects(&feed.market).len() as u64, gaps);
    }
}

#[test]
fn a_contradiction_needs_a_book_that_began() {
    let unknown = hostile::record(b'C', b'B', hostile::UNIT, 1, 999, flags::LAST);
    let mut clear = hostile::record(b'R', b'N', i64::MAX, 0, 0, flags::LAST);
    clear.sequence = 1;
    let mut later = unknown;
    later.sequence = 2;
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&hostile::to_bytes(&[unknown])).expect("a good record");
    assert!(feed.watch.suspects(&feed.market).is_empty(), "it may have begun before us");
    feed.feed(&hostile::to_bytes(&[clear, later])).expect("good records");
    assert_eq!(feed.watch.suspects(&feed.market).len(), 1);
    assert_eq!(feed.watch.stats().suspicions[reason::CONTRADICTION], 1);
    (clear.sequence, clear.ts_recv) = (3, clear.ts_recv + 1);
    feed.feed(&hostile::to_bytes(&[clear])).expect("a good record");
    assert!(feed.watch.suspects(&feed.market).is_empty());
    assert_eq!(feed.watch.stats().recoveries, 1);
}

#[test]
fn times_far_ahead_and_back_are_doubted_once() {
    const DAY_NS: u64 = 86_400_000_000_000;
    let mut feed = WatchedFeed::new(Rules::default());
    let mut push = |shift: i64, sequence| {
        let mut record = hostile::record(b'A', b'B', hostile::UNIT, 1, u64::from(sequence), flags::LAST);
        record.ts_recv = record.ts_recv.wrapping_add_signed(shift);
        record.sequence = sequence;
        feed.feed(&hostile::to_bytes(&[record])).expect("a good record");
        let stats = feed.watch.stats();
        (stats.bad_timestamps, stats.suspicions.clone(), stats.last_ts_recv)
    };
    push(0, 1);
    let (bad, suspicions, last) = push(30 * DAY_NS as i64, 2);
    assert_eq!((bad, suspicions[reason::TIMESTAMP], last), (1, 1, hostile::T0 + 150));
    assert_eq!(push(5, 3).2, hostile::T0 + 155, "the far one was not taken");
    assert_eq!(push(-1, 4).0, 2);
    // Two that agree are a stream that rested.
    push(40 * DAY_NS as i64, 5);
    assert_eq!(push(40 * DAY_NS as i64 + 1, 6).2, hostile::T0 + 150 + 40 * DAY_NS + 1);
}

/// Databento's `start` leaves out what is older by ts_event, and so the greater part of a snapshot's orders.
#[test]
fn a_snapshot_that_a_start_has_thinned_out_is_not_believed() {
    let snapshot = |bytes: u8, ts_event: u64, order_id| {
        let mut record =
            hostile::record(if order_id == 0 { b'R' } else { b'A' }, b'B', hostile::UNIT, 1, order_id, bytes);
        (record.hd.ts_event, record.ts_recv) = (ts_event, hostile::T0 + 10_000_000_000);
        record
    };
    let orders =
        [(40, hostile::T0 + 9_000_000_000, 0), (40, hostile::T0 - 1, 7), (168, hostile::T0 + 8_000_000_000, 8)];
    let orders: Vec<MboMsg> = orders.iter().map(|(bits, ts_event, id)| snapshot(*bits, *ts_event, *id)).collect();
    let first = hostile::record(b'A', b'B', hostile::UNIT, 1, 1, flags::LAST);
    for (sent, suspicions) in [(&orders[..], 0), (&[orders[0], orders[2]][..], 1), (&orders[2..], 1)] {
        let mut feed = WatchedFeed::new(Rules::default());
        feed.feed(&hostile::to_bytes(&[first])).expect("a good record");
        feed.disconnected();
        // The whole snapshot has an order from before that.
        assert_eq!(feed.resume_ts(), Some(hostile::T0 - 1_000_000_000));
        feed.reconnected(Resumption::Resume);
        let mut sent = sent.to_vec();
        for record in &mut sent {
            if record.order_id == 7 {
                record.hd.ts_event -= 2_000_000_000;
            }
        }
        let bytes = [hostile::to_bytes(&[first]), hostile::to_bytes(&sent), system(3, "Finished mbo replay")].concat();
        feed.feed(&bytes).expect("good records");
        let stats = feed.watch.stats();
        assert_eq!(stats.suspicions.get(reason::PARTIAL_SNAPSHOT).copied().unwrap_or(0), suspicions, "{stats:?}");
        assert_eq!(feed.watch.suspects(&feed.market).len() as u64, suspicions);
    }
}

/// A recording that begins mid-session knows nothing of what rested before, and so its snapshots do not either.
#[test]
fn the_snapshots_of_a_sender_that_does_not_know_all_orders_are_not_held_against_it() {
    let unknown = |sequence| {
        let mut record = hostile::record(b'C', b'B', hostile::UNIT, 1, 999, flags::LAST);
        record.sequence = sequence;
        record
    };
    let snapshot = || hostile::record(b'R', b'N', i64::MAX, 0, 0, flags::SNAPSHOT | flags::LAST);
    let mut short = WatchedFeed::new(Rules::default());
    short.feed(&hostile::to_bytes(&[unknown(1), snapshot(), unknown(2)])).expect("good records");
    assert!(short.watch.suspects(&short.market).is_empty(), "it met unknown orders before");
    let mut late = WatchedFeed::new(Rules::default());
    let mut doubted = 0;
    for sequence in 0..6 {
        late.feed(&hostile::to_bytes(&[snapshot(), unknown(1 + sequence)])).expect("good records");
        doubted += late.watch.suspects(&late.market).len();
    }
    assert_eq!(doubted, 3, "contradicted after three snapshots, it is not believed to know all orders");
}

#[test]
fn an_unfinished_event_is_resumed_from_its_beginning() {
    let unfinished = hostile::record(b'A', b'B', hostile::UNIT, 1, 1, 0);
    let mut other = hostile::record(b'A', b'B', hostile::UNIT, 1, 2, flags::LAST);
    other.hd.instrument_id = 2;
    (other.hd.ts_event, other.ts_recv) = (hostile::T0 + 5_000_000_000, hostile::T0 + 5_000_000_150);
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&hostile::to_bytes(&[unfinished])).expect("a good record");
    assert_eq!(feed.resume_ts(), None, "nothing was applied");
    feed.feed(&hostile::to_bytes(&[other])).expect("a good record");
    let start = Some(hostile::T0 - 1_000_000_000);
    assert_eq!(feed.resume_ts(), start);
    feed.disconnected();
    assert_eq!(feed.watch.stats().unfinished_dropped, 1);
    feed.reconnected(Resumption::Resume);
    feed.disconnected();
    assert_eq!(feed.resume_ts(), start, "the unfinished event has not come again");
}

/// A snapshot that was asked for is of the book as it is, also on a resumed stream and if all its orders are young.
#[test]
fn a_snapshot_that_was_asked_for_is_whole() {
    let first = hostile::record(b'A', b'B', hostile::UNIT, 1, 1, flags::LAST);
    let mut snapshot = hostile::record(b'R', b'N', i64::MAX, 0, 0, flags::SNAPSHOT);
    let mut order = hostile::record(b'A', b'B', hostile::UNIT, 1, 8, flags::SNAPSHOT | flags::LAST);
    snapshot.ts_recv = hostile::T0 + 10_000_000_000;
    (order.ts_recv, order.hd.ts_event) = (snapshot.ts_recv, hostile::T0 + 1);
    for is_asked in [false, true] {
        let mut feed = WatchedFeed::new(Rules::default());
        feed.feed(&hostile::to_bytes(&[first])).expect("a good record");
        feed.disconnected();
        feed.reconnected(Resumption::Resume);
        feed.feed(&[hostile::to_bytes(&[first]), system(3, "Finished mbo replay")].concat()).expect("good records");
        if is_asked {
            let key = feed.market.books().next().expect("a book").0;
            feed.watch.expect_snapshot(&feed.market, key);
        }
        feed.feed(&hostile::to_bytes(&[snapshot, order])).expect("good records");
        assert_eq!(feed.watch.suspects(&feed.market).is_empty(), is_asked);
    }
}

#[test]
fn a_snapshot_without_its_clear_makes_no_suspect_book_good() {
    const SNAPSHOT: u8 = flags::SNAPSHOT | 8;
    let add = |id, bits| hostile::record(b'A', b'B', hostile::UNIT, 1, id, bits);
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&hostile::to_bytes(&[add(1, flags::LAST)])).expect("a good record");
    feed.disconnected();
    feed.reconnected(Resumption::Snapshot);
    let cut = [add(2, SNAPSHOT | flags::MAYBE_BAD_BOOK), add(3, SNAPSHOT | flags::LAST)];
    feed.feed(&hostile::to_bytes(&cut)).expect("good records");
    assert_eq!(feed.watch.suspects(&feed.market).len(), 1, "order 1 is still there");
    let clear = hostile::record(b'R', b'N', i64::MAX, 0, 0, SNAPSHOT);
    feed.feed(&hostile::to_bytes(&[clear, add(2, SNAPSHOT), add(3, SNAPSHOT | flags::LAST)])).expect("good records");
    assert!(feed.watch.suspects(&feed.market).is_empty());
}

#[test]
fn a_time_that_nobody_vouches_for_is_no_place_to_resume_from() {
    let add = |id: u64, ts_recv, bits| {
        let mut record = hostile::record(b'A', b'B', hostile::UNIT, 1, id, flags::LAST | bits);
        (record.ts_recv, record.sequence) = (hostile::T0 + ts_recv, id as u32);
        record
    };
    let mut feed = WatchedFeed::new(Rules::default());
    let seen = [add(1, 100, 0), add(2, 200, 0), add(3, 5_000_000, 8)];
    feed.feed(&hostile::to_bytes(&seen)).expect("good records");
    feed.disconnected();
    feed.reconnected(Resumption::Resume);
    let rest = [add(4, 300, 0), add(5, 400, 0), add(6, 6_000_000, 0)];
    feed.feed(&hostile::to_bytes(&[&seen[..], &rest[..]].concat())).expect("good records");
    let (_, book) = feed.market.books().next().expect("a book");
    let is_suspect = !feed.watch.suspects(&feed.market).is_empty();
    assert!(is_suspect || book.book().len() == 6, "live with {} of 6 orders", book.book().len());
}

#[test]
fn a_gap_puts_books_in_doubt_that_had_nothing_but_a_snapshot() {
    let mut quiet = hostile::record(b'R', b'N', i64::MAX, 0, 0, flags::SNAPSHOT | flags::LAST | 8);
    quiet.hd.instrument_id = 77;
    let add = |sequence| {
        let mut record = hostile::record(b'A', b'B', hostile::UNIT, 1, u64::from(sequence), flags::LAST);
        record.sequence = sequence;
        record.ts_recv += u64::from(sequence);
        record
    };
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(&hostile::to_bytes(&[quiet])).expect("a good record");
    let dense: Vec<MboMsg> = (1..5_000).chain([5_010]).map(add).collect();
    feed.feed(&hostile::to_bytes(&dense)).expect("good records");
    assert_eq!(feed.watch.suspects(&feed.market).len(), 2);
}

#[test]
fn a_sender_that_loses_records_now_and_then_is_still_caught() {
    let record = |sequence: u32, action, id| {
        let mut record = hostile::record(action, b'B', hostile::UNIT, 1, id, flags::LAST);
        record.sequence = sequence;
        record.ts_recv += u64::from(sequence);
        record
    };
    let mut feed = WatchedFeed::new(Rules::default());
    let mut sequence = 0;
    for loss in 1..=5 {
        let mut records = vec![hostile::record(b'R', b'N', i64::MAX, 0, 0, flags::SNAPSHOT | flags::LAST | 8)];
        records[0].ts_recv += u64::from(sequence) + 1;
        for i in 0..5_000 {
            sequence += 2;
            records.push(record(sequence, b'A', u64::from(sequence) * 10 + i % 2));
        }
        sequence += 2;
        records.push(record(sequence, b'C', 7));
        feed.feed(&hostile::to_bytes(&records)).expect("good records");
        assert_eq!(feed.watch.stats().suspicions.get(reason::CONTRADICTION), Some(&loss));
    }
}
