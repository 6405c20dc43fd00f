//! What a watch has to say, and what it counts.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use super::notice::Notice;
use crate::market::Key;

/// Alerts kept until somebody takes them; the oldest go first, and are counted.
pub const ALERTS_MAX: usize = 1_024;

/// Why a book is suspect, in the words users see.
pub type Reason = Cow<'static, str>;

/// The reasons a watch finds by itself.
pub mod reason {
    /// The stream broke.
    pub const DISCONNECTED: &str = "disconnected";
    /// A channel that skips no sequence number skipped some.
    pub const GAP: &str = "gap";
    /// What came after a break does not begin where the stream broke.
    pub const GAP_AFTER_RECONNECTION: &str = "gap after reconnection";
    /// What was sent again is not what was sent before.
    pub const OVERLAP_MISMATCH: &str = "overlap mismatch";
    /// The stream broke inside this book's snapshot.
    pub const UNFINISHED_SNAPSHOT: &str = "unfinished snapshot";
    /// A resumed stream sends only what is younger than its start, and so perhaps a part of a snapshot.
    pub const PARTIAL_SNAPSHOT: &str = "partial snapshot";
    /// The book appeared after records had been missed, without a snapshot or Clear.
    pub const NO_BEGINNING: &str = "no beginning";
    /// A record carries MAYBE_BAD_BOOK.
    pub const MAYBE_BAD_BOOK: &str = "maybe bad book";
    /// The gateway says that it skipped records (error 7).
    pub const RECORDS_SKIPPED: &str = "records skipped";
    /// A sequence number or ts_recv went back.
    pub const OUT_OF_ORDER: &str = "out of order";
    /// A record came twice.
    pub const DUPLICATE: &str = "duplicate";
    /// A ts_recv far ahead of the stream's.
    pub const TIMESTAMP: &str = "timestamp";
    /// A record that cannot be true of this book: an unknown order, one known already, or more than rests.
    pub const CONTRADICTION: &str = "contradiction";
}

/// Something that whoever runs the feed should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// A book became suspect, at the last complete event's ts_event.
    Suspect {
        /// The book.
        key: Key,
        /// Why.
        reason: Reason,
        /// Of its last complete event, ns.
        ts_event: u64,
    },
    /// A book is exact again.
    Live {
        /// The book.
        key: Key,
        /// Why it was suspect.
        reason: Reason,
        /// Of its last complete event, ns.
        ts_event: u64,
    },
    /// The gateway said something.
    Notice {
        /// What.
        notice: Notice,
        /// The record's time, ns.
        ts_event: u64,
    },
}

#[derive(Default)]
pub(super) struct Alerts {
    queue: VecDeque<Alert>,
    pub(super) dropped: u64,
}

impl Alerts {
    pub(super) fn push(&mut self, alert: Alert) {
        if self.queue.len() >= ALERTS_MAX {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back(alert);
    }

    pub(super) fn take(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.queue).into()
    }
}

/// What a watch has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchStats {
    /// Times that a book became suspect, by reason.
    pub suspicions: BTreeMap<Reason, u64>,
    /// Times that a suspect book became exact again.
    pub recoveries: u64,
    /// Breaks of the stream.
    pub disconnections: u64,
    /// Jumps of a dense channel's sequence.
    pub gaps: u64,
    /// Numbers that those jumps skipped.
    pub missing_messages: u64,
    /// Records whose sequence or ts_recv went back.
    pub out_of_order: u64,
    /// Channels' sequences that began anew.
    pub sequence_restarts: u64,
    /// Records that came twice in a row or nearly so.
    pub duplicates: u64,
    /// Records of a resumed stream that had been applied before the break.
    pub already_applied: u64,
    /// Records of unfinished events that a break made void.
    pub unfinished_dropped: u64,
    /// ts_recv that went back, is missing or far ahead, where its record vouches for it.
    pub bad_timestamps: u64,
    /// Records that cannot be true of an exact book.
    pub contradictions: u64,
    /// ErrorMsg by code (255: without one).
    pub errors: BTreeMap<u8, u64>,
    /// SystemMsg but heartbeats.
    pub system_messages: u64,
    /// … of which said that the reader is slow.
    pub slow_reader_warnings: u64,
    /// … of which said that a replay is complete.
    pub replay_completed: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// ts_event of the last of them, ns.
    pub last_heartbeat_ts: u64,
    /// The latest ts_recv of the stream that was believed, ns.
    pub last_ts_recv: u64,
    /// Alerts that nobody took in time.
    pub alerts_dropped: u64,
}

impl WatchStats {
    /// All that is one number, under the names users see.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); 18] {
        [
            ("recoveries", self.recoveries),
            ("disconnections", self.disconnections),
            ("gaps", self.gaps),
            ("missing_messages", self.missing_messages),
            ("out_of_order", self.out_of_order),
            ("sequence_restarts", self.sequence_restarts),
            ("duplicates", self.duplicates),
            ("already_applied", self.already_applied),
            ("unfinished_dropped", self.unfinished_dropped),
            ("bad_timestamps", self.bad_timestamps),
            ("contradictions", self.contradictions),
            ("system_messages", self.system_messages),
            ("slow_reader_warnings", self.slow_reader_warnings),
            ("replay_completed", self.replay_completed),
            ("heartbeats", self.heartbeats),
            ("last_heartbeat_ts", self.last_heartbeat_ts),
            ("last_ts_recv", self.last_ts_recv),
            ("alerts_dropped", self.alerts_dropped),
        ]
    }
}
