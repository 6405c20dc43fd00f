//! Faults put into a session: what is lost, doubled and moved, against plain lists.

use std::collections::{BTreeMap, BTreeSet};

use l3book::{
    gateway::Fault,
    market::Key,
    record::{flags, read_mbo},
};
use proptest::prelude::*;

use crate::{sessions::*, support::hostile};

fn counted(records: &[Vec<u8>]) -> BTreeMap<&[u8], usize> {
    let mut counts = BTreeMap::new();
    records.iter().for_each(|record| *counts.entry(record.as_slice()).or_insert(0) += 1);
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

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
}
