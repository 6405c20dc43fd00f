//! Live sessions made from hostile records, against what is naive: filters, whole books, multisets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use dbn::rtype;
use l3book::{
    event::{EventBook, Rules},
    feed::Feed,
    gateway::{Clock, Fault, LiveStream, Options, Pace, Request},
    market::{Key, Market},
    record::{MBO_BYTES, MboMsg, Side, flags, mbo_bytes, read_mbo},
};
use proptest::{collection::vec, prelude::*, sample::select};

mod support;
use support::hostile::{self, BYTES_PER_RECORD};

const BOOKS: usize = 4;

/// A file that is gone when the test is over.
struct Recording(PathBuf);

impl Recording {
    fn of(bytes: &[u8]) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-{}-{number}.dbn", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).expect("room under target/");
        Self(path)
    }

    fn options(&self) -> Options {
        Options { paths: vec![self.0.clone()], ..Options::default() }
    }

    fn stream(&self) -> LiveStream {
        LiveStream::open(self.options()).expect("these are records")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn request(schema: &str) -> Request {
    Request { schema: schema.into(), stype_in: "instrument_id".into(), ..Request::default() }
}

fn read(stream: &mut LiveStream, records_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    stream.read(records_max, None, &mut out).expect("the file is sound");
    out
}

fn read_all(stream: &mut LiveStream) -> Vec<u8> {
    let mut out = Vec::new();
    while !stream.is_ended() {
        out.extend(read(stream, 1_000));
    }
    out
}

fn each_record(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = usize::from(bytes[at]) * 4;
        records.push(&bytes[at..at + len]);
        at += len;
    }
    records
}

/// The MBO records among others.
fn mbo_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    each_record(bytes).into_iter().filter(|record| record[1] == rtype::MBO).map(<[u8]>::to_vec).collect()
}

fn bytes_of(records: &[MboMsg]) -> Vec<Vec<u8>> {
    records.iter().map(|record| mbo_bytes(record).to_vec()).collect()
}

fn counted(records: &[Vec<u8>]) -> BTreeMap<&[u8], usize> {
    let mut counts = BTreeMap::new();
    records.iter().for_each(|record| *counts.entry(record.as_slice()).or_insert(0) += 1);
    counts
}

fn market_of(bytes: &[u8]) -> Market {
    let mut feed = Feed::new(Rules::default());
    feed.feed(bytes).expect("whole records");
    feed.market
}

/// What rests: of each side its quote, and its orders in priority order; and what is held back.
type Resting = (Vec<(Option<(i64, u64)>, Vec<l3book::book::Order>)>, u64);

fn resting(book: &EventBook) -> Resting {
    let side =
        |side| (book.book().quote(side), book.book().queues(side).flat_map(|(_, orders)| orders).collect::<Vec<_>>());
    let held = book.counters().into_iter().find(|(name, _)| *name == "held").map_or(0, |(_, held)| held);
    (Side::BOTH.map(side).to_vec(), held)
}

fn books_of(market: &Market) -> BTreeMap<Key, Resting> {
    market.books().map(|(key, book)| (key, resting(book))).collect()
}

/// Shown field by field: dbn's own way overflows at the least of all prices.
#[derive(Clone)]
struct Records(Vec<MboMsg>);

impl std::ops::Deref for Records {
    type Target = [MboMsg];

    fn deref(&self) -> &[MboMsg] {
        &self.0
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let [action, side] = [r.action, r.side].map(|letter| (letter as u8).escape_ascii().to_string());
            let (key, bits, times) = (Key::of(r), r.flags.raw(), (r.hd.ts_event, r.ts_recv));
            writeln!(f, "{i}: {key} {action} {side} {} x {} #{} flags {bits} {times:?}", r.price, r.size, r.order_id)?;
        }
        Ok(())
    }
}

fn any_records() -> impl Strategy<Value = Records> {
    vec(any::<u8>(), BYTES_PER_RECORD..120 * BYTES_PER_RECORD)
        .prop_map(|bytes| Records(hostile::records(&bytes, BOOKS)))
}

