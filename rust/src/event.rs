//! A book that moves by whole events.
//!
//! A venue's event can span many records, and only the last carries F_LAST. Records that would change the book are
//! held back until the one that completes their event arrives, so that whoever looks, at any time, sees the book
//! between two events and never inside one. Most events are one record and are applied without being copied.
//!
//! Holding back is bounded: after [`HELD_RECORDS_MAX`] records, or when an unfinished event is older than
//! [`HELD_NS_MAX`], what is held is applied as if it were complete, and counted as forced. Snapshots are excepted
//! from the age limit: their records carry the times of the orders, and some historical ones lack F_LAST, which the
//! next complete event then supplies.

use crate::{
    book::{Counters, OrderBook, SameSizeModify},
    id_map::Tag,
    record::{Action, MboMsg, Reject, flags},
    tap::{Kept, TapId, Taps, Wanted},
};

/// Records of one unfinished event that are held back at most.
pub const HELD_RECORDS_MAX: usize = 262_144;
/// Age by ts_recv, in ns, that an unfinished event reaches at most before another record without F_LAST arrives.
pub const HELD_NS_MAX: u64 = 1_000_000_000;

/// What a reader may think of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No event has been completed.
    Empty,
    /// A snapshot is being loaded; the view is the one from before it.
    Snapshot,
    /// As exact as the feed.
    Live,
    /// The feed lost something, or says so, or has failed; until the next snapshot or clear.
    Suspect,
}

impl State {
    /// The name users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "empty",
            State::Snapshot => "snapshot",
            State::Live => "live",
            State::Suspect => "suspect",
        }
    }
}

/// What identifies the moment a view shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Completed events since the book was made.
    pub seq: u64,
    /// The record that completed the last event: when the matching engine received it, ns.
    pub ts_event: u64,
    /// … when it was captured, ns.
    pub ts_recv: u64,
    /// … the venue's number.
    pub sequence: u32,
}

/// Choices that hold for all books of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// See [`SameSizeModify`].
    pub same_size: SameSizeModify,
    /// A book stops before its first event with a later ts_event (ns).
    pub until: u64,
    /// First epoch of every book.
    pub epoch: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { same_size: SameSizeModify::default(), until: u64::MAX, epoch: 0 }
    }
}

/// What a book had counted before an event began.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) seq: u64,
    pub(crate) counters: Counters,
    pub(crate) bad_book_marks: u64,
}

/// An [`OrderBook`] with its unfinished event, its state and its place in time.
#[derive(Clone)]
pub struct EventBook {
    pub(crate) book: OrderBook,
    pub(crate) moment: Moment,
    pub(crate) held: Vec<MboMsg>,
    /// ts_recv of the first held record whose time counts.
    pub(crate) held_since: Option<u64>,
    /// The latest ts_event of the held records: the Adds of a snapshot carry the times of their orders.
    pub(crate) event_ts: u64,
    pub(crate) epoch: u64,
    pub(crate) until: u64,
    pub(crate) is_past_end: bool,
    pub(crate) is_loading: bool,
    pub(crate) is_suspect: bool,
    /// What the unfinished event will make of `is_suspect`, by its last record that says something about it.
    pub(crate) verdict: Option<bool>,
    /// Nothing is held back, pending or loading, and nobody listens; see [`settle`](Self::settle).
    is_settled: bool,
    taps: Taps,
    pub(crate) forced_events: u64,
    pub(crate) bad_book_marks: u64,
    /// Of a book that has an end: what it goes back to if its unfinished event lies behind that; see
    /// [`counted_before`](Self::counted_before).
    pub(crate) counted: Option<Box<Counted>>,
}

