//! Makes rows of records that a market is about to take.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{Bbo, LevelRow, Rows, Trade, touched::Touched};
use crate::{
    book::Level,
    decode::BLOCK_RECORDS_MAX,
    event::EventBook,
    history::Mark,
    id_map::Tag,
    market::{Key, Market},
    record::{Action, MboMsg, Reject, Side, UNDEF_PRICE, flags},
    view::View,
};

const NS_PER_S: u64 = 1_000_000_000;
/// A record that is not further behind than this counts into the second that runs; one that is sets the clock back, as
/// one record with a time from far in the future must not keep all others from having a time.
const BACK_NS_MAX: u64 = 60 * NS_PER_S;
/// A Trade waits for the end of its event no longer than this, by the clock of seconds.
const TRADE_WAIT_NS_MAX: u64 = 60 * NS_PER_S;
/// Later times are none; stores keep them signed.
const TS_MAX: u64 = i64::MAX as u64;

/// The second that runs.
#[derive(Clone, Copy, Debug)]
struct Second {
    /// Its start, ns.
    ts: u64,
    /// Where an indexer begins to make its rows anew.
    first_ordinal: u64,
}

impl Second {
    /// The start of the second of a time.
    fn start_of(ts_recv: u64) -> u64 {
        if ts_recv > TS_MAX { 0 } else { ts_recv - ts_recv % NS_PER_S }
    }

    #[inline(always)]
    fn takes(&self, ts_recv: u64) -> bool {
        let is_before_end = ts_recv < self.ts + NS_PER_S;
        let is_near = ts_recv.saturating_add(BACK_NS_MAX) >= self.ts;
        (is_before_end & is_near) | (ts_recv > TS_MAX)
    }
}

/// What is known of a book.
#[derive(Clone, Copy, Default)]
struct BookSecond {
    /// Best levels at the beginning of the second, by [`rank`].
    best_rank: [i64; 2],
    /// A record or a mark of the second concerned it.
    is_open: bool,
    /// There is to be a row of its best levels.
    is_told: bool,
    /// A record or a mark concerned it since its row was last made.
    is_fresh: bool,
    /// Its Trades that wait for the end of their event.
    trades_waiting: u32,
}

/// A Trade of an event that is not complete.
#[derive(Clone, Copy)]
struct WaitingTrade {
    book: u32,
    second: Second,
    trade: Trade,
}

/// Makes [`Rows`] beside a market.
pub struct RowMaker {
    second: Option<Second>,
    /// Of the last record told.
    last_ordinal: u64,
    /// By position in the market.
    books: Vec<BookSecond>,
    /// Those that are open.
    open: Vec<u32>,
    touched: Touched,
    /// In the order of the log.
    waiting: Vec<WaitingTrade>,
    rows: Rows,
}

/// Larger is better, on either side.
#[inline(always)]
fn rank(side: Side, price: i64) -> i64 {
    price ^ -(side as i64)
}

impl Default for RowMaker {
    fn default() -> Self {
        Self::new()
    }
}

impl RowMaker {
    /// Begins where a second or a session begins.
    #[must_use]
    pub fn new() -> Self {
        Self {
            second: None,
            last_ordinal: 0,
            books: Vec::new(),
            open: Vec::new(),
            touched: Touched::new(),
            waiting: Vec::new(),
            rows: Rows::default(),
        }
    }

    /// Is told of the records that the market takes next, all that it was told before having been applied; says how
    /// many it took note of: some, all of one second. Apply these, then tell the others.
    pub fn note(&mut self, market: &mut Market, records: &[MboMsg], first_ordinal: u64) -> usize {
        let Some(first) = records.first() else { return 0 };
        let second = match self.second {
            Some(second) if second.takes(first.ts_recv) => second,
            _ => self.begin_second(market, first.ts_recv, first_ordinal),
        };
        let block = &records[..records.len().min(BLOCK_RECORDS_MAX)];
        let count = block.iter().take_while(|record| second.takes(record.ts_recv)).count();
        self.note_block(market, &block[..count], first_ordinal);
        self.last_ordinal = first_ordinal + count as u64 - 1;
        count
    }

    /// In passes, as `Market` applies: what is asked for here waits for memory together, and the market finds it near.
    fn note_block(&mut self, market: &mut Market, records: &[MboMsg], first_ordinal: u64) {
        let mut ways = [(0_u32, Tag::default()); BLOCK_RECORDS_MAX];
        let mut last = (None, 0);
        for (way, record) in ways.iter_mut().zip(records) {
            let key = Key::of(record);
            if last.0 != Some(key) {
                last = (Some(key), market.find_or_add(key));
            }
            let book = &market.book_at(last.1).book;
            *way = (last.1 as u32, book.tag(record));
            book.prefetch_tables(way.1, record);
        }
        for (way, record) in ways.iter().zip(records) {
            market.book_at(way.0 as usize).book.prefetch_slots(way.1, record);
        }
        if self.books.len() < market.len() {
            self.books.resize(market.len(), BookSecond::default());
        }
        for (i, (way, record)) in ways.iter().zip(records).enumerate() {
            self.note_record(market.book_at(way.0 as usize), way.0, way.1, record, first_ordinal + i as u64);
        }
    }

