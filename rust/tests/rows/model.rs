//! The rows of a stream, slowly: each second is looked at as a whole, and each order is looked up in a book that is
//! moved record by record.

use std::collections::{BTreeMap, BTreeSet};

use l3book::{
    book::OrderBook,
    decode::{Position, Sink},
    event::{EventBook, Rules, State},
    history::{
        Mark,
        rows::{Bbo, LevelRow, Rows, Trade},
    },
    market::{Key, Market},
    record::{Action, MBO_BYTES, MboMsg, Reject, Side, UNDEF_PRICE, flags, mbo_bytes},
};

pub const NS_PER_S: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * NS_PER_S;

/// What a log holds, one by one.
#[derive(Clone, Debug)]
pub enum Step {
    Record(MboMsg),
    Mark(Mark),
    /// All books are dropped.
    Session,
}

pub fn apply(market: &mut Market, records: &[MboMsg]) {
    for record in records {
        market.mbo(mbo_bytes(record), MBO_BYTES, Position::default());
    }
}

/// Everything that tells two rows of best levels apart, but for their identity.
type BboValues = (u64, [(i64, u64, u32); 2], u8);

/// Rows by identity: of two, the later is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub trades: BTreeMap<u64, (Key, [u64; 4], i64, [u32; 2], u8, u8)>,
    pub bbo: BTreeMap<(Key, u64), BboValues>,
    pub levels: BTreeMap<(Key, u64, u8, i64), (u64, u64, u32)>,
}

impl Made {
    pub fn add(&mut self, rows: &Rows) {
        for row in &rows.trades {
            let Trade { ordinal, ts_event, ts_recv, order_id, price, size, sequence, side, flags, .. } = *row;
            let key = Key { publisher_id: row.publisher_id, instrument_id: row.instrument_id };
            let values = (key, [ordinal, ts_event, ts_recv, order_id], price, [size, sequence], side, flags);
            self.trades.insert(ordinal, values);
        }
        for row in &rows.bbo {
            let Bbo { ts, ordinal, publisher_id, instrument_id, .. } = *row;
            let best = [(row.bid_px, row.bid_size, row.bid_count), (row.ask_px, row.ask_size, row.ask_count)];
            let key = Key { publisher_id, instrument_id };
            let old = self.bbo.insert((key, ts), (ordinal, best, row.state));
            assert!(old.is_none_or(|old| old.0 <= ordinal), "newer rows have larger ordinals");
        }
        for row in &rows.levels {
            let LevelRow { ts, ordinal, price, size, count, instrument_id, publisher_id, side, .. } = *row;
            let key = Key { publisher_id, instrument_id };
            let old = self.levels.insert((key, ts, side, price), (ordinal, size, count));
            assert!(old.is_none_or(|old| old.0 <= ordinal), "newer rows have larger ordinals");
        }
    }

    /// The rows of a second that still runs need not say which record was the last, if they have nothing else to tell.
    pub fn without_ordinals(&self) -> Self {
        let mut made = self.clone();
        made.bbo.values_mut().for_each(|values| values.0 = 0);
        made.levels.values_mut().for_each(|values| values.0 = 0);
        made
    }
}

/// The clock of seconds.
fn moved(second: Option<u64>, ts_recv: u64) -> u64 {
    let has_time = ts_recv <= i64::MAX as u64;
    let own = if has_time { ts_recv / NS_PER_S * NS_PER_S } else { 0 };
    match second {
        None => own,
        Some(second) if !has_time => second,
        Some(second) if own > second || ts_recv + MINUTE_NS < second => own,
        Some(second) => second,
    }
}

/// A book that moves record by record, and what its records named.
struct Ahead {
    book: OrderBook,
    /// Names of the records that the real book holds back.
    held: Vec<BTreeSet<(u8, i64)>>,
    /// Its unfinished event says something of its state.
    has_verdict: bool,
}

fn all_levels(book: &OrderBook) -> BTreeSet<(u8, i64)> {
    let of = |side: Side| book.levels(side).map(move |level| (side.letter() as u8, level.price));
    Side::BOTH.into_iter().flat_map(of).collect()
}

