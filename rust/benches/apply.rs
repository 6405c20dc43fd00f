//! Applying records that lie in memory, in criterion's statistics: `cargo bench --bench apply`. Criterion runs one
//! case after the other, and a shared machine drifts: for ratios see `ratios`, where they take turns.
#![allow(missing_docs, reason = "criterion's macros make public functions without documentation")]

mod support;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use l3book::{
    encode,
    view::{Extent, View},
};
use support::{
    engines,
    streams::{self, Stream},
};

fn apply(criterion: &mut Criterion, stream: &Stream) {
    let (numbers, keys) = engines::number_books(stream);
    let (bytes, count, work) = (stream.bytes.as_slice(), keys.len(), engines::id_work(stream));
    let mut group = criterion.benchmark_group(format!("apply {}", stream.name));
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(stream.len() as u64));
    group.bench_function("l3book Market", |b| b.iter_with_large_drop(|| engines::market(bytes)));
    group.bench_function("l3book OrderBook", |b| {
        b.iter_with_large_drop(|| engines::order_books(bytes, &numbers, count));
    });
    group.bench_function("only the id map", |b| {
        b.iter_with_large_drop(|| engines::ids_only::<false>(bytes, &numbers, count, &work));
    });
    group.finish();
}

fn reads(criterion: &mut Criterion, stream: &Stream) {
    let market = engines::market(&stream.bytes);
    let (key, book) = market.books().next().expect("a book");
    let extent = Extent::levels(10);
    let view = View::of(key, None, book, extent);
    let mut json = Vec::new();
    let mut group = criterion.benchmark_group("reads b");
    group.bench_function("snapshot(10)", |b| b.iter(|| View::of(key, None, black_box(book), extent)));
    group.bench_function("snapshot(10) as JSON", |b| {
        b.iter(|| {
            json.clear();
            encode::push_view(&mut json, black_box(&view));
        });
    });
    group.finish();
}

fn bench(criterion: &mut Criterion) {
    if let Ok(stream) = streams::a() {
        apply(criterion, &stream);
    }
    let b = streams::b();
    apply(criterion, &b);
    reads(criterion, &b);
    apply(criterion, &streams::c());
}

criterion_group! {
    name = benches;
    // A single pass takes tenths of a second: the defaults would make minutes of it.
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = bench
}
criterion_main!(benches);
