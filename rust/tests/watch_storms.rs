//! The watch under many faults at once, on sessions of our gateway that break and go on: a book is exact or not live.

#![allow(missing_docs)]

mod support;

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    path::{Path, PathBuf},
};

use l3book::{
    event::{EventBook, Rules, State},
    feed::Feed,
    gateway::{Fault, LiveStream, Options, Request},
    market::Key,
    record::{MBO_BYTES, flags, read_mbo},
    sim::{Config, Simulator},
    watch::{Resumption, WatchedFeed, reason},
};
use support::content::content;

const RECORDS: usize = 12_000;
/// A resumption goes back a second.
const EVENT_NS: u64 = 8_000_000;
/// An event that comes later than those behind it is noticed when it comes, where sequence numbers tell no gap.
const RECORDS_LATE_MAX: u64 = 60;

/// A recording of three instruments. Each event has a number of its own: what is late within one nobody can see. It is
/// as far from the next as from any other, so that whatever was lost right before a break comes again after it: what is
/// older than a second does not. Three arrive at once.
fn recorded() -> (Vec<u8>, Vec<u8>) {
    let config = Config { instruments: 3, seed: 7, crossed: false, resting_max: Some(64) };
    let mut simulator = Simulator::new(config).expect("valid");
    let (head, mut bytes) = (simulator.header(), Vec::new());
    simulator.read(RECORDS, &mut bytes);
    let first_ns = read_mbo(&bytes).hd.ts_event;
    let mut event = 0u32;
    for record in bytes.chunks_exact_mut(MBO_BYTES) {
        let at_ns = |event: u32| first_ns + u64::from(event) * EVENT_NS;
        record[8..16].copy_from_slice(&at_ns(event).to_le_bytes());
        record[40..48].copy_from_slice(&at_ns(event / 3 * 3 + 5).to_le_bytes());
        record[52..56].copy_from_slice(&(event + 1).to_le_bytes());
        event += u32::from(record[36] & flags::LAST != 0);
    }
    (head, bytes)
}

/// A recording, and every state that each of its books passes through.
struct Truth {
    path: PathBuf,
    /// By sequence number; of a book without orders, a snapshot has none.
    at: HashMap<(Key, u32), HashSet<u64>>,
    ever: HashMap<Key, HashSet<u64>>,
}

impl Truth {
    fn new(name: &str) -> Self {
        let (head, bytes) = recorded();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("storm-{name}-{}.dbn", std::process::id()));
        std::fs::write(&path, [&head[..], &bytes].concat()).expect("room under target/");
        let mut truth = Self { path, at: HashMap::new(), ever: HashMap::new() };
        let mut feed = Feed::new(Rules::default());
        for record in bytes.chunks_exact(MBO_BYTES) {
            feed.feed(record).expect("good records");
            let key = Key::of(&read_mbo(record));
            let book = feed.market.book(key).expect("just fed");
            truth.at.entry((key, book.moment().sequence)).or_default().insert(content(book));
            truth.ever.entry(key).or_default().insert(content(book));
        }
        truth
    }

    fn is_exact(&self, key: Key, book: &EventBook) -> bool {
        self.at.get(&(key, book.moment().sequence)).unwrap_or(&self.ever[&key]).contains(&content(book))
    }

    fn session(&self, start_ns: Option<u64>) -> LiveStream {
        let options = Options { paths: vec![self.path.clone()], ..Options::default() };
        let mut stream = LiveStream::open(options).expect("a recording");
        if let Some(start_ns) = start_ns {
            stream.seek(start_ns);
        }
        let request = Request { schema: "mbo".into(), stype_in: "raw_symbol".into(), start_ns, ..Request::default() };
        assert!(stream.subscribe(&request).expect("all of it").is_empty());
        stream
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// SplitMix64: the same seed, the same storm.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    /// Whether something of which there is one in so many records (0: none) happens within these.
    fn falls(&mut self, one_in: u64, records: u64) -> bool {
        one_in > 0 && self.below(one_in) < records
    }
}

/// How often things happen: one in so many records, 0 for never.
#[derive(Clone, Copy, Default)]
struct Storm {
    breaks: u64,
    gaps: u64,
    duplicates: u64,
    late: u64,
}

/// A feed in a storm.
struct Ride<'a> {
    truth: &'a Truth,
    feed: WatchedFeed,
    /// For each book that is live and wrong: how many records had been taken when it was seen to be so.
    wrong: HashMap<Key, u64>,
    live_looks: u64,
    breaks: u64,
    story: String,
}

impl<'a> Ride<'a> {
    fn new(truth: &'a Truth) -> Self {
        let feed = WatchedFeed::new(Rules::default());
        Self { truth, feed, wrong: HashMap::new(), live_looks: 0, breaks: 0, story: String::new() }
    }

    fn tell(&mut self, what: &str, stream: &LiveStream) {
        writeln!(self.story, "{what} at {}", stream.position()).expect("a string");
    }

