//! What all synthetic instruments share: the clock, the venue's numbers, and the bytes that come out.

use dbn::{UNDEF_PRICE, flags, rtype};

use super::rng::Rng;

/// Monday 2026-01-05 14:30:00 UTC, a session's start.
pub(super) const START_NS: u64 = 1_767_623_400_000_000_000;
/// GLBX.MDP3 as Databento numbers it.
const PUBLISHER_ID: u16 = 1;
const CHANNEL_ID: u8 = 26;
const RECORD_BYTES: usize = 56;
/// Where the flags stand in a record.
const FLAGS_OFFSET: usize = 36;
/// Between two events outside bursts.
const EVENT_GAP_MEAN_NS: u64 = 120_000;
/// Between two events of a burst, at most: several hundred records in a millisecond.
const BURST_GAP_MAX_NS: u32 = 2_500;
/// From the matching engine to the capture: at least, and on average on top of that.
const LATENCY_MIN_NS: u64 = 80_000;
const LATENCY_EXTRA_MEAN_NS: u64 = 30_000;
/// How often an event is completed by a None record of its own.
const TRAILING_NONE_PERCENT: u32 = 1;

/// The flags of every record of an MBO snapshot.
pub(super) const SNAPSHOT: u8 = flags::SNAPSHOT | flags::BAD_TS_RECV;

/// One record, less what the tape knows itself.
pub(super) struct Entry {
    pub(super) action: u8,
    pub(super) side: u8,
    pub(super) order_id: u64,
    pub(super) price: i64,
    pub(super) size: u32,
}

impl Entry {
    /// A record about no order: Clear and None.
    pub(super) fn bare(action: u8) -> Self {
        Self { action, side: b'N', order_id: 0, price: UNDEF_PRICE, size: 0 }
    }
}

pub(super) struct Tape {
    pub(super) rng: Rng,
    /// Whole events, ready to be read.
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    instrument_id: u32,
    flags: u8,
    ts_event: u64,
    ts_recv: u64,
    ts_in_delta: u32,
    sequence: u32,
    last_order_id: u64,
    /// Events that still belong to the burst.
    burst: u32,
}

impl Tape {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            bytes: Vec::new(),
            records: 0,
            instrument_id: 0,
            flags: 0,
            ts_event: START_NS,
            ts_recv: START_NS,
            ts_in_delta: 0,
            sequence: 1_000,
            last_order_id: 6_412_000_000_000,
            burst: 0,
        }
    }

    /// Order IDs grow, with gaps: other instruments of the venue use them too.
    pub(super) fn new_order_id(&mut self) -> u64 {
        self.last_order_id += 1 + u64::from(self.rng.below(24));
        self.last_order_id
    }

    /// From here on, at least so many events come without a pause.
    pub(super) fn start_burst(&mut self, events: u32) {
        self.burst = self.burst.max(events);
    }

    /// Opens an event: later than the last one, in the same packet or in one of the next.
    pub(super) fn begin(&mut self, instrument_id: u32) {
        self.instrument_id = instrument_id;
        self.flags = 0;
        let gap = if self.burst > 0 {
            self.burst -= 1;
            u64::from(self.rng.below(BURST_GAP_MAX_NS))
        } else {
            self.rng.exponential(EVENT_GAP_MEAN_NS)
        };
        self.ts_event += gap;
        let packets = match self.rng.below(16) {
            0..3 => 0,
            3..12 => 1,
            more => more - 10,
        };
        self.sequence = self.sequence.wrapping_add(packets);
        self.ts_in_delta = 9_000 + self.rng.below(13_000);
        let latency = LATENCY_MIN_NS + self.rng.exponential(LATENCY_EXTRA_MEAN_NS);
        // The capture is in order: a slow packet holds up those behind it.
        self.ts_recv = self.ts_recv.max(self.ts_event + latency);
    }

    /// Opens an MBO snapshot, which has no sending time.
    pub(super) fn begin_snapshot(&mut self, instrument_id: u32) {
        self.begin(instrument_id);
        self.flags = SNAPSHOT;
        self.ts_in_delta = 0;
    }

    /// The rest of the event is in the venue's next packet, as the book's part of a trade is.
    pub(super) fn next_packet(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.ts_recv += 8_000 + u64::from(self.rng.below(8_000));
        self.ts_in_delta = 9_000 + self.rng.below(9_000);
    }

    /// Adds a record to the open event.
    pub(super) fn push(&mut self, entry: &Entry) {
        let mut record = [0; RECORD_BYTES];
        record[0] = (RECORD_BYTES / 4) as u8;
        record[1] = rtype::MBO;
        record[2..4].copy_from_slice(&PUBLISHER_ID.to_le_bytes());
        record[4..8].copy_from_slice(&self.instrument_id.to_le_bytes());
        record[8..16].copy_from_slice(&self.ts_event.to_le_bytes());
        record[16..24].copy_from_slice(&entry.order_id.to_le_bytes());
        record[24..32].copy_from_slice(&entry.price.to_le_bytes());
        record[32..36].copy_from_slice(&entry.size.to_le_bytes());
        record[FLAGS_OFFSET] = self.flags;
        record[37] = CHANNEL_ID;
        record[38] = entry.action;
        record[39] = entry.side;
        record[40..48].copy_from_slice(&self.ts_recv.to_le_bytes());
        record[48..52].copy_from_slice(&self.ts_in_delta.to_le_bytes());
        record[52..56].copy_from_slice(&self.sequence.to_le_bytes());
        self.bytes.extend_from_slice(&record);
        self.records += 1;
    }

    /// Completes the open event: its last record, or now and then a None record of its own, carries LAST.
    pub(super) fn end(&mut self) {
        if self.flags == 0 && self.rng.percent(TRAILING_NONE_PERCENT) {
            self.push(&Entry::bare(b'N'));
        }
        self.mark_last();
    }

    /// A None record that is an event of its own, of the instrument that was written last.
    pub(super) fn push_event_without_effect(&mut self) {
        self.begin(self.instrument_id);
        self.push(&Entry::bare(b'N'));
        self.mark_last();
    }

    fn mark_last(&mut self) {
        let last = self.bytes.len() - RECORD_BYTES;
        self.bytes[last + FLAGS_OFFSET] |= flags::LAST;
    }
}
