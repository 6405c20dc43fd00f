//! Any bytes, raw or compressed, cut anywhere: never a panic, never another outcome than uncut.
#![no_main]

mod memory;

use std::io::Read;

use l3book::{checkpoint, decode::DecodeError, event::Rules, feed::Feed};
use libfuzzer_sys::fuzz_target;

/// Bytes before the stream: how it is packed, and where it is cut.
const PREFIX_BYTES: usize = 4;
/// A stream that inflates to more is not fed: it would only be slow.
const PLAIN_BYTES_MAX: usize = 1 << 20;
/// zstd's output buffer, and the table and cache of a first book.
const FIXED_BYTES: usize = 1 << 20;
/// A 56-byte record can make a book of some 2 KiB, in a vector that doubles.
const PER_BYTE: usize = 200;

fuzz_target!(|data: &[u8]| {
    // Twice: whatever is made once per process is made before anything is counted.
    let _ = run(b"");
    let Some((prefix, stream)) = data.split_at_checked(PREFIX_BYTES) else { return };
    let packed = if prefix[0] & 1 == 0 { stream.to_vec() } else { zstd::encode_all(stream, 1).expect("zstd") };
    let Some(plain_bytes) = plain_bytes(&packed) else { return };
    memory::bounded(plain_bytes.max(packed.len()), FIXED_BYTES, PER_BYTE, || {
        let whole = run(&packed);
        let mut feed = Feed::new(Rules::default());
        let lengths = prefix[1..].iter().map(|byte| usize::from(*byte) + 1);
        let mut rest = packed.as_slice();
        let mut outcome = Ok(());
        for length in lengths.cycle() {
            let (chunk, after) = rest.split_at(length.min(rest.len()));
            outcome = feed.feed(chunk).map(|_| ());
            rest = after;
            if rest.is_empty() || outcome.is_err() {
                break;
            }
        }
        let cut = seen(feed, outcome);
        assert!(cut == whole, "cut: {:?}, whole: {:?}", cut.1, whole.1);
    });
});

/// What a stream inflates to; `None` if that is too much.
fn plain_bytes(packed: &[u8]) -> Option<usize> {
    if packed.get(1..4) != Some(&[0xB5, 0x2F, 0xFD]) && packed.get(1..4) != Some(&[0x2A, 0x4D, 0x18]) {
        return Some(packed.len());
    }
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed).ok()?;
    // Damage is fed all the same; what comes before it counts.
    let _ = decoder.take(PLAIN_BYTES_MAX as u64 + 1).read_to_end(&mut plain);
    (plain.len() <= PLAIN_BYTES_MAX).then_some(plain.len())
}

type Seen = (Vec<u8>, Result<(), DecodeError>);

fn run(stream: &[u8]) -> Seen {
    let mut feed = Feed::new(Rules::default());
    let outcome = feed.feed(stream).map(|_| ());
    seen(feed, outcome)
}

/// The market as bytes, and how its stream ended.
fn seen(mut feed: Feed, outcome: Result<(), DecodeError>) -> Seen {
    // Within a frame's header, how far zstd had read when it found the damage depends on the cuts.
    let without_place =
        |fault: DecodeError| DecodeError { offset: if fault.compressed { 0 } else { fault.offset }, ..fault };
    let outcome = outcome.and_then(|()| feed.finish()).map_err(without_place);
    feed.market.check().expect("sound books");
    (checkpoint::to_bytes(&feed.market), outcome)
}