impl EventBook {
    /// An empty book.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self {
            book: OrderBook::new(rules.same_size),
            moment: Moment::default(),
            held: Vec::new(),
            held_since: None,
            event_ts: 0,
            epoch: rules.epoch,
            until: rules.until,
            is_past_end: false,
            is_loading: false,
            is_suspect: false,
            verdict: None,
            is_settled: true,
            taps: Taps::default(),
            forced_events: 0,
            bad_book_marks: 0,
            counted: None,
        }
    }

    /// Takes the next record of this book; says whether that completed an event (its own, or by force an earlier one).
    ///
    /// # Errors
    /// Why the record was refused. It then changed nothing but, if it carries F_LAST, still completed its event.
    #[inline(always)]
    pub fn push(&mut self, record: &MboMsg) -> Result<bool, Reject> {
        self.push_tagged(self.book.tag(record), record)
    }

    /// [`push`](Self::push), with what the id table knows the order by already at hand.
    #[inline(always)]
    pub(crate) fn push_tagged(&mut self, tag: Tag, record: &MboMsg) -> Result<bool, Reject> {
        let bits = record.flags.raw();
        let is_plain = (bits & (flags::LAST | flags::SNAPSHOT | flags::MAYBE_BAD_BOOK) == flags::LAST)
            & self.is_settled
            & (record.hd.ts_event <= self.until);
        let action = Action::of(record);
        if !is_plain || Reject::of(action, record).is_some() {
            return self.push_and_settle(action, record);
        }
        // One branch on the action, which is as good as random; each further one would be guessed wrong as often.
        match action {
            Action::Add => self.book.add(tag, record),
            Action::Cancel => self.book.cancel(tag, record),
            Action::Modify => self.book.modify(tag, record),
            Action::Trade | Action::Fill | Action::None => {}
            Action::Clear | Action::Unknown => return self.push_and_settle(action, record),
        }
        self.book.counters.by_action[action as usize] += 1;
        self.complete(record);
        Ok(true)
    }

    #[inline(never)]
    fn push_and_settle(&mut self, action: Action, record: &MboMsg) -> Result<bool, Reject> {
        let outcome = self.push_slowly(action, record);
        self.settle();
        outcome
    }

    /// Notes whether an event of one record can be applied at once.
    pub(crate) fn settle(&mut self) {
        let is_whole = self.held.is_empty() && self.verdict.is_none() && !self.is_loading && !self.is_past_end;
        self.is_settled = is_whole && self.taps.is_empty();
    }

    fn push_slowly(&mut self, action: Action, record: &MboMsg) -> Result<bool, Reject> {
        if self.is_past_end {
            return Ok(false);
        }
        let seq_before = self.moment.seq;
        let bits = record.flags.raw();
        let is_last = bits & flags::LAST != 0;
        let rejected = Reject::of(action, record);
        let is_held_full = self.held.len() >= HELD_RECORDS_MAX;
        if is_held_full || (!is_last && self.is_overdue(record)) {
            self.force();
        }
        if is_last && self.event_ts.max(record.hd.ts_event) > self.until {
            self.end_time();
        }
        if self.is_past_end {
            return Ok(false);
        }
        if !is_last && self.until != u64::MAX {
            self.note_counted();
        }
        self.taps.note(action, record);
        self.note_flags(action, bits, rejected.is_none());
        match rejected {
            Some(reason) => self.count_reject(reason),
            None => {
                self.book.counters.by_action[action as usize] += 1;
                if action.changes_book() {
                    self.hold(action, record);
                }
            }
        }
        if is_last {
            self.apply_held();
            self.complete(record);
            self.taps.complete();
            self.is_loading = false;
        }
        rejected.map_or(Ok(self.moment.seq != seq_before), Err)
    }

    /// Keeps what is counted now, unless that is already of the unfinished event.
    #[cold]
    fn note_counted(&mut self) {
        if self.counted_before().is_none() {
            let (counters, bad_book_marks) = (self.book.counters, self.bad_book_marks);
            self.counted = Some(Box::new(Counted { seq: self.moment.seq, counters, bad_book_marks }));
        }
    }

    /// What was counted before the unfinished event. What is kept of an earlier one is of no use any more: events that
    /// are applied at once leave it lying.
    pub(crate) fn counted_before(&self) -> Option<&Counted> {
        self.counted.as_deref().filter(|counted| counted.seq == self.moment.seq)
    }

    /// A refused record can still tell of lost packets, but is no snapshot and no clear.
    fn note_flags(&mut self, action: Action, bits: u8, is_accepted: bool) {
        let is_snapshot = bits & flags::SNAPSHOT != 0 && is_accepted;
        if is_snapshot || action == Action::Clear {
            self.verdict = Some(false);
        }
        self.is_loading |= is_snapshot;
        if bits & flags::MAYBE_BAD_BOOK != 0 {
            self.bad_book_marks += 1;
            self.verdict = Some(true);
        }
    }

    fn hold(&mut self, action: Action, record: &MboMsg) {
        let has_own_time = action != Action::Clear && record.flags.raw() & flags::SNAPSHOT == 0;
        if has_own_time && self.held_since.is_none() {
            self.held_since = Some(record.ts_recv);
        }
        self.event_ts = self.event_ts.max(record.hd.ts_event);
        self.held.push(*record);
    }

    fn is_overdue(&self, record: &MboMsg) -> bool {
        self.held_since.is_some_and(|since| record.ts_recv.saturating_sub(since) > HELD_NS_MAX)
    }

    /// Completes what is held without having seen its F_LAST.
    fn force(&mut self) {
        if self.event_ts > self.until {
            self.end_time();
        } else if let Some(last) = self.held.last().copied() {
            self.apply_held();
            self.complete(&last);
            self.taps.complete();
            self.forced_events += 1;
        }
    }

    /// The event lies after `until`: the book stays as it is for good, and has counted nothing of it.
    fn end_time(&mut self) {
        if let Some(before) = self.counted_before().copied() {
            (self.book.counters, self.bad_book_marks) = (before.counters, before.bad_book_marks);
        }
        self.counted = None;
        self.is_past_end = true;
        self.is_loading = false;
        self.verdict = None;
        self.drop_held();
        self.taps.drop_unfinished();
    }

    fn apply_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        for record in &held {
            let action = Action::of(record);
            self.book.apply(action, record);
            if action == Action::Clear {
                self.epoch = self.epoch.wrapping_add(1);
            }
        }
        self.held = held;
        self.drop_held();
        self.is_suspect = self.verdict.take().unwrap_or(self.is_suspect);
    }

    /// Forgets the unfinished event, as if none of its records had arrived; `pending` are those of them that are never
    /// held, by action. What completed before stays. Says whether there was anything to forget.
    pub(crate) fn drop_unfinished(&mut self, pending: &[u32; 8]) -> bool {
        let is_unfinished = !self.held.is_empty()
            || self.verdict.is_some()
            || self.is_loading
            || pending.iter().any(|pending| *pending > 0);
        let arrived = &mut self.book.counters.by_action;
        for record in &self.held {
            arrived[Action::of(record) as usize] -= 1;
        }
        for (arrived, pending) in arrived.iter_mut().zip(pending) {
            *arrived = arrived.saturating_sub(u64::from(*pending));
        }
        self.counted = None;
        self.drop_held();
        self.taps.drop_unfinished();
        self.verdict = None;
        self.is_loading = false;
        self.settle();
        is_unfinished
    }

    /// Lets somebody listen to the events that complete from now on.
    pub(crate) fn add_tap(&mut self, wanted: Wanted) -> TapId {
        let id = self.taps.add(wanted, &self.held);
        self.settle();
        id
    }

    /// What a tap has kept since this was last asked; nothing if there is no such tap.
    pub(crate) fn take_tapped(&mut self, id: TapId) -> Option<Kept> {
        self.taps.take(id)
    }

    /// Nobody listens there any more.
    pub(crate) fn remove_tap(&mut self, id: TapId) {
        self.taps.remove(id);
        self.settle();
    }

    /// Makes the book suspect, now and, if an event is unfinished, when that completes; says whether it was not yet.
    pub(crate) fn doubt(&mut self) -> bool {
        let before = (self.is_suspect, self.verdict);
        self.is_suspect = true;
        if !self.held.is_empty() || self.verdict.is_some() {
            self.verdict = Some(true);
        }
        self.settle();
        before != (self.is_suspect, self.verdict)
    }

    /// Takes a doubt back.
    pub(crate) fn trust(&mut self) {
        self.is_suspect = false;
    }

    /// Becomes another moment of the same book; who listens has to begin anew.
    pub(crate) fn become_other(&mut self, moment: EventBook) {
        let mut taps = std::mem::take(&mut self.taps);
        taps.clear();
        *self = Self { taps, ..moment };
        self.settle();
    }

    fn drop_held(&mut self) {
        // A snapshot of a large book must not keep its megabytes for the rest of the day.
        const KEPT_RECORDS: usize = 256;
        self.held.clear();
        self.held.shrink_to(KEPT_RECORDS);
        self.held_since = None;
        self.event_ts = 0;
    }

    #[inline(always)]
    fn complete(&mut self, record: &MboMsg) {
        self.moment = Moment {
            seq: self.moment.seq + 1,
            ts_event: record.hd.ts_event,
            ts_recv: record.ts_recv,
            sequence: record.sequence,
        };
    }

    #[cold]
    fn count_reject(&mut self, reason: Reject) {
        let counters = &mut self.book.counters;
        match reason {
            Reject::Action => counters.by_action[Action::Unknown as usize] += 1,
            Reject::Side => counters.rejected_side += 1,
            Reject::Price => counters.rejected_price += 1,
        }
    }

    /// Records that were rejected.
    pub(crate) fn rejected(&self) -> u64 {
        let counters = &self.book.counters;
        counters.by_action[Action::Unknown as usize] + counters.rejected_side + counters.rejected_price
    }

    /// The book as it is after the last complete event.
    #[must_use]
    pub fn book(&self) -> &OrderBook {
        &self.book
    }

    /// What the last complete event was.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// Changes with every Clear (and, by [`Rules::epoch`], from run to run).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a reader may think of the book.
    #[must_use]
    pub fn state(&self) -> State {
        if self.is_loading {
            State::Snapshot
        } else if self.is_suspect {
            State::Suspect
        } else if self.moment.seq == 0 {
            State::Empty
        } else {
            State::Live
        }
    }

    /// All counters under the names users see, in a fixed order.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); COUNTER_NAMES.len()] {
        let c = &self.book.counters;
        let rejected: u64 = c.rejected_side + c.rejected_price;
        let [adds, cancels, modifies, clears, trades, fills, nones, rejected_action] = c.by_action;
        let values = [
            c.by_action.iter().sum::<u64>() + rejected,
            adds,
            cancels,
            modifies,
            clears,
            trades,
            fills,
            nones,
            self.moment.seq,
            self.forced_events,
            c.unknown_cancels,
            c.unknown_modifies,
            c.duplicate_adds,
            c.over_cancels,
            c.zero_sizes,
            rejected_action,
            c.rejected_side,
            c.rejected_price,
            self.bad_book_marks,
            self.held.len() as u64,
            self.book.len() as u64,
            self.book.level_count(crate::record::Side::Bid) as u64,
            self.book.level_count(crate::record::Side::Ask) as u64,
        ];
        std::array::from_fn(|i| (COUNTER_NAMES[i], values[i]))
    }
}

/// The names of [`EventBook::counters`]. All count records but `events` and `forced_events` (events), and the last
/// three, which say what rests now.
pub const COUNTER_NAMES: [&str; 23] = [
    "records",
    "adds",
    "cancels",
    "modifies",
    "clears",
    "trades",
    "fills",
    "nones",
    "events",
    "forced_events",
    "unknown_cancels",
    "unknown_modifies",
    "duplicate_adds",
    "over_cancels",
    "zero_sizes",
    "rejected_action",
    "rejected_side",
    "rejected_price",
    "bad_book_marks",
    "held",
    "orders",
    "bid_levels",
    "ask_levels",
];
