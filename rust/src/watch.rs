//! What guards a live feed on its way into the market, so that no book is silently wrong.
//!
//! A [`Watch`] sees every record before the market does. It knows where each book stands in its stream, and takes back
//! the word `live` from a book that may be wrong, with a reason:
//!
//! - **Breaks.** [`Watch::disconnected`] forgets unfinished events and doubts every book. A stream that goes on from
//!   [`Watch::resume_ts`] repeats records: those that a book has applied are dropped, by its place, and books are
//!   exact again with the first record later than anything seen before. If the overlap is not what was seen, as far as
//!   a book's last records tell, or not there, they stay suspect.
//! - **Gaps.** A sequence number that jumps proves a gap only where the channel has skipped none for thousands of
//!   steps: most recordings are filtered, and skip all the time. The gateway can say so itself, by MAYBE_BAD_BOOK and
//!   error 7.
//! - **Order.** A sequence number or ts_recv that goes back, a record that comes twice, a ts_recv from the far future.
//! - **Contradictions.** In a book that began with a Clear and was never doubted since, a Cancel of an unknown order,
//!   an Add of a known one or a Cancel of more than rests means that something is missing.
//!
//! Trades, fills and None records change no book and cast no doubt, but for a gap before them. A doubt ends with the
//! next complete snapshot or Clear. A snapshot is dropped as applied only inside an overlap, where its ts_recv is not
//! later than its book's; outside, one whose ts_recv is earlier than its book's last event is an old picture, and
//! suspect.
//!
//! What nothing here can see: records that are missing from a channel with jumps and contradict nothing.

mod alert;
mod book;
mod channel;
mod essentials;
mod feed;
mod judge;
mod notice;
mod overlap;
mod place;

use std::hint::select_unpredictable;

use dbn::Metadata;

pub use alert::{ALERTS_MAX, Alert, Reason, WatchStats, reason};
pub use channel::{DENSE_STEPS, FAR_NS};
pub use feed::WatchedFeed;
pub use notice::Notice;
pub use overlap::Resumption;

use crate::{
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    market::{Key, Market},
    record::{Action, MboMsg, flags, mbo_records},
};
use alert::Alerts;
use book::BookWatch;
use channel::{Channel, channel_key, find_channel};
use essentials::Observing;
use overlap::Phase;
use place::hash_of;

const BAD_TS_RECV: u8 = dbn::flags::BAD_TS_RECV;
/// Records with one of these say more than the plain ones.
const CLOSE_FLAGS: u8 = flags::SNAPSHOT | flags::MAYBE_BAD_BOOK | BAD_TS_RECV;

/// What guards one stream into one [`Market`]. Its books stand at the market's positions.
#[derive(Default)]
pub struct Watch {
    books: Vec<BookWatch>,
    channels: Vec<Channel>,
    /// The channel of the last record.
    channel: usize,
    phase: Phase,
    /// Whether every record needs a closer look: the stream is broken, or goes on in an overlap.
    is_close: bool,
    /// ts_event of the last record of a complete event, ns.
    last_ts_event: u64,
    /// Where a resumed stream was to begin (ns), since the last break.
    resume_ts: Option<u64>,
    /// Whether the connection goes on from `resume_ts`, or perhaps does.
    is_resumed: bool,
    /// Whether any book began with a snapshot: then all should.
    has_snapshots: bool,
    /// Whether channels may skip numbers, however long they have skipped none: the stream is a part of its channels, and
    /// whoever made it tells what is missing.
    expects_skips: bool,
    /// Whether records were missed since, among them perhaps a book's first.
    has_missed: bool,
    /// Positions of the books that the records about to be applied belong to.
    touched: Vec<u32>,
    observing: Observing,
    alerts: Alerts,
    stats: WatchStats,
}

impl Watch {
    /// A watch at the start of a stream into this market.
    #[must_use]
    pub fn new(market: &Market) -> Self {
        let mut watch = Self::default();
        watch.know_books(market);
        watch
    }

    /// A sink that sees each record before the market.
    pub fn over<'a>(&'a mut self, market: &'a mut Market) -> Over<'a> {
        Over { watch: self, market }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> WatchStats {
        let mut stats = self.stats.clone();
        stats.alerts_dropped = self.alerts.dropped;
        stats
    }

    /// What happened since the last call; at most [`ALERTS_MAX`].
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.alerts.take()
    }

