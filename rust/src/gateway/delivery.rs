//! From records and rows to the outbox: who gets what, and what has to be said before.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{
    layout::{key_of, ts_event, u64_at},
    outbox::Outbox,
    routes::Routes,
    subscription::Subscription,
    symbology::Names,
    wire,
};
use crate::{
    derive::Schema,
    event::{EventBook, Moment},
    market::{Key, Market},
    mbo_snapshot,
    record::MBO_BYTES,
};

/// A symbol as it was asked for, what it stands for, and since when (recorded time, ns).
type Mapping = (Arc<str>, Arc<str>, u64);

pub(super) struct Delivery {
    pub(super) routes: Routes,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) outbox: Outbox,
    announced: HashMap<u32, Vec<Mapping>>,
    /// Snapshots that are due now: of which subscription, of which book.
    pub(super) to_snapshot: Vec<(usize, Key)>,
}

impl Delivery {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            routes: Routes::default(),
            subscriptions: Vec::new(),
            outbox,
            announced: HashMap::new(),
            to_snapshot: Vec::new(),
        }
    }

    /// Takes a subscription and says what its symbols stand for, as far as the files know.
    pub(super) fn subscribe(&mut self, subscription: Subscription, names: &Names, recorded_ns: u64, now_ns: u64) {
        let ids = subscription.selection.instrument_ids(names);
        let Some(at) = self.keep(subscription) else { return };
        self.routes.forget();
        for id in ids {
            // The others have been told, or will be before the instrument's next record.
            self.announce(at..at + 1, id, names, recorded_ns, now_ns);
        }
    }

    /// Keeps a subscription and says where; none if it brings nothing that is not there already. A client may ask for
    /// the same time and again, as for snapshots: that must not add up.
    fn keep(&mut self, subscription: Subscription) -> Option<usize> {
        let mut plain = None;
        let mut finished = None;
        for (at, kept) in self.subscriptions.iter().enumerate().filter(|(_, kept)| kept.wants_the_same(&subscription)) {
            match &kept.snapshots {
                None => plain = Some(at),
                // What has still to be made will do for both.
                Some(snapshots) if !snapshots.is_begun => return None,
                Some(snapshots) if snapshots.waiting.is_empty() => finished = Some(at),
                Some(_) => {}
            }
        }
        match (plain, finished) {
            (Some(_), _) if subscription.snapshots.is_none() => return None,
            // In its place: the plain one sends on while the new one's snapshots wait for events to end.
            (Some(_), Some(at)) => {
                self.subscriptions[at] = subscription;
                return Some(at);
            }
            (None, Some(at)) if subscription.snapshots.is_some() => self.subscriptions[at].snapshots = None,
            _ => {}
        }
        self.subscriptions.push(subscription);
        Some(self.subscriptions.len() - 1)
    }

    /// Says what an instrument is called, to those subscriptions that want it and have not been told.
    fn announce(
        &mut self,
        subscriptions: Range<usize>,
        instrument_id: u32,
        names: &Names,
        recorded_ns: u64,
        now_ns: u64,
    ) {
        let (name, span) = names.name(instrument_id, recorded_ns);
        for subscription in &self.subscriptions[subscriptions] {
            let Some(symbol) = subscription.selection.symbol_for(instrument_id, &name) else { continue };
            let mapping = (symbol, name.clone(), span.start);
            let announced = self.announced.entry(instrument_id).or_default();
            if !announced.contains(&mapping) {
                let record = wire::mapping(now_ns, instrument_id, &mapping.0, &mapping.1);
                self.outbox.control(record.as_ref());
                announced.push(mapping);
            }
        }
    }

    /// Works out a book's route at a time, and says what has to be said before its next record.
    #[cold]
    pub(super) fn refresh(&mut self, route: usize, names: &Names, recorded_ns: u64, now_ns: u64) {
        let route = self.routes.get_mut(route);
        let key = route.key;
        route.work_out(recorded_ns, names, &self.subscriptions);
        self.announce(0..self.subscriptions.len(), key.instrument_id, names, recorded_ns, now_ns);
        let (name, _) = names.name(key.instrument_id, recorded_ns);
        for (i, subscription) in self.subscriptions.iter().enumerate() {
            if let Some(snapshots) = &subscription.snapshots
                && snapshots.is_begun
                && !snapshots.done.contains(&key)
                && !snapshots.waiting.contains(&key)
                && subscription.selection.symbol_for(key.instrument_id, &name).is_some()
            {
                self.to_snapshot.push((i, key));
            }
        }
    }

    /// Sends the snapshot of a book, or notes that it has to wait for the end of the book's unfinished event.
    pub(super) fn begin_snapshot(&mut self, subscription: usize, key: Key, book: Option<&EventBook>, now_ns: u64) {
        let Some(snapshots) = &mut self.subscriptions[subscription].snapshots else { return };
        if book.is_some_and(|book| !book.held.is_empty()) {
            snapshots.waiting.insert(key);
        } else {
            snapshots.waiting.remove(&key);
            snapshots.done.insert(key);
            let mut records = Vec::new();
            let moment = book.map_or_else(Moment::default, EventBook::moment);
            mbo_snapshot::append(&mut records, key, book.map(EventBook::book), moment, now_ns);
            self.outbox.data(&records, MBO_BYTES);
        }
        let route = self.routes.find_or_add(key);
        self.routes.get_mut(route).span = 0..0;
    }

    /// Begins the snapshots that are due.
    pub(super) fn begin_due_snapshots(&mut self, market: Option<&Market>, now_ns: u64) {
        for (subscription, key) in std::mem::take(&mut self.to_snapshot) {
            self.begin_snapshot(subscription, key, market.and_then(|market| market.book(key)), now_ns);
        }
    }

    /// Begins the snapshots of subscriptions that are new: of every book that there is.
    pub(super) fn begin_subscriptions(&mut self, market: &Market, names: &Names, recorded_ns: u64, now_ns: u64) {
        let mut is_any_new = false;
        for snapshots in self.subscriptions.iter_mut().filter_map(|subscription| subscription.snapshots.as_mut()) {
            is_any_new |= !std::mem::replace(&mut snapshots.is_begun, true);
        }
        if !is_any_new {
            return;
        }
        let mut keys: Vec<Key> = market.books().map(|(key, _)| key).collect();
        keys.sort_unstable();
        for key in keys {
            let route = self.routes.find_or_add(key);
            self.refresh(route, names, recorded_ns, now_ns);
        }
        self.begin_due_snapshots(Some(market), now_ns);
    }

    /// The subscriptions that wait for the snapshot of a book.
    pub(super) fn waiting_for(&self, key: Key) -> Vec<usize> {
        let waits = |subscription: &Subscription| {
            subscription.snapshots.as_ref().is_some_and(|snapshots| snapshots.waiting.contains(&key))
        };
        (0..self.subscriptions.len()).filter(|i| waits(&self.subscriptions[*i])).collect()
    }

    pub(super) fn is_waiting(&self) -> bool {
        let mut snapshots = self.subscriptions.iter().filter_map(|subscription| subscription.snapshots.as_ref());
        snapshots.any(|snapshots| !snapshots.waiting.is_empty())
    }

    /// Whether a subscription's snapshots have not been looked for yet.
    pub(super) fn has_new_subscription(&self) -> bool {
        let mut snapshots = self.subscriptions.iter().filter_map(|subscription| subscription.snapshots.as_ref());
        snapshots.any(|snapshots| !snapshots.is_begun)
    }

    /// Sends those of the rows of a schema that are wanted.
    pub(super) fn rows(&mut self, schema: Schema, rows: &[u8], names: &Names, recorded_ns: u64, now_ns: u64) {
        let ts_recv_offset = schema.interval_ns().and(super::layout::Layout::of(schema.rtype()).ts_recv);
        for row in rows.chunks_exact(schema.row_bytes()) {
            let at = self.routes.find_or_add(key_of(row));
            if !self.routes.get(at).span.contains(&recorded_ns) {
                self.refresh(at, names, recorded_ns, now_ns);
            }
            let ts_ns = ts_recv_offset.map_or_else(|| ts_event(row), |at| u64_at(row, at));
            if self.routes.get(at).takes_row(schema, ts_ns) {
                self.outbox.data(row, row.len());
            }
        }
    }
}
