//! A watch that outlives its process: written down with its market, read back, and moved along a recording.
//!
//! A restart is a break of the stream like any other, so what [`Watch::disconnected`] forgets is not written. A
//! recording has what the market applied, in that order, and between the records what the watch did to the books
//! ([`Watch::observe_mark`]): so it is moved along by keeping the books' places and beginnings as the
//! live watch does, and judging nothing again. What it counted and had to say is the earlier process's.

use super::{
    BAD_TS_RECV, Reason, Watch,
    book::BookWatch,
    channel::{Channel, Time, channel_key, find_channel},
    overlap::{Phase, Seen},
    place::hash_of,
};
use crate::{
    checkpoint::{self, In, Out},
    decode::{BLOCK_RECORDS_MAX, Position},
    history::{Mark, mark::by_action},
    market::{Key, Market},
    record::{Action, MBO_BYTES, MboMsg, flags},
};

/// What a watch that observes has beside one that judges.
#[derive(Default)]
pub(super) struct Observing {
    pub(super) is_on: bool,
    /// The book whose snapshot or Clear the last record completed: unless a doubt comes next, it is exact.
    completed: Option<usize>,
}

impl Watch {
    /// What is to be known of the market's books after a restart.
    #[must_use]
    pub(crate) fn to_bytes(&self, market: &Market) -> Vec<u8> {
        let mut out = Out::default();
        out.bits([self.has_snapshots, self.phase != Phase::Steady]);
        let seen = self.phase.seen().unwrap_or_default();
        out.varints([self.last_ts_event, self.stats.last_ts_recv, seen.until]);
        out.optional(seen.done);
        out.optional(self.resume_ts);
        out.optional(self.observing.completed.map(|at| at as u64));
        out.varint(self.channels.len() as u64);
        for channel in &self.channels {
            channel.write(&mut out);
        }
        for at in 0..market.len() {
            match self.books.get(at) {
                Some(book) => book.write(&mut out),
                None => BookWatch::new(market.book_at(at)).write(&mut out),
            }
        }
        out.0
    }

    /// Reads back what [`to_bytes`](Self::to_bytes) gave of the same market.
    pub(crate) fn from_bytes(bytes: &[u8], market: &Market) -> checkpoint::Result<Self> {
        let mut input = In::new(bytes);
        let mut watch = Self::default();
        let [has_snapshots, is_broken] = input.bits()?;
        watch.has_snapshots = has_snapshots;
        [watch.last_ts_event, watch.stats.last_ts_recv] = input.varints()?;
        let seen = Seen { until: input.varint()?, done: input.optional()? };
        if is_broken {
            watch.phase = Phase::Lost(seen);
        }
        watch.resume_ts = input.optional()?;
        watch.observing.completed = input.optional()?.map(|at| at as usize).filter(|at| *at < market.len());
        watch.is_close = is_broken || watch.observing.completed.is_some();
        for _ in 0..input.varint()? {
            watch.channels.push(Channel::read(&mut input)?);
        }
        for at in 0..market.len() {
            let book = BookWatch::read(&mut input, market.book_at(at))?;
            if book.channel != u32::MAX && book.channel as usize >= watch.channels.len() {
                return Err(input.damaged(format!("channel {} of {}", book.channel, watch.channels.len())));
            }
            watch.books.push(book);
        }
        input.finish()?;
        Ok(watch)
    }

    /// Applies records of a recording; `first` is where they lie in their stream.
    pub fn observe(&mut self, market: &mut Market, records: &[MboMsg], first: Position) {
        self.observing.is_on = true;
        for (i, block) in records.chunks(BLOCK_RECORDS_MAX).enumerate() {
            let before = i * BLOCK_RECORDS_MAX;
            let position =
                Position { record: first.record + before as u64, offset: first.offset + (before * MBO_BYTES) as u64 };
            self.records(market, block, MBO_BYTES, position);
        }
        self.observing.is_on = false;
    }

    /// As `take_closely`, of a record that the live watch let pass.
    #[cold]
    #[inline(never)]
    pub(super) fn observe_closely(&mut self, market: &mut Market, at: usize, record: &MboMsg, position: Position) {
        self.observe_completed(market);
        let (action, bits) = (Action::of(record), record.flags.raw());
        let (is_snapshot, is_vouched) = (bits & flags::SNAPSHOT != 0, bits & BAD_TS_RECV == 0);
        if let Some(seen) = self.phase.seen()
            && !is_snapshot
            && is_vouched
            && record.ts_recv > seen.until
        {
            self.phase = Phase::Steady;
        }
        self.observe_channel(at, action, record);
        let book = &mut self.books[at];
        book.has_begun = true;
        let is_displaced = !is_vouched || record.ts_recv < book.run().ts_recv;
        if is_snapshot {
            self.has_snapshots = true;
            book.take_snapshot(action, record, None);
        } else {
            book.take(action, record, hash_of(record));
            book.is_place_certain &= !is_displaced;
        }
        book.event_has_clear |= action == Action::Clear;
        let is_last = bits & flags::LAST != 0;
        book.is_close = !is_last;
        if is_last {
            if !is_snapshot {
                self.last_ts_event = record.hd.ts_event;
            }
            // Nothing is to be said of any other: and each record that is waited for is looked at closely.
            let has_news = book.event_has_clear || book.snapshot.has_records || book.doubt.is_some() || book.is_paused;
            self.observing.completed = has_news.then_some(at);
        }
        // Until a record comes that is no doubt.
        self.is_close = self.phase != Phase::Steady || self.observing.completed.is_some();
        market.records_at(std::slice::from_ref(record), &[at as u32], MBO_BYTES, position);
    }

