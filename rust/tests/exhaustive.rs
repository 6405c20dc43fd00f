//! Every sequence of records up to a length, over small alphabets: after each, the book agrees with the naive book, keeps
//! the rules of an exchange, and passes its own check. What that covers, and what not, is stated in docs/proof.md.
//!
//! The sequences form a tree. It is walked depth first with a copy of both books per node, so each prefix is applied and
//! compared once. L3BOOK_EXHAUSTIVE_EXTRA_RECORDS=1 makes every sequence a record longer.
#![allow(missing_docs)]

mod support;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use l3book::{
    book::SameSizeModify,
    event::{EventBook, Rules},
    naive::NaiveBook,
    record::{MboMsg, UNDEF_PRICE, flags},
};
use support::{
    agreement::{agrees, keeps_exchange_rules, naive},
    hostile::{HELD_NS_MAX, T0, UNIT, record},
};

const LAST: u8 = flags::LAST;
const PRICES: [i64; 2] = [100 * UNIT, 101 * UNIT];
/// Where a book with an end stops: after all records but those that are made to come later.
const END: u64 = T0 + 1_000;
const SIDES: [u8; 2] = *b"BA";

/// A record, and the order id it names if ids are interchangeable.
type Symbol = (MboMsg, Option<u64>);

/// Any action on any of three orders: two sides, two prices, sizes 0 to 2; every record is an event.
fn any_record() -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for id in 1..=3 {
        for size in 0..=2 {
            for action in *b"AM" {
                for side in SIDES {
                    symbols.extend(PRICES.map(|price| (record(action, side, price, size, id, LAST), Some(id))));
                }
            }
            symbols.push((record(b'C', b'B', PRICES[0], size, id, LAST), Some(id)));
        }
    }
    symbols.push((record(b'R', b'N', UNDEF_PRICE, 0, 0, LAST), None));
    symbols.extend((*b"TFN").map(|action| (record(action, b'B', PRICES[0], 1, 1, LAST), None)));
    symbols
}

/// Three orders that come, shrink, grow, move and leave in one queue with another one behind it; nothing else.
fn two_queues(side: u8) -> Vec<Symbol> {
    let [first, second] = PRICES;
    let mut symbols = Vec::new();
    for id in 1..=3 {
        symbols.extend(PRICES.map(|price| (record(b'A', side, price, 2, id, LAST), Some(id))));
        symbols.extend([1, 3].map(|size| (record(b'M', side, first, size, id, LAST), Some(id))));
        symbols.push((record(b'M', side, second, 2, id, LAST), Some(id)));
        symbols.extend([1, 2].map(|size| (record(b'C', side, first, size, id, LAST), Some(id))));
    }
    symbols
}

/// Three orders of one side that fill, leave and change places in two queues.
fn one_side(side: u8) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for id in 1..=3 {
        for price in PRICES {
            symbols.push((record(b'A', side, price, 2, id, LAST), Some(id)));
            symbols.extend([1, 3].map(|size| (record(b'M', side, price, size, id, LAST), Some(id))));
        }
        symbols.extend([1, 2].map(|size| (record(b'C', side, PRICES[0], size, id, LAST), Some(id))));
    }
    symbols.push((record(b'R', b'N', UNDEF_PRICE, 0, 0, LAST), None));
    symbols
}

/// Everything that begins, ends, forces, spoils or replaces: each record with and without F_LAST.
fn any_event() -> Vec<Symbol> {
    let [low, high] = PRICES;
    let late = |mut record: MboMsg| {
        record.ts_recv += 2 * HELD_NS_MAX;
        record
    };
    let after_the_end = |mut record: MboMsg| {
        record.hd.ts_event = END + 1;
        record
    };
    let bases = [
        record(b'A', b'B', low, 1, 1, 0),
        record(b'A', b'A', high, 2, 2, 0),
        record(b'A', b'B', UNDEF_PRICE, 1, 1, 0),
        record(b'A', b'B', high, 2, 3, flags::TOB),
        record(b'A', b'B', UNDEF_PRICE, 0, 3, flags::TOB),
        record(b'C', b'N', UNDEF_PRICE, 1, 1, 0),
        record(b'M', b'A', high, 3, 1, 0),
        record(b'R', b'N', UNDEF_PRICE, 0, 0, 0),
        record(b'N', b'N', UNDEF_PRICE, 0, 0, 0),
        record(b'R', b'N', UNDEF_PRICE, 0, 0, flags::SNAPSHOT),
        record(b'A', b'B', low, 2, 2, flags::SNAPSHOT),
        record(b'N', b'N', UNDEF_PRICE, 0, 0, flags::MAYBE_BAD_BOOK),
        late(record(b'A', b'B', low, 1, 4, 0)),
        after_the_end(record(b'C', b'B', low, 1, 2, 0)),
    ];
    both_flags(&bases)
}

