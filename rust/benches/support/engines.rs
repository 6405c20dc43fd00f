//! What applies a stream that lies in memory: our market, our book, the naive book, and the floors below all of them.

use std::{collections::HashMap, hint::black_box, time::Duration};

use hdrhistogram::Histogram;
use l3book::{
    bench_support::IdsOnly,
    book::{OrderBook, SameSizeModify},
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    event::Rules,
    market::{Key, Market},
    naive::NaiveOrders,
    record::{Action, MBO_BYTES, MboMsg, Reject, Side, read_mbo},
};

use super::{rounds::timed, streams::Stream};

/// The whole core but decoding: books by key, whole events, counters. In blocks, as the decoder hands them on.
pub fn market(stream: &[u8]) -> Market {
    let mut market = Market::new(Rules::default());
    apply_to(&mut market, stream);
    market
}

/// Goes on with a market.
pub fn apply_to(market: &mut Market, stream: &[u8]) {
    for (i, block) in stream.chunks(BLOCK_RECORDS_MAX * MBO_BYTES).enumerate() {
        let record = (i * BLOCK_RECORDS_MAX) as u64;
        market.mbo(block, MBO_BYTES, Position { record, offset: record * MBO_BYTES as u64 });
    }
}

/// Numbers the instruments of a stream, so that the opponents and floors find their book by an index: no map of keys
/// is charged to them. -> the number of each record's book, and the key of each book.
pub fn number_books(stream: &Stream) -> (Vec<u16>, Vec<Key>) {
    let (mut known, mut keys) = (HashMap::new(), Vec::new());
    let numbers = stream.records().map(|record| {
        *known.entry(record.hd.instrument_id).or_insert_with(|| {
            keys.push(Key::of(&record));
            u16::try_from(keys.len() - 1).expect("fewer than 65,536 books")
        })
    });
    (numbers.collect(), keys)
}

/// Every record to its book, at once: no events, no key lookup.
fn by_record<B>(stream: &[u8], numbers: &[u16], books: &mut [B], apply: impl Fn(&mut B, &MboMsg)) {
    for (bytes, number) in stream.chunks_exact(MBO_BYTES).zip(numbers) {
        apply(&mut books[usize::from(*number)], &read_mbo(bytes));
    }
}

/// Our book without markets and events.
pub fn order_books(stream: &[u8], numbers: &[u16], count: usize) -> Vec<OrderBook> {
    let mut books: Vec<_> = (0..count).map(|_| OrderBook::new(SameSizeModify::default())).collect();
    by_record(stream, numbers, &mut books, |book, record| {
        let action = Action::of(record);
        if Reject::of(action, record).is_none() {
            book.apply(action, record);
        }
    });
    books
}

/// BTreeMap of VecDeques and a std HashMap.
pub fn naive_books(stream: &[u8], numbers: &[u16], count: usize) -> Vec<NaiveOrders> {
    let mut books: Vec<_> = (0..count).map(|_| NaiveOrders::new(false)).collect();
    by_record(stream, numbers, &mut books, NaiveOrders::apply);
    books
}

/// What a record does to the id table.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum IdWork {
    Nothing,
    Insert,
    Find,
    Remove,
    Clear,
}

/// What each record of a stream does to the id table, found out beforehand: the floor keeps no sizes.
pub fn id_work(stream: &Stream) -> Vec<IdWork> {
    let mut sizes: HashMap<u64, u32> = HashMap::new();
    let mut by_instrument: HashMap<u32, Vec<u64>> = HashMap::new();
    let work = stream.records().map(|record| match record.action as u8 {
        b'A' => {
            sizes.insert(record.order_id, record.size);
            by_instrument.entry(record.hd.instrument_id).or_default().push(record.order_id);
            IdWork::Insert
        }
        b'M' if sizes.insert(record.order_id, record.size).is_none() => {
            by_instrument.entry(record.hd.instrument_id).or_default().push(record.order_id);
            IdWork::Insert
        }
        b'M' => IdWork::Find,
        b'C' => match sizes.get_mut(&record.order_id) {
            Some(size) if record.size < *size => {
                *size -= record.size;
                IdWork::Find
            }
            Some(_) => {
                sizes.remove(&record.order_id);
                IdWork::Remove
            }
            None => IdWork::Find,
        },
        b'R' => {
            for id in by_instrument.remove(&record.hd.instrument_id).unwrap_or_default() {
                sizes.remove(&id);
            }
            IdWork::Clear
        }
        _ => IdWork::Nothing,
    });
    work.collect()
}

