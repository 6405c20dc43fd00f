//! The stream's promises.

mod naive;

use std::collections::HashMap;

use dbn::decode::dbn::Decoder;
use dbn::decode::{DbnMetadata, DecodeRecordRef};
use dbn::{Dataset, MboMsg, Publisher, Schema, SymbolIndex};

use self::naive::Checker;
use super::*;

const SNAPSHOT: u8 = tape::SNAPSHOT;

fn simulator(seed: u64, instruments: u32, crossed: bool) -> Simulator {
    Simulator::new(Config { seed, instruments, crossed, resting_max: None }).unwrap()
}

/// Header and records, until there are `records` of them or an event more.
fn stream(simulator: &mut Simulator, records: usize) -> Vec<u8> {
    let mut bytes = simulator.header();
    simulator.read(records, &mut bytes);
    bytes
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Calls `each` with every record until there have been `records`, in pieces that do not fill the memory.
fn for_each_record(simulator: &mut Simulator, records: u64, mut each: impl FnMut(&MboMsg)) {
    let mut bytes = Vec::new();
    while simulator.records() < records {
        bytes.clear();
        simulator.read(10_000, &mut bytes);
        for record in bytes.chunks_exact(56) {
            each(&parse(record));
        }
    }
}

fn parse(bytes: &[u8]) -> MboMsg {
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((bytes[0], bytes[1], bytes[2], bytes[3]), (14, 160, 1, 0), "length, rtype, publisher_id");
    let mut record = MboMsg::default();
    record.hd.instrument_id = u32_at(4);
    record.hd.ts_event = u64_at(8);
    record.order_id = u64_at(16);
    record.price = u64_at(24) as i64;
    record.size = u32_at(32);
    record.flags = bytes[36].into();
    record.action = bytes[38] as _;
    record.side = bytes[39] as _;
    record.ts_recv = u64_at(40);
    record.ts_in_delta = u32_at(48) as i32;
    record.sequence = u32_at(52);
    record
}

const KINDS: [&str; 17] = [
    "add",
    "clear that leaves the book empty",
    "event completed by a None record",
    "mass cancel",
    "modify down",
    "modify of price",
    "modify of price and size",
    "modify to what a fill left",
    "modify unchanged after a fill",
    "modify up",
    "partial cancel",
    "remainder that rests",
    "snapshot",
    "sweep through several levels",
    "trade",
    "trade without an aggressor",
    "whole cancel",
];

#[test]
fn one_busy_instrument_keeps_every_promise_over_five_million_records() {
    let mut simulator = simulator(1, 1, false);
    let mut checker = Checker::default();
    let mut next_look = 200_000;
    let mut resting = (usize::MAX, 0);
    for_each_record(&mut simulator, 5_000_000, |record| {
        checker.take(record);
        if checker.records > next_look && checker.open.is_none() {
            next_look += 10_000;
            resting = (resting.0.min(checker.resting()), resting.1.max(checker.resting()));
        }
    });
    println!(
        "{:#?}\n{:?}\n{resting:?} {:?} {}",
        checker.kinds, checker.actions, checker.bids, checker.busiest_millisecond
    );
    for kind in KINDS {
        assert!(checker.seen(kind) > 0, "never seen: {kind}");
    }
    assert_eq!((checker.seen("crossed at LAST"), checker.seen("locked at LAST")), (0, 0));
    for (action, share) in
        [(b'A', 4200..4500), (b'C', 4200..4500), (b'M', 700..800), (b'T', 100..170), (b'F', 350..450), (b'N', 70..110)]
    {
        assert!(share.contains(&checker.share(action)), "{}: {}", action as char, checker.share(action));
    }
    assert!((16_500..19_000).contains(&resting.0) && (17_000..19_500).contains(&resting.1), "{resting:?}");
    assert!(checker.busiest_millisecond > 300, "{}", checker.busiest_millisecond);
    let (low, high) = checker.bids.unwrap();
    let travelled = (high - low) / 10_000_000;
    assert!(travelled > 200, "{travelled} ticks");
}

#[test]
fn many_instruments_keep_every_promise() {
    for (instruments, records, resting) in [(100, 1_500_000, 180_000..220_000), (10_000, 2_000_000, 550_000..730_000)] {
        let checker = Checker::run(&mut simulator(3, instruments, false), records);
        assert_eq!(checker.books.len(), instruments as usize);
        assert!(resting.contains(&checker.resting()), "{}", checker.resting());
        assert_eq!((checker.seen("crossed at LAST"), checker.seen("locked at LAST")), (0, 0));
    }
}

/// The smallest books, alone in the stream: sides run thin, spreads open wide and close again in one step, and orders
/// left behind must be cancelled before the touch comes around the ring of price levels to them.
#[test]
fn a_small_book_keeps_every_promise_for_long() {
    for crossed in [false, true] {
        let mut simulator = simulator(11, 1, crossed);
        let target = RESTING_ORDERS_PER_INSTRUMENT_MIN;
        simulator.instruments[0] = Instrument::new(FIRST_INSTRUMENT_ID, 0, target, crossed, &mut simulator.tape);
        let checker = Checker::run(&mut simulator, 3_000_000);
        assert!(checker.seen("snapshot") > 100);
        assert_eq!(checker.seen("crossed at LAST") > 0, crossed);
    }
}

#[test]
fn crossed_when_asked_and_then_open_again() {
    for instruments in [1, 200, 5_000] {
        let mut simulator = simulator(5, instruments, true);
        let checker = Checker::run(&mut simulator, 1_500_000);
        let crossed = checker.seen("crossed at LAST");
        println!("{instruments}: {crossed} crossed, {} locked", checker.seen("locked at LAST"));
        assert!(crossed > 500 && crossed < 500_000, "{crossed}");
        assert!(checker.seen("trade without an aggressor") > 0);
    }
}

#[test]
fn the_bytes_are_pinned() {
    for (seed, instruments, crossed, golden) in
        [(1, 1, false, 0x1c5f_203f_512b_a3b3_u64), (42, 50, true, 0xface_b522_1ff1_1b05)]
    {
        let mut simulator = simulator(seed, instruments, crossed);
        let mut bytes = stream(&mut simulator, 400_000);
        bytes.truncate(simulator.header().len() + 400_000 * 56);
        assert_eq!(fnv1a(&bytes), golden, "{:#x}", fnv1a(&bytes));
    }
}

#[test]
fn how_the_stream_is_cut_changes_nothing() {
    let whole = |config| {
        let mut bytes = Vec::new();
        let mut simulator = Simulator::new(config).unwrap();
        simulator.read(300_000, &mut bytes);
        (bytes, simulator.records())
    };
    for config in [Config::default(), Config { seed: 9, instruments: 1_000, crossed: true, resting_max: None }] {
        let (expected, records) = whole(config);
        assert_eq!(expected.len() as u64, records * 56);
        for chunk in [1, 7, 1_000] {
            let mut simulator = Simulator::new(config).unwrap();
            let mut bytes = Vec::new();
            while simulator.records() < records {
                let before = simulator.records();
                simulator.read(chunk, &mut bytes);
                assert!(simulator.records() - before >= chunk as u64);
            }
            let same = bytes.len().min(expected.len());
            assert!(bytes[..same] == expected[..same] && same == expected.len(), "chunks of {chunk}");
        }
    }
}

#[test]
fn reading_nothing_writes_nothing_and_appends_otherwise() {
    let mut simulator = simulator(1, 3, false);
    let mut bytes = b"kept".to_vec();
    simulator.read(0, &mut bytes);
    assert_eq!((bytes.as_slice(), simulator.records()), (b"kept".as_slice(), 0));
    simulator.read(1, &mut bytes);
    assert_eq!((&bytes[..4], bytes.len() as u64), (b"kept".as_slice(), 4 + simulator.records() * 56));
}

#[test]
fn another_seed_is_another_market() {
    let [a, b] = [1, 2].map(|seed| stream(&mut simulator(seed, 1, false), 1_000));
    assert_ne!(a, b);
}

#[test]
fn dbn_decodes_header_and_records() {
    let bytes = stream(&mut simulator(1, 30, false), 300_000);
    let mut decoder = Decoder::new(bytes.as_slice()).unwrap();
    let metadata = decoder.metadata().clone();
    assert_eq!((metadata.version, metadata.dataset.as_str()), (3, Dataset::GlbxMdp3.as_str()));
    assert_eq!((metadata.schema, metadata.end, metadata.symbols.len()), (Some(Schema::Mbo), None, 30));
    let symbols = metadata.symbol_map().unwrap();
    let mut records = 0;
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        let record: &MboMsg = record.get().expect("an MBO record");
        assert_eq!(record.hd.publisher().unwrap(), Publisher::GlbxMdp3Glbx);
        assert!(symbols.get_for_rec(record).unwrap().starts_with("SYN"));
        records += 1;
    }
    assert!(records >= 300_000);
}

