//! The synthetic market of the published figures: A 42, C 45, M 7, F 4.4, T 1.2 % of the records; 15 % of the Cancels
//! that can be partial are. Orders lie on some 400 levels, most of them near the touch, and the touch walks.
//!
//! Not the simulator of the library, which is made to look alive: this one holds the mix and the number of resting
//! orders that the design's measurements were taken with, so that ours can be held beside them. It is never crossed
//! and names no unknown order, so that every engine accepts it.

use std::collections::BTreeMap;

use dbn::{FlagSet, MboMsg, RecordHeader, UNDEF_PRICE, flags, rtype};
use l3book::record::mbo_bytes;

pub const FIRST_INSTRUMENT_ID: u32 = 432_669;
const PUBLISHER_ID: u16 = 1;
const START_NS: u64 = 1_758_742_200_000_000_000;
pub const TICK: i64 = 10_000_000;
/// Levels per side over which far orders are spread.
const HALF_LEVELS: u32 = 200;
/// A side with fewer levels loses none, so that no book runs dry.
const LEVELS_MIN: usize = 20;
const RECENT: usize = 2048;
const SIZES: [(u32, u32); 9] = [(1, 50), (2, 15), (3, 8), (4, 5), (5, 8), (10, 8), (20, 3), (25, 1), (50, 2)];
const NONE: u32 = u32::MAX;

/// SplitMix64: eight lines, and the stream must be the same on every machine and with every version of any crate.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Whether something with this chance, in millionths, happens.
    fn happens(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < per_million
    }

    /// Failures before the first success.
    fn geometric(&mut self, per_million: u32) -> i64 {
        let mut failures = 0;
        while !self.happens(per_million) {
            failures += 1;
        }
        failures
    }
}

#[derive(Clone, Copy)]
struct Resting {
    id: u64,
    side: usize,
    tick: i64,
    size: u32,
    prev: u32,
    next: u32,
    /// Where it stands in `Book::live`; NONE when it is gone.
    live_at: u32,
}

struct Queue {
    head: u32,
    tail: u32,
}

struct Book {
    instrument_id: u32,
    orders: Vec<Resting>,
    free: Vec<u32>,
    live: Vec<u32>,
    recent: Vec<(u32, u64)>,
    recent_at: usize,
    sides: [BTreeMap<i64, Queue>; 2],
    opening: [i64; 2],
}

impl Book {
    fn new(number: u32) -> Self {
        let mid = 6_400 + 37 * i64::from(number);
        Self {
            instrument_id: FIRST_INSTRUMENT_ID + number,
            orders: Vec::new(),
            free: Vec::new(),
            live: Vec::new(),
            recent: vec![(NONE, 0); RECENT],
            recent_at: 0,
            sides: [BTreeMap::new(), BTreeMap::new()],
            opening: [mid, mid + 1],
        }
    }

    fn best(&self, side: usize) -> i64 {
        let level = if side == 0 { self.sides[0].last_key_value() } else { self.sides[1].first_key_value() };
        level.map_or(self.opening[side], |(tick, _)| *tick)
    }

    /// Puts an order at the back of the queue at its tick.
    fn link(&mut self, slot: u32) {
        let Resting { side, tick, .. } = self.orders[slot as usize];
        let queue = self.sides[side].entry(tick).or_insert(Queue { head: NONE, tail: NONE });
        self.orders[slot as usize].prev = queue.tail;
        self.orders[slot as usize].next = NONE;
        match queue.tail {
            NONE => queue.head = slot,
            tail => self.orders[tail as usize].next = slot,
        }
        queue.tail = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Resting { side, tick, prev, next, .. } = self.orders[slot as usize];
        let queue = self.sides[side].get_mut(&tick).expect("a resting order has a level");
        match prev {
            NONE => queue.head = next,
            prev => self.orders[prev as usize].next = next,
        }
        match next {
            NONE => queue.tail = prev,
            next => self.orders[next as usize].prev = prev,
        }
        if queue.head == NONE {
            self.sides[side].remove(&tick);
        }
    }