    /// The books that are not to be trusted now.
    #[must_use]
    pub fn suspects(&self, market: &Market) -> Vec<Key> {
        market.books().filter(|(_, book)| book.is_suspect).map(|(key, _)| key).collect()
    }

    /// Makes one book suspect, or all of them; says how many became so.
    pub fn doubt(&mut self, market: &mut Market, reason: &Reason, key: Option<Key>) -> usize {
        let before = self.suspicions();
        for at in 0..market.len() {
            self.book_of(market, at);
            if key.is_none_or(|key| key == market.key_at(at)) {
                self.doubt_book(market, at, reason);
            }
        }
        (self.suspicions() - before) as usize
    }

    /// A snapshot of this book was asked for, of the book as it is: the next one is whole, also on a resumed stream.
    pub fn expect_snapshot(&mut self, market: &Market, key: Key) {
        for at in 0..market.len() {
            self.book_of(market, at);
            if key == market.key_at(at) {
                self.books[at].asked_snapshot = true;
            }
        }
    }

    /// Whether the stream is a part of what its channels number, and whoever made it tells of gaps: then a number that jumps
    /// is none.
    pub fn expect_skips(&mut self, expects_skips: bool) {
        self.expects_skips = expects_skips;
    }

    fn suspicions(&self) -> u64 {
        self.stats.suspicions.values().sum()
    }

    fn know_books(&mut self, market: &Market) {
        if let Some(last) = market.len().checked_sub(1) {
            self.book_of(market, last);
        }
    }

    #[inline(always)]
    fn book_of(&mut self, market: &Market, at: usize) {
        if at >= self.books.len() {
            self.add_books(market, at);
        }
    }

    #[cold]
    fn add_books(&mut self, market: &Market, at: usize) {
        while self.books.len() <= at {
            self.books.push(BookWatch::new(market.book_at(self.books.len())));
        }
    }

    fn block(&mut self, market: &mut Market, block: &[u8], stride: usize, first: Position) {
        let mut copies = [const { std::mem::MaybeUninit::uninit() }; BLOCK_RECORDS_MAX];
        self.records(market, mbo_records(block, stride, &mut copies), stride, first);
    }

    /// At most [`BLOCK_RECORDS_MAX`] records.
    #[inline(always)]
    fn records(&mut self, market: &mut Market, records: &[MboMsg], stride: usize, first: Position) {
        let position =
            |i: usize| Position { record: first.record + i as u64, offset: first.offset + (i * stride) as u64 };
        let mut last = (None, 0);
        let mut places = [0; BLOCK_RECORDS_MAX];
        // The records from `start` on are seen but not yet applied.
        let mut start = 0;
        for (i, record) in records.iter().enumerate() {
            let key = Key::of(record);
            if last.0 != Some(key) {
                last = (Some(key), market.find_or_add(key));
                self.book_of(market, last.1);
                self.touched.push(last.1 as u32);
            }
            places[i] = last.1 as u32;
            if !self.take_plain(last.1, record) {
                self.apply(market, &records[start..i], &places[start..i], stride, position(start));
                self.take_closely(market, last.1, record, stride, position(i));
                self.touched.push(last.1 as u32);
                start = i + 1;
            }
        }
        self.apply(market, &records[start..], &places[start..records.len()], stride, position(start));
    }

    /// Takes a record that says nothing new, as nearly all do; false if it needs a closer look.
    #[inline(always)]
    fn take_plain(&mut self, at: usize, record: &MboMsg) -> bool {
        let book = &mut self.books[at];
        let bits = record.flags.raw();
        let action = Action::of(record);
        if (bits & CLOSE_FLAGS != 0) | (action == Action::Clear) | book.is_close | self.is_close {
            return false;
        }
        let key = channel_key(record);
        if self.channels.get(self.channel).is_none_or(|channel| channel.key != key) {
            self.channel = find_channel(&mut self.channels, key);
        }
        let channel = &mut self.channels[self.channel];
        if !channel.take_plain(record.sequence, record.ts_recv) {
            return false;
        }
        let hash = hash_of(record);
        if book.recent.contains(hash) && action.changes_book() {
            return false;
        }
        book.channel = self.channel as u32;
        book.take(action, record, hash);
        self.stats.last_ts_recv = record.ts_recv;
        let is_last = bits & flags::LAST != 0;
        self.last_ts_event = select_unpredictable(is_last, record.hd.ts_event, self.last_ts_event);
        true
    }

