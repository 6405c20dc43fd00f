//! Random and hostile streams: after every record, the book shows what the naive book shows.
#![allow(missing_docs)]

mod support;

use std::{cmp::Ordering, collections::BTreeMap};

use l3book::{
    book::SameSizeModify,
    checkpoint,
    event::{EventBook, HELD_RECORDS_MAX, Rules},
    feed::Feed,
    market::{Key, Market},
    naive::NaiveBook,
    record::{MboMsg, Side, flags, mbo_bytes},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngSeed, TestRunner},
};
use support::{
    agreement::{agrees, keeps_exchange_rules, key_of, naive},
    hostile::{BYTES_PER_RECORD, KEYS, T0, UNIT, record, records, to_bytes},
};

const P: i64 = 100 * UNIT;
const LAST: u8 = flags::LAST;

/// So many cases unless PROPTEST_CASES asks for another number.
fn cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases, ..config } }
}

/// Both same-size rules; no end, or one within the first records.
fn rules() -> impl Strategy<Value = Rules> {
    let until = prop_oneof![3 => Just(u64::MAX), 1 => (0..40_000u64).prop_map(|ns| T0 + ns)];
    (any::<bool>(), until, 0..3u64).prop_map(|(to_back, until, epoch)| {
        let same_size = if to_back { SameSizeModify::ToBack } else { SameSizeModify::KeepsPlace };
        Rules { same_size, until, epoch }
    })
}

fn stream(records_max: usize) -> impl Strategy<Value = Vec<MboMsg>> {
    let bytes = prop::collection::vec(any::<[u8; BYTES_PER_RECORD]>(), 0..records_max);
    (bytes, 1..=KEYS.len()).prop_map(|(raw, books)| records(raw.as_flattened(), books))
}

/// The naive books of a market, by key.
struct Naive {
    rules: Rules,
    books: BTreeMap<Key, NaiveBook>,
}

impl Naive {
    fn new(rules: &Rules) -> Self {
        Self { rules: *rules, books: BTreeMap::new() }
    }

    fn of(rules: &Rules, records: &[MboMsg]) -> Self {
        let mut books = Self::new(rules);
        for record in records {
            books.push(record);
        }
        books
    }

    fn push(&mut self, record: &MboMsg) -> &NaiveBook {
        let book = self.books.entry(key_of(record)).or_insert_with(|| naive(&self.rules));
        book.push(record);
        book
    }

    /// The books, their number and the sums of their counters.
    fn agrees(&self, market: &Market) -> Result<(), String> {
        if market.len() != self.books.len() {
            return Err(format!("{} books, the naive market has {}", market.len(), self.books.len()));
        }
        for (key, expected) in &self.books {
            let book = market.book(*key).ok_or(format!("no book {key}"))?;
            agrees(book, expected)
                .and_then(|()| keeps_exchange_rules(book))
                .map_err(|what| format!("{key}: {what}"))?;
        }
        for (i, (name, sum)) in market.counters().into_iter().enumerate() {
            let expected: u64 = self.books.values().map(|book| book.counters()[i].1).sum();
            if sum != expected {
                return Err(format!("{name} of all books: {sum}, expected {expected}"));
            }
        }
        market.check().map_err(|broken| broken.to_string())
    }
}