fn every_schema() -> Vec<Request> {
    ["mbo", "mbp-10", "mbp-1", "tbbo", "trades", "bbo-1s", "bbo-1m", "ohlcv-1s", "ohlcv-1m"].map(request).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 300 }))]

    #[test]
    fn any_cutting_of_reads_gives_the_same_bytes(
        records in any_records(), cuts in vec(1..40usize, 1..20), waits in any::<bool>(), position in 0..60usize
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut whole = recording.stream();
        let mut cut = recording.stream();
        for request in every_schema() {
            prop_assert_eq!(whole.subscribe(&request).unwrap(), Vec::<String>::new());
            cut.subscribe(&request).unwrap();
        }
        let snapshot = Request { is_snapshot: true, ..request("mbo") };
        let mut expected = read(&mut whole, position);
        whole.subscribe(&snapshot).unwrap();
        expected.extend(read_all(&mut whole));
        let (mut got, mut steps) = (Vec::new(), cuts.iter().cycle());
        for is_before in [true, false] {
            while !cut.is_ended() && (!is_before || cut.position() < position as u64) {
                let left = if is_before { position - cut.position() as usize } else { usize::MAX };
                if waits && let Some(next_ns) = cut.next_ts_ns() {
                    // Idle until just before the next record is due: whatever has ended by then comes now.
                    let mut out = Vec::new();
                    cut.read(left, Some(next_ns.saturating_sub(1)), &mut out).unwrap();
                    got.extend(out);
                }
                let left = if is_before { position.saturating_sub(cut.position() as usize) } else { left };
                got.extend(read(&mut cut, left.min(*steps.next().unwrap())));
            }
            if is_before {
                cut.subscribe(&snapshot).unwrap();
            }
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(cut.position(), records.len() as u64);
    }

    #[test]
    fn a_filter_is_a_naive_filter(records in any_records(), wanted in vec(select(vec![1u32, 2, u32::MAX]), 1..3)) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut stream = recording.stream();
        for id in &wanted {
            // Overlapping subscriptions: nothing may come twice.
            let symbols = vec![id.to_string(), wanted[0].to_string()];
            stream.subscribe(&Request { symbols: Some(symbols), ..request("mbo") }).unwrap();
        }
        let out = read_all(&mut stream);
        let kept: Vec<_> = records.iter().filter(|r| wanted.contains(&r.hd.instrument_id)).copied().collect();
        prop_assert_eq!(mbo_of(&out), bytes_of(&kept));
        prop_assert_eq!(stream.records_sent(), kept.len() as u64);
        let mut mapped = BTreeSet::new();
        for record in each_record(&out) {
            let id = u32::from_le_bytes(record[4..8].try_into().unwrap());
            match record[1] {
                rtype::SYMBOL_MAPPING => { mapped.insert(id); }
                _ => prop_assert!(mapped.contains(&id), "{id} came before its mapping"),
            }
        }
    }

    #[test]
    fn start_is_a_naive_filter_by_ts_event(records in any_records(), at in any::<prop::sample::Index>()) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let start_ns = at.get(&records[..]).hd.ts_event;
        let mut stream = recording.stream();
        stream.subscribe(&Request { start_ns: Some(start_ns), ..request("mbo") }).unwrap();
        let first = records.iter().position(|record| record.hd.ts_event >= start_ns).unwrap();
        prop_assert_eq!(stream.seek(start_ns), first as u64);
        let late: Vec<_> = records.iter().filter(|record| record.hd.ts_event >= start_ns).copied().collect();
        prop_assert_eq!(mbo_of(&read_all(&mut stream)), bytes_of(&late));
    }

    /// Taken while events are unfinished, and whether the part before was read or passed over.
    #[test]
    fn a_snapshot_and_the_rest_make_the_book_of_the_whole(
        records in any_records(), position in 0..120usize, is_passed_over in any::<bool>()
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut stream = recording.stream();
        if is_passed_over {
            stream.seek_position(position as u64).unwrap();
        } else {
            prop_assert_eq!(read(&mut stream, position), Vec::<u8>::new());
        }
        stream.subscribe(&Request { is_snapshot: true, ..request("mbo") }).unwrap();
        let out = read_all(&mut stream);
        let seen = books_of(&market_of(&out));
        let whole = market_of(&hostile::to_bytes(&records));
        for (key, expected) in books_of(&whole) {
            // A book whose event is unfinished at the very end has no snapshot, and shows nothing.
            if let Some(book) = seen.get(&key) {
                prop_assert_eq!(book, &expected, "book {}", key);
            } else {
                prop_assert!(expected.1 > 0, "book {} is missing", key);
            }
        }
    }

    #[test]
    fn the_second_pass_ends_with_the_books_of_the_first(records in any_records(), has_clock in any::<bool>()) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let clock = Clock { origin_ns: hostile::T0 + 7, pace: Pace::Rate(1_000_000) };
        let options = Options { is_looped: true, clock: has_clock.then_some(clock), ..recording.options() };
        let mut stream = LiveStream::open(options).unwrap();
        stream.subscribe(&request("mbo")).unwrap();
        let mut feed = Feed::new(Rules::default());
        feed.feed(&read(&mut stream, records.len())).unwrap();
        let first = books_of(&feed.market);
        let mut sequences: Vec<u32> = records.iter().map(|record| record.sequence).collect();
        for pass in 1..4 {
            let out = read(&mut stream, first.len() + records.len());
            feed.feed(&out).unwrap();
            let mut now = books_of(&feed.market);
            let mut expected = first.clone();
            if has_clock {
                // The times of orders are fresh; all else is as it was.
                let orders = |book: &mut Resting| book.0.iter_mut().for_each(|side| {
                    side.1.iter_mut().for_each(|order| order.ts_event = 0);
                });
                now.values_mut().chain(expected.values_mut()).for_each(orders);
            }
            prop_assert_eq!(now, expected);
            prop_assert_eq!(stream.passes(), pass);
            let fresh: Vec<u32> = mbo_of(&out).iter().map(|record| read_mbo(record).sequence).collect();
            let least = fresh.iter().filter(|sequence| **sequence != 0).min();
            prop_assert!(least.is_none() || least > sequences.iter().max(), "sequence rises");
            sequences = fresh;
        }
    }

    #[test]
    fn joining_at_a_position_gives_what_a_session_from_the_start_gets(
        records in any_records(), position in 0..500u64, by_rate in any::<bool>()
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let pace = if by_rate { Pace::Rate(3_000) } else { Pace::speed(2.5).unwrap() };
        let clock = Some(Clock { origin_ns: 1_900_000_000_000_000_000, pace });
        let open = || {
            let options = Options { is_looped: true, clock, ..recording.options() };
            let mut stream = LiveStream::open(options).unwrap();
            stream.subscribe(&request("mbo")).unwrap();
            stream
        };
        let (mut from_start, mut joined) = (open(), open());
        read(&mut from_start, position as usize);
        joined.seek_position(position).unwrap();
        prop_assert_eq!(joined.position(), position);
        prop_assert_eq!(joined.next_ts_ns(), from_start.next_ts_ns());
        prop_assert_eq!(mbo_of(&read(&mut joined, 300)), mbo_of(&read(&mut from_start, 300)));
    }

    #[test]
    fn a_gap_leaves_out_so_many_and_marks_the_books_that_lost(
        records in any_records(), position in 0..60usize, lost in 1..20usize, is_marked in any::<bool>()
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut stream = recording.stream();
        stream.subscribe(&request("mbo")).unwrap();
        let mut out = mbo_of(&read(&mut stream, position));
        let position = out.len();
        stream.inject(Fault::Gap { is_marked }, lost as u64);
        out.extend(mbo_of(&read_all(&mut stream)));
        let all = bytes_of(&records);
        let resumed = (position + lost).min(all.len());
        let mut expected = [&all[..position], &all[resumed..]].concat();
        let mut unmarked: BTreeSet<_> = all[position..resumed].iter().map(|r| Key::of(&read_mbo(r))).collect();
        for record in expected[position..].iter_mut().filter(|_| is_marked) {
            if unmarked.remove(&Key::of(&read_mbo(record))) {
                record[36] |= flags::MAYBE_BAD_BOOK;
            }
        }
        prop_assert_eq!(stream.records_sent(), expected.len() as u64);
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn a_duplicate_comes_twice(records in any_records(), position in 0..60usize, twice in 1..20usize) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut stream = recording.stream();
        stream.subscribe(&request("mbo")).unwrap();
        let mut out = mbo_of(&read(&mut stream, position));
        let position = out.len();
        stream.inject(Fault::Duplicate, twice as u64);
        out.extend(mbo_of(&read_all(&mut stream)));
        let copies = |i: usize| if (position..position + twice).contains(&i) { 2 } else { 1 };
        let all = bytes_of(&records).into_iter().enumerate();
        let expected: Vec<_> = all.flat_map(|(i, record)| vec![record; copies(i)]).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn a_reordering_loses_nothing_and_moves_one_whole_event(
        records in any_records(), position in 0..60usize, delay in 1..20u64
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut stream = recording.stream();
        stream.subscribe(&request("mbo")).unwrap();
        let mut out = mbo_of(&read(&mut stream, position));
        stream.inject(Fault::Reorder, delay);
        out.extend(mbo_of(&read_all(&mut stream)));
        let all = bytes_of(&records);
        prop_assert_eq!(counted(&out), counted(&all));
        let Some(moved_to) = (0..out.len()).find(|i| out[*i] != all[*i]) else { return Ok(()) };
        // What is missing there comes later, in one piece, of one book, and ends an event if anything follows it.
        let key = Key::of(&read_mbo(&all[moved_to]));
        let stream_of = |records: &[Vec<u8>], key: Key| -> Vec<Vec<u8>> {
            records.iter().filter(|record| Key::of(&read_mbo(record)) == key).cloned().collect()
        };
        for other in records.iter().map(Key::of).filter(|other| *other != key) {
            prop_assert_eq!(stream_of(&out, other), stream_of(&all, other), "only one book is out of order");
        }
    }

    #[test]
    fn damage_is_told_once_all_before_it_was_handed_out(records in any_records(), cut in 1..MBO_BYTES) {
        let mut bytes = hostile::to_bytes(&records);
        bytes.extend_from_slice(&mbo_bytes(&records[0])[..cut]);
        let recording = Recording::of(&bytes);
        let mut stream = recording.stream();
        stream.subscribe(&request("mbo")).unwrap();
        let (mut got, mut out) = (Vec::new(), Vec::new());
        let fault = loop {
            prop_assert!(!stream.is_ended());
            match stream.read(7, None, &mut out) {
                Ok(()) => got.extend(mbo_of(&out)),
                Err(fault) => break fault.to_string(),
            }
        };
        prop_assert_eq!(got, bytes_of(&records));
        prop_assert!(fault.contains(&format!("byte {}: the file ends", bytes.len())), "{}", fault);
        prop_assert!(fault.starts_with(&recording.0.display().to_string()), "{}", fault);
        prop_assert!(stream.is_ended());
    }
}

