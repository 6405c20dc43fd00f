//! The Rust loop that `Market.feed` from Python is compared with: `rust_loop FILE CHUNK_BYTES`. For every line on its
//! standard input it feeds the file, read before, to a new market in chunks, and answers with the nanoseconds of
//! processor time that took. A process of its own, asked between two rounds of the Python benchmark, so that both take turns.

mod support;

use std::io::{BufRead, Write};

use l3book::{event::Rules, feed::Feed};
use support::rounds::cpu_timed;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    // `cargo bench` runs every benchmark; this one has nothing to say by itself.
    let (Some(path), Some(chunk)) = (arguments.next(), arguments.next()) else { return };
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let chunk_bytes: usize = chunk.parse().expect("CHUNK_BYTES is a number");
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        line.expect("a line");
        let took = cpu_timed(|| {
            let mut feed = Feed::new(Rules::default());
            for chunk in bytes.chunks(chunk_bytes) {
                feed.feed(chunk).expect("records");
            }
            feed
        });
        writeln!(out, "{}", took.as_nanos()).and_then(|()| out.flush()).expect("somebody listens");
    }
}
