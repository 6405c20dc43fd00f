//! Any bytes as a checkpoint: refused, or a sound market that is written down as it was read and can go on.
#![no_main]

mod memory;
#[path = "../../tests/support/mod.rs"]
mod support;

use l3book::{checkpoint, feed::Feed, watch::Resumption};
use libfuzzer_sys::fuzz_target;
use support::hostile::{BYTES_PER_RECORD, KEYS, records, to_bytes};

const HEADER_BYTES: usize = 12;
const FIXED_BYTES: usize = 1 << 20;
/// An empty book is written in some 40 bytes and takes some 2 KiB; an order is written in 3 and takes 60, and a level as much
/// again.
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
    let mut bytes = b"L3BK\x02\0\0\0".to_vec();
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    assert!(bytes.len() >= HEADER_BYTES);
    bytes
}

fn run(bytes: &[u8], after: &[u8]) {
    let Ok((mut market, watch)) = checkpoint::from_bytes_watched(bytes) else { return };
    market.check().expect("sound books");
    let written = checkpoint::to_bytes_watched(&market, watch.as_ref());
    let (again, watch_again) = checkpoint::from_bytes_watched(&written).expect("our own bytes");
    let written_again = checkpoint::to_bytes_watched(&again, watch_again.as_ref());
    assert!(written_again == written, "written down twice, it differs");
    if let Some(mut watch) = watch {
        watch.disconnected(&mut market);
        watch.reconnected(&mut market, Resumption::Resume);
    }
    let mut feed = Feed::resume(market);
    feed.feed(&to_bytes(&records(after, KEYS.len()))).expect("good records");
    feed.market.check().expect("sound books");
}