/// The rest: actions that change nothing, faults, and flags on records that seldom carry them.
fn odd_event() -> Vec<Symbol> {
    let [low, high] = PRICES;
    let mut bases = vec![
        record(b'A', b'B', low, 1, 1, 0),
        record(b'A', b'A', high, 0, 3, flags::TOB),
        record(b'A', b'A', low, u32::MAX, 3, flags::TOB),
        record(b'M', b'A', UNDEF_PRICE, 1, 1, flags::TOB),
        record(b'M', b'N', low, 1, 1, flags::SNAPSHOT),
        record(b'A', b'B', low, 0, 1, flags::MAYBE_BAD_BOOK),
        record(b'M', b'B', i64::MIN, u32::MAX, 1, flags::MAYBE_BAD_BOOK),
        record(b'R', b'B', low, 9, 1, flags::MAYBE_BAD_BOOK | flags::SNAPSHOT),
        record(b'C', b'A', high, u32::MAX, 1, flags::SNAPSHOT),
        record(b'?', b'B', low, 1, 1, flags::SNAPSHOT | flags::MAYBE_BAD_BOOK),
    ];
    bases.extend(
        [(b'T', 0), (b'F', flags::MAYBE_BAD_BOOK), (b'N', flags::SNAPSHOT)]
            .map(|(action, bits)| record(action, b'B', low, 1, 1, bits)),
    );
    both_flags(&bases)
}

fn both_flags(bases: &[MboMsg]) -> Vec<Symbol> {
    [LAST, 0].into_iter().flat_map(|bits| bases.iter().map(move |base| (flagged(base, bits), None))).collect()
}

fn flagged(base: &MboMsg, bits: u8) -> MboMsg {
    let bits = base.flags.raw() | bits;
    MboMsg { flags: bits.into(), ..*base }
}

/// Both books, and how many different ids the sequence has named.
#[derive(Clone)]
struct Node {
    book: EventBook,
    expected: NaiveBook,
    ids: u64,
}

impl Node {
    fn root(rules: &Rules) -> Self {
        Self { book: EventBook::new(rules), expected: naive(rules), ids: 0 }
    }

    /// The node behind one more record; none if the sequence is another one with its ids renamed: new ids come in order.
    fn child(&self, (record, id): &Symbol, depth: usize) -> Option<Result<Self, String>> {
        if id.is_some_and(|id| id > self.ids + 1) {
            return None;
        }
        let mut child = self.clone();
        child.ids = self.ids.max(id.unwrap_or(0));
        let mut record = *record;
        // No two records of a sequence share a time, so that a wrong ts_event shows.
        record.hd.ts_event += depth as u64;
        record.ts_recv += depth as u64;
        record.sequence = depth as u32;
        let completed = child.expected.push(&record);
        let outcome = child.book.push(&record);
        if outcome.is_ok_and(|fast| fast != completed) {
            return Some(Err(format!("completed an event: {outcome:?}, the naive book says {completed}")));
        }
        let agreed = agrees(&child.book, &child.expected).and_then(|()| keeps_exchange_rules(&child.book));
        Some(agreed.map(|()| child))
    }
}

struct Walk {
    symbols: Vec<Symbol>,
    covered: AtomicU64,
    broken: Mutex<Option<String>>,
}

impl Walk {
    /// Visits all continuations of a sequence by up to `left` records.
    fn visit(&self, node: &Node, path: &mut Vec<usize>, left: usize) {
        let mut covered = 0;
        for (i, symbol) in self.symbols.iter().enumerate() {
            let Some(child) = node.child(symbol, path.len()) else { continue };
            path.push(i);
            match child {
                Ok(_) if left == 1 => {}
                Ok(child) => self.visit(&child, path, left - 1),
                Err(what) => self.fail(path, &what),
            }
            path.pop();
            covered += 1;
        }
        self.covered.fetch_add(covered, Ordering::Relaxed);
    }

