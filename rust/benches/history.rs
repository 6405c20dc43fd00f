//! What recording costs, and whether it keeps up: `cargo bench --bench history`.
//!
//! Applying alone and with a recorder take turns; what matters is the processor time that the feed's thread spends more, that
//! of the writer's, and what lands on the disk. Then a feed of 2 M messages/s is applied and recorded: the verdict says
//! whether anything was lost or came late.

mod support;

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use l3book::{
    event::Rules,
    history::{FRAME_RECORDS_MAX, Recorder, Settings, Stats},
    market::Market,
    record::MBO_BYTES,
};
use support::{
    engines::apply_to,
    rounds::{cpu_timed, process_time, timed},
    streams::{self, Stream, is_quick},
};

const PATIENCE: Duration = Duration::from_secs(120);
const LEVELS: [i32; 4] = [-1, 1, 2, 3];
/// What the recorder is to keep up with, messages/s, beside applying them.
const GOAL_RATE: f64 = 2e6;
/// What arrives at once of a paced feed: a millisecond's.
const PACED_RECORDS: usize = 2_000;
/// A feed that took longer than that, relative to its pace, did not keep it.
const LATE_MAX: f64 = 1.05;
/// Behind its last message, all of a feed has to be durable so soon: a fsync_ms, and a frame.
const DURABLE_MAX: Duration = Duration::from_secs(2);

/// How the records come.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    /// All at once, as fast as it goes: what the queue cannot take is lost, and counted.
    AtOnce,
    /// As fast as the recorder takes them.
    Waiting,
    /// [`GOAL_RATE`].
    Goal,
}

struct Round {
    feed_cpu: Duration,
    writer_cpu: Duration,
    feed: Duration,
    until_durable: Duration,
    stats: Stats,
}

fn folder() -> PathBuf {
    let path = streams::folder().join(format!("history-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn recorded(stream: &Stream, pace: Pace) -> Round {
    let folder = folder();
    let mut recorder = Recorder::open(&folder, Settings::default()).expect("room under target/");
    let mut market = Market::new(Rules::default());
    recorder.begin(&mut market, Some("bench:")).expect("an empty market");
    let piece_records = if pace == Pace::Goal { PACED_RECORDS } else { FRAME_RECORDS_MAX as usize };
    let (mut feed_cpu, mut feed) = (Duration::ZERO, Duration::ZERO);
    let (begin, begin_cpu) = (Instant::now(), process_time());
    let until_durable = timed(|| {
        for (i, piece) in stream.bytes.chunks(piece_records * MBO_BYTES).enumerate() {
            assert!(pace != Pace::Waiting || recorder.wait_room(PATIENCE));
            if pace == Pace::Goal {
                let due = Duration::from_secs_f64((i * piece_records) as f64 / GOAL_RATE);
                thread::sleep(due.saturating_sub(begin.elapsed()));
            }
            feed_cpu += cpu_timed(|| apply_to(&mut market, piece));
        }
        feed = begin.elapsed();
        assert!(recorder.flush(PATIENCE));
    });
    let writer_cpu = (process_time() - begin_cpu).saturating_sub(feed_cpu);
    let stats = recorder.stats();
    assert!(recorder.close(PATIENCE));
    fs::remove_dir_all(&folder).expect("just made");
    Round { feed_cpu, writer_cpu, feed, until_durable, stats }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Millions of records per second.
fn rate(records: f64, took: Duration) -> f64 {
    records / took.as_secs_f64() / 1e6
}

fn costs(stream: &Stream, rounds: usize) {
    let records = stream.len() as f64;
    let ns = |took: Duration| took.as_nanos() as f64 / records;
    let (mut alone, mut with, mut added, mut writer, mut rates) = (vec![], vec![], vec![], vec![], vec![]);
    let mut last = None;
    for _ in 0..rounds {
        let mut market = Market::new(Rules::default());
        let plain = ns(cpu_timed(|| apply_to(&mut market, &stream.bytes)));
        let round = recorded(stream, Pace::Waiting);
        alone.push(plain);
        with.push(ns(round.feed_cpu));
        added.push(ns(round.feed_cpu) - plain);
        writer.push(ns(round.writer_cpu));
        rates.push(rate(records, round.until_durable));
        last = Some(round.stats);
    }
    let stats = last.expect("at least one round");
    println!("{}: {}", stream.name, stream.what);
    println!("  applying alone           {:>8.1} ns/record of the feed's thread", median(alone));
    println!("  applying and recording   {:>8.1} ns/record of the feed's thread", median(with));
    println!("  recording adds           {:>8.1} ns/record", median(added));
    println!("  writing                  {:>8.1} ns/record of the writer's thread", median(writer));
    println!("  durable, with wait_room  {:>8.2} M records/s, {} lost", median(rates), stats.records_lost);
    println!("  on the disk              {:>8.1} bytes/record", bytes_per_record(&stats));
    println!(
        "  fsync                    {:>8.1} ms p50, {:.1} ms p99",
        stats.fsync_p50_ns as f64 / 1e6,
        stats.fsync_p99_ns as f64 / 1e6
    );
    let burst = recorded(stream, Pace::AtOnce);
    println!(
        "  all at once              {:>8.2} M records/s fed, {} lost (a full queue)",
        rate(records, burst.feed),
        burst.stats.records_lost
    );
}

fn bytes_per_record(stats: &Stats) -> f64 {
    stats.bytes_written as f64 / stats.records.max(1) as f64
}

/// Whether a feed of the rate that is the goal is applied and recorded as it comes.
fn verdict(stream: &Stream) {
    let records = stream.len() as f64;
    let Round { feed_cpu, writer_cpu, feed, until_durable, stats } = recorded(stream, Pace::Goal);
    let behind = until_durable.saturating_sub(feed);
    let is_in_time = feed.as_secs_f64() < LATE_MAX * records / GOAL_RATE && behind < DURABLE_MAX;
    let verdict = match (stats.records_lost, is_in_time) {
        (0, true) => "KEEPS UP",
        (0, false) => "COMES LATE",
        _ => "LOSES RECORDS",
    };
    println!(
        "  {verdict} with {:.0} M messages/s: {:.2} M/s by the clock, durable {:.0} ms behind the last, {} lost; could be \
         {:.1} M/s by processor time of the feed's thread, {:.1} M/s of the writer's; {:.1} bytes/record",
        GOAL_RATE / 1e6,
        rate(records, feed),
        behind.as_secs_f64() * 1e3,
        stats.records_lost,
        rate(records, feed_cpu),
        rate(records, writer_cpu),
        bytes_per_record(&stats)
    );
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
        verdict(&stream);
        levels(&stream);
    }
}