impl Ahead {
    /// What an accepted record names: where its order was, and where it is.
    fn names(&mut self, record: &MboMsg) -> BTreeSet<(u8, i64)> {
        let action = Action::of(record);
        let place =
            |book: &OrderBook| book.order(record.order_id).map(|order| (order.side.letter() as u8, order.price));
        let is_quote = action == Action::Add && record.flags.raw() & flags::TOB != 0;
        let (before, all_before) = (place(&self.book), all_levels(&self.book));
        self.book.apply(action, record);
        let all_after = all_levels(&self.book);
        if action == Action::Clear {
            return all_before;
        }
        if is_quote {
            let has_effect = record.price == UNDEF_PRICE || record.size != 0;
            let of_side = |(side, _): &&(u8, i64)| has_effect && *side == record.side as u8;
            return all_before.union(&all_after).filter(of_side).copied().collect();
        }
        if action == Action::Add && record.size == 0 {
            return BTreeSet::new();
        }
        before.into_iter().chain(place(&self.book)).collect()
    }
}

#[derive(Default)]
struct Second {
    /// Best prices, whether an event was completed, state: at its beginning.
    start: BTreeMap<Key, ([Option<i64>; 2], bool, State)>,
    named: BTreeSet<(Key, u8, i64)>,
    open: BTreeSet<Key>,
    told: BTreeSet<Key>,
}

pub struct Model {
    market: Market,
    ahead: BTreeMap<Key, Ahead>,
    ts: Option<u64>,
    second: Second,
    next_ordinal: u64,
    made: Made,
}

fn counter(book: Option<&EventBook>, name: &str) -> usize {
    let counters: BTreeMap<_, _> = book.into_iter().flat_map(EventBook::counters).collect();
    counters.get(name).map_or(0, |count| *count as usize)
}

impl Model {
    /// All rows of a stream, the unfinished second's too.
    pub fn rows(steps: &[Step]) -> Made {
        let mut model = Self {
            market: Market::new(Rules::default()),
            ahead: BTreeMap::new(),
            ts: None,
            second: Second::default(),
            next_ordinal: 0,
            made: Made::default(),
        };
        for step in steps {
            match step {
                Step::Record(record) => model.record(record),
                Step::Mark(mark) => model.mark(mark),
                Step::Session => {
                    model.end_second();
                    model.ts = None;
                    model.market = Market::new(Rules::default());
                    model.ahead.clear();
                }
            }
        }
        model.end_second();
        model.made.add(&Rows { trades: trades(steps), ..Rows::default() });
        model.made
    }

    fn begin_second(&mut self, ts: u64) {
        self.ts = Some(ts);
        for (key, book) in self.market.books() {
            let best = Side::BOTH.map(|side| book.book().best(side).map(|level| level.price));
            self.second.start.insert(key, (best, book.moment().seq > 0, book.state()));
        }
    }

    fn open(&mut self, key: Key) {
        let ahead = self.ahead.entry(key).or_insert_with(|| Ahead {
            book: OrderBook::default(),
            held: Vec::new(),
            has_verdict: false,
        });
        if self.second.open.insert(key) {
            let names = ahead.held.iter().flatten();
            self.second.named.extend(names.map(|(side, price)| (key, *side, *price)));
            let start = self.second.start.get(&key);
            if ahead.has_verdict || start.is_none_or(|(_, has_event, state)| !has_event || *state == State::Snapshot) {
                self.second.told.insert(key);
            }
        }
    }

    fn record(&mut self, record: &MboMsg) {
        let ts = moved(self.ts, record.ts_recv);
        if self.ts != Some(ts) {
            self.end_second();
            self.begin_second(ts);
        }
        self.next_ordinal += 1;
        let (key, bits, action) = (Key::of(record), record.flags.raw(), Action::of(record));
        self.open(key);
        let ahead = self.ahead.get_mut(&key).expect("open");
        let is_accepted = Reject::of(action, record).is_none();
        let is_telling = bits & flags::MAYBE_BAD_BOOK != 0
            || (is_accepted && bits & flags::SNAPSHOT != 0)
            || (is_accepted && action == Action::Clear);
        if is_telling {
            self.second.told.insert(key);
        }
        let forced_before = counter(self.market.book(key), "forced_events");
        if is_accepted && action.changes_book() {
            let names = ahead.names(record);
            self.second.named.extend(names.iter().map(|(side, price)| (key, *side, *price)));
            ahead.held.push(names);
        }
        apply(&mut self.market, std::slice::from_ref(record));
        let book = self.market.book(key);
        let is_forced = counter(book, "forced_events") > forced_before;
        ahead.has_verdict = ((ahead.has_verdict && !is_forced) || is_telling) && bits & flags::LAST == 0;
        let still_held = counter(book, "held");
        ahead.held.drain(..ahead.held.len() - still_held);
    }