/// The floor: only the order ids are kept, in our own table, one per book. With `AHEAD` the lines of the table are
/// asked for a block of records before they are needed, as the market does.
pub fn ids_only<const AHEAD: bool>(stream: &[u8], numbers: &[u16], count: usize, work: &[IdWork]) -> Vec<IdsOnly> {
    let mut books: Vec<_> = (0..count).map(|_| IdsOnly::default()).collect();
    let blocks = stream.chunks(BLOCK_RECORDS_MAX * MBO_BYTES);
    let numbers = numbers.chunks(BLOCK_RECORDS_MAX);
    for ((block, numbers), work) in blocks.zip(numbers).zip(work.chunks(BLOCK_RECORDS_MAX)) {
        if AHEAD {
            for (bytes, number) in block.chunks_exact(MBO_BYTES).zip(numbers) {
                books[usize::from(*number)].prefetch(read_mbo(bytes).order_id);
            }
        }
        for ((bytes, number), work) in block.chunks_exact(MBO_BYTES).zip(numbers).zip(work) {
            let ids = &mut books[usize::from(*number)];
            let id = read_mbo(bytes).order_id;
            match work {
                IdWork::Nothing => {}
                IdWork::Insert => ids.insert(id),
                IdWork::Find => {
                    black_box(ids.contains(id));
                }
                IdWork::Remove => ids.remove(id),
                IdWork::Clear => ids.clear(),
            }
        }
    }
    books
}

/// The floor of floors: every record is read.
pub fn touch(stream: &[u8]) -> u64 {
    let mix = |sum: u64, record: MboMsg| sum ^ record.order_id ^ record.price as u64 ^ u64::from(record.size);
    stream.chunks_exact(MBO_BYTES).map(read_mbo).fold(0, mix)
}

/// Stops if the engines disagree about the final books: who computes something else is no opponent.
pub fn assert_same_books(stream: &Stream) {
    let (numbers, keys) = number_books(stream);
    let market = market(&stream.bytes);
    let plain = order_books(&stream.bytes, &numbers, keys.len());
    let naive = naive_books(&stream.bytes, &numbers, keys.len());
    let ids = ids_only::<true>(&stream.bytes, &numbers, keys.len(), &id_work(stream));
    market.check().expect("a sound market");
    for (number, key) in keys.into_iter().enumerate() {
        let book = market.book(key).expect("a book for each key").book();
        let agree = Side::BOTH.into_iter().all(|side| {
            let levels = levels(book, side);
            levels == self::levels(&plain[number], side) && levels == naive_levels(&naive[number], side)
        });
        let counts = [plain[number].len(), naive[number].places.len(), ids[number].len()];
        assert!(agree && counts == [book.len(); 3], "({}): the engines disagree on book {key}", stream.name);
    }
}

/// Price, size and order count of each level, best first.
fn levels(book: &OrderBook, side: Side) -> Vec<(i64, u64, usize)> {
    book.levels(side).map(|level| (level.price, level.size, level.count as usize)).collect()
}

fn naive_levels(book: &NaiveOrders, side: Side) -> Vec<(i64, u64, usize)> {
    let level = |(price, queue): (&i64, &std::collections::VecDeque<l3book::naive::QueuedOrder>)| {
        (*price, queue.iter().map(|order| u64::from(order.1)).sum(), queue.len())
    };
    let tree = &book.sides[side as usize];
    match side {
        Side::Bid => tree.iter().rev().map(level).collect(),
        Side::Ask => tree.iter().map(level).collect(),
    }
}

/// How long one record takes alone, timer included, and the timer alone; ns.
pub struct Latencies {
    pub apply: Histogram<u64>,
    pub timer: Histogram<u64>,
}

impl Latencies {
    pub fn of(stream: &[u8]) -> Self {
        let new = || Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("valid bounds");
        let mut latencies = Self { apply: new(), timer: new() };
        let ns = |took: Duration| (took.as_nanos() as u64).max(1);
        let mut market = Market::new(Rules::default());
        for (i, bytes) in stream.chunks_exact(MBO_BYTES).enumerate() {
            let position = Position { record: i as u64, offset: (i * MBO_BYTES) as u64 };
            let took = timed(|| market.mbo(bytes, MBO_BYTES, position));
            latencies.apply.saturating_record(ns(took));
            latencies.timer.saturating_record(ns(timed(|| ())));
        }
        latencies
    }
}
