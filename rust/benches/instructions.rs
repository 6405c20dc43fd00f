//! What `make instructions` counts under callgrind: one case per run, named as the argument; without one, lists them.
//! Instructions do not depend on what else the machine does. Caches do not show in them: for those see `ratios`.

mod support;

use std::hint::black_box;

use l3book::{
    checkpoint, encode,
    event::Rules,
    feed::Feed,
    market::Market,
    record::MBO_BYTES,
    view::{Extent, View},
};
use support::{engines, generator::Generator};

const MESSAGES: usize = 200_000;
const CHUNK_BYTES: usize = 64 * 1024;
const READS: usize = 1_000;
const EXTENT: Extent = Extent::levels(10);
const CASES: [&str; 6] = ["apply_b", "apply_c", "feed_b", "snapshot_b", "json_b", "checkpoint_b"];

/// Callgrind counts between entering and leaving this function, which it finds by its name.
#[unsafe(no_mangle)]
#[inline(never)]
fn l3book_counted(work: &mut dyn FnMut()) {
    work();
}

/// The opening snapshots, and the messages after them.
fn stream(instruments: u32) -> (Vec<u8>, Vec<u8>) {
    let mut generator = Generator::new(instruments, 20_000, 1);
    generator.open();
    let opening = std::mem::take(&mut generator.out);
    while generator.out.len() < MESSAGES * MBO_BYTES {
        generator.step();
    }
    (opening, generator.out)
}

fn apply(instruments: u32) {
    let (opening, messages) = stream(instruments);
    let mut market = engines::market(&opening);
    l3book_counted(&mut || engines::apply_to(&mut market, &messages));
    black_box(market.len());
}

fn feed() {
    let (opening, messages) = stream(1);
    let mut feed = Feed::new(Rules::default());
    feed.feed(&opening).expect("records");
    l3book_counted(&mut || {
        for chunk in messages.chunks(CHUNK_BYTES) {
            feed.feed(chunk).expect("records");
        }
    });
    black_box(feed.market.len());
}

fn with_book(count: impl FnOnce(&Market)) {
    let (opening, messages) = stream(1);
    let mut market = engines::market(&opening);
    engines::apply_to(&mut market, &messages);
    count(&market);
}

fn snapshot(market: &Market) {
    let (key, book) = market.books().next().expect("a book");
    l3book_counted(&mut || {
        for _ in 0..READS {
            black_box(View::of(key, None, black_box(book), EXTENT));
        }
    });
}

fn json(market: &Market) {
    let (key, book) = market.books().next().expect("a book");
    let view = View::of(key, None, book, EXTENT);
    let mut out = Vec::new();
    l3book_counted(&mut || {
        for _ in 0..READS {
            out.clear();
            encode::push_view(&mut out, black_box(&view));
        }
    });
}

fn to_bytes(market: &Market) {
    l3book_counted(&mut || drop(black_box(checkpoint::to_bytes(market))));
}

fn main() {
    let case = std::env::args().skip(1).find(|argument| argument != "--bench");
    match case.as_deref() {
        None => CASES.iter().for_each(|case| println!("{case}")),
        Some("apply_b") => apply(1),
        Some("apply_c") => apply(100),
        Some("feed_b") => feed(),
        Some("snapshot_b") => with_book(snapshot),
        Some("json_b") => with_book(json),
        Some("checkpoint_b") => with_book(to_bytes),
        Some(other) => panic!("case {other}, expected one of {CASES:?}"),
    }
}