    fn mark(&mut self, mark: &Mark) {
        let (Mark::Doubt { key, .. } | Mark::Pause { key } | Mark::Trust { key } | Mark::Drop { key, .. }) = mark
        else {
            return;
        };
        if self.ts.is_some() {
            self.open(*key);
            self.second.told.insert(*key);
        }
        mark.apply(&mut self.market);
        let book = self.market.book(*key).expect("it has a mark");
        let Some(ahead) = self.ahead.get_mut(key) else { return };
        match mark {
            Mark::Drop { .. } => *ahead = Ahead { book: book.book().clone(), held: Vec::new(), has_verdict: false },
            Mark::Doubt { .. } | Mark::Pause { .. } => ahead.has_verdict |= !ahead.held.is_empty(),
            _ => {}
        }
    }

    fn end_second(&mut self) {
        let Some(ts) = self.ts else { return };
        let second = std::mem::take(&mut self.second);
        let ordinal = self.next_ordinal - 1;
        let mut told = second.told;
        for (key, side, price) in second.named {
            let at = Side::from_byte(side).expect("a side");
            let start = second.start.get(&key).and_then(|(best, _, _)| best[at as usize]);
            let is_best = start.is_none_or(|start| if side == b'B' { price >= start } else { price <= start });
            if is_best {
                told.insert(key);
            }
            let level = self.market.book(key).expect("a book").book().level(at, price);
            let totals = level.map_or((ordinal, 0, 0), |level| (ordinal, level.size, level.count));
            self.made.levels.insert((key, ts, side, price), totals);
        }
        for key in told {
            let book = self.market.book(key).expect("a book");
            let best = Side::BOTH.map(|side| {
                book.book().levels(side).next().map_or((UNDEF_PRICE, 0, 0), |best| (best.price, best.size, best.count))
            });
            let state = ["empty", "snapshot", "live", "suspect"].iter().position(|name| *name == book.state().name());
            self.made.bbo.insert((key, ts), (ordinal, best, state.expect("a state") as u8));
        }
    }
}

/// Trades of complete events, of those that waited for a minute, and of sessions that ended.
fn trades(steps: &[Step]) -> Vec<Trade> {
    let mut seconds = Vec::new();
    let (mut second, mut ordinal, mut ordinals) = (None, 0, Vec::new());
    for step in steps {
        ordinals.push(ordinal);
        match step {
            Step::Record(record) => {
                second = Some(moved(second, record.ts_recv));
                ordinal += 1;
            }
            Step::Session => second = None,
            Step::Mark(_) => {}
        }
        seconds.push(second);
    }
    let is_made = |(at, step): &(usize, &Step)| {
        let Step::Record(trade) = step else { return false };
        if trade.action as u8 != b'T' {
            return false;
        }
        let since = seconds[*at].expect("a record's second");
        let fate = steps.iter().enumerate().skip(*at).find_map(|(i, step)| match step {
            Step::Record(_) if seconds[i].expect("a record's second") > since + MINUTE_NS => Some(true),
            Step::Record(record) if Key::of(record) == Key::of(trade) && record.flags.raw() & flags::LAST != 0 => {
                Some(true)
            }
            Step::Mark(Mark::Drop { key, .. }) if *key == Key::of(trade) => Some(false),
            Step::Session => Some(true),
            _ => None,
        });
        fate.unwrap_or(false)
    };
    let made = steps.iter().enumerate().filter(is_made);
    made.map(|(at, step)| match step {
        Step::Record(record) => Trade {
            ordinal: ordinals[at],
            ts_event: record.hd.ts_event,
            ts_recv: record.ts_recv,
            order_id: record.order_id,
            price: record.price,
            size: record.size,
            sequence: record.sequence,
            instrument_id: record.hd.instrument_id,
            publisher_id: record.hd.publisher_id,
            side: record.side as u8,
            flags: record.flags.raw(),
        },
        _ => unreachable!("only records are trades"),
    })
    .collect()
}