    #[inline(always)]
    fn note_record(&mut self, book: &EventBook, at: u32, tag: Tag, record: &MboMsg, ordinal: u64) {
        if !self.books[at as usize].is_open {
            self.open(book, at);
        }
        let bits = record.flags.raw();
        let action = Action::of(record);
        if action == Action::Trade {
            self.note_trade(at, Trade::of(ordinal, record));
        }
        let is_accepted = Reject::of(action, record).is_none();
        let is_telling = (bits & flags::MAYBE_BAD_BOOK != 0) | ((bits & flags::SNAPSHOT != 0) & is_accepted);
        let state = &mut self.books[at as usize];
        state.is_told |= is_telling;
        state.is_fresh = true;
        if bits & flags::LAST != 0 && state.trades_waiting != 0 {
            self.release_trades(at);
        }
        if action.changes_book() && is_accepted {
            self.note_levels(book, at, tag, record, action);
        }
    }

    /// The levels that an accepted record names; see the module's documentation.
    #[inline(always)]
    fn note_levels(&mut self, book: &EventBook, at: u32, tag: Tag, record: &MboMsg, action: Action) {
        let is_quote = action == Action::Add && record.flags.raw() & flags::TOB != 0;
        if action == Action::Clear || is_quote {
            return self.note_sides(book, at, record, action);
        }
        if action == Action::Add && record.size == 0 {
            return;
        }
        if let Some((side, price)) = book.book.place_of(tag, record.order_id) {
            self.touch(at, side, price);
        }
        if action != Action::Cancel
            && record.size != 0
            && let Some(side) = Side::of(record)
        {
            self.touch(at, side, record.price);
        }
    }

    /// A Clear, or an Add that replaces a side by one quote.
    #[cold]
    fn note_sides(&mut self, book: &EventBook, at: u32, record: &MboMsg, action: Action) {
        let quote = if action == Action::Clear { None } else { Side::of(record) };
        let has_price = record.price != UNDEF_PRICE;
        if quote.is_some() && has_price && record.size == 0 {
            return;
        }
        for side in Side::BOTH.into_iter().filter(|side| quote.is_none_or(|quoted| quoted == *side)) {
            for level in book.book.levels(side) {
                self.touch(at, side, level.price);
            }
        }
        if let Some(side) = quote
            && has_price
        {
            self.touch(at, side, record.price);
        }
        self.books[at as usize].is_told |= action == Action::Clear;
    }

    #[inline(always)]
    fn touch(&mut self, at: u32, side: Side, price: i64) {
        let state = &mut self.books[at as usize];
        state.is_told |= rank(side, price) >= state.best_rank[side as usize];
        self.touched.add(at, side, price);
    }

    /// The first that this second has to do with the book. What it holds back completes now, or is forgotten.
    #[cold]
    #[inline(never)]
    fn open(&mut self, book: &EventBook, at: u32) {
        let best_rank = Side::BOTH.map(|side| book.book.best(side).map_or(i64::MIN, |best| rank(side, best.price)));
        let state = &mut self.books[at as usize];
        state.best_rank = best_rank;
        state.is_open = true;
        state.is_fresh = true;
        state.is_told = book.moment.seq == 0 || book.is_loading || book.verdict.is_some();
        self.open.push(at);
        for record in &book.held {
            self.note_levels(book, at, book.book.tag(record), record, Action::of(record));
        }
    }

    /// Is told of a mark before it is applied. One that stands before the first record of the first second tells of none.
    pub fn note_mark(&mut self, market: &mut Market, mark: &Mark) {
        let (Mark::Doubt { key, .. } | Mark::Pause { key } | Mark::Trust { key } | Mark::Drop { key, .. }) = mark
        else {
            return;
        };
        let at = market.find_or_add(*key);
        if self.books.len() < market.len() {
            self.books.resize(market.len(), BookSecond::default());
        }
        if let Mark::Drop { .. } = mark {
            self.waiting.retain(|waiting| waiting.book as usize != at);
            self.books[at].trades_waiting = 0;
        }
        if self.second.is_some() {
            if !self.books[at].is_open {
                self.open(market.book_at(at), at as u32);
            }
            self.books[at].is_told = true;
            self.books[at].is_fresh = true;
        }
    }

    fn note_trade(&mut self, at: u32, trade: Trade) {
        let is_complete = trade.flags & flags::LAST != 0;
        match self.second {
            Some(second) if !is_complete => {
                self.waiting.push(WaitingTrade { book: at, second, trade });
                self.books[at as usize].trades_waiting += 1;
            }
            _ => self.rows.trades.push(trade),
        }
    }

