//! Any bytes as a checkpoint: refused, or a sound market that is written down as it was read and can go on.
#![no_main]

mod memory;
#[path = "../../tests/support/mod.rs"]
mod support;

use l3book::{checkpoint, feed::Feed};
use libfuzzer_sys::fuzz_target;
use support::hostile::{BYTES_PER_RECORD, KEYS, records, to_bytes};

const HEADER_BYTES: usize = 12;
const FIXED_BYTES: usize = 1 << 20;
/// An empty book is written in some 300 bytes and takes some 2 KiB; an order is written in 20 and takes 60.
const PER_BYTE: usize = 200;
/// Records that a market read back must take, whatever is in it.
const RECORDS_AFTER: usize = 32;

fuzz_target!(|data: &[u8]| {
    run(&[], &[]);
    let at = data.len().min(RECORDS_AFTER * BYTES_PER_RECORD) / 2;
    let (after, content) = data.split_at(at - at % BYTES_PER_RECORD);
    let sealed = sealed(content);
    memory::bounded(data.len(), FIXED_BYTES, PER_BYTE, || {
        run(&sealed, after);
        run(data, &[]);
    });
});

/// The content under a good header: a random checksum would fit once in four thousand million times.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = b"L3BK\x01\0\0\0".to_vec();
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    assert!(bytes.len() >= HEADER_BYTES);
    bytes
}

fn run(bytes: &[u8], after: &[u8]) {
    let Ok(market) = checkpoint::from_bytes(bytes) else { return };
    market.check().expect("sound books");
    let written = checkpoint::to_bytes(&market);
    let again = checkpoint::from_bytes(&written).expect("our own bytes");
    assert!(checkpoint::to_bytes(&again) == written, "written down twice, it differs");
    let mut feed = Feed::resume(market);
    feed.feed(&to_bytes(&records(after, KEYS.len()))).expect("good records");
    feed.market.check().expect("sound books");
}
