//! The benchmarks' synthetic streams are those that the published figures speak of, and the engines that are compared
//! agree on the books.

#[path = "../benches/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, path::PathBuf};

use l3book::{
    book::OrderBook,
    record::{MBO_BYTES, Side, read_mbo},
};
use support::{
    engines, hostile,
    streams::{self, Stream},
};

const MESSAGES: usize = 400_000;

fn stream(instruments: u32) -> Stream {
    let bytes = streams::synthetic(instruments, streams::opening_orders(instruments), MESSAGES);
    Stream { name: "test", what: String::new(), bytes, dbn: PathBuf::new(), zst: PathBuf::new() }
}

/// Parts of a thousand, by action, of the records after the opening snapshots.
fn mix(stream: &Stream, instruments: u32) -> BTreeMap<char, usize> {
    let opening = streams::opening_orders(instruments) + instruments as usize;
    let mut counts = BTreeMap::new();
    for record in stream.records().skip(opening) {
        *counts.entry(record.action as u8 as char).or_insert(0) += 1;
    }
    let total: usize = counts.values().sum();
    counts.into_iter().map(|(action, count)| (action, (count * 1000).div_ceil(total))).collect()
}

fn books(stream: &Stream) -> Vec<OrderBook> {
    let (numbers, keys) = engines::number_books(stream);
    engines::order_books(&stream.bytes, &numbers, keys.len())
}

#[test]
fn the_mix_is_the_published_one() {
    // A hundred books need millions of messages to settle; after these few they still gain orders.
    for (instruments, tolerance) in [(1, 8), (100, 25)] {
        let mix = mix(&stream(instruments), instruments);
        for (action, expected) in [('A', 420), ('C', 450), ('M', 73), ('F', 44), ('T', 12)] {
            let found = mix[&action];
            assert!(
                found.abs_diff(expected) <= tolerance,
                "{instruments} instruments: {found} ‰ are {action}, not {expected}"
            );
        }
        assert_eq!(mix.len(), 5);
    }
}

#[test]
fn one_in_seven_cancels_is_partial_where_it_can_be() {
    let stream = stream(1);
    let mut sizes = BTreeMap::new();
    let (mut partial, mut could_be) = (0, 0);
    let mut is_fill = false;
    for record in stream.records() {
        let id = record.order_id;
        match record.action as u8 {
            b'A' | b'M' => drop(sizes.insert(id, record.size)),
            b'C' => {
                let size = sizes[&id];
                if !is_fill && size > 1 {
                    could_be += 1;
                    partial += usize::from(record.size < size);
                }
                sizes.insert(id, size - record.size);
            }
            _ => {}
        }
        is_fill = record.action as u8 == b'F';
    }
    let per_mille = partial * 1000 / could_be;
    // 150 ‰ of those that are drawn one by one; the Cancels that take a whole level at a time are all full.
    assert!((110..=150).contains(&per_mille), "{per_mille} ‰ of {could_be} cancels are partial");
}

#[test]
fn as_many_orders_rest_as_published() {
    let one = books(&stream(1));
    assert!(one[0].len().abs_diff(18_000) <= 1_000, "{} orders", one[0].len());
    let levels: usize = Side::BOTH.map(|side| one[0].level_count(side)).iter().sum();
    assert!(levels.abs_diff(400) <= 30, "{levels} levels");
    let orders: usize = books(&stream(100)).iter().map(OrderBook::len).sum();
    assert!(orders.abs_diff(215_000) <= 10_000, "{orders} orders");
}

#[test]
fn no_record_is_odd_and_no_book_crossed() {
    for instruments in [1, 100] {
        let stream = stream(instruments);
        let market = engines::market(&stream.bytes);
        let odd = market.counters().into_iter().filter(|(name, count)| {
            ["unknown", "duplicate", "over", "zero", "rejected", "forced", "held"]
                .iter()
                .any(|odd| name.starts_with(odd))
                && *count > 0
        });
        assert_eq!(odd.collect::<Vec<_>>(), []);
        assert!(market.books().all(|(_, book)| !book.book().is_crossed() && !book.book().is_locked()));
    }
}

#[test]
fn the_engines_agree() {
    engines::assert_same_books(&stream(1));
    engines::assert_same_books(&stream(100));
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    assert!(streams::synthetic(3, 3_000, 10_000) == streams::synthetic(3, 3_000, 10_000));
}

#[test]
fn hostile_ids_collide_where_they_should() {
    let top_bits = |rank: u64| hostile::colliding(rank).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    assert!((0..1_000_000).all(|rank| top_bits(rank) == 0));
    let start = &stream(1).bytes[..10_000 * MBO_BYTES];
    let renamed = hostile::with_ids(start, hostile::in_sequence);
    let market = [start, &renamed].map(engines::market);
    let [levels, renamed_levels] = market.each_ref().map(|market| {
        let (_, book) = market.books().next().expect("a book");
        Side::BOTH.map(|side| book.book().levels(side).collect::<Vec<_>>())
    });
    assert!(levels == renamed_levels, "other ids, another book");
    assert!(read_mbo(&renamed[MBO_BYTES..]).order_id == 2, "ids are numbered as they appear");
}

#[test]
fn hostile_books_end_empty() {
    for bytes in [hostile::one_level(1_000), hostile::many_levels(1_000)] {
        let market = engines::market(&bytes);
        let (_, book) = market.books().next().expect("a book");
        assert_eq!((book.book().len(), bytes.len() / MBO_BYTES), (0, 2_000));
    }
}