    /// The event of this book is complete.
    #[inline(never)]
    fn release_trades(&mut self, at: u32) {
        self.books[at as usize].trades_waiting = 0;
        let released = self.waiting.extract_if(.., |waiting| waiting.book == at).map(|waiting| waiting.trade);
        self.rows.trades.extend(released);
    }

    /// Those that have waited too long at this time.
    fn release_old_trades(&mut self, now: u64) {
        let is_old = |waiting: &mut WaitingTrade| waiting.second.ts.saturating_add(TRADE_WAIT_NS_MAX) < now;
        for waiting in self.waiting.extract_if(.., is_old) {
            self.books[waiting.book as usize].trades_waiting -= 1;
            self.rows.trades.push(waiting.trade);
        }
    }

    fn begin_second(&mut self, market: &Market, ts_recv: u64, first_ordinal: u64) -> Second {
        self.end_second(market);
        let second = Second { ts: Second::start_of(ts_recv), first_ordinal };
        self.release_old_trades(second.ts);
        *self.second.insert(second)
    }

    fn end_second(&mut self, market: &Market) {
        self.make_rows(market, true);
        for at in self.open.drain(..) {
            self.books[at as usize].is_open = false;
        }
        self.touched.clear();
        self.second = None;
    }

    /// The rows of the second as it is; only those that can be news, if it goes on.
    fn make_rows(&mut self, market: &Market, is_over: bool) {
        let Some(Second { ts, .. }) = self.second else { return };
        let ordinal = self.last_ordinal;
        for at in &self.open {
            let state = &mut self.books[*at as usize];
            if state.is_told && (is_over || state.is_fresh) {
                let at = *at as usize;
                self.rows.bbo.push(Bbo::of(ts, ordinal, market.key_at(at), market.book_at(at)));
            }
            state.is_fresh = false;
        }
        for touch in self.touched.iter_mut() {
            if is_over || touch.is_fresh {
                let at = touch.book as usize;
                let level = market.book_at(at).book.level(touch.side, touch.price);
                let totals = level.map_or((0, 0), |level| (level.size, level.count));
                self.rows.levels.push(LevelRow::new(ts, ordinal, market.key_at(at), touch.side, touch.price, totals));
            }
            // The end of an event changes levels without naming them again.
            touch.is_fresh &= !market.book_at(touch.book as usize).held.is_empty();
        }
    }

    /// All books are about to be dropped: what they were in their last second stays.
    pub fn end_session(&mut self, market: &Market) {
        self.end_second(market);
        self.rows.trades.extend(self.waiting.drain(..).map(|waiting| waiting.trade));
        self.books.clear();
    }

    /// Records are missing, and the market stands behind them: rows of all in which it differs from `before` come in the
    /// second of `ts_recv`, of the last missing record. `hole` are the missing ordinals. [`end_session`](Self::end_session)
    /// was told of the market as it was before; `resume_ordinal` is what it would have been then.
    pub fn pass_hole(&mut self, before: &[View], market: &Market, hole: Range<u64>, resume_ordinal: u64, ts_recv: u64) {
        self.second = Some(Second { ts: Second::start_of(ts_recv), first_ordinal: resume_ordinal });
        self.last_ordinal = hole.end.saturating_sub(1);
        self.books.resize(market.len(), BookSecond::default());
        let before: HashMap<Key, &View> = before.iter().map(|view| (view.key, view)).collect();
        for (at, (key, book)) in market.books().enumerate() {
            self.open(book, at as u32);
            let old = before.get(&key);
            let has_news = Side::BOTH.into_iter().any(|side| {
                let old_best = old.and_then(|old| old.levels[side as usize].first());
                old_best.copied() != book.book.best(side)
            });
            self.books[at].is_told |= has_news || old.is_none_or(|old| old.state != book.state());
            for side in Side::BOTH {
                let old: &[Level] = old.map_or(&[], |old| &old.levels[side as usize]);
                let stale = old.iter().filter(|level| book.book.level(side, level.price) != Some(**level));
                let known: HashSet<i64> = old.iter().map(|level| level.price).collect();
                let new = book.book.levels(side).filter(|level| !known.contains(&level.price));
                for price in stale.map(|level| level.price).chain(new.map(|level| level.price)) {
                    self.touched.add(at as u32, side, price);
                }
            }
        }
    }

    /// The rows made so far, those of the second that runs among them: all noted records must have been applied.
    pub fn take(&mut self, market: &Market) -> Rows {
        self.make_rows(market, false);
        std::mem::take(&mut self.rows)
    }

    /// Where another must begin to make all rows again that are not final; nothing if all are.
    #[must_use]
    pub fn resume_ordinal(&self) -> Option<u64> {
        let waiting = self.waiting.first().map(|waiting| waiting.second.first_ordinal);
        let running = self.second.map(|second| second.first_ordinal);
        waiting.into_iter().chain(running).min()
    }
}
