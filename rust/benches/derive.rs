//! Deriving rows, beside the floor: feeding the same bytes to a market, which makes none.
//!
//! `cargo bench --bench derive`; `L3BOOK_BENCH_RECORDS` sets the length of the stream (default 2,000,000). Only ratios
//! within one run travel from machine to machine. Rows are thrown away chunk by chunk, as a gateway that has sent them.
#![allow(missing_docs, reason = "criterion's macros make public functions without documentation")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use l3book::{
    decode::Decoder,
    derive::{Deriver, Schema},
    event::Rules,
    feed::Feed,
    sim::{Config, Simulator},
};

const CHUNK_BYTES: usize = 256 * 1024;

fn records() -> usize {
    let text = std::env::var("L3BOOK_BENCH_RECORDS").unwrap_or_else(|_| "2000000".into());
    text.parse().expect("L3BOOK_BENCH_RECORDS is a number of records")
}

fn stream(instruments: u32) -> Vec<u8> {
    let mut simulator = Simulator::new(Config { instruments, ..Config::default() }).expect("a valid number");
    let mut bytes = simulator.header();
    simulator.read(records(), &mut bytes);
    bytes
}

fn feed_alone(bytes: &[u8]) -> u64 {
    let mut feed = Feed::new(Rules::default());
    bytes.chunks(CHUNK_BYTES).map(|chunk| feed.feed(chunk).expect("records")).sum()
}

/// Says how many rows came out.
fn derive(bytes: &[u8], schema: Schema) -> u64 {
    let (mut decoder, mut deriver) = (Decoder::new(), Deriver::new(schema));
    for chunk in bytes.chunks(CHUNK_BYTES) {
        decoder.push(chunk, &mut deriver).expect("records");
        black_box(deriver.rows());
        deriver.clear();
    }
    deriver.finish();
    deriver.counters().rows
}

fn bench(criterion: &mut Criterion) {
    for instruments in [1, 100] {
        let bytes = stream(instruments);
        let mut group = criterion.benchmark_group(format!("derive, {instruments} instruments"));
        group.sample_size(10).throughput(Throughput::Elements(feed_alone(&bytes)));
        group.bench_function("floor: feed alone", |b| b.iter(|| black_box(feed_alone(&bytes))));
        for schema in [Schema::Mbp10, Schema::Mbp1, Schema::Bbo1S, Schema::Trades, Schema::Ohlcv1S] {
            // Rows for mbp-10, where rows and not records are what is promised; records elsewhere.
            if schema == Schema::Mbp10 {
                group.throughput(Throughput::Elements(derive(&bytes, schema)));
            }
            let id = BenchmarkId::from_parameter(schema.name());
            group.bench_function(id, |b| b.iter(|| black_box(derive(&bytes, schema))));
            group.throughput(Throughput::Elements(feed_alone(&bytes)));
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