    fn insert(&mut self, id: u64, side: usize, tick: i64, size: u32) {
        let live_at = self.live.len() as u32;
        let order = Resting { id, side, tick, size, prev: NONE, next: NONE, live_at };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.orders.push(order);
            self.orders.len() as u32 - 1
        });
        self.orders[slot as usize] = order;
        self.live.push(slot);
        self.recent[self.recent_at] = (slot, id);
        self.recent_at = (self.recent_at + 1) % RECENT;
        self.link(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let at = self.orders[slot as usize].live_at;
        self.live.swap_remove(at as usize);
        if let Some(moved) = self.live.get(at as usize) {
            self.orders[*moved as usize].live_at = at;
        }
        self.orders[slot as usize].live_at = NONE;
        self.free.push(slot);
    }

    /// An order added lately, with this chance and if it still rests; else any.
    fn pick(&self, rng: &mut Rng, recent_per_million: u32) -> u32 {
        if rng.happens(recent_per_million) {
            let (slot, id) = self.recent[rng.below(RECENT as u32) as usize];
            if slot != NONE && self.orders[slot as usize].id == id && self.orders[slot as usize].live_at != NONE {
                return slot;
            }
        }
        self.live[rng.below(self.live.len() as u32) as usize]
    }

    /// Whether this order is the only one on its level, and its side too thin to lose that.
    fn must_stay(&self, slot: u32) -> bool {
        let order = &self.orders[slot as usize];
        self.sides[order.side].len() < LEVELS_MIN && order.prev == NONE && order.next == NONE
    }
}

/// Makes records one by one; see the module.
pub struct Generator {
    rng: Rng,
    books: Vec<Book>,
    target: usize,
    /// Cumulative weights, in millionths, by which an instrument has its turn.
    turns: Vec<u32>,
    book: usize,
    turns_left: i64,
    last_id: u64,
    ts_event: u64,
    sequence: u32,
    /// The bytes of the records made.
    pub out: Vec<u8>,
}

impl Generator {
    pub fn new(instruments: u32, resting: usize, seed: u64) -> Self {
        let weight = |number: u32| f64::from(number + 1).powf(-0.7);
        let total: f64 = (0..instruments).map(weight).sum();
        let mut sum = 0.0;
        let turns = (0..instruments).map(|number| {
            sum += weight(number);
            (sum / total * 1e6) as u32
        });
        Self {
            rng: Rng(seed),
            turns: turns.collect(),
            books: (0..instruments).map(Book::new).collect(),
            target: resting / instruments as usize,
            book: 0,
            turns_left: 0,
            last_id: 8_058_566_000_000,
            ts_event: START_NS,
            sequence: 94_225_061,
            out: Vec::new(),
        }
    }

    fn emit(&mut self, action: u8, side: u8, id: u64, tick: Option<i64>, size: u32, bits: u8) {
        if bits & flags::SNAPSHOT == 0 {
            // Exponential with a mean of 2 µs, by halvings: exact integers on every machine.
            let draw = self.rng.next();
            self.ts_event += (u64::from(draw.trailing_zeros()) << 10) + (draw >> 54);
        }
        self.sequence += u32::from(self.rng.happens(600_000));
        let ts_in_delta = 10_000 + self.rng.below(10_000) as i32;
        let record = MboMsg {
            hd: RecordHeader::new::<MboMsg>(
                rtype::MBO,
                PUBLISHER_ID,
                self.books[self.book].instrument_id,
                self.ts_event,
            ),
            order_id: id,
            price: tick.map_or(UNDEF_PRICE, |tick| tick * TICK),
            size,
            flags: FlagSet::new(bits),
            channel_id: 26,
            action: action as _,
            side: side as _,
            ts_recv: self.ts_event + 120_000 + ts_in_delta as u64,
            ts_in_delta,
            sequence: self.sequence,
        };
        self.out.extend_from_slice(mbo_bytes(&record));
    }