    fn take(&mut self, bytes: &[u8], records_late_max: u64) {
        self.feed.feed(bytes).expect("good bytes");
        for alert in self.feed.take_alerts() {
            writeln!(self.story, "  {alert:?}").expect("a string");
        }
        for (key, book) in self.feed.market.books() {
            let is_live = book.state() == State::Live;
            self.live_looks += u64::from(is_live);
            if !is_live || self.truth.is_exact(key, book) {
                self.wrong.remove(&key);
                continue;
            }
            let records = self.feed.market.records_taken();
            let since = *self.wrong.entry(key).or_insert(records);
            let tail = self.story.len().saturating_sub(4_000);
            let story = self.story.get(tail..).unwrap_or(&self.story);
            let is_late = records - since < records_late_max;
            assert!(is_late, "{key} is live and wrong at {:?}:\n{story}", book.moment());
        }
    }

    /// Until the recording is over.
    fn go(&mut self, storm: Storm, seed: u64) {
        let mut dice = Dice(seed);
        let mut stream = self.truth.session(None);
        let mut lost_ts_recv = 0;
        while !stream.is_ended() {
            let records = 1 + dice.below(12);
            let faults = [
                (storm.gaps, Fault::Gap { is_marked: true }, 3),
                (storm.duplicates, Fault::Duplicate, 1),
                (storm.late, Fault::Reorder, 6),
            ];
            for (one_in, fault, records_max) in faults {
                if dice.falls(one_in, records) {
                    self.tell(&format!("{fault:?}"), &stream);
                    stream.inject(fault, 1 + dice.below(records_max));
                }
            }
            let mut bytes = Vec::new();
            stream.read(records as usize, None, &mut bytes).expect("a good recording");
            let is_break = dice.falls(storm.breaks, records);
            if is_break {
                bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
            }
            for piece in bytes.chunks(1 + dice.below(400) as usize) {
                self.take(piece, if storm.late > 0 { RECORDS_LATE_MAX } else { 0 });
            }
            if is_break {
                self.breaks += 1;
                self.tell("break", &stream);
                lost_ts_recv = self.feed.watch.stats().last_ts_recv;
                self.feed.disconnected();
                stream = self.truth.session(self.feed.resume_ts());
                self.feed.reconnected(Resumption::Resume);
            } else if self.feed.watch.stats().last_ts_recv > lost_ts_recv && dice.below(5) == 0 {
                self.ask_snapshots(&mut stream);
            }
        }
    }

    fn ask_snapshots(&mut self, stream: &mut LiveStream) {
        let suspects = self.feed.watch.suspects(&self.feed.market);
        if suspects.is_empty() {
            return;
        }
        self.tell(&format!("snapshots of {suspects:?}"), stream);
        let request = Request {
            schema: "mbo".into(),
            stype_in: "instrument_id".into(),
            symbols: Some(suspects.iter().map(|key| key.instrument_id.to_string()).collect()),
            is_snapshot: true,
            ..Request::default()
        };
        stream.subscribe(&request).expect("snapshots");
        for key in suspects {
            self.feed.watch.expect_snapshot(&self.feed.market, key);
        }
    }
}

fn rides() -> u64 {
    std::env::var("STORM_RIDES").map_or(40, |rides| rides.parse().expect("a number"))
}

fn weather(name: &str, storm: Storm) {
    let truth = Truth::new(name);
    for seed in 0..rides() {
        let mut ride = Ride::new(&truth);
        ride.go(storm, seed);
        assert!(ride.breaks > 3, "{} breaks", ride.breaks);
        // A storm in which no book is ever believed would prove nothing.
        assert!(ride.live_looks > RECORDS as u64 / 2, "{} live looks", ride.live_looks);
    }
}

const CALM: Storm = Storm { breaks: 300, gaps: 0, duplicates: 0, late: 0 };

/// Where nothing was lost, nothing is doubted.
#[test]
fn breaks_alone_are_no_mismatch() {
    let truth = Truth::new("breaks");
    for seed in 0..rides() {
        let mut ride = Ride::new(&truth);
        ride.go(CALM, seed);
        let suspicions = ride.feed.watch.stats().suspicions;
        let expected = [reason::DISCONNECTED, reason::UNFINISHED_SNAPSHOT];
        assert!(suspicions.keys().all(|reason| expected.contains(&&**reason)), "{suspicions:?}");
    }
}

#[test]
fn gaps_around_breaks() {
    weather("gaps", Storm { gaps: 60, ..CALM });
}

#[test]
fn duplicates_around_breaks() {
    weather("duplicates", Storm { duplicates: 60, ..CALM });
}

#[test]
fn late_events_around_breaks() {
    weather("late", Storm { late: 150, ..CALM });
}

#[test]
fn all_at_once() {
    weather("all", Storm { gaps: 200, duplicates: 200, late: 250, ..CALM });
}