    /// Applies records that were seen, and looks whether they contradicted a book.
    #[inline(always)]
    fn apply(&mut self, market: &mut Market, records: &[MboMsg], places: &[u32], stride: usize, first: Position) {
        if !records.is_empty() {
            market.records_at(records, places, stride, first);
        }
        for i in 0..self.touched.len() {
            let at = self.touched[i] as usize;
            let found = self.books[at].contradictions(market.book_at(at));
            if found > 0 && self.observing.is_on {
                // The doubt itself comes as a mark.
                self.books[at].is_anchored = false;
            } else if found > 0 {
                self.stats.contradictions += found;
                self.doubt_book(market, at, &Reason::Borrowed(reason::CONTRADICTION));
            }
        }
        self.touched.clear();
    }

    #[cold]
    #[inline(never)]
    fn take_closely(&mut self, market: &mut Market, at: usize, record: &MboMsg, stride: usize, position: Position) {
        if self.observing.is_on {
            return self.observe_closely(market, at, record, position);
        }
        if self.is_repeated(market, at, record) {
            self.stats.already_applied += 1;
            return;
        }
        let action = Action::of(record);
        let bits = record.flags.raw();
        let hash = hash_of(record);
        self.check_beginning(market, at, action, bits);
        let last_ts_event = market.book_at(at).moment().ts_event;
        let doubts = self.judge(at, action, record, hash, last_ts_event);
        if doubts.gap {
            self.doubt_channel(market, at);
        }
        let book = &mut self.books[at];
        let is_snapshot = bits & flags::SNAPSHOT != 0;
        let is_inside = book.pending > 0 || is_snapshot;
        // A time that is not vouched for, or goes back, is no place to resume from.
        let is_displaced = bits & BAD_TS_RECV != 0 || record.ts_recv < book.run().ts_recv;
        if is_snapshot {
            self.has_snapshots = true;
            book.take_snapshot(action, record, self.resume_ts.filter(|_| self.is_resumed));
        } else {
            book.take(action, record, hash);
            book.is_place_certain &= !is_displaced;
        }
        let is_marked = bits & flags::MAYBE_BAD_BOOK != 0;
        // A mark inside a snapshot: some of the snapshot may be lost, and the rest of it makes nothing good.
        let mark = (is_marked && is_inside && action != Action::Clear).then_some(reason::MAYBE_BAD_BOOK);
        if let Some(reason) = doubts.own.or(mark) {
            book.taint.get_or_insert(Reason::Borrowed(reason));
        }
        book.event_has_mark |= is_marked;
        book.event_has_clear |= action == Action::Clear;
        // The Adds of a snapshot carry the times of their orders.
        if bits & flags::LAST != 0 && !is_snapshot {
            self.last_ts_event = record.hd.ts_event;
        }
        market.records_at(std::slice::from_ref(record), &[at as u32], stride, position);
        self.settle(market, at, bits & flags::LAST != 0);
    }

    /// A book whose first record comes after others were missed, in a stream whose books begin with snapshots.
    fn check_beginning(&mut self, market: &mut Market, at: usize, action: Action, bits: u8) {
        let is_first = !std::mem::replace(&mut self.books[at].has_begun, true);
        let begins = action == Action::Clear || bits & flags::SNAPSHOT != 0;
        if is_first && !begins && self.has_snapshots && self.has_missed {
            self.doubt_book(market, at, &Reason::Borrowed(reason::NO_BEGINNING));
        }
    }

    /// Every book that was last heard of on this book's channel.
    #[cold]
    fn doubt_channel(&mut self, market: &mut Market, at: usize) {
        self.has_missed = true;
        let channel = self.books[at].channel;
        for other in 0..self.books.len() {
            // A book that has had nothing but a snapshot may be on any channel.
            if [channel, u32::MAX].contains(&self.books[other].channel) {
                self.doubt_book(market, other, &Reason::Borrowed(reason::GAP));
            }
        }
    }

    /// Makes a book suspect. Inside an event, the event keeps the doubt, whatever else it says.
    fn doubt_book(&mut self, market: &mut Market, at: usize, reason: &Reason) {
        let book = &mut self.books[at];
        let is_news = book.doubt.is_none() || (book.pending > 0 && book.taint.is_none());
        market.doubt(at, reason, is_news);
        book.is_anchored = false;
        if book.pending > 0 {
            book.taint.get_or_insert_with(|| reason.clone());
            book.is_close = true;
        }
        if book.doubt.is_none() {
            book.doubt = Some(reason.clone());
            *self.stats.suspicions.entry(reason.clone()).or_default() += 1;
            let (key, ts_event) = (market.key_at(at), market.book_at(at).moment().ts_event);
            self.alerts.push(Alert::Suspect { key, reason: reason.clone(), ts_event });
        }
    }

