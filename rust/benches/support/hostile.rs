//! Streams that aim at a book's weak spots: ids chosen against its hash, one endless queue, endlessly many levels.

use std::collections::HashMap;

use dbn::{FlagSet, MboMsg, RecordHeader, flags, rtype};
use l3book::record::{MBO_BYTES, mbo_bytes, read_mbo};

use super::generator::{FIRST_INSTRUMENT_ID, Rng, TICK};

/// The usual multiplier of multiplicative hashing, 2^64 / φ, and its inverse modulo 2^64.
const FIBONACCI: u64 = 0x9e37_79b9_7f4a_7c15;

/// The ids of a stream, in the order of their first appearance, replaced by others.
pub fn with_ids(stream: &[u8], id: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut ranks = HashMap::new();
    let mut out = stream.to_vec();
    for bytes in out.chunks_exact_mut(MBO_BYTES) {
        let mut record = read_mbo(bytes);
        let next = ranks.len() as u64;
        record.order_id = id(*ranks.entry(record.order_id).or_insert(next));
        bytes.copy_from_slice(mbo_bytes(&record));
    }
    out
}

/// 1, 2, 3 …
pub fn in_sequence(rank: u64) -> u64 {
    rank + 1
}

/// Only high bits differ: a hash that takes the low ones sees one id.
pub fn far_apart(rank: u64) -> u64 {
    rank << 32
}

/// Products with [`FIBONACCI`] are small numbers: a hash that takes their top bits sees one id.
pub fn colliding(rank: u64) -> u64 {
    // Newton's iteration: each step doubles the number of correct bits, and an odd number is right in three.
    let inverse = (0..5).fold(FIBONACCI, |x, _| x.wrapping_mul(2u64.wrapping_sub(FIBONACCI.wrapping_mul(x))));
    rank.wrapping_mul(inverse)
}

fn push(out: &mut Vec<u8>, action: u8, order_id: u64, tick: i64) {
    out.extend_from_slice(mbo_bytes(&MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, FIRST_INSTRUMENT_ID, order_id),
        order_id,
        price: tick * TICK,
        size: 1,
        flags: FlagSet::new(flags::LAST),
        channel_id: 0,
        action: action as _,
        side: b'B' as _,
        ts_recv: order_id,
        ts_in_delta: 0,
        sequence: 0,
    }));
}

fn shuffled(count: u32, seed: u64) -> Vec<u32> {
    let mut rng = Rng(seed);
    let mut numbers: Vec<u32> = (0..count).collect();
    for at in (1..count).rev() {
        numbers.swap(at as usize, rng.below(at + 1) as usize);
    }
    numbers
}

/// Adds at one price, then a Cancel of each, in random order.
pub fn one_level(orders: u32) -> Vec<u8> {
    let mut out = Vec::new();
    (0..orders).for_each(|number| push(&mut out, b'A', u64::from(number) + 1, 1));
    for number in shuffled(orders, 1) {
        push(&mut out, b'C', u64::from(number) + 1, 1);
    }
    out
}

/// An Add at each of so many prices, then a Cancel of each, both in random order.
pub fn many_levels(levels: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for (action, seed) in [(b'A', 1), (b'C', 2)] {
        for number in shuffled(levels, seed) {
            push(&mut out, action, u64::from(number) + 1, i64::from(number));
        }
    }
    out
}
