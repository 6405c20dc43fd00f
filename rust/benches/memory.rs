//! What a resting order costs in memory, and whether a day of churn leaves anything behind. Counts what the allocator
//! hands out while a market applies records, so trees and everything else are in it. Writes `target/bench/memory.json`.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

use l3book::{
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    event::Rules,
    market::Market,
    naive::NaiveOrders,
    record::MBO_BYTES,
};
use serde_json::json;
use support::{
    engines,
    generator::Generator,
    rounds::Results,
    streams::{self, Stream},
};

const CHURN_MESSAGES: usize = 30_000_000;
const QUICK_CHURN_MESSAGES: usize = 3_000_000;
/// Until so many the book still gains room for the most orders that ever rest at once.
const SETTLING_MESSAGES: usize = 3_000_000;
const CHURN_SAMPLES: usize = 10;

struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

fn count(bytes: usize, sign: i64) {
    if IS_COUNTING.load(Relaxed) {
        LIVE_BYTES.fetch_add(bytes as i64 * sign, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are those that System asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and says how many bytes more are allocated after it.
fn grown<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = LIVE_BYTES.load(Relaxed);
    IS_COUNTING.store(true, Relaxed);
    let result = work();
    IS_COUNTING.store(false, Relaxed);
    (result, LIVE_BYTES.load(Relaxed) - before)
}

fn per_order(results: &mut Results, stream: &Stream) {
    let (numbers, keys) = engines::number_books(stream);
    let (market, ours) = grown(|| engines::market(&stream.bytes));
    let orders: usize = market.books().map(|(_, book)| book.book().len()).sum();
    let (naive, plain) = grown(|| engines::naive_books(&stream.bytes, &numbers, keys.len()));
    assert_eq!(naive.iter().map(|book: &NaiveOrders| book.places.len()).sum::<usize>(), orders);
    let of = |bytes: i64| bytes as f64 / orders as f64;
    let value = json!({
        "orders": orders,
        "l3book bytes per order": of(ours),
        "naive bytes per order": of(plain),
    });
    results.note(&format!("memory {}", stream.name), value);
}

/// One instrument goes on and on, and memory is looked at now and then.
fn churn(results: &mut Results, messages: usize) {
    let mut generator = Generator::new(1, streams::opening_orders(1), 2);
    generator.open();
    let mut market = Market::new(Rules::default());
    let mut live_bytes = Vec::new();
    let mut records = 0;
    let mut total = 0;
    for sample in 0..=CHURN_SAMPLES {
        while records < SETTLING_MESSAGES + messages / CHURN_SAMPLES * sample {
            // Between two calls, so that the generator's own memory is not counted.
            let ((), bytes) = grown(|| {
                for block in generator.out.chunks(BLOCK_RECORDS_MAX * MBO_BYTES) {
                    market.mbo(block, MBO_BYTES, Position::default());
                }
            });
            total += bytes;
            records += generator.out.len() / MBO_BYTES;
            generator.out.clear();
            (0..10_000).for_each(|_| generator.step());
        }
        live_bytes.push(total);
    }
    market.check().expect("a sound market");
    let last = *live_bytes.last().expect("samples");
    let grown = last as f64 / live_bytes[0] as f64;
    results.note("churn", json!({ "messages": records, "live_bytes": live_bytes, "last to first": grown }));
}

fn main() {
    let mut results = Results::new();
    per_order(&mut results, &streams::b());
    per_order(&mut results, &streams::c());
    churn(&mut results, if streams::is_quick() { QUICK_CHURN_MESSAGES } else { CHURN_MESSAGES });
    results.write("memory");
}