    /// Notes what a record that was looked at closely has made of its book.
    fn settle(&mut self, market: &mut Market, at: usize, is_last: bool) {
        let book = &mut self.books[at];
        if !is_last {
            book.is_close = true;
            return;
        }
        let has_clear = std::mem::take(&mut book.event_has_clear);
        let snapshot = std::mem::take(&mut book.snapshot);
        let was_asked = snapshot.has_records && has_clear && std::mem::take(&mut book.asked_snapshot);
        // Without its Clear, a snapshot leaves in the book whatever put it in doubt.
        let is_headless = snapshot.has_records && !has_clear && (book.doubt.is_some() || book.is_paused);
        if has_clear {
            book.begin();
        }
        if is_headless || (self.is_resumed && !was_asked && snapshot.may_lack_orders(has_clear)) {
            book.taint.get_or_insert(Reason::Borrowed(reason::PARTIAL_SNAPSHOT));
        }
        let has_mark = std::mem::take(&mut book.event_has_mark);
        book.event_doubt = None;
        if let Some(reason) = book.taint.take() {
            self.doubt_book(market, at, &reason);
        }
        let is_suspect = market.book_at(at).is_suspect;
        let book = &mut self.books[at];
        book.is_close = book.overlap.is_some();
        if !is_suspect {
            if has_clear || (book.is_anchored && snapshot.has_records) {
                book.anchor(market.book_at(at), snapshot.has_records);
            }
            self.lift(market, at);
        } else if has_mark || (book.doubt.is_none() && !book.is_paused) {
            self.doubt_book(market, at, &Reason::Borrowed(reason::MAYBE_BAD_BOOK));
        }
    }

    /// A book that is exact again loses its doubts.
    fn lift(&mut self, market: &Market, at: usize) {
        let book = &mut self.books[at];
        let was_paused = std::mem::take(&mut book.is_paused);
        let paused = was_paused.then_some(Reason::Borrowed(reason::DISCONNECTED));
        if let Some(reason) = book.doubt.take().or(paused) {
            self.stats.recoveries += 1;
            let (key, ts_event) = (market.key_at(at), market.book_at(at).moment().ts_event);
            self.alerts.push(Alert::Live { key, reason, ts_event });
        }
    }

    fn notice(&mut self, market: &mut Market, record: &[u8]) {
        let Some(notice) = Notice::of(record) else { return };
        let ts_event = u64::from_le_bytes(std::array::from_fn(|i| record[8 + i]));
        match notice {
            Notice::System(notice::HEARTBEAT, _) => {
                self.stats.heartbeats += 1;
                self.stats.last_heartbeat_ts = ts_event;
                self.end_overlap_if_whole(market);
                return;
            }
            Notice::System(code, _) => {
                self.stats.system_messages += 1;
                self.stats.slow_reader_warnings += u64::from(code == notice::SLOW_READER);
                if code == notice::REPLAY_COMPLETED {
                    self.stats.replay_completed += 1;
                    self.end_overlap(market);
                }
            }
            Notice::Error(code, _) => {
                *self.stats.errors.entry(code).or_default() += 1;
                if code == notice::RECORDS_SKIPPED {
                    self.has_missed = true;
                    self.doubt(market, &Reason::Borrowed(reason::RECORDS_SKIPPED), None);
                }
            }
        }
        self.alerts.push(Alert::Notice { notice, ts_event });
    }
}

/// A [`Sink`] that sees each record before the market does.
pub struct Over<'a> {
    watch: &'a mut Watch,
    market: &'a mut Market,
}

impl Sink for Over<'_> {
    fn metadata(&mut self, metadata: &Metadata) {
        self.market.metadata(metadata);
    }

    #[inline]
    fn mbo(&mut self, block: &[u8], stride: usize, first: Position) {
        self.watch.block(self.market, block, stride, first);
    }

    fn symbol_mapping(&mut self, record: &[u8]) {
        self.market.symbol_mapping(record);
    }

    fn other(&mut self, rtype: u8) {
        self.market.other(rtype);
    }

    fn other_record(&mut self, record: &[u8]) {
        self.market.other(record[1]);
        self.watch.notice(self.market, record);
    }
}
