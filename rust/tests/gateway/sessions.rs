//! Recordings of hostile records, sessions of them, and what they bring.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use dbn::rtype;
use l3book::{
    book::Order,
    event::{EventBook, Rules},
    feed::Feed,
    gateway::{LiveStream, Options, Request},
    market::{Key, Market},
    record::{MboMsg, Side, mbo_bytes},
};
use proptest::{collection::vec, prelude::*};

use crate::support::hostile::{self, BYTES_PER_RECORD};

pub const BOOKS: usize = 4;

/// A file that is gone when the test is over.
pub struct Recording(pub PathBuf);

impl Recording {
    pub fn of(bytes: &[u8]) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-{}-{number}.dbn", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).expect("room under target/");
        Self(path)
    }

    pub fn options(&self) -> Options {
        Options { paths: vec![self.0.clone()], ..Options::default() }
    }

    pub fn stream(&self) -> LiveStream {
        LiveStream::open(self.options()).expect("these are records")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub fn request(schema: &str) -> Request {
    Request { schema: schema.into(), stype_in: "instrument_id".into(), ..Request::default() }
}

pub fn read(stream: &mut LiveStream, records_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    stream.read(records_max, None, &mut out).expect("the file is sound");
    out
}

pub fn read_all(stream: &mut LiveStream) -> Vec<u8> {
    let mut out = Vec::new();
    while !stream.is_ended() {
        out.extend(read(stream, 1_000));
    }
    out
}

pub fn each_record(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = usize::from(bytes[at]) * 4;
        records.push(&bytes[at..at + len]);
        at += len;
    }
    records
}

/// The MBO records among others.
pub fn mbo_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    each_record(bytes).into_iter().filter(|record| record[1] == rtype::MBO).map(<[u8]>::to_vec).collect()
}

pub fn bytes_of(records: &[MboMsg]) -> Vec<Vec<u8>> {
    records.iter().map(|record| mbo_bytes(record).to_vec()).collect()
}

pub fn market_of(bytes: &[u8]) -> Market {
    let mut feed = Feed::new(Rules::default());
    feed.feed(bytes).expect("whole records");
    feed.market
}

/// What rests: of each side its quote, and its orders in priority order; and what is held back.
pub type Resting = (Vec<(Option<(i64, u64)>, Vec<Order>)>, u64);

pub fn resting(book: &EventBook) -> Resting {
    let side =
        |side| (book.book().quote(side), book.book().queues(side).flat_map(|(_, orders)| orders).collect::<Vec<_>>());
    let held = book.counters().into_iter().find(|(name, _)| *name == "held").map_or(0, |(_, held)| held);
    (Side::BOTH.map(side).to_vec(), held)
}

pub fn books_of(market: &Market) -> BTreeMap<Key, Resting> {
    market.books().map(|(key, book)| (key, resting(book))).collect()
}

/// Shown field by field: dbn's own way overflows at the least of all prices.
#[derive(Clone)]
pub struct Records(pub Vec<MboMsg>);

impl std::ops::Deref for Records {
    type Target = [MboMsg];

    fn deref(&self) -> &[MboMsg] {
        &self.0
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let [action, side] = [r.action, r.side].map(|letter| (letter as u8).escape_ascii().to_string());
            let (key, bits, times) = (Key::of(r), r.flags.raw(), (r.hd.ts_event, r.ts_recv));
            writeln!(f, "{i}: {key} {action} {side} {} x {} #{} flags {bits} {times:?}", r.price, r.size, r.order_id)?;
        }
        Ok(())
    }
}

pub fn any_records() -> impl Strategy<Value = Records> {
    vec(any::<u8>(), BYTES_PER_RECORD..120 * BYTES_PER_RECORD)
        .prop_map(|bytes| Records(hostile::records(&bytes, BOOKS)))
}
