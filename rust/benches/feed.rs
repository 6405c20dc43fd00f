//! From a file to final books, in criterion's statistics, beside decoding alone and inflating alone:
//! `cargo bench --bench feed`. For ratios see `ratios`, where all take turns.
#![allow(missing_docs, reason = "criterion's macros make public functions without documentation")]

mod support;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use l3book::{
    decode::{Decoder, Position, Sink},
    record::read_mbo,
};
use support::{files, streams};

/// Receives records and looks at one field of each, as a consumer at least must.
#[derive(Default)]
struct Touch(u64);

impl Sink for Touch {
    fn metadata(&mut self, _: &dbn::Metadata) {}

    fn mbo(&mut self, block: &[u8], stride: usize, _: Position) {
        for record in block.chunks_exact(stride) {
            self.0 ^= read_mbo(record).order_id;
        }
    }

    fn symbol_mapping(&mut self, _: &[u8]) {}

    fn other(&mut self, _: u8) {}
}

fn with_our_decoder(bytes: &[u8]) -> u64 {
    let (mut decoder, mut touch) = (Decoder::new(), Touch::default());
    for chunk in bytes.chunks(files::CHUNK_BYTES) {
        decoder.push(chunk, &mut touch).expect("records");
    }
    touch.0
}

fn bench(criterion: &mut Criterion) {
    for stream in [streams::b(), streams::c()] {
        let mut group = criterion.benchmark_group(format!("file {}", stream.name));
        group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(stream.len() as u64));
        group.bench_function("decode only, l3book, from memory", |b| b.iter(|| with_our_decoder(&stream.bytes)));
        group.bench_function("decode only, dbn crate, .dbn", |b| b.iter(|| files::dbn_crate(&stream.dbn)));
        group.bench_function("feed_file .dbn", |b| b.iter_with_large_drop(|| files::feed_file(&stream.dbn)));
        group.bench_function("inflate only", |b| b.iter(|| files::inflate(&stream.zst)));
        group.bench_function("feed_file .dbn.zst", |b| b.iter_with_large_drop(|| files::feed_file(&stream.zst)));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    // A single pass takes tenths of a second: the defaults would make minutes of it.
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = bench
}
criterion_main!(benches);
