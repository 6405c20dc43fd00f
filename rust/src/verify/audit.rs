//! What is odd about a stream, whatever the books make of it.
//!
//! Gaps are looked for where they can be seen. `sequence` counts the packets of a venue's channel, which carries more
//! instruments than a file does: holes in it are normal and say nothing, going backwards is odd. Packets that
//! Databento itself missed are marked with MAYBE_BAD_BOOK; a gap that nobody marked shows in what the books count
//! (unknown cancels, orders that cross for long), not here.

use std::collections::BTreeMap;

use dbn::{Metadata, UNDEF_TIMESTAMP};
use serde::Serialize;

use super::report::maybe_ns_text;
use crate::record::{MboMsg, flags};

/// How often something odd was seen, and where first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Oddity {
    /// Records.
    pub count: u64,
    /// Ordinal of the first.
    pub first: Option<u64>,
}

impl Oddity {
    #[inline]
    fn note(&mut self, is_odd: bool, ordinal: u64) {
        if is_odd {
            self.count += 1;
            self.first.get_or_insert(ordinal);
        }
    }
}

/// Times of the first and the last record, in file order; records of snapshots count only by ts_recv.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// ts_recv of the first record, ns.
    #[serde(serialize_with = "maybe_ns_text")]
    pub first_ts_recv: Option<u64>,
    /// ts_recv of the last record, ns.
    #[serde(serialize_with = "maybe_ns_text")]
    pub last_ts_recv: Option<u64>,
    /// ts_event of the first record, ns.
    #[serde(serialize_with = "maybe_ns_text")]
    pub first_ts_event: Option<u64>,
    /// ts_event of the last record, ns.
    #[serde(serialize_with = "maybe_ns_text")]
    pub last_ts_event: Option<u64>,
}

/// What was odd. Records of snapshots carry the times and sequences of their orders, so only their ts_recv counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Oddities {
    /// `sequence` below that of the record before it on the same publisher and channel.
    pub sequence_backwards: Oddity,
    /// ts_recv before that of the record before it.
    pub ts_recv_backwards: Oddity,
    /// ts_event before that of the same book's record before it.
    pub ts_event_backwards: Oddity,
    /// Captured before it happened: two clocks that do not agree.
    pub ts_recv_before_ts_event: Oddity,
    /// ts_event or ts_recv 0 or undefined.
    pub without_time: Oddity,
    /// ts_recv outside of the time that the file's metadata states.
    pub outside_stated_time: Oddity,
    /// Records that carry MAYBE_BAD_BOOK: packets were lost before them.
    pub maybe_bad_book: Oddity,
}

/// Collects oddities.
#[derive(Default)]
pub(super) struct Audit {
    pub(super) oddities: Oddities,
    pub(super) span: Span,
    ts_recv: u64,
    stated: Option<(u64, u64)>,
    /// By publisher and channel; there are few.
    sequences: BTreeMap<(u16, u8), u32>,
}

impl Audit {
    pub(super) fn metadata(&mut self, metadata: &Metadata) {
        self.stated = Some((metadata.start, metadata.end.map_or(u64::MAX, |end| end.get())));
    }

    /// Looks at the next record. `book_ts` is the ts_event of the record before it in its book, 0 for the first.
    pub(super) fn record(&mut self, book_ts: &mut u64, record: &MboMsg, ordinal: u64) {
        let bits = record.flags.raw();
        let (ts_event, ts_recv) = (record.hd.ts_event, record.ts_recv);
        let odd = &mut self.oddities;
        odd.maybe_bad_book.note(bits & flags::MAYBE_BAD_BOOK != 0, ordinal);
        let is_timed = |ts: u64| ts != 0 && ts != UNDEF_TIMESTAMP;
        let is_snapshot = bits & flags::SNAPSHOT != 0;
        odd.without_time.note(!is_timed(ts_recv) || !(is_timed(ts_event) || is_snapshot), ordinal);
        if is_timed(ts_recv) {
            self.span.first_ts_recv.get_or_insert(ts_recv);
            self.span.last_ts_recv = Some(ts_recv);
            let is_outside = self.stated.is_some_and(|(start, end)| !(start..end).contains(&ts_recv));
            odd.outside_stated_time.note(is_outside && !is_snapshot, ordinal);
            odd.ts_recv_backwards.note(ts_recv < self.ts_recv, ordinal);
            self.ts_recv = ts_recv;
        }
        if is_snapshot {
            return;
        }
        if is_timed(ts_event) {
            self.span.first_ts_event.get_or_insert(ts_event);
            self.span.last_ts_event = Some(ts_event);
            odd.ts_recv_before_ts_event.note(ts_recv < ts_event, ordinal);
            odd.ts_event_backwards.note(ts_event < *book_ts, ordinal);
            *book_ts = ts_event;
        }
        let before = self.sequences.insert((record.hd.publisher_id, record.channel_id), record.sequence);
        odd.sequence_backwards.note(before.is_some_and(|before| record.sequence < before), ordinal);
    }
}