    fn emit_order(&mut self, action: u8, slot: u32, size: u32, bits: u8) {
        let order = self.books[self.book].orders[slot as usize];
        self.emit(action, SIDE[order.side], order.id, Some(order.tick), size, bits);
    }

    fn new_id(&mut self, gap_max: u32) -> u64 {
        self.last_id += 1 + u64::from(self.rng.below(gap_max));
        self.last_id
    }

    fn size(&mut self) -> u32 {
        let mut at = self.rng.below(SIZES.iter().map(|(_, weight)| weight).sum());
        for (size, weight) in SIZES {
            if at < weight {
                return size;
            }
            at -= weight;
        }
        unreachable!("the weights were summed")
    }

    /// A Clear and an MBO snapshot for each book.
    pub fn open(&mut self) {
        const SNAPSHOT: u8 = flags::SNAPSHOT | flags::BAD_TS_RECV;
        for number in 0..self.books.len() {
            self.book = number;
            self.emit(b'R', b'N', 0, None, 0, SNAPSHOT);
            for order in 0..self.target {
                let side = order & 1;
                let near = if self.rng.happens(700_000) { self.rng.geometric(30_000) } else { i64::MAX };
                let far = i64::from(self.rng.below(HALF_LEVELS));
                let distance = if near < i64::from(HALF_LEVELS) { near } else { far };
                let opening = self.books[number].opening[side];
                let tick = if side == 0 { opening - distance } else { opening + distance };
                let (id, size) = (self.new_id(32), self.size());
                self.books[number].insert(id, side, tick, size);
                let last = if order + 1 == self.target { flags::LAST } else { 0 };
                self.emit(b'A', SIDE[side], id, Some(tick), size, SNAPSHOT | last);
            }
        }
    }

    /// One more event of whichever book has its turn.
    pub fn step(&mut self) {
        if self.turns_left == 0 {
            let at = self.rng.below(1_000_000);
            self.book = self.turns.partition_point(|turn| *turn <= at).min(self.books.len() - 1);
            self.turns_left = 1 + self.rng.geometric(350_000);
        }
        self.turns_left -= 1;
        if self.rng.happens(250) {
            return self.take_touch();
        }
        // Chances per event; a fill makes three records, so that the shares of records come out as the module says.
        let draw = self.rng.below(963_334);
        let surplus = self.books[self.book].live.len() as i64 - self.target as i64;
        // Books return to their target: the share of Adds gives way by five hundredths at most.
        let less = (surplus * 200_000 / self.target as i64).clamp(-50_000, 50_000);
        if i64::from(draw) < 450_000 - less {
            self.add();
        } else if draw < 870_000 {
            self.cancel();
        } else if draw < 950_000 {
            self.modify();
        } else {
            self.fill();
        }
    }

    fn add(&mut self) {
        let side = self.rng.below(2) as usize;
        let book = &self.books[self.book];
        let (bid, ask) = (book.best(0), book.best(1));
        let distance = if self.rng.happens(50_000) && ask - bid > 1 {
            -1
        } else if self.rng.happens(800_000) {
            self.rng.geometric(200_000)
        } else {
            i64::from(self.rng.below(HALF_LEVELS))
        };
        let tick = if side == 0 { bid - distance } else { ask + distance };
        let (id, size) = (self.new_id(32), self.size());
        self.books[self.book].insert(id, side, tick, size);
        self.emit(b'A', SIDE[side], id, Some(tick), size, flags::LAST);
    }

