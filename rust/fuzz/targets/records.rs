//! Any records, over several books: after each, its book shows what the naive book shows.
#![no_main]

mod memory;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use l3book::{book::SameSizeModify, event::Rules, feed::Feed, record::mbo_bytes};
use libfuzzer_sys::fuzz_target;
use support::{
    agreement::{agrees, keeps_exchange_rules, key_of, naive},
    hostile::{KEYS, T0, records},
};

/// The naive books are counted too.
const FIXED_BYTES: usize = 1 << 20;
/// Eight bytes make a record, which can make a book of some 2 KiB; the records themselves are 56 bytes.
const PER_BYTE: usize = 2_000;

fuzz_target!(|data: &[u8]| {
    run(Rules::default(), &[]);
    let Some((first, data)) = data.split_first() else { return };
    let same_size = if first & 1 == 0 { SameSizeModify::KeepsPlace } else { SameSizeModify::ToBack };
    let until = if first & 2 == 0 { u64::MAX } else { T0 + u64::from(*first) * 100 };
    memory::bounded(data.len(), FIXED_BYTES, PER_BYTE, || run(Rules { same_size, until, epoch: 0 }, data));
});

fn run(rules: Rules, data: &[u8]) {
    let mut feed = Feed::new(rules);
    let mut expected = BTreeMap::new();
    for record in records(data, KEYS.len()) {
        let key = key_of(&record);
        feed.feed(mbo_bytes(&record)).expect("a good record");
        let expected = expected.entry(key).or_insert_with(|| naive(&rules));
        expected.push(&record);
        let book = feed.market.book(key).expect("it was just fed");
        agrees(book, expected).and_then(|()| keeps_exchange_rules(book)).expect("the naive book is right");
    }
    feed.market.check().expect("sound books");
}
