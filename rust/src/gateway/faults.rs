//! Faults put into a stream on purpose. They concern data records only, on their way out: what the stream keeps for
//! itself stays right.

use std::collections::{HashSet, VecDeque};

use super::layout::{Layout, u32_at};
use crate::record::flags;

/// Records of an event that is held for later, at most: an event that never ends must not hold up its book for ever.
const HELD_RECORDS_MAX: usize = 4_096;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// So many records are not sent. If it is marked, the next record sent of each book that lost one says so.
    Gap {
        /// With MAYBE_BAD_BOOK.
        is_marked: bool,
    },
    /// So many records are sent twice, each right after itself.
    Duplicate,
    /// The next event that begins is sent as a whole behind the so many records that follow it.
    Reorder,
}

/// Whose event a record belongs to: record type, publisher_id and instrument_id.
type Stream = (u8, u16, u32);

fn stream_of(record: &[u8]) -> Stream {
    (record[1], u16::from_le_bytes([record[2], record[3]]), u32_at(record, 4))
}

/// A record without flags is an event of its own.
fn is_last(record: &[u8]) -> bool {
    Layout::of(record[1]).flags.is_none_or(|at| record[at] & flags::LAST != 0)
}

struct Reorder {
    delay_records: u64,
    stage: Stage,
}

enum Stage {
    /// Until an event begins: the streams of which one has ended.
    Waiting(HashSet<Stream>),
    /// Until it ends.
    Holding(Stream, Vec<Vec<u8>>),
    /// Until enough others were sent.
    Delaying(Vec<Vec<u8>>),
}

/// What is still to be done to the stream.
#[derive(Default)]
pub(super) struct Faults {
    gaps: VecDeque<(u64, bool)>,
    duplicates: u64,
    reorders: VecDeque<Reorder>,
    /// Those that lost records and were not marked yet.
    lost: HashSet<Stream>,
    /// All records are left out, and so many were.
    skipped: Option<u64>,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault, records: u64) {
        if records == 0 {
            return;
        }
        match fault {
            Fault::Gap { is_marked } => self.gaps.push_back((records, is_marked)),
            Fault::Duplicate => self.duplicates += records,
            Fault::Reorder => {
                let stage = Stage::Waiting(HashSet::new());
                self.reorders.push_back(Reorder { delay_records: records, stage });
            }
        }
    }

    /// Whether records pass unharmed.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.gaps.is_empty()
            && self.duplicates == 0
            && self.reorders.is_empty()
            && self.lost.is_empty()
            && self.skipped.is_none()
    }

    /// From here on records are left out, marked, until `end_skip`.
    pub(super) fn begin_skip(&mut self) {
        self.skipped = Some(0);
    }

    /// Says how many were left out.
    pub(super) fn end_skip(&mut self) -> u64 {
        self.skipped.take().unwrap_or(0)
    }

    /// Whether a record waits to be sent.
    pub(super) fn is_holding(&self) -> bool {
        self.reorders.iter().any(|reorder| !matches!(reorder.stage, Stage::Waiting(_)))
    }

    /// Takes a record; hands on what is sent in its place.
    pub(super) fn pass(&mut self, record: &[u8], mut send: impl FnMut(&[u8])) {
        let has_flags = Layout::of(record[1]).flags.is_some();
        if let Some(skipped) = &mut self.skipped {
            *skipped += 1;
            if has_flags {
                self.lost.insert(stream_of(record));
            }
            return;
        }
        if let Some((left, is_marked)) = self.gaps.front_mut() {
            *left -= 1;
            if *is_marked && has_flags {
                self.lost.insert(stream_of(record));
            }
            if *left == 0 {
                self.gaps.pop_front();
            }
            return;
        }
        let copies = if self.duplicates > 0 { 2 } else { 1 };
        self.duplicates -= copies - 1;
        for _ in 0..copies {
            self.reorder(record, &mut send);
        }
    }

    fn reorder(&mut self, record: &[u8], send: &mut impl FnMut(&[u8])) {
        let Some(reorder) = self.reorders.front_mut() else { return self.mark(record, send) };
        let stream = stream_of(record);
        match &mut reorder.stage {
            Stage::Waiting(ended) if ended.contains(&stream) => {
                reorder.stage = Stage::Holding(stream, vec![record.to_vec()]);
                self.end_event(record);
            }
            Stage::Holding(held_of, held) if *held_of == stream => {
                held.push(record.to_vec());
                let is_full = held.len() >= HELD_RECORDS_MAX;
                self.end_event(record);
                if is_full {
                    self.flush(send);
                }
            }
            Stage::Waiting(ended) => {
                if is_last(record) {
                    ended.insert(stream);
                }
                self.mark(record, send);
            }
            Stage::Holding(..) => self.mark(record, send),
            Stage::Delaying(_) => {
                reorder.delay_records -= 1;
                let is_over = reorder.delay_records == 0;
                self.mark(record, send);
                if is_over {
                    self.release(send);
                }
            }
        }
    }

    fn end_event(&mut self, record: &[u8]) {
        if let Some(reorder) = self.reorders.front_mut()
            && let (Stage::Holding(_, held), true) = (&mut reorder.stage, is_last(record))
        {
            reorder.stage = Stage::Delaying(std::mem::take(held));
        }
    }

    /// Sends the event that was held, and is done with it.
    fn release(&mut self, send: &mut impl FnMut(&[u8])) {
        let Some(reorder) = self.reorders.pop_front() else { return };
        let (Stage::Holding(_, held) | Stage::Delaying(held)) = reorder.stage else { return };
        for record in held {
            self.mark(&record, send);
        }
    }

    /// Sends what is held: nothing will follow it.
    pub(super) fn flush(&mut self, send: &mut impl FnMut(&[u8])) {
        while self.is_holding() {
            self.release(send);
        }
    }

    fn mark(&mut self, record: &[u8], send: &mut impl FnMut(&[u8])) {
        if self.lost.is_empty() || !self.lost.remove(&stream_of(record)) {
            return send(record);
        }
        let mut marked = record.to_vec();
        if let Some(at) = Layout::of(record[1]).flags {
            marked[at] |= flags::MAYBE_BAD_BOOK;
        }
        send(&marked);
    }
}
