//! Live sessions made from hostile records, against what is naive: filters, whole books, multisets.

use std::collections::BTreeSet;

use dbn::rtype;
use l3book::{
    event::Rules,
    feed::Feed,
    gateway::{Clock, LiveStream, Options, Pace, Request},
    market::Key,
    record::{MBO_BYTES, mbo_bytes, read_mbo},
};
use proptest::{collection::vec, prelude::*, sample::select};

mod faults;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use sessions::*;
use support::hostile::{self, BYTES_PER_RECORD};

fn every_schema() -> Vec<Request> {
    ["mbo", "mbp-10", "mbp-1", "tbbo", "trades", "bbo-1m", "bbo-1s", "ohlcv-1m", "ohlcv-1s"].map(request).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

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

    /// Without a clock, recorded time begins anew with each pass, and so do intervals.
    #[test]
    fn each_pass_has_the_same_bars(records in any_records()) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let mut once = recording.stream();
        let mut looped = LiveStream::open(Options { is_looped: true, ..recording.options() }).unwrap();
        for stream in [&mut once, &mut looped] {
            for schema in ["ohlcv-1m", "ohlcv-1s"] {
                stream.subscribe(&request(schema)).unwrap();
            }
        }
        let is_bar = |record: &&[u8]| record[1] != rtype::SYMBOL_MAPPING;
        let out = read_all(&mut once);
        let bars: Vec<_> = each_record(&out).into_iter().filter(is_bar).collect();
        let books = records.iter().map(Key::of).collect::<BTreeSet<_>>().len();
        // One record into the fourth pass: the third's intervals have ended.
        let out = read(&mut looped, 3 * records.len() + 2 * books + 1);
        let looped: Vec<_> = each_record(&out).into_iter().filter(is_bar).collect();
        prop_assert_eq!(looped, bars.repeat(3));
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

    /// Also from pass to pass, where some intervals end with their pass and books are cleared.
    #[test]
    fn a_snapshot_in_any_pass_continues_the_stream(
        records in any_records(), position in 0..400usize, is_passed_over in any::<bool>(), has_clock in any::<bool>(),
        cuts in vec(1..90usize, 1..9)
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let clock = Clock { origin_ns: hostile::T0 + 7, pace: Pace::Rate(1_000_000) };
        let options = Options { is_looped: true, clock: has_clock.then_some(clock), ..recording.options() };
        let (mut whole, mut cut) = (LiveStream::open(options.clone()).unwrap(), LiveStream::open(options).unwrap());
        whole.subscribe(&request("mbo")).unwrap();
        let mut all = read(&mut whole, position);
        if is_passed_over {
            cut.seek_position(position as u64).unwrap();
        } else {
            read(&mut cut, position);
        }
        for stream in [&mut whole, &mut cut] {
            for schema in ["ohlcv-1s", "bbo-1m", "mbp-1"] {
                stream.subscribe(&request(schema)).unwrap();
            }
        }
        cut.subscribe(&Request { is_snapshot: true, ..request("mbo") }).unwrap();
        all.extend(read(&mut whole, 300));
        let (mut joined, mut left, mut steps) = (Vec::new(), 300, cuts.iter().cycle());
        while left > 0 {
            let step = left.min(*steps.next().unwrap());
            joined.extend(read(&mut cut, step));
            left -= step;
        }
        let expected = books_of(&market_of(&mbo_of(&all).concat()));
        let books = books_of(&market_of(&mbo_of(&joined).concat()));
        for (key, book) in &books {
            prop_assert_eq!(book, &expected[key], "book {}", key);
        }
        prop_assert!(expected.iter().all(|(key, book)| books.contains_key(key) || book.1 > 0), "a book is missing");
        let rows = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let is_row = |record: &&[u8]| ![rtype::MBO, rtype::SYMBOL_MAPPING].contains(&record[1]);
            each_record(bytes).into_iter().filter(is_row).map(<[u8]>::to_vec).collect()
        };
        prop_assert_eq!(rows(&joined), rows(&all));
    }

    #[test]
    fn a_search_ends_whatever_the_time(
        records in any_records(), ts_ns in any::<u64>(), has_clock in any::<bool>(), by_rate in any::<bool>()
    ) {
        let recording = Recording::of(&hostile::to_bytes(&records));
        let pace = if by_rate { Pace::Rate(1) } else { Pace::speed(1.0).unwrap() };
        let clock = has_clock.then_some(Clock { origin_ns: hostile::T0, pace });
        for ts_ns in [ts_ns, u64::MAX, u64::MAX - 1, hostile::T0 + ts_ns % (1 << 50)] {
            let options = Options { is_looped: true, clock, ..recording.options() };
            let [mut by_event, mut by_due] =
                [options.clone(), options].map(|options| LiveStream::open(options).unwrap());
            by_event.seek(ts_ns);
            by_due.seek_due(ts_ns);
            if has_clock && by_rate && ts_ns < hostile::T0 + (1 << 50) {
                prop_assert!(by_due.next_ts_ns() > Some(ts_ns));
            }
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
