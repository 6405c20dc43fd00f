//! `verify` finds what is wrong, and names it; and says the same of the same stream, however it comes.
#![allow(missing_docs)]

use std::{fs, path::PathBuf, time::Duration};

use dbn::{MboMsg, RecordHeader, rtype};
use l3book::{
    book::SameSizeModify,
    decode::Decoder,
    record::{MBO_BYTES, flags, mbo_bytes},
    sim::{Config, Simulator},
    verify::{Options, Verification, Verifier, difference::Judge, report::Report, report::Verdict},
};

const LAST: u8 = flags::LAST;
const UNIT: i64 = 1_000_000_000;

fn record(action: u8, side: u8, price: i64, order_id: u64, size: u32, bits: u8) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 7, 1_000),
        order_id,
        price: price * UNIT,
        size,
        flags: bits.into(),
        channel_id: 0,
        action: action as std::ffi::c_char,
        side: side as std::ffi::c_char,
        ts_recv: 2_000,
        ts_in_delta: 5,
        sequence: 1,
    }
}

fn bytes_of(records: &[MboMsg]) -> Vec<u8> {
    records.iter().flat_map(|record| *mbo_bytes(record)).collect()
}

fn verified(bytes: &[u8], chunk: usize, options: Options) -> Report {
    let mut verifier = Verifier::new(options).expect("no other file");
    let mut decoder = Decoder::new();
    for chunk in bytes.chunks(chunk) {
        decoder.push(chunk, &mut verifier).expect("a good stream");
    }
    verifier.finish("stream".into(), None, Duration::ZERO)
}

fn verified_file(name: &str, bytes: &[u8], options: Options) -> Report {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("a file");
    let mut verification = Verification::open(&path, options).expect("it is there");
    while !verification.step(1 << 20).expect("it can be read") {}
    let report = verification.finish();
    fs::remove_file(path).expect("it is there");
    report
}

/// A book that follows another rule than the oracle is a wrong book.
fn with_a_bug() -> Options {
    Options {
        same_size: SameSizeModify::ToBack,
        oracle_same_size: Some(SameSizeModify::KeepsPlace),
        ..Options::default()
    }
}

fn simulated(instruments: u32, records: usize) -> Vec<u8> {
    let config = Config { instruments, seed: 5, crossed: true, resting_max: Some(200) };
    let mut simulator = Simulator::new(config).expect("valid");
    let mut bytes = simulator.header();
    let header = bytes.len();
    simulator.read(records, &mut bytes);
    bytes.truncate(header + records * MBO_BYTES);
    bytes
}

#[test]
fn a_right_book_is_good() {
    let report = verified(&simulated(3, 20_000), 10_000, Options { check_every_events: 1_000, ..Options::default() });
    assert_eq!((report.verdict, report.difference), (Verdict::Good, None));
    let oracle = report.oracle.expect("it was asked");
    assert_eq!(oracle.events, report.counters["events"]);
    assert_eq!(oracle.whole, report.counters["events"] / 1_000 + 1);
    assert_eq!(report.books.len(), 3);
    assert_eq!(report.fifo.in_order, report.fifo.judged, "the simulator trades first in, first out");
    assert!(report.fifo.judged > 50 && report.crossed.count > 0);
}

#[test]
fn the_first_difference_is_named_by_its_record() {
    let records = [
        record(b'A', b'B', 100, 1, 5, LAST),
        record(b'A', b'B', 100, 2, 6, LAST),
        record(b'M', b'B', 100, 2, 6, LAST), // last already: no rule moves it
        record(b'N', b'N', 100, 0, 0, 0),
        record(b'M', b'B', 100, 1, 5, LAST),
        record(b'M', b'B', 100, 2, 6, LAST),
    ];
    let report = verified(&bytes_of(&records), 100, with_a_bug());
    let found = report.difference.expect("a difference");
    assert_eq!(report.verdict, Verdict::Different);
    // The second Modify gives order 2 a new ts_event in a book where it moves; the times here are all the same.
    assert_eq!((found.judge, found.record, found.byte, found.seq), (Judge::Oracle, 4, 4 * 56, 4));
    assert_eq!(found.what, "order 1 of the queue at B 100.00");
    assert_eq!(found.expected, "order 1 x 5, ts_event 1000");
    assert_eq!(found.got, "order 2 x 6, ts_event 1000");
    assert_eq!(found.mbo, "M B 100.00 x 5, order 1, sequence 1, flags 128");
    assert_eq!(report.counters["records"], 6, "the rest is read for the rest of the report");
}

/// A fault in the middle of a long queue, hidden from the look at its ends: only a check of everything sees it, long
/// after the event.
#[test]
fn a_late_difference_is_traced_to_its_event() {
    let mut records: Vec<_> = (1..=100).map(|id| record(b'A', b'A', 50, id, 3, LAST)).collect();
    records.push(record(b'M', b'A', 50, 40, 3, 0));
    records.push(record(b'M', b'A', 50, 100, 3, LAST));
    records.extend((0..2_000).map(|id| record(b'A', b'B', 10, 1_000 + id, 1, LAST)));
    for instruments in [1, 2] {
        let mut records = records.clone();
        if instruments == 2 {
            records.insert(0, MboMsg { hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 8, 1_000), ..records[0] });
        }
        let name = format!("late{instruments}.dbn");
        let report = verified_file(&name, &bytes_of(&records), with_a_bug());
        let found = report.difference.expect("a difference");
        assert_eq!((found.record, found.seq), (100 + instruments, 101));
        assert_eq!(found.what, "order 40 of the queue at A 50.00");
    }
}

#[test]
fn without_the_oracle_a_wrong_rule_passes() {
    let records =
        [record(b'A', b'B', 100, 1, 5, LAST), record(b'A', b'B', 100, 2, 6, LAST), record(b'M', b'B', 100, 1, 5, LAST)];
    let report = verified(&bytes_of(&records), 100, Options { with_oracle: false, ..with_a_bug() });
    assert_eq!((report.verdict, report.oracle), (Verdict::Good, None));
}

#[test]
fn cuts_change_no_hash_and_a_priority_changes_them() {
    let bytes = simulated(2, 3_000);
    let options = || Options { hash_every_events: 500, ..Options::default() };
    let whole = verified(&bytes, bytes.len(), options());
    for chunk in [1, 57, 4_096] {
        let cut = verified(&bytes, chunk, options());
        assert_eq!((cut.hashes, cut.books[0].state_hash), (whole.hashes.clone(), whole.books[0].state_hash));
    }
    let orders = [record(b'A', b'B', 100, 1, 5, LAST), record(b'A', b'B', 100, 2, 5, LAST)];
    let there = verified(&bytes_of(&orders), 100, options());
    let mut swapped = orders;
    swapped.swap(0, 1);
    let back = verified(&bytes_of(&swapped), 100, options());
    assert_ne!(there.hashes.state, back.hashes.state, "the same level, another priority");
    assert_eq!(there.hashes.running, back.hashes.running, "the levels are the same at any time");
}

#[test]
fn the_hashes_on_the_way_are_those_of_the_shorter_stream() {
    let bytes = simulated(2, 3_000);
    let long = verified(&bytes, 999, Options { hash_every_events: 700, ..Options::default() });
    let point = long.hashes.points[1];
    assert_eq!(point.event, 1_400);
    let header = bytes.len() - 3_000 * MBO_BYTES;
    let short = &bytes[..header + (point.record as usize + 1) * MBO_BYTES];
    let short = verified(short, 999, Options::default());
    assert_eq!((short.hashes.running, short.hashes.state), (point.running, point.state));
}
