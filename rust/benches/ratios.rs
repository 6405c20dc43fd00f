//! The ratios: ours, its opponents and its floors take turns, round by round. Writes `target/bench/ratios.json`,
//! from which `tests/bench/table.py` makes the table; `L3BOOK_BENCH_QUICK=1` for short streams and few rounds.

mod support;

use hdrhistogram::Histogram;
use l3book::{
    encode,
    record::MBO_BYTES,
    view::{Extent, View},
};
use serde_json::{Value, json};
use support::{
    engines, files, hostile,
    rounds::{Case, Results, cpu_timed, median, timed},
    streams::{self, Stream},
};

const DEPTH: usize = 10;
const READS: usize = 100_000;
const HOSTILE_RECORDS: usize = 1_000_000;
const HOSTILE_ORDERS: u32 = 1_000_000;

struct Length {
    rounds: usize,
    hostile_records: usize,
    hostile_orders: u32,
}

fn length() -> Length {
    let shorter = if streams::is_quick() { 5 } else { 1 };
    Length {
        rounds: if streams::is_quick() { 3 } else { 7 },
        hostile_records: HOSTILE_RECORDS / shorter,
        hostile_orders: HOSTILE_ORDERS / shorter as u32,
    }
}

fn apply(results: &mut Results, stream: &Stream, rounds: usize) {
    engines::assert_same_books(stream);
    let (numbers, keys) = engines::number_books(stream);
    let (count, work) = (keys.len(), engines::id_work(stream));
    let (bytes, records) = (stream.bytes.as_slice(), stream.len());
    let cases = vec![
        Case::new("l3book Market", records, || cpu_timed(|| engines::market(bytes))),
        Case::new("l3book OrderBook", records, || cpu_timed(|| engines::order_books(bytes, &numbers, count))),
        Case::new("naive book", records, || cpu_timed(|| engines::naive_books(bytes, &numbers, count))),
        Case::new("only the id map", records, || {
            cpu_timed(|| engines::ids_only::<false>(bytes, &numbers, count, &work))
        }),
        Case::new("only the id map, prefetched", records, || {
            cpu_timed(|| engines::ids_only::<true>(bytes, &numbers, count, &work))
        }),
        Case::new("only touching every record", records, || cpu_timed(|| engines::touch(bytes))),
    ];
    results.interleave(&format!("apply {}", stream.name), &stream.what, rounds, cases);
}

fn read_files(results: &mut Results, stream: &Stream, rounds: usize) {
    let records = stream.len();
    let cases = vec![
        Case::new("feed_file .dbn", records, || cpu_timed(|| files::feed_file(&stream.dbn))),
        Case::new("dbn crate .dbn", records, || cpu_timed(|| files::dbn_crate(&stream.dbn))),
    ];
    results.interleave(&format!("file {} .dbn", stream.name), &stream.what, rounds, cases);
    // By the clock on the wall: two threads work on a compressed file.
    let cases = vec![
        Case::new("feed_file .dbn.zst", records, || timed(|| files::feed_file(&stream.zst))),
        Case::new("dbn crate .dbn.zst", records, || timed(|| files::dbn_crate(&stream.zst))),
        Case::new("only inflating .dbn.zst", records, || timed(|| files::inflate(&stream.zst))),
    ];
    results.interleave(&format!("file {} .dbn.zst", stream.name), &stream.what, rounds, cases);
}

fn reads(results: &mut Results, stream: &Stream, rounds: usize) {
    let market = engines::market(&stream.bytes);
    let (key, book) = market.books().next().expect("a book");
    let extent = Extent::levels(DEPTH);
    let view = || View::of(key, None, std::hint::black_box(book), extent);
    let mut json = Vec::new();
    let mut push = |view: &View| {
        json.clear();
        encode::push_view(&mut json, view);
    };
    let taken = view();
    let cases = vec![
        Case::new("snapshot(10)", READS, || cpu_timed(|| (0..READS).for_each(|_| drop(std::hint::black_box(view()))))),
        Case::new("snapshot(10) as JSON", READS, || {
            cpu_timed(|| (0..READS).for_each(|_| push(std::hint::black_box(&taken))))
        }),
    ];
    results.interleave("reads b", &stream.what, rounds, cases);
}

/// Percentiles are taken per round; their median over the rounds is what stands in the table.
fn latency(results: &mut Results, stream: &Stream, rounds: usize) {
    const QUANTILES: [(&str, f64); 3] = [("p50_ns", 0.5), ("p99_ns", 0.99), ("p99.9_ns", 0.999)];
    let of_rounds: Vec<_> = (0..rounds).map(|_| engines::Latencies::of(&stream.bytes)).collect();
    let summary = |pick: fn(&engines::Latencies) -> &Histogram<u64>| {
        let values = QUANTILES.map(|(name, quantile)| {
            let of_rounds: Vec<_> = of_rounds.iter().map(|of| pick(of).value_at_quantile(quantile) as f64).collect();
            (name.to_owned(), json!(median(&of_rounds)))
        });
        Value::Object(values.into_iter().collect())
    };
    let value = json!({ "apply": summary(|of| &of.apply), "timer alone": summary(|of| &of.timer) });
    results.note(&format!("latency {}", stream.name), value);
}

fn hostile_streams(results: &mut Results, stream: &Stream, length: &Length) {
    let start = &stream.bytes[..(length.hostile_records * MBO_BYTES).min(stream.bytes.len())];
    let streams = [
        ("b, its start", start.to_vec()),
        ("ids in sequence", hostile::with_ids(start, hostile::in_sequence)),
        ("ids 2^32 apart", hostile::with_ids(start, hostile::far_apart)),
        ("ids that collide when multiplied", hostile::with_ids(start, hostile::colliding)),
        ("all orders on one level", hostile::one_level(length.hostile_orders)),
        ("every order on its own level", hostile::many_levels(length.hostile_orders)),
    ];
    for (name, bytes) in &streams {
        engines::market(bytes).check().unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
    let cases = streams
        .iter()
        .map(|(name, bytes)| Case::new(name, bytes.len() / MBO_BYTES, || cpu_timed(|| engines::market(bytes))));
    let what = format!("{} records of (b); {} orders", length.hostile_records, length.hostile_orders);
    results.interleave("hostile", &what, length.rounds, cases.collect());
}

fn main() {
    let (mut results, length) = (Results::new(), length());
    let mut loads = serde_json::Map::new();
    let mut load = |stream: &Stream| {
        let file = stream.dbn.file_name().expect("a file").to_string_lossy().into_owned();
        loads.insert(stream.name.into(), json!({ "what": stream.what, "records": stream.len(), "file": file }));
    };
    match streams::a() {
        Ok(stream) => {
            load(&stream);
            apply(&mut results, &stream, length.rounds);
        }
        Err(why) => results.note("apply a", json!({ "missing": why })),
    }
    for stream in [streams::b(), streams::c()] {
        load(&stream);
        apply(&mut results, &stream, length.rounds);
        read_files(&mut results, &stream, length.rounds);
        if stream.name == "b" {
            latency(&mut results, &stream, length.rounds);
            reads(&mut results, &stream, length.rounds);
            hostile_streams(&mut results, &stream, &length);
        }
    }
    results.note("streams", Value::Object(loads));
    results.write("ratios");
}