    fn fail(&self, path: &[usize], what: &str) {
        let records: Vec<_> = path.iter().map(|i| self.symbols[*i].0).collect();
        self.broken.lock().expect("unpoisoned").get_or_insert_with(|| format!("{what}\nafter {records:#?}"));
    }
}

/// Walks all sequences of up to `length` symbols on all processors; says how many there were.
fn walk(rules: &Rules, symbols: Vec<Symbol>, length: usize) -> u64 {
    let first = AtomicUsize::new(0);
    let walk = Walk { symbols, covered: AtomicU64::new(0), broken: Mutex::new(None) };
    let root = Node::root(rules);
    // The first two records of a sequence name the task.
    let tasks = walk.symbols.len() * walk.symbols.len();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let task = first.fetch_add(1, Ordering::Relaxed);
                    if task >= tasks || walk.broken.lock().expect("unpoisoned").is_some() {
                        return;
                    }
                    walk.task(&root, task, length);
                }
            });
        }
    });
    if let Some(broken) = walk.broken.into_inner().expect("unpoisoned") {
        panic!("{broken}");
    }
    walk.covered.into_inner()
}

impl Walk {
    fn task(&self, root: &Node, task: usize, length: usize) {
        let (first, second) = (task / self.symbols.len(), task % self.symbols.len());
        let Some(node) = root.child(&self.symbols[first], 0) else { return };
        let path = &mut vec![first];
        let node = match node {
            Ok(node) => node,
            Err(what) => return self.fail(path, &what),
        };
        self.covered.fetch_add(u64::from(second == 0), Ordering::Relaxed);
        let Some(child) = node.child(&self.symbols[second], 1) else { return };
        path.push(second);
        self.covered.fetch_add(1, Ordering::Relaxed);
        match child {
            Ok(child) if length > 2 => self.visit(&child, path, length - 2),
            Ok(_) => {}
            Err(what) => self.fail(path, &what),
        }
    }
}

/// Walks to the length, or to another by L3BOOK_EXHAUSTIVE_EXTRA_RECORDS, and holds the number of sequences against
/// what it must be: `covered[n]` for n more records.
fn prove(name: &str, rules: &Rules, symbols: Vec<Symbol>, length: usize, covered: [u64; 2]) {
    let extra = std::env::var("L3BOOK_EXHAUSTIVE_EXTRA_RECORDS").unwrap_or("0".into());
    let extra: isize = extra.parse().expect("L3BOOK_EXHAUSTIVE_EXTRA_RECORDS: a number of records");
    let length = length.saturating_add_signed(extra).max(2);
    let start = std::time::Instant::now();
    let count = walk(rules, symbols, length);
    println!("{name}: {count} sequences of up to {length} records in {:.1?}", start.elapsed());
    if let Some(expected) = usize::try_from(extra).ok().and_then(|extra| covered.get(extra)) {
        assert_eq!(count, *expected, "{name}: the number of sequences");
    }
}

const TO_BACK: Rules = Rules { same_size: SameSizeModify::ToBack, until: u64::MAX, epoch: 0 };

#[test]
fn any_records() {
    prove("any records", &Rules::default(), any_record(), 4, [9_280_942, 763_104_713]);
}

#[test]
fn one_side_of_two_prices() {
    prove("bids", &Rules::default(), one_side(b'B'), 5, [1_728_637, 42_684_462]);
    prove("asks, same size to the back", &TO_BACK, one_side(b'A'), 5, [1_728_637, 42_684_462]);
}

#[test]
fn two_queues_deep() {
    prove("two queues", &Rules::default(), two_queues(b'B'), 6, [15_077_699, 315_670_894]);
}

#[test]
fn any_events() {
    let rules = Rules { until: END, ..Rules::default() };
    prove("events", &rules, any_event(), 5, [17_847_788, 499_738_092]);
    prove("odd events", &rules, odd_event(), 4, [475_254, 12_356_630]);
}
