//! Clients of a stream that are written from its documentation, and know nothing of a book but its messages.

use std::collections::BTreeMap;

use l3book::{
    event::EventBook,
    record::Side,
    stream::{Kind, Message},
    view::Extent,
};
use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn quoted(value: &Value) -> u64 {
    text(value).parse().expect("digits")
}

/// A price in units of 1e-9, read by hand.
fn price(value: &Value) -> i64 {
    let (whole, fraction) = text(value).split_once('.').expect("a decimal point");
    let digits = format!("{whole}{fraction:0<9}");
    digits.parse().expect("digits")
}

/// (order_id, size, ts_event) of each order.
pub type Queue = Vec<(u64, u64, u64)>;
/// Size, count, queue.
pub type Level = (u64, u64, Option<Queue>);
/// … by price.
pub type Levels = BTreeMap<i64, Level>;

fn queue(value: &Value) -> Queue {
    let orders = value.as_array().expect("a queue");
    orders.iter().map(|order| (quoted(&order[0]), number(&order[1]), quoted(&order[2]))).collect()
}

fn best_first(side: usize, levels: &Levels) -> Vec<(i64, &Level)> {
    let mut levels: Vec<_> = levels.iter().map(|(price, level)| (*price, level)).collect();
    if side == Side::Bid as usize {
        levels.reverse();
    }
    levels
}

/// CRC-32 (IEEE), bit by bit.
fn crc(text: &str) -> u64 {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    u64::from(!crc)
}

fn decimal(price: i64) -> String {
    let (sign, units) = (if price < 0 { "-" } else { "" }, price.unsigned_abs());
    let fraction = format!("{:09}", units % 1_000_000_000);
    let cut = fraction.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", units / 1_000_000_000, &fraction[..cut])
}

/// Applies `bbo` and `depth` as the documentation says.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct DepthClient {
    pub epoch: String,
    pub seq: Option<u64>,
    state: String,
    sides: [Levels; 2],
}

impl DepthClient {
    pub fn apply(&mut self, message: &Message) {
        let value: Value = serde_json::from_str(&message.json()).expect("JSON");
        assert_eq!(text(&value["type"]), message.kind().name());
        match message.kind() {
            Kind::Snapshot => *self = Self { epoch: text(&value["epoch"]).to_owned(), ..Self::default() },
            Kind::Delta => {
                assert_eq!(Some(number(&value["prev"])), self.seq, "{value}");
                assert_eq!(text(&value["epoch"]), self.epoch);
            }
            Kind::Gap => panic!("a gap in what can be merged"),
        }
        self.seq = Some(number(&value["seq"]));
        self.state = text(&value["state"]).to_owned();
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in value[name].as_array().expect("levels") {
                let (price, size) = (price(&level[0]), number(&level[1]));
                if size == 0 {
                    side.remove(&price);
                } else {
                    side.insert(price, (size, number(&level[2]), level.get(3).map(queue)));
                }
            }
        }
        assert_eq!(number(&value["crc"]), self.crc(), "{value}");
    }

    fn crc(&self) -> u64 {
        let texts = [Side::Ask, Side::Bid].into_iter().flat_map(|side| {
            let levels = best_first(side as usize, &self.sides[side as usize]).into_iter().take(10);
            levels.map(|(price, level)| format!("{}:{}", decimal(price), level.0)).collect::<Vec<_>>()
        });
        crc(&texts.collect::<Vec<_>>().join(","))
    }

    pub fn assert_is(&self, book: &EventBook, extent: Extent) {
        assert_eq!(self.state, book.state().name());
        assert_eq!(self.epoch, format!("{:x}", book.epoch()));
        for side in Side::BOTH {
            let expected: Levels = book
                .book()
                .queues(side)
                .take(extent.depth)
                .enumerate()
                .map(|(rank, (level, queue))| {
                    let queue = queue.map(|order| (order.order_id, u64::from(order.size), order.ts_event));
                    let queue = (rank < extent.queues).then(|| queue.collect());
                    (level.price, (level.size, u64::from(level.count), queue))
                })
                .collect();
            assert_eq!(self.sides[side as usize], expected, "side {}", side.letter());
        }
    }
}

/// Applies `orders` as the documentation says. An order's ts_event is not kept: a Modify does not tell it.
#[derive(Default)]
pub struct OrdersClient {
    pub base: DepthClient,
    pub quotes: [Option<(i64, u64)>; 2],
    /// Price → (order_id, size).
    pub queues: [BTreeMap<i64, Vec<(u64, u64)>>; 2],
}