#[test]
fn compressed_bytes_are_whole_frames_that_inflate_to_the_plain_ones() {
    let records = hostile::records(&[7; 500 * BYTES_PER_RECORD], BOOKS);
    let recording = Recording::of(&hostile::to_bytes(&records));
    let mut plain = recording.stream();
    let mut packed = LiveStream::open(Options { is_compressed: true, ..recording.options() }).unwrap();
    assert_eq!(zstd::decode_all(&packed.metadata(5).unwrap()[..]).unwrap(), plain.metadata(5).unwrap());
    for stream in [&mut plain, &mut packed] {
        stream.subscribe(&request("mbo")).unwrap();
    }
    while !plain.is_ended() {
        let mut frame = read(&mut packed, 99);
        assert_eq!(zstd::decode_all(&frame[..]).unwrap(), read(&mut plain, 99));
        // The checksum is the frame's last four bytes.
        *frame.last_mut().unwrap() ^= 1;
        assert!(zstd::decode_all(&frame[..]).is_err(), "a flipped bit must be an error");
    }
    assert!(packed.is_ended());
}

#[test]
fn every_record_carries_ts_out_and_says_so_in_its_length() {
    let records = hostile::records(&[7; 50 * BYTES_PER_RECORD], BOOKS);
    let recording = Recording::of(&hostile::to_bytes(&records));
    let mut plain = recording.stream();
    let mut timed = LiveStream::open(Options { ts_out: true, ..recording.options() }).unwrap();
    let mut outs = [&mut plain, &mut timed].map(|stream| {
        stream.subscribe(&request("mbo")).unwrap();
        stream.subscribe(&request("mbp-1")).unwrap();
        stream.system(1, "Subscription request 0 for mbo data succeeded");
        stream.error(4, &"é".repeat(400));
        read_all(stream)
    });
    let plain = each_record(&outs[0]).into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let timed = outs[1].split_off(0);
    let timed = each_record(&timed);
    assert_eq!(plain.len(), timed.len());
    for (plain, timed) in plain.iter().zip(timed) {
        assert_eq!(timed.len(), plain.len() + 8);
        assert_eq!(plain[1..], timed[1..plain.len()]);
        let ts_out = u64::from_le_bytes(timed[plain.len()..].try_into().unwrap());
        assert!(ts_out > 1_700_000_000_000_000_000, "{ts_out}");
    }
}
