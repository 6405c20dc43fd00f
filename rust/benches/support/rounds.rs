//! Rounds in which all competitors take their turns. A shared machine drifts by half within minutes, so what runs one
//! after the other cannot be compared: here each has its turn in every round, and a ratio is taken within a round.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::streams;

/// One competitor: what runs, and how many units (messages, or calls) a run of it is.
pub struct Case<'a> {
    name: &'static str,
    units: usize,
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Case<'a> {
    /// `run` says itself how long it took, so that what it sets up and tears down does not count.
    pub fn new(name: &'static str, units: usize, run: impl FnMut() -> Duration + 'a) -> Self {
        Self { name, units, run: Box::new(run) }
    }
}

/// How long `work` took by the clock on the wall. What it returns is dropped after that.
pub fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let took = start.elapsed();
    drop(result);
    took
}

/// How long this thread worked on it: what other processes took of the core in between does not count. For work on one
/// thread only. What it returns is dropped after that.
pub fn cpu_timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = thread_time();
    let result = black_box(work());
    let took = thread_time() - start;
    drop(result);
    took
}

/// Processor time that this thread has used.
pub fn thread_time() -> Duration {
    processor_time(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// … and that all threads of this process have.
pub fn process_time() -> Duration {
    processor_time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn processor_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call may write to.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(status, 0, "the processor time used: {}", std::io::Error::last_os_error());
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// All results of a benchmark program, for the table.
pub struct Results {
    groups: Map<String, Value>,
}

impl Results {
    pub fn new() -> Self {
        Self { groups: Map::new() }
    }

    /// Runs every case once to warm up, then `rounds` times in turns; keeps ns per unit of each round.
    pub fn interleave(&mut self, group: &str, what: &str, rounds: usize, mut cases: Vec<Case>) {
        let mut samples: Vec<Vec<f64>> = cases.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..=rounds {
            for turn in 0..cases.len() {
                // Whoever goes first finds other caches than whoever follows, so the order rotates.
                let at = (turn + round) % cases.len();
                let case = &mut cases[at];
                let ns = (case.run)().as_nanos() as f64 / case.units as f64;
                if round > 0 {
                    samples[at].push(ns);
                }
            }
        }
        let mut in_order = Vec::new();
        for (case, samples) in cases.iter().zip(samples) {
            let median = median(&samples);
            eprintln!("  {group:28} {:34} {median:>10.1} ns", case.name);
            in_order.push(json!({ "name": case.name, "units": case.units, "ns": samples }));
        }
        self.groups.insert(group.into(), json!({ "what": what, "cases": in_order }));
    }

    /// Anything that is no time per unit: percentiles, bytes, why something is missing.
    pub fn note(&mut self, name: &str, value: Value) {
        eprintln!("  {name:28} {value}");
        self.groups.insert(name.into(), value);
    }

    /// Writes `target/bench/NAME.json`.
    pub fn write(self, name: &str) {
        let path = streams::folder().join(name).with_extension("json");
        let text = serde_json::to_string_pretty(&Value::Object(self.groups)).expect("numbers and names");
        fs::write(path, text + "\n").expect("room under target/");
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}