#[test]
fn activity_follows_the_power_law() {
    assert_eq!(activity(1), 1 << 32);
    for (n, expected) in [(10, 856_950_000_u64), (10_000, 6_807_000)] {
        assert!(activity(n).abs_diff(expected) < expected / 1_000, "{n}: {}", activity(n));
    }
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for_each_record(&mut simulator(1, 500, false), 1_200_000, |record| {
        *counts.entry(record.hd.instrument_id).or_default() += 1;
    });
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_unstable();
    assert!(counts[499] > 10 * counts[0], "{} and {}", counts[499], counts[0]);
}

#[test]
fn a_market_without_instruments_or_with_too_many_is_an_error() {
    for instruments in [0, INSTRUMENTS_MAX + 1] {
        let error = Simulator::new(Config { instruments, ..Config::default() }).err().unwrap();
        assert_eq!(error, ConfigError::Instruments(instruments));
        assert_eq!(error.to_string(), format!("instruments: expected 1 to 10000, not {instruments}"));
    }
}

#[test]
fn a_stream_can_end_after_any_number_of_records_with_a_whole_event() {
    for records in [0, 1, 70, 500, 5_003] {
        let config = Config { resting_max: Some(64), ..Config::default() };
        let mut simulator = Simulator::new(config).unwrap();
        let mut bytes = Vec::new();
        simulator.read_last(records, &mut bytes);
        assert_eq!(bytes.len(), records * 56);
        assert_eq!(simulator.records(), records as u64);
        assert!(bytes.chunks(56).last().is_none_or(|record| record[36] & 128 != 0));
        simulator.read(100, &mut bytes);
        assert_eq!(bytes.len(), records * 56, "nothing comes after the end");
    }
    assert_eq!(
        Simulator::new(Config { resting_max: Some(5), ..Config::default() }).err(),
        Some(ConfigError::Resting(5))
    );
}