impl OrdersClient {
    pub fn apply(&mut self, message: &Message) {
        if message.kind() == Kind::Snapshot {
            self.base.apply(message);
            for side in 0..2 {
                self.quotes[side] = None;
                self.queues[side].clear();
                for (price, (size, _, queue)) in &self.base.sides[side] {
                    let orders: Vec<_> = queue.iter().flatten().map(|order| (order.0, order.1)).collect();
                    let quote = size - orders.iter().map(|order| order.1).sum::<u64>();
                    if quote > 0 {
                        self.quotes[side] = Some((*price, quote));
                    }
                    if !orders.is_empty() {
                        self.queues[side].insert(*price, orders);
                    }
                }
            }
            return;
        }
        let value: Value = serde_json::from_str(&message.json()).expect("JSON");
        assert_eq!(Some(number(&value["prev"])), self.base.seq, "{value}");
        assert_eq!(text(&value["epoch"]), self.base.epoch);
        self.base.seq = Some(number(&value["seq"]));
        self.base.state = text(&value["state"]).to_owned();
        for op in value["ops"].as_array().expect("ops") {
            self.apply_op(op.as_array().expect("an op"));
        }
        self.base.sides = self.levels();
        assert_eq!(number(&value["crc"]), self.base.crc(), "{value}");
    }

    fn side(value: &Value) -> usize {
        usize::from(text(value) == "A")
    }

    /// Takes an order out; where it was, its place and its size.
    fn take(&mut self, order_id: u64) -> (usize, i64, usize, u64) {
        for side in 0..2 {
            for (price, queue) in &mut self.queues[side] {
                if let Some(place) = queue.iter().position(|order| order.0 == order_id) {
                    return (side, *price, place, queue.remove(place).1);
                }
            }
        }
        panic!("no order {order_id}");
    }

    fn apply_op(&mut self, op: &[Value]) {
        match text(&op[0]) {
            "A" => {
                let [_, order_id, side, at, size] = op else { panic!("{op:?}") };
                let orders = self.queues.iter().flat_map(BTreeMap::values).flatten();
                assert!(orders.map(|order| order.0).all(|id| id != quoted(order_id)), "it rests already: {op:?}");
                self.queues[Self::side(side)].entry(price(at)).or_default().push((quoted(order_id), number(size)));
            }
            "M" => {
                let [_, order_id, at, size, place] = op else { panic!("{op:?}") };
                let (side, old_price, old_place, _) = self.take(quoted(order_id));
                let order = (quoted(order_id), number(size));
                let queue = self.queues[side].entry(price(at)).or_default();
                match text(place) {
                    "back" => queue.push(order),
                    "keep" => {
                        assert_eq!(old_price, price(at));
                        queue.insert(old_place, order);
                    }
                    other => panic!("{other}"),
                }
            }
            "C" => {
                let [_, order_id, size] = op else { panic!("{op:?}") };
                assert!(number(size) > 0);
                let (side, price, place, old) = self.take(quoted(order_id));
                if old > number(size) {
                    let order = (quoted(order_id), old - number(size));
                    self.queues[side].entry(price).or_default().insert(place, order);
                } else {
                    assert_eq!(old, number(size), "no more than rests");
                }
            }
            "Q" => {
                let [_, side, at, size] = op else { panic!("{op:?}") };
                let side = Self::side(side);
                self.queues[side].clear();
                self.quotes[side] = (!at.is_null()).then(|| (price(at), number(size)));
            }
            other => panic!("{other}"),
        }
        self.queues.iter_mut().for_each(|queues| queues.retain(|_, queue| !queue.is_empty()));
    }

    fn levels(&self) -> [Levels; 2] {
        [0, 1].map(|side| {
            let mut levels = Levels::new();
            for (price, queue) in &self.queues[side] {
                let size = queue.iter().map(|order| order.1).sum();
                levels.insert(*price, (size, queue.len() as u64, None));
            }
            if let Some((price, size)) = self.quotes[side] {
                levels.entry(price).or_default().0 += size;
            }
            levels
        })
    }

    pub fn assert_is(&self, book: &EventBook) {
        let mut base = self.base.clone();
        base.sides = self.levels();
        base.assert_is(book, Extent::levels(usize::MAX));
        for side in Side::BOTH {
            let expected: BTreeMap<i64, Vec<(u64, u64)>> = book
                .book()
                .queues(side)
                .map(|(level, queue)| {
                    (level.price, queue.map(|order| (order.order_id, u64::from(order.size))).collect::<Vec<_>>())
                })
                .filter(|(_, queue)| !queue.is_empty())
                .collect();
            assert_eq!(self.queues[side as usize], expected, "queues {}", side.letter());
        }
    }
}