    fn observe_channel(&mut self, at: usize, action: Action, record: &MboMsg) {
        let is_repeating = self.phase != Phase::Steady;
        self.channel = find_channel(&mut self.channels, channel_key(record));
        let channel = &mut self.channels[self.channel];
        if record.flags.raw() & flags::SNAPSHOT != 0 {
            if action == Action::Clear {
                channel.take_snapshot(record.sequence);
            }
            return;
        }
        self.books[at].channel = self.channel as u32;
        channel.take_sequence(record.sequence, is_repeating);
        if record.flags.raw() & BAD_TS_RECV == 0 && channel.take_time(record.ts_recv, is_repeating) != Time::Far {
            self.stats.last_ts_recv = record.ts_recv;
        }
    }

    /// What the last record completed was not doubted: see `settle`.
    pub(super) fn observe_completed(&mut self, market: &Market) {
        let Some(at) = self.observing.completed.take() else { return };
        let (book, event_book) = (&mut self.books[at], market.book_at(at));
        let has_clear = std::mem::take(&mut book.event_has_clear);
        let snapshot = std::mem::take(&mut book.snapshot);
        if has_clear {
            book.begin();
        }
        if !event_book.is_suspect {
            if has_clear || (book.is_anchored && snapshot.has_records) {
                book.anchor(event_book, snapshot.has_records);
            }
            (book.doubt, book.is_paused) = (None, false);
        }
    }

    /// Does to a book what a mark of the recording says that the live watch did.
    pub fn observe_mark(&mut self, market: &mut Market, mark: &Mark) {
        match mark {
            Mark::Doubt { key, reason } => self.observe_doubt(market, *key, reason),
            Mark::Pause { key } => self.observe_pause(market, *key),
            Mark::Trust { key } => self.observe_trust(market, *key),
            Mark::Drop { key, counts } => self.observe_drop(market, *key, *counts),
            Mark::Await => self.observe_await(market),
            Mark::Session { .. } | Mark::Continues { .. } | Mark::Hole { .. } => {}
        }
    }

    /// The live watch doubted a book.
    fn observe_doubt(&mut self, market: &mut Market, key: Key, reason: &str) {
        let at = self.place_of(market, key);
        if self.observing.completed == Some(at) {
            // Whatever its event brought, it left the book suspect.
            self.observing.completed = None;
            let book = &mut self.books[at];
            if std::mem::take(&mut book.event_has_clear) {
                book.begin();
            }
            book.snapshot = Default::default();
        }
        self.observe_completed(market);
        market.doubt(at, reason, false);
        let book = &mut self.books[at];
        book.is_anchored = false;
        book.is_close |= book.pending > 0;
        book.doubt.get_or_insert_with(|| Reason::Owned(reason.to_owned()));
    }

    /// The stream broke, and left a book suspect that is exact if the stream goes on from there.
    fn observe_pause(&mut self, market: &mut Market, key: Key) {
        self.observe_break(market);
        let at = self.place_of(market, key);
        market.pause(at);
        let book = &mut self.books[at];
        book.forget_event(self.stats.last_ts_recv);
        book.is_paused = true;
    }

    /// The stream broke, and the unfinished event of a book was forgotten; `pending` are its records that are never held, by
    /// action from Trade on.
    fn observe_drop(&mut self, market: &mut Market, key: Key, pending: [u32; 4]) {
        self.observe_break(market);
        let at = self.place_of(market, key);
        market.drop_unfinished(at, &by_action(pending));
        self.books[at].forget_event(self.stats.last_ts_recv);
    }

    /// The stream went on where it had broken.
    fn observe_trust(&mut self, market: &mut Market, key: Key) {
        self.observe_completed(market);
        let at = self.place_of(market, key);
        market.trust(at);
        let book = &mut self.books[at];
        (book.doubt, book.is_paused) = (None, false);
        self.phase = Phase::Steady;
    }

    /// The stream goes on with a snapshot of each book.
    fn observe_await(&mut self, market: &Market) {
        self.observe_completed(market);
        self.know_books(market);
        self.expect_snapshots();
    }

    fn observe_break(&mut self, market: &Market) {
        self.observe_completed(market);
        self.know_books(market);
        self.note_break(market);
    }

    fn place_of(&mut self, market: &mut Market, key: Key) -> usize {
        let at = market.find_or_add(key);
        self.book_of(market, at);
        at
    }
}
