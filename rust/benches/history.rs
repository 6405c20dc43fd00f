//! What recording costs: `cargo bench --bench history`. Applying alone and with a recorder take turns; what matters is the
//! processor time that the feed's thread spends more, whether the writer keeps up, and what lands on the disk.

mod support;

use std::{fs, path::PathBuf, time::Duration};

use l3book::{
    event::Rules,
    history::{FRAME_RECORDS_MAX, Recorder, Settings, Stats},
    market::Market,
    record::MBO_BYTES,
};
use support::{
    engines::apply_to,
    rounds::{cpu_timed, timed},
    streams::{self, Stream, is_quick},
};

const PATIENCE: Duration = Duration::from_secs(120);
const LEVELS: [i32; 4] = [-1, 1, 2, 3];

struct Round {
    feed_cpu: Duration,
    feed: Duration,
    until_durable: Duration,
    stats: Stats,
}

fn folder() -> PathBuf {
    let path = streams::folder().join(format!("history-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

/// Everything at once, as fast as it goes: what the queue cannot take is lost, and counted.
fn recorded(stream: &Stream, waits: bool) -> Round {
    let folder = folder();
    let mut recorder = Recorder::open(&folder, Settings::default()).expect("room under target/");
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("bench:")).expect("an empty market");
    let (mut feed_cpu, mut feed) = (Duration::ZERO, Duration::ZERO);
    let until_durable = timed(|| {
        for piece in stream.bytes.chunks(FRAME_RECORDS_MAX as usize * MBO_BYTES) {
            assert!(!waits || recorder.wait_room(PATIENCE));
            feed += timed(|| feed_cpu += cpu_timed(|| apply_to(&mut market, piece)));
        }
        assert!(recorder.flush(PATIENCE));
    });
    let stats = recorder.stats();
    assert!(recorder.close(PATIENCE));
    fs::remove_dir_all(&folder).expect("just made");
    Round { feed_cpu, feed, until_durable, stats }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn costs(stream: &Stream, rounds: usize) {
    let records = stream.len() as f64;
    let ns = |took: Duration| took.as_nanos() as f64 / records;
    let (mut alone, mut with, mut added, mut rates) = (vec![], vec![], vec![], vec![]);
    let mut last = None;
    for _ in 0..rounds {
        let mut market = Market::new(Rules::default());
        let plain = ns(cpu_timed(|| apply_to(&mut market, &stream.bytes)));
        let round = recorded(stream, false);
        alone.push(plain);
        with.push(ns(round.feed_cpu));
        added.push(ns(round.feed_cpu) - plain);
        rates.push(records / round.until_durable.as_secs_f64());
        last = Some(round);
    }
    let Round { feed, stats, .. } = last.expect("at least one round");
    println!("{}: {}", stream.name, stream.what);
    println!("  applying alone           {:>8.1} ns/record of the feed's thread", median(alone));
    println!("  applying and recording   {:>8.1} ns/record of the feed's thread", median(with));
    println!("  recording adds           {:>8.1} ns/record", median(added));
    println!(
        "  durable                  {:>8.2} M records/s, the feed ran at {:.2} M/s",
        median(rates) / 1e6,
        1e3 / ns(feed)
    );
    println!("  lost                     {:>8} records (a full queue)", stats.records_lost);
    println!("  on the disk              {:>8.1} bytes/record", stats.bytes_written as f64 / stats.records as f64);
    println!(
        "  fsync                    {:>8.1} ms p50, {:.1} ms p99",
        stats.fsync_p50_ns as f64 / 1e6,
        stats.fsync_p99_ns as f64 / 1e6
    );
    let waited = recorded(stream, true);
    let rate = records / waited.until_durable.as_secs_f64();
    println!("  with wait_room           {:>8.2} M records/s, {} lost", rate / 1e6, waited.stats.records_lost);
}

/// The choice of the compression level: frames alone, on one thread.
fn levels(stream: &Stream) {
    for level in LEVELS {
        let mut zstd = zstd::bulk::Compressor::new(level).expect("zstd allocates a context");
        let mut bytes = 0;
        let took = cpu_timed(|| {
            for piece in stream.bytes.chunks(FRAME_RECORDS_MAX as usize * MBO_BYTES) {
                bytes += zstd.compress(piece).expect("room").len();
            }
        });
        let (rate, size) = (stream.len() as f64 / took.as_secs_f64() / 1e6, bytes as f64 / stream.len() as f64);
        println!("  zstd level {level:>2}            {rate:>8.2} M records/s, {size:.1} bytes/record");
    }
}

fn main() {
    let rounds = if is_quick() { 1 } else { 5 };
    for stream in [streams::b(), streams::c()] {
        costs(&stream, rounds);
        levels(&stream);
    }
}