proptest! {
    #![proptest_config(cases(15_000))]

    #[test]
    fn one_book_agrees_after_every_record(rules in rules(), stream in stream(100)) {
        let (mut book, mut expected) = (EventBook::new(&rules), naive(&rules));
        for record in &stream {
            let completed = book.push(record);
            let seq = expected.seq();
            prop_assert_eq!(expected.push(record), expected.seq() != seq);
            prop_assert!(completed.is_err() || completed == Ok(expected.seq() != seq));
            prop_assert_eq!(agrees(&book, &expected), Ok(()));
            prop_assert_eq!(keeps_exchange_rules(&book), Ok(()));
        }
    }

    #[test]
    fn a_market_agrees_after_every_record(rules in rules(), stream in stream(100)) {
        let (mut feed, mut expected) = (Feed::new(rules), Naive::new(&rules));
        for record in &stream {
            feed.feed(mbo_bytes(record)).expect("a good record");
            let expected = expected.push(record);
            let book = feed.market.book(key_of(record)).expect("it was just fed");
            prop_assert_eq!(agrees(book, expected), Ok(()));
        }
        prop_assert_eq!(expected.agrees(&feed.market), Ok(()));
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn bytes_cut_anywhere_agree(
        rules in rules(),
        stream in stream(250),
        lengths in prop::collection::vec(1usize..2_000, 1..20),
        compressed: bool,
    ) {
        let mut bytes = to_bytes(&stream);
        if compressed {
            bytes = zstd::encode_all(bytes.as_slice(), 1).expect("zstd");
        }
        let mut feed = Feed::new(rules);
        let mut rest = bytes.as_slice();
        for length in lengths.iter().cycle() {
            let (chunk, after) = rest.split_at((*length).min(rest.len()));
            feed.feed(chunk).expect("good bytes");
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(Naive::of(&rules, &stream).agrees(&feed.market), Ok(()));
    }

    #[test]
    fn a_checkpoint_anywhere_changes_nothing(rules in rules(), stream in stream(120), at in 0usize..120) {
        let (before, after) = stream.split_at(at.min(stream.len()));
        let mut feed = Feed::new(rules);
        feed.feed(&to_bytes(before)).expect("good records");
        let saved = checkpoint::to_bytes(&feed.market);
        let market = checkpoint::from_bytes(&saved).expect("our own bytes");
        prop_assert!(checkpoint::to_bytes(&market) == saved, "a checkpoint of what was read back differs");
        prop_assert_eq!(Naive::of(&rules, before).agrees(&market), Ok(()));
        let mut resumed = Feed::resume(market);
        resumed.feed(&to_bytes(after)).expect("good records");
        prop_assert_eq!(Naive::of(&rules, &stream).agrees(&resumed.market), Ok(()));
    }
}

/// What happened in a stream, beside what its counters say.
fn note_branches(seen: &mut BTreeMap<&'static str, u64>, book: &NaiveBook) {
    let mut note = |name, happened: bool| *seen.entry(name).or_default() += u64::from(happened);
    let tops = Side::BOTH.map(|side| book.levels(side).first().copied());
    let [bid, ask] = tops.map(|top| top.map(|level| level.0));
    note("crossed", bid.zip(ask).is_some_and(|(bid, ask)| bid > ask));
    note("locked", bid.is_some() && bid == ask);
    note("suspect", book.state() == "suspect");
    note("loading", book.state() == "snapshot");
    note(
        "quote beside orders",
        Side::BOTH.iter().any(|side| {
            let quote = book.orders.quotes[*side as usize];
            quote.is_some_and(|(price, _)| !book.queue(*side, price).is_empty())
        }),
    );
    note("queue of three", Side::BOTH.iter().any(|side| book.levels(*side).iter().any(|level| level.2 >= 3)));
    note(
        "size past 32 bits",
        Side::BOTH.iter().any(|side| book.levels(*side).iter().any(|l| l.1 > u64::from(u32::MAX))),
    );
}

/// What a record is about to do to the order that it names.
fn note_change(seen: &mut BTreeMap<&'static str, u64>, book: &NaiveBook, record: &MboMsg) {
    let Some((side, price)) = book.orders.places.get(&record.order_id) else { return };
    let queue = &book.orders.sides[*side][price];
    let order = queue.iter().find(|order| order.0 == record.order_id).expect("a placed order is queued");
    let is_there = Side::of(record).map(|side| side as usize) == Some(*side) && record.price == *price;
    let is_last = queue.back() == Some(order);
    let name = match (record.action as u8, is_there, record.size.cmp(&order.1)) {
        (b'M', true, Ordering::Greater) => "grows",
        (b'M', true, Ordering::Equal) if is_last => "is modified to what it is",
        (b'M', true, Ordering::Equal) => "is modified to what it is, before another",
        (b'M', true, Ordering::Less) => "shrinks",
        (b'M', false, _) => "moves",
        (b'C', _, Ordering::Less) if record.size > 0 => "is cancelled in part",
        (b'C', _, Ordering::Equal) => "is cancelled",
        (b'A', _, _) => "is replaced",
        _ => "stays",
    };
    *seen.entry(name).or_default() += 1;
}

/// The tests above prove nothing about what their streams never do.
#[test]
fn streams_reach_every_branch() {
    const STREAMS: usize = 1_000;
    const RARE: u64 = 50;
    const BRANCHES: usize = 41;
    let config = ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for _ in 0..STREAMS {
        let drawn = (rules(), stream(100)).new_tree(&mut runner).expect("no filter").current();
        let mut books = Naive::new(&drawn.0);
        for record in &drawn.1 {
            if let Some(book) = books.books.get(&key_of(record)) {
                note_change(&mut seen, book, record);
            }
            let book = books.push(record);
            note_branches(&mut seen, book);
        }
        for book in books.books.values() {
            for (name, count) in book.counters() {
                *seen.entry(name).or_default() += count;
            }
            *seen.entry("stopped").or_default() += u64::from(book.is_past_end());
            *seen.entry("new epochs").or_default() += book.epoch() - drawn.0.epoch;
        }
    }
    assert_eq!(seen.len(), BRANCHES, "{:?}", seen.keys());
    let too_rare: Vec<_> = seen.iter().filter(|(_, count)| **count < RARE).collect();
    assert!(too_rare.is_empty(), "in {STREAMS} streams: {too_rare:?}");
}

fn held_against_the_naive(rules: &Rules, records: &[MboMsg]) -> EventBook {
    let (mut book, mut expected) = (EventBook::new(rules), naive(rules));
    for record in records {
        let _ = book.push(record);
        expected.push(record);
        assert_eq!(agrees(&book, &expected), Ok(()), "{record:?}");
    }
    book
}

/// Shrunk failure: the time of a Trade without F_LAST outlived its event, and ended a later one that lay before the end.
#[test]
fn a_trade_leaves_no_time_behind() {
    let at = |ns: u64, mut record: MboMsg| {
        record.hd.ts_event = T0 + ns;
        record
    };
    let rules = Rules { until: T0 + 100, ..Rules::default() };
    let book = held_against_the_naive(
        &rules,
        &[
            at(200, record(b'T', b'B', P, 1, 0, 0)),
            at(50, record(b'A', b'B', P, 1, 1, LAST)),
            at(60, record(b'A', b'B', P, 1, 2, 0)),
            at(60, record(b'A', b'B', P, 1, 3, LAST)),
        ],
    );
    assert_eq!(book.book().len(), 3);
}

/// Shrunk failure: a book that stopped while a snapshot was coming in said for good that it was loading it.
#[test]
fn a_book_that_stopped_is_loading_nothing() {
    let mut late = record(b'A', b'B', P, 1, 2, flags::SNAPSHOT | LAST);
    late.hd.ts_event = T0 + 101;
    let rules = Rules { until: T0 + 100, ..Rules::default() };
    let first = record(b'A', b'B', P, 1, 1, LAST);
    let clear = record(b'R', b'N', P, 0, 0, flags::SNAPSHOT);
    let book = held_against_the_naive(&rules, &[first, clear, late]);
    assert_eq!((book.state().name(), book.book().len()), ("live", 1));
}

/// A book as of a time counted the records before the last one of the event that lies after it, a whole snapshot at worst.
#[test]
fn a_book_that_stopped_has_counted_nothing_of_what_came_after() {
    let rules = Rules { until: T0 + 100, ..Rules::default() };
    let first = record(b'A', b'B', P, 1, 1, LAST);
    let mut after = [
        record(b'T', b'B', P, 1, 0, 0),
        record(b'F', b'B', P, 1, 1, flags::MAYBE_BAD_BOOK),
        record(b'A', b'N', P, 1, 2, 0),
        record(b'C', b'B', P, 1, 1, 0),
        record(b'N', b'N', P, 0, 0, LAST),
    ];
    after.iter_mut().for_each(|record| record.hd.ts_event = T0 + 101);
    let whole: Vec<MboMsg> = [first].into_iter().chain(after).collect();
    let expected = held_against_the_naive(&rules, &[first]).counters();
    assert_eq!(held_against_the_naive(&rules, &whole).counters(), expected);

    // Also where it stood in the middle of that event when it was written down.
    let mut market = Market::new(rules);
    for record in &whole {
        let mut feed = Feed::resume(market);
        feed.feed(mbo_bytes(record)).expect("a good record");
        market = checkpoint::from_bytes(&checkpoint::to_bytes(&feed.market)).expect("our own checkpoint");
    }
    assert_eq!(market.counters(), expected);
}

/// Found by fuzzing: a checkpoint could hold a count that the next record made overflow.
#[test]
fn a_checkpoint_with_an_absurd_count_is_refused() {
    const HEADER_BYTES: usize = 12;
    let empty = checkpoint::to_bytes(&Market::new(Rules::default()));
    // Behind the head's length: its rules (a byte, ten for `until`, one for the epoch), then four counts of 0.
    const COUNTS_AT: usize = HEADER_BYTES + 1 + 12;
    let absurd = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
    for at in COUNTS_AT..COUNTS_AT + 4 {
        let mut bytes = empty.clone();
        bytes.splice(at..at + 1, absurd);
        bytes[HEADER_BYTES] += absurd.len() as u8 - 1;
        let crc = crc32fast::hash(&bytes[HEADER_BYTES..]);
        bytes[8..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        let refused = checkpoint::from_bytes(&bytes).err().expect("refused").to_string();
        assert!(refused.contains("a count of 18446744073709551615, expected at most 4503599627370496"), "{refused}");
    }
}

#[test]
fn a_checkpoint_of_the_first_version_is_refused_in_one_line() {
    let mut bytes = checkpoint::to_bytes(&Market::new(Rules::default()));
    bytes[4] = 1;
    let refused = checkpoint::from_bytes(&bytes).err().expect("refused").to_string();
    let expected =
        "checkpoint, byte 8: version 1, expected 2: written by another version of l3book, make it anew from its stream";
    assert_eq!(refused, expected);
}

#[test]
fn the_last_epoch_is_followed_by_the_first() {
    let rules = Rules { epoch: u64::MAX, ..Rules::default() };
    let book = held_against_the_naive(&rules, &[record(b'R', b'N', 0, 0, 0, LAST)]);
    assert_eq!(book.epoch(), 0);
}

/// The longest unfinished event, and the record after it.
#[test]
fn an_endless_event_is_forced_at_its_limit() {
    let rules = Rules::default();
    let (mut book, mut expected) = (EventBook::new(&rules), naive(&rules));
    for i in 0..HELD_RECORDS_MAX as u64 + 1 {
        let record = record(b'A', b'B', P + (i % 5_000) as i64, 1, i, flags::SNAPSHOT);
        assert_eq!(book.push(&record), Ok(expected.push(&record)));
        assert_eq!(expected.seq(), u64::from(i == HELD_RECORDS_MAX as u64));
    }
    assert_eq!(agrees(&book, &expected), Ok(()));
    assert_eq!(book.book().len(), HELD_RECORDS_MAX);
}

/// Small tables are where every place of the id table fills, passes on and empties, in all orders.
#[test]
fn small_books_churn() {
    const RECORDS: u64 = 300_000;
    for resting_max in [1, 3, 7, 8, 9, 10, 11, 20, 40] {
        let (mut book, mut expected) = (EventBook::new(&Rules::default()), naive(&Rules::default()));
        let mut resting: Vec<u64> = Vec::new();
        let mut noise = 1u64;
        for id in 0..RECORDS {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (noise >> 33) as usize;
            let leaves = resting.len() == resting_max || (noise >> 32 & 1 == 1 && !resting.is_empty());
            let record = if leaves {
                let gone = resting.swap_remove(at % resting.len());
                record(b'C', b'B', P, 1, gone, LAST)
            } else {
                resting.push(id);
                record(b'A', b'B', P + (at % 3) as i64, 1, id, LAST)
            };
            let _ = book.push(&record);
            expected.push(&record);
            if id % 64 == 0 {
                assert_eq!(agrees(&book, &expected), Ok(()), "{resting_max} resting");
            }
        }
    }
}

/// A day of churn: every order has an id and a price of its own, and a thousand rest at a time.
#[test]
fn memory_follows_what_rests_not_what_ever_rested() {
    const RESTING: u64 = 1_000;
    const ORDERS: u64 = 2_000_000;
    let price = |i: u64| P + i as i64;
    let mut book = EventBook::new(&Rules::default());
    let mut warm_bytes = 0;
    for i in 0..ORDERS {
        let _ = book.push(&record(b'A', b"BA"[i as usize % 2], price(i), 1, i, LAST));
        if i >= RESTING {
            let gone = i - RESTING;
            let _ = book.push(&record(b'C', b"BA"[gone as usize % 2], price(gone), 1, gone, LAST));
        }
        if i == 4 * RESTING {
            warm_bytes = book.book().memory_bytes();
        }
    }
    assert_eq!(book.book().len() as u64, RESTING);
    assert_eq!(book.book().memory_bytes(), warm_bytes);
    assert_eq!(book.book().check(), Ok(()));
    assert_eq!(keeps_exchange_rules(&book), Ok(()));
    assert_eq!(book.counters().into_iter().find(|(name, _)| *name == "adds"), Some(("adds", ORDERS)));
}
