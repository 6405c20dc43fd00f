//! Writes the seeds of the corpus: `seeds FOLDER`. All are synthetic.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{fs, path::Path};

use l3book::{
    checkpoint,
    event::Rules,
    feed::Feed,
    record::MBO_BYTES,
    sim::{Config, Simulator},
};
use support::hostile::{BYTES_PER_RECORD, KEYS, records, to_bytes};

const HEADER_BYTES: usize = 12;

/// Noise that is the same every time.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| step()).collect()
}

fn simulated(instruments: u32, records: usize) -> (Vec<u8>, Vec<u8>) {
    let config = Config { instruments, seed: 3, crossed: true, resting_max: Some(64) };
    let mut simulator = Simulator::new(config).expect("valid");
    let header = simulator.header();
    let mut bytes = Vec::new();
    simulator.read(records, &mut bytes);
    bytes.truncate(records * MBO_BYTES);
    (header, bytes)
}

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seeds FOLDER");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).expect("a folder to write to");
        fs::write(folder.join(name), bytes).expect("a file to write to");
    };
    for (i, (instruments, count)) in [(1, 12), (2, 60)].into_iter().enumerate() {
        let (header, stream) = simulated(instruments, count);
        let whole = [header, stream.clone()].concat();
        let with_prefix = |prefix: [u8; 4], stream: &[u8]| [prefix.as_slice(), stream].concat();
        write("bytes", &format!("simulated-{i}"), &with_prefix([0, 55, 7, 200], &whole));
        write("bytes", &format!("records-{i}"), &with_prefix([0, 0, 111, 12], &stream));
        write("bytes", &format!("to-compress-{i}"), &with_prefix([1, 9, 30, 4], &whole));
        let compressed = zstd::encode_all(whole.as_slice(), 3).expect("zstd");
        write("bytes", &format!("compressed-{i}"), &with_prefix([0, 3, 50, 90], &compressed));
        let mut feed = Feed::new(Rules::default());
        feed.feed(&whole).expect("a good stream");
        write("checkpoint", &format!("simulated-{i}"), &checkpoint::to_bytes(&feed.market)[HEADER_BYTES..]);
    }
    for seed in 0..4 {
        let noise = noise(seed, 1 + 60 * BYTES_PER_RECORD);
        write("records", &format!("noise-{seed}"), &noise);
        let stream = to_bytes(&records(&noise[1..], KEYS.len()));
        write("bytes", &format!("hostile-{seed}"), &[&[0, 20, 56, 1], stream.as_slice()].concat());
        let mut feed = Feed::new(Rules::default());
        feed.feed(&stream).expect("good records");
        write("checkpoint", &format!("hostile-{seed}"), &checkpoint::to_bytes(&feed.market)[HEADER_BYTES..]);
    }
}
