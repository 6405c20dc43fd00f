//! What an indexer costs, and what its filters spare: `cargo bench --bench index`.
//!
//! Applying the records, with rows, with everything, and from the log, take turns: processor time of the one thread that
//! does it. Then orders are looked for by the filters, and once without them.

mod support;

use std::{fs, hint::black_box, path::PathBuf, time::Duration};

use l3book::{
    event::Rules,
    history::{
        FRAME_RECORDS_MAX, Indexer, IndexerSettings, Item, Log, Recorder, Settings, Shadow,
        layout::beside,
        orders::{self, Life},
        rows::RowMaker,
    },
    market::{Key, Market},
    record::{MBO_BYTES, MboMsg, mbo_slice_bytes, read_mbo},
};
use support::{
    engines::apply_to,
    rounds::{Case, Results, cpu_timed, timed},
    streams::{self, Stream, is_quick},
};

const PATIENCE: Duration = Duration::from_secs(600);
const BATCH_RECORDS: usize = 262_144;
const CHECKPOINT_RECORDS: u64 = 1_000_000;
/// Orders that are looked for.
const LIVES: usize = 200;

fn recorded(stream: &Stream) -> PathBuf {
    let folder = streams::folder().join(format!("index-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let mut recorder = Recorder::open(&folder, Settings::default()).expect("room under target/");
    // The second session ends the first one's last segment.
    for records in [stream.len(), 1] {
        let mut market = Market::new(Rules::default());
        recorder.begin(&mut market, Some("bench:")).expect("an empty market");
        for piece in stream.bytes[..records * MBO_BYTES].chunks(FRAME_RECORDS_MAX as usize * MBO_BYTES) {
            assert!(recorder.wait_room(PATIENCE));
            apply_to(&mut market, piece);
        }
        recorder.end(&mut market);
    }
    assert!(recorder.close(PATIENCE));
    folder
}

fn plain(records: &[MboMsg]) {
    let mut market = Market::new(Rules::default());
    apply_to(&mut market, mbo_slice_bytes(records));
    black_box(&market);
}

fn with_rows(records: &[MboMsg]) -> usize {
    let (mut market, mut maker) = (Market::new(Rules::default()), RowMaker::new());
    let (mut made, mut done) = (0, 0);
    while done < records.len() {
        let end = records.len().min(done + BATCH_RECORDS);
        while done < end {
            let noted = maker.note(&mut market, &records[done..end], done as u64);
            apply_to(&mut market, mbo_slice_bytes(&records[done..done + noted]));
            done += noted;
        }
        let rows = maker.take(&market);
        made += rows.trades.len() + rows.bbo.len() + rows.levels.len();
    }
    made
}

fn read(log: &Log) {
    let mut cursor = log.cursor(0);
    while let Some(item) = cursor.next(log).expect("a good log") {
        black_box(&item);
    }
}

fn shadow(log: &Log, is_watched: bool) {
    let mut shadow = Shadow::before(log, 0, is_watched).expect("its beginning");
    let mut cursor = log.cursor(0);
    while let Some(item) = cursor.next(log).expect("a good log") {
        match item {
            Item::Session { .. } | Item::Mark(_) if shadow.head().ordinal > 0 => break,
            item => shadow.apply(&item),
        }
    }
}

fn indexed(folder: &std::path::Path, keeps_checkpoints: bool) {
    let settings =
        IndexerSettings { ordinal: 0, checkpoint_records: CHECKPOINT_RECORDS, keeps_checkpoints, keeps_records: false };
    let mut indexer = Indexer::open(folder, settings).expect("a good log");
    while let Some(batch) = indexer.advance(BATCH_RECORDS).expect("a good log") {
        black_box(&batch);
    }
    assert!(indexer.take_error().is_none());
}

/// What was derived is removed, so that it is made again.
fn forget(folder: &std::path::Path, log: &Log) {
    let _ = fs::remove_dir_all(folder.join("checkpoints"));
    for segment in log.segments() {
        let _ = fs::remove_file(beside(&segment.path, "orders"));
    }
}

fn costs(results: &mut Results, stream: &Stream, folder: &std::path::Path, rounds: usize) {
    let log = Log::open(folder).expect("a log");
    let records: Vec<MboMsg> = stream.records().collect();
    let count = records.len();
    println!("{}: {:.3} rows a record", stream.name, with_rows(&records) as f64 / count as f64);
    let index = |keeps_checkpoints| {
        forget(folder, &log);
        cpu_timed(|| indexed(folder, keeps_checkpoints))
    };
    let cases = vec![
        Case::new("applying alone", count, || cpu_timed(|| plain(&records))),
        Case::new("with rows", count, || cpu_timed(|| black_box(with_rows(&records)))),
        Case::new("reading the log alone", count, || cpu_timed(|| read(&log))),
        Case::new("a shadow market from the log", count, || cpu_timed(|| shadow(&log, false))),
        Case::new("a watched shadow market from the log", count, || cpu_timed(|| shadow(&log, true))),
        Case::new("indexing without checkpoints", count, || index(false)),
        Case::new("indexing", count, || index(true)),
    ];
    results.interleave(&format!("index {}", stream.name), &stream.what, rounds, cases);
}

fn lives(stream: &Stream, folder: &std::path::Path) {
    let log = Log::open(folder).expect("a log");
    forget(folder, &log);
    indexed(folder, false);
    let bytes: u64 = log
        .segments()
        .iter()
        .filter_map(|segment| fs::metadata(beside(&segment.path, "orders")).ok())
        .map(|file| file.len())
        .sum();
    let wanted: Vec<(Key, u64)> = (0..LIVES)
        .map(|i| read_mbo(&stream.bytes[i * (stream.len() / LIVES) * MBO_BYTES..]))
        .map(|record| (Key::of(&record), record.order_id))
        .collect();
    let mut found = Life::default();
    let took = timed(|| {
        for (key, order_id) in &wanted {
            let life = orders::life(&log, *key, *order_id, 10_000).expect("a good log");
            found.pages_read += life.pages_read;
            found.frames_read += life.frames_read;
            found.records.extend(life.records);
        }
    });
    forget(folder, &log);
    let (key, order_id) = wanted[LIVES / 2];
    let scanned = timed(|| drop(black_box(orders::life(&log, key, order_id, 10_000).expect("a good log"))));
    let each = |count: u64| count as f64 / LIVES as f64;
    println!(
        "{}: {} frames, {:.2} bytes of filters a record",
        stream.name,
        log.frames().len(),
        bytes as f64 / stream.len() as f64
    );
    println!(
        "  a life: {:.1} records, {:.1} pages and {:.1} frames read, {:.2} ms; without filters {:.0} ms",
        each(found.records.len() as u64),
        each(found.pages_read),
        each(found.frames_read),
        took.as_secs_f64() * 1e3 / LIVES as f64,
        scanned.as_secs_f64() * 1e3,
    );
}

fn main() {
    let rounds = if is_quick() { 3 } else { 5 };
    let mut results = Results::new();
    for stream in [streams::b(), streams::c()] {
        let folder = recorded(&stream);
        costs(&mut results, &stream, &folder, rounds);
        lives(&stream, &folder);
        fs::remove_dir_all(&folder).expect("just made");
    }
    results.write("index");
}
