//! Bytes in, books out: cuts, compression, faults, checkpoints. Streams come from the synthetic market.
#![allow(missing_docs)]

use std::io::Write;

use l3book::{
    checkpoint,
    decode::{DecodeError, Decoder},
    event::Rules,
    feed::Feed,
    market::Market,
    pieces::Pieces,
    record::{MBO_BYTES, Side},
    sim::{Config, Simulator},
};
use proptest::prelude::*;

/// The first `records` records of a synthetic market (its opening snapshot is longer than most tests want), and the
/// length of the metadata before them.
fn stream(instruments: u32, records: usize) -> (Vec<u8>, usize) {
    let mut simulator =
        Simulator::new(Config { instruments, seed: 5, crossed: true, resting_max: None }).expect("valid");
    let mut bytes = simulator.header();
    let header = bytes.len();
    simulator.read(records, &mut bytes);
    bytes.truncate(header + records * MBO_BYTES);
    (bytes, header)
}

fn fed(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Feed {
    let mut feed = Feed::new(Rules::default());
    for chunk in chunks {
        feed.feed(chunk.as_ref()).expect("a good stream");
    }
    feed.market.check().expect("sound books");
    feed
}

/// All that can be seen of a market, made comparable: the checksum and length of its checkpoint.
fn state(feed: &Feed) -> (u32, usize) {
    let bytes = checkpoint_of(feed);
    (crc32fast::hash(&bytes), bytes.len())
}

fn checkpoint_of(feed: &Feed) -> Vec<u8> {
    assert!(feed.at_boundary());
    checkpoint::to_bytes(&feed.market)
}

fn with_ts_out(bytes: &[u8], header: usize) -> Vec<u8> {
    let mut longer = bytes[..header].to_vec();
    for record in bytes[header..].chunks_exact(MBO_BYTES) {
        longer.push(record[0] + 2);
        longer.extend_from_slice(&record[1..]);
        longer.extend_from_slice(&7u64.to_le_bytes());
    }
    longer
}

/// A record of a type that concerns no book: a 32-byte system-like trade header would do, OHLCV has 56 bytes.
fn other_record() -> Vec<u8> {
    let mut record = vec![0; 56];
    record[0] = 14;
    record[1] = 0x20;
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn cuts_change_nothing(lengths in prop::collection::vec(1usize..3000, 1..60), ts_out: bool) {
        let (mut bytes, header) = stream(3, 2000);
        if ts_out {
            bytes = with_ts_out(&bytes, header);
        }
        let whole = state(&fed([&bytes]));
        let mut rest = bytes.as_slice();
        let mut chunks = Vec::new();
        for length in lengths.iter().cycle() {
            let (chunk, after) = rest.split_at((*length).min(rest.len()));
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(state(&fed(chunks)), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..5000) {
        let (mut stream, _) = stream(1, 100);
        let mut feed = Feed::new(Rules::default());
        let _ = feed.feed(&bytes);
        let at = at % stream.len();
        stream.splice(at..at, bytes);
        let mut feed = Feed::new(Rules::default());
        let _ = feed.feed(&stream);
        let _ = feed.finish();
        feed.market.check().expect("sound books");
    }
}

#[test]
fn one_byte_at_a_time() {
    let (bytes, _) = stream(2, 500);
    assert_eq!(state(&fed(bytes.chunks(1))), state(&fed([&bytes])));
}

#[test]
fn other_record_types_and_a_second_header_are_passed_over() {
    let (bytes, header) = stream(1, 1000);
    let mut mixed = bytes[..header].to_vec();
    for (i, record) in bytes[header..].chunks_exact(MBO_BYTES).enumerate() {
        if i % 7 == 0 {
            mixed.extend(other_record());
        }
        if i == 500 {
            mixed.extend_from_slice(&bytes[..header]);
        }
        mixed.extend_from_slice(record);
    }
    let (mixed, plain) = (fed(mixed.chunks(999)), fed([&bytes]));
    assert_eq!(mixed.market.counters(), plain.market.counters());
    assert!(mixed.market.stream_counters().other_records > 100);
    assert_eq!(mixed.market.stream_counters().metadata_headers, 2);
}

#[test]
fn bare_records_are_enough() {
    let (bytes, header) = stream(1, 1000);
    assert_eq!(fed([&bytes[header..]]).market.counters(), fed([&bytes]).market.counters());
}

/// zstd gives up what a call has made when it meets damage in it; what lay before must not go with it.
#[test]
fn damaged_zstd_loses_nothing_good_however_it_is_cut() {
    let (plain, _) = stream(3, 12_000);
    let compressed = zstd::encode_all(plain.as_slice(), 3).expect("zstd");
    let outcome = |bytes: &[u8], chunk: usize| {
        let mut feed = Feed::new(Rules::default());
        let fault = bytes.chunks(chunk).find_map(|chunk| feed.feed(chunk).err());
        (feed.market.records_taken(), fault)
    };
    let mut records_before_damage = 0;
    for damaged_at in (20..compressed.len()).step_by(compressed.len() / 60) {
        let mut bytes = compressed.clone();
        for byte in &mut bytes[damaged_at..(damaged_at + 8).min(compressed.len())] {
            *byte ^= 0x5A;
        }
        let (records, fault) = outcome(&bytes, bytes.len());
        records_before_damage = records_before_damage.max(records);
        for chunk in [1, 7, 1000, 65_536] {
            let (cut_records, cut_fault) = outcome(&bytes, chunk);
            assert_eq!((records, &fault), (cut_records, &cut_fault), "damaged at {damaged_at}, chunks of {chunk}");
        }
    }
    assert!(records_before_damage > 5000, "{records_before_damage}");
}

/// A stored block that goes beyond the content its frame states. zstd hands out such a block in the pieces that it gets;
/// what came out before it found the end would depend on the cuts.
#[test]
fn a_stored_block_counts_only_whole() {
    let (plain, header) = stream(1, 100);
    let (first, second) = plain.split_at(header + 50 * MBO_BYTES);
    let stated = u16::try_from(header + 75 * MBO_BYTES - 256).expect("some kB");
    let mut bytes = vec![0x28, 0xB5, 0x2F, 0xFD, 0x60];
    bytes.extend(stated.to_le_bytes());
    for (block, is_last) in [(first, 0), (second, 1)] {
        let block_header = u32::try_from(block.len() << 3 | is_last).expect("some kB");
        bytes.extend(&block_header.to_le_bytes()[..3]);
        bytes.extend(block);
    }
    let second_at = (bytes.len() - second.len()) as u64;
    for chunk in [1, 7, 1000, bytes.len()] {
        let mut feed = Feed::new(Rules::default());
        let fault = bytes.chunks(chunk).find_map(|chunk| feed.feed(chunk).err()).expect("more than is stated");
        let seen = (feed.market.records_taken(), fault.offset, fault.compressed);
        assert_eq!(seen, (50, second_at, true), "chunks of {chunk}");
    }
}

#[test]
fn several_zstd_frames_cut_anywhere() {
    let (bytes, _) = stream(2, 3000);
    let (left, right) = bytes.split_at(bytes.len() / 3 + 5);
    let mut compressed = zstd::encode_all(left, 3).expect("zstd");
    compressed.extend_from_slice(&[0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9]);
    compressed.extend(zstd::encode_all(right, 1).expect("zstd"));
    let plain = state(&fed([&bytes]));
    for size in [1, 7, 1000, compressed.len()] {
        let mut feed = fed(compressed.chunks(size));
        assert_eq!(state(&feed), plain, "chunks of {size}");
        feed.finish().expect("whole");
    }
    let file = std::env::temp_dir().join(format!("l3book-test-{}.dbn.zst", std::process::id()));
    std::fs::write(&file, &compressed).expect("a temporary file");
    let mut feed = Feed::new(Rules::default());
    let mut pieces = Pieces::open(&file).expect("the file was just written");
    loop {
        let piece = pieces.read().expect("good zstd");
        if piece.is_empty() {
            break;
        }
        feed.feed(piece).expect("good records");
    }
    std::fs::remove_file(&file).expect("it was there");
    assert_eq!(state(&feed), plain);
}

#[test]
fn a_cut_off_end_is_named_and_the_good_records_stay() {
    let (bytes, header) = stream(1, 60);
    for len in 0..bytes.len() {
        let mut feed = Feed::new(Rules::default());
        feed.feed(&bytes[..len]).expect("no fault before the end");
        assert_eq!(feed.market.records_taken(), (len.saturating_sub(header) / MBO_BYTES) as u64);
        let is_whole = len >= header && (len - header) % MBO_BYTES == 0;
        match feed.finish() {
            Ok(()) => assert!(is_whole, "{len}"),
            Err(DecodeError { offset, .. }) => {
                assert!(!is_whole, "{len}");
                assert_eq!(offset, len as u64);
            }
        }
    }
}

#[test]
fn a_fault_is_named_once_and_for_all() {
    let (mut bytes, header) = stream(1, 100);
    let at = header + 10 * MBO_BYTES;
    bytes[at] = 13;
    let mut feed = Feed::new(Rules::default());
    let fault = feed.feed(&bytes).expect_err("a record of 52 bytes");
    assert_eq!(fault.offset, at as u64);
    assert_eq!(
        fault.to_string(),
        format!("byte {at}: record 10: an MBO record of 52 bytes, expected 56 (64 with ts_out)")
    );
    assert_eq!(feed.market.records_taken(), 10);
    assert_eq!(feed.feed(&bytes[header..]).expect_err("still"), fault);
}

#[test]
fn a_checkpoint_goes_on_as_if_nothing_had_happened() {
    let (bytes, header) = stream(3, 80_000);
    let whole = checkpoint_of(&fed([&bytes]));
    for records in [0, 1, 777, 70_000] {
        let (before, after) = bytes.split_at(header + records * MBO_BYTES);
        let resumed = checkpoint::from_bytes(&checkpoint_of(&fed([before]))).expect("our own bytes");
        let mut resumed = Feed::resume(resumed);
        resumed.market.check().expect("sound books");
        // Bare records: the header was read before the checkpoint.
        resumed.feed(after).expect("good records");
        let (a, b) = (checkpoint::from_bytes(&whole).expect("ours"), resumed.market);
        assert_eq!(a.counters(), b.counters());
        for ((key, a), (_, b)) in a.books().zip(b.books()) {
            for side in Side::BOTH {
                let queues = |book: &l3book::event::EventBook| -> Vec<_> {
                    book.book().queues(side).map(|(level, queue)| (level, queue.collect::<Vec<_>>())).collect()
                };
                assert_eq!(queues(a), queues(b), "{key}");
            }
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let (bytes, _) = stream(1, 200);
    let good = checkpoint_of(&fed([&bytes]));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(checkpoint::from_bytes(&bad).is_err(), "byte {at}");
        assert!(checkpoint::from_bytes(&good[..at]).is_err(), "cut at {at}");
    }
}

/// Of a live stream nothing is applied that a checksum does not vouch for: a flipped bit decompresses to other orders.
#[test]
fn a_verifying_decoder_applies_whole_frames_or_nothing() {
    let (plain, header) = stream(3, 2_000);
    let mut ends = vec![0];
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for frame in std::iter::once(&plain[..header]).chain(plain[header..].chunks(100 * MBO_BYTES)) {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
        encoder.include_checksum(true).expect("zstd");
        encoder.write_all(frame).expect("zstd");
        frames.push(encoder.finish().expect("zstd"));
        ends.push(ends.last().expect("not empty") + frames.last().expect("not empty").len());
    }
    let compressed = frames.concat();
    let taken = |bytes: &[u8], chunk: usize| {
        let mut market = Market::new(Rules::default());
        let mut decoder = Decoder::verifying();
        let fault = bytes.chunks(chunk).find_map(|chunk| decoder.push(chunk, &mut market).err());
        let fault = fault.or_else(|| decoder.finish().err());
        (market.records_taken() as usize, market.fingerprint(), fault.is_some())
    };
    assert_eq!(taken(&compressed, 1000).0, 2_000);
    for flipped_at in (0..compressed.len()).step_by(compressed.len() / 300) {
        let mut bytes = compressed.clone();
        bytes[flipped_at] ^= 1 << (flipped_at % 8);
        let good = ends.iter().filter(|end| **end <= flipped_at).count().saturating_sub(2) * 100;
        let expected = fed([&plain[..header + good * MBO_BYTES]]).market.fingerprint();
        for chunk in [13, 1000, bytes.len()] {
            let (records, fingerprint, is_faulty) = taken(&bytes, chunk);
            // A bit of the header that means nothing may be flipped without harm.
            if is_faulty || records != 2_000 {
                assert_eq!((records, fingerprint), (good, expected), "flipped at {flipped_at}, chunks of {chunk}");
            }
        }
    }
}
