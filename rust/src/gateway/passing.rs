//! The way of a run of tape records to the outbox.
//!
//! Records that are wanted are sent in stretches as long as possible: nothing is copied record by record unless
//! something has to be said in between.

use super::{
    delivery::Delivery,
    kept::Kept,
    layout::{due_ns, key_of, ts_event},
    tape::Tape,
};
use crate::market::Key;

pub(super) struct Passing<'a> {
    tape: &'a Tape,
    delivery: &'a mut Delivery,
    kept: &'a mut Kept,
    run: &'a [u8],
    stride: usize,
    /// Up to where the run has been sent or left out, in bytes.
    sent: usize,
    /// Up to where the kept books have seen it.
    applied: usize,
    is_waiting: bool,
    /// Time of the last record that had one.
    last_ns: u64,
}

/// A record of the run.
#[derive(Clone, Copy)]
struct Item {
    at: usize,
    end: usize,
    key: Key,
    recorded_ns: u64,
    now_ns: u64,
}

impl<'a> Passing<'a> {
    /// The first `bytes` that are ready; `last_ns` is the time of the record before them.
    pub(super) fn new(
        tape: &'a Tape,
        bytes: usize,
        last_ns: u64,
        delivery: &'a mut Delivery,
        kept: &'a mut Kept,
    ) -> Self {
        let stride = tape.record_bytes().expect("only raw sessions have records of several lengths");
        let is_waiting = delivery.is_waiting();
        Self { tape, run: &tape.run()[..bytes], delivery, kept, stride, sent: 0, applied: 0, is_waiting, last_ns }
    }

    /// Delivers the run.
    pub(super) fn deliver(mut self) {
        let derives = self.kept.derives();
        let (run, stride) = (self.run, self.stride);
        let mut last: Option<(Key, usize)> = None;
        for (i, record) in run.chunks_exact(stride).enumerate() {
            let (at, key) = (i * stride, key_of(record));
            let recorded_ns = self.tape.recorded_ns(i, record);
            self.last_ns = Some(due_ns(record)).filter(|ts_ns| *ts_ns > 0).unwrap_or(self.last_ns);
            let item = Item { at, end: at + stride, key, recorded_ns, now_ns: self.last_ns };
            if derives {
                self.kept.advance(due_ns(record));
                self.send_rows(at, &item);
            }
            let route = match last {
                Some((last, route)) if last == key => route,
                _ => self.delivery.routes.find_or_add(key),
            };
            last = Some((key, route));
            if !self.delivery.routes.get(route).span.contains(&recorded_ns) {
                self.refresh(route, &item);
            }
            if !self.delivery.routes.get(route).takes_record(ts_event(record)) {
                self.send_until(at);
                self.sent = item.end;
            }
            if derives {
                self.kept.derive(record);
                self.send_rows(item.end, &item);
            }
            if self.is_waiting {
                self.settle(&item);
            }
        }
        self.send_until(run.len());
        self.apply_until(run.len());
    }

    #[inline(always)]
    fn send_until(&mut self, end: usize) {
        if self.sent < end {
            self.delivery.outbox.data(&self.run[self.sent..end], self.stride);
            self.sent = end;
        }
    }

    fn apply_until(&mut self, end: usize) {
        self.kept.apply(&self.run[self.applied..end]);
        self.applied = end;
    }

    /// Sends the rows made so far, behind the records up to `end`.
    fn send_rows(&mut self, end: usize, item: &Item) {
        if !self.kept.has_rows() {
            return;
        }
        self.send_until(end);
        let (delivery, names) = (&mut *self.delivery, &self.tape.names);
        self.kept.drain_rows(|schema, rows| delivery.rows(schema, rows, names, item.recorded_ns, item.now_ns));
    }

    /// Works out what is wanted of a book before its record, and begins the snapshots that this makes due.
    #[cold]
    fn refresh(&mut self, route: usize, item: &Item) {
        self.send_until(item.at);
        self.delivery.refresh(route, &self.tape.names, item.recorded_ns, item.now_ns);
        if self.delivery.to_snapshot.is_empty() {
            return;
        }
        self.apply_until(item.at);
        self.delivery.begin_due_snapshots(self.kept.market(), item.now_ns);
        self.delivery.refresh(route, &self.tape.names, item.recorded_ns, item.now_ns);
        self.is_waiting = self.delivery.is_waiting();
    }

    /// Sends the snapshots that waited for the end of the event that this record may have ended.
    fn settle(&mut self, item: &Item) {
        self.apply_until(item.end);
        let book = self.kept.market().and_then(|market| market.book(item.key));
        if book.is_some_and(|book| !book.held.is_empty()) {
            return;
        }
        for subscription in self.delivery.waiting_for(item.key) {
            self.send_until(item.end);
            let book = self.kept.market().and_then(|market| market.book(item.key));
            self.delivery.begin_snapshot(subscription, item.key, book, item.now_ns);
        }
        self.is_waiting = self.delivery.is_waiting();
    }
}
