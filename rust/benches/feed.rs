//! From DBN to final books, beside the floors: decoding alone, and decompressing alone.
//!
//! `cargo bench --bench feed`; `L3BOOK_BENCH_RECORDS` sets the length of the streams (default 5,000,000).
//! Only ratios within one run travel from machine to machine.
#![allow(missing_docs, reason = "criterion's macros make public functions without documentation")]

use std::{
    fs,
    hint::black_box,
    io::{self, Read},
    path::{Path, PathBuf},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dbn::{
    MboMsg, Metadata,
    decode::{DbnDecoder, DecodeRecordRef},
};
use l3book::{
    decode::{Decoder, Position, Sink},
    event::Rules,
    feed::Feed,
    pieces::Pieces,
    sim::{Config, Simulator},
};

const CHUNK_BYTES: usize = 256 * 1024;

/// Receives records and looks at one field of each, as a consumer at least must.
#[derive(Default)]
struct Touch(u64);

impl Sink for Touch {
    fn metadata(&mut self, _: &Metadata) {}

    fn mbo(&mut self, block: &[u8], stride: usize, _: Position) {
        for record in block.chunks_exact(stride) {
            self.0 ^= l3book::record::read_mbo(record).order_id;
        }
    }

    fn symbol_mapping(&mut self, _: &[u8]) {}

    fn other(&mut self, _: u8) {}
}

fn records() -> usize {
    let text = std::env::var("L3BOOK_BENCH_RECORDS").unwrap_or_else(|_| "5000000".into());
    text.parse().expect("L3BOOK_BENCH_RECORDS is a number of records")
}

fn stream(instruments: u32) -> Vec<u8> {
    let mut simulator = Simulator::new(Config { instruments, ..Config::default() }).expect("a valid number");
    let mut bytes = simulator.header();
    simulator.read(records(), &mut bytes);
    bytes
}

fn with_dbn_crate(bytes: &[u8]) -> u64 {
    let mut decoder = DbnDecoder::new(bytes).expect("metadata");
    let mut seen = 0;
    while let Some(record) = decoder.decode_record_ref().expect("records") {
        seen ^= record.get::<MboMsg>().expect("MBO").order_id;
    }
    seen
}

fn with_our_decoder(bytes: &[u8]) -> u64 {
    let (mut decoder, mut touch) = (Decoder::new(), Touch::default());
    for chunk in bytes.chunks(CHUNK_BYTES) {
        decoder.push(chunk, &mut touch).expect("records");
    }
    touch.0
}

fn feed_memory(bytes: &[u8]) -> u64 {
    let mut feed = Feed::new(Rules::default());
    bytes.chunks(CHUNK_BYTES).map(|chunk| feed.feed(chunk).expect("records")).sum()
}

fn feed_file(path: &Path) -> u64 {
    let mut feed = Feed::new(Rules::default());
    let mut pieces = Pieces::open(path).expect("the file was just written");
    let mut taken = 0;
    loop {
        let piece = pieces.read().expect("pieces");
        if piece.is_empty() {
            feed.finish().expect("a whole stream");
            return taken;
        }
        taken += feed.feed(piece).expect("records");
    }
}

fn inflate(path: &Path) -> u64 {
    let mut file = zstd::Decoder::new(fs::File::open(path).expect("the file was just written")).expect("zstd");
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer).expect("zstd");
        if read == 0 {
            return total;
        }
        total += read as u64;
    }
}

/// A folder that goes when the benchmark does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("l3book-bench-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bench(criterion: &mut Criterion) {
    let folder = Folder::new();
    for instruments in [1, 100] {
        let bytes = stream(instruments);
        let (raw, zst) = (folder.0.join("stream.dbn"), folder.0.join("stream.dbn.zst"));
        fs::write(&raw, &bytes).expect("room in the temporary folder");
        let level = 3;
        zstd::stream::copy_encode(io::Cursor::new(&bytes), fs::File::create(&zst).expect("room"), level).expect("zstd");

        let mut group = criterion.benchmark_group(format!("{instruments} instruments"));
        group.sample_size(10).throughput(Throughput::Elements(feed_memory(&bytes)));
        let mut case = |name: &str, run: &dyn Fn() -> u64| {
            group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| black_box(run())));
        };
        case("decode only, dbn crate", &|| with_dbn_crate(&bytes));
        case("decode only, l3book", &|| with_our_decoder(&bytes));
        case("feed from memory", &|| feed_memory(&bytes));
        case("feed_file .dbn", &|| feed_file(&raw));
        case("inflate only", &|| inflate(&zst));
        case("feed_file .dbn.zst", &|| feed_file(&zst));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