    fn cancel(&mut self) {
        let slot = self.books[self.book].pick(&mut self.rng, 700_000);
        if self.books[self.book].must_stay(slot) {
            return;
        }
        let size = self.books[self.book].orders[slot as usize].size;
        if size > 1 && self.rng.happens(150_000) {
            let part = 1 + self.rng.below(size - 1);
            self.books[self.book].orders[slot as usize].size -= part;
            self.emit_order(b'C', slot, part, flags::LAST);
        } else {
            self.emit_order(b'C', slot, size, flags::LAST);
            self.books[self.book].remove(slot);
        }
    }

    /// Half the Modifies shrink an order, a quarter grow it, a quarter move it.
    fn modify(&mut self) {
        let slot = self.books[self.book].pick(&mut self.rng, 600_000);
        let kind = self.rng.below(4);
        let Resting { size, side, tick, .. } = self.books[self.book].orders[slot as usize];
        if kind < 2 && size > 1 {
            let size = 1 + self.rng.below(size - 1);
            self.books[self.book].orders[slot as usize].size = size;
            return self.emit_order(b'M', slot, size, flags::LAST);
        }
        if kind < 3 {
            let size = size + 1 + self.rng.below(5);
            let book = &mut self.books[self.book];
            book.unlink(slot);
            book.orders[slot as usize].size = size;
            book.link(slot);
            return self.emit_order(b'M', slot, size, flags::LAST);
        }
        if self.books[self.book].must_stay(slot) {
            return;
        }
        let distance = self.rng.geometric(200_000);
        let book = &mut self.books[self.book];
        let away = if side == 0 { -1 } else { 1 };
        let target = book.best(side) + away * distance;
        let target = if target == tick { tick + away } else { target };
        book.unlink(slot);
        book.orders[slot as usize].tick = target;
        book.link(slot);
        self.emit_order(b'M', slot, size, flags::LAST);
    }

    /// A trade with the order first in the queue at the touch: T, F and the Cancel of what was filled, one event.
    fn fill(&mut self) {
        let side = self.rng.below(2) as usize;
        let book = &self.books[self.book];
        let tick = book.best(side);
        let slot = book.sides[side][&tick].head;
        if book.must_stay(slot) {
            return;
        }
        let size = book.orders[slot as usize].size;
        let filled = if self.rng.happens(600_000) { size } else { 1 + self.rng.below(size) };
        let aggressor = self.new_id(8);
        self.emit(b'T', SIDE[1 - side], aggressor, Some(tick), filled, 0);
        self.emit_order(b'F', slot, filled, 0);
        self.emit_order(b'C', slot, filled, flags::LAST);
        if filled == size {
            self.books[self.book].remove(slot);
        } else {
            self.books[self.book].orders[slot as usize].size -= filled;
        }
    }

    /// A whole touch level goes: by a trade that sweeps it, or by one Cancel after the other.
    fn take_touch(&mut self) {
        let side = self.rng.below(2) as usize;
        let book = &self.books[self.book];
        if book.sides[side].len() <= LEVELS_MIN {
            return;
        }
        let tick = book.best(side);
        let mut slots = Vec::new();
        let mut at = book.sides[side][&tick].head;
        while at != NONE {
            slots.push(at);
            at = book.orders[at as usize].next;
        }
        let sizes: Vec<u32> = slots.iter().map(|slot| book.orders[*slot as usize].size).collect();
        let is_sweep = self.rng.below(2) == 0;
        if is_sweep {
            let aggressor = self.new_id(8);
            self.emit(b'T', SIDE[1 - side], aggressor, Some(tick), sizes.iter().sum(), 0);
            for (slot, size) in slots.iter().zip(&sizes) {
                self.emit_order(b'F', *slot, *size, 0);
            }
        }
        for (i, (slot, size)) in slots.iter().zip(&sizes).enumerate() {
            let is_last = !is_sweep || i + 1 == slots.len();
            self.emit_order(b'C', *slot, *size, if is_last { flags::LAST } else { 0 });
            self.books[self.book].remove(*slot);
        }
    }
}

const SIDE: [u8; 2] = [b'B', b'A'];
