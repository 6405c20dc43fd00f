//! What a tape's first pass tells the later ones.

use std::collections::HashSet;

use dbn::{FlagSet, MboMsg, RecordHeader, UNDEF_PRICE, UNDEF_TIMESTAMP, rtype};

use super::layout::{Layout, key_of, u32_at};
use crate::{
    market::Key,
    record::{MBO_BYTES, flags, mbo_bytes},
};

/// Recorded time between two passes, ns.
const PASS_GAP_NS: u64 = 1_000_000;
const CHANNEL_OFFSET: usize = std::mem::offset_of!(MboMsg, channel_id);

/// What the first pass tells the later ones.
#[derive(Clone, Default)]
pub(super) struct Facts {
    /// Times by which records are due: of the first, and the latest, ns.
    pub(super) first_ns: Option<u64>,
    last_ns: u64,
    /// Without those that are 0, which snapshots have.
    sequences: Option<(u32, u32)>,
    pub(super) records: u64,
    /// Every book with its channel, in the order of their first records.
    pub(super) books: Vec<(Key, u8)>,
    known: HashSet<Key>,
    pub(super) is_complete: bool,
}

impl Facts {
    /// Nothing but the first record's time is known.
    pub(super) fn beginning_at(first_ns: Option<u64>) -> Self {
        Self { first_ns, ..Self::default() }
    }

    pub(super) fn note(&mut self, record: &[u8], ts_ns: u64) {
        if ts_ns != UNDEF_TIMESTAMP {
            self.first_ns.get_or_insert(ts_ns);
            self.last_ns = self.last_ns.max(ts_ns);
        }
        if let Some(sequence) =
            Layout::of(record[1]).sequence.map(|at| u32_at(record, at)).filter(|number| *number != 0)
        {
            let (least, most) = self.sequences.unwrap_or((sequence, sequence));
            self.sequences = Some((least.min(sequence), most.max(sequence)));
        }
        self.records += 1;
        if record[1] == rtype::MBO {
            let key = key_of(record);
            if self.known.insert(key) {
                self.books.push((key, record[CHANNEL_OFFSET]));
            }
        }
    }

    /// Records of each pass but the first.
    pub(super) fn later_pass_records(&self) -> u64 {
        self.records + self.books.len() as u64
    }

    /// Position of a pass's first record.
    pub(super) fn pass_start(&self, pass: u64) -> u64 {
        match pass {
            0 => 0,
            later => self.records + (later - 1) * self.later_pass_records(),
        }
    }

    /// Recorded time by which a pass is later than the one before.
    pub(super) fn pass_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns.unwrap_or(self.last_ns)) + PASS_GAP_NS
    }

    pub(super) fn pass_sequences(&self) -> u32 {
        self.sequences.map_or(0, |(least, most)| (most - least).wrapping_add(1))
    }

    pub(super) fn clears(&self) -> Vec<u8> {
        let ts_ns = self.first_ns.unwrap_or(0);
        let mut clears = Vec::with_capacity(self.books.len() * MBO_BYTES);
        for (key, channel_id) in &self.books {
            let clear = MboMsg {
                hd: RecordHeader::new::<MboMsg>(rtype::MBO, key.publisher_id, key.instrument_id, ts_ns),
                order_id: 0,
                price: UNDEF_PRICE,
                size: 0,
                flags: FlagSet::new(flags::LAST),
                channel_id: *channel_id,
                action: b'R' as _,
                side: b'N' as _,
                ts_recv: ts_ns,
                ts_in_delta: 0,
                sequence: self.sequences.map_or(0, |(least, _)| least),
            };
            clears.extend_from_slice(mbo_bytes(&clear));
        }
        clears
    }
}
