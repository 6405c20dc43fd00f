//! One channel of a venue: do its sequence numbers and times go on?

use crate::{
    checkpoint::{self, In, Out},
    record::MboMsg,
};

/// So many steps of one without a larger make a channel dense. A stream of one instrument has runs of hundreds by
/// chance (the ES recording jumps once in forty events), never of thousands.
pub const DENSE_STEPS: u64 = 4_096;
/// A sequence that falls further than this has begun anew, as venues' do every week; no reordering reaches so far.
const RESTART_STEPS: u32 = 1 << 20;
/// A ts_recv so far ahead is taken for damage, unless the next record agrees: markets rest over long weekends.
pub const FAR_NS: u64 = 4 * 24 * 60 * 60 * 1_000_000_000;

/// What a sequence number says of the records before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is missing that could be known to be missing.
    Good,
    /// So many numbers of a channel that skips none were skipped.
    Gap(u32),
    /// It should have come earlier.
    Back,
    /// The numbers begin anew.
    Restart,
}

/// What a ts_recv says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    Good,
    Back,
    Far,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Channel {
    /// publisher_id and channel_id.
    pub(super) key: u32,
    pub(super) ts_recv: u64,
    sequence: u32,
    has_begun: bool,
    /// Steps of one since the last larger step.
    steps: u64,
    /// A ts_recv that was too far ahead.
    far_ts_recv: u64,
}

impl Channel {
    pub(super) fn new(key: u32) -> Self {
        Self { key, ..Self::default() }
    }

    pub(super) fn write(&self, out: &mut Out) {
        out.varints([self.key, self.sequence].map(u64::from));
        out.bits([self.has_begun]);
        out.varints([self.ts_recv, self.steps, self.far_ts_recv]);
    }

    pub(super) fn read(input: &mut In<'_>) -> checkpoint::Result<Self> {
        let (key, sequence) = (input.narrow("a channel of")?, input.narrow("a sequence of")?);
        let has_begun = input.bool()?;
        let ts_recv = input.varint()?;
        let [steps] = input.counts()?;
        Ok(Self { key, ts_recv, sequence, has_begun, steps, far_ts_recv: input.varint()? })
    }

    /// Takes a record that says nothing new; false (and takes nothing) if it needs a closer look.
    #[inline(always)]
    pub(super) fn take_plain(&mut self, sequence: u32, ts_recv: u64) -> bool {
        let step = sequence.wrapping_sub(self.sequence);
        let is_plain = self.has_begun
            & (sequence != 0)
            & (ts_recv.wrapping_sub(self.ts_recv) < FAR_NS)
            & ((step <= 1) | (self.steps < DENSE_STEPS && step < 1 << 31));
        if is_plain {
            self.steps = if step <= 1 { self.steps + u64::from(step) } else { 0 };
            self.sequence = sequence;
            self.ts_recv = ts_recv;
        }
        is_plain
    }

    /// Takes a sequence number; `is_repeating`: numbers that were seen before are expected.
    pub(super) fn take_sequence(&mut self, sequence: u32, is_repeating: bool) -> Step {
        // None, but where it is the number after the last of all.
        if sequence == 0 && self.sequence != u32::MAX {
            return Step::Good;
        }
        let step = sequence.wrapping_sub(self.sequence);
        let is_back = self.has_begun && step >= 1 << 31;
        if is_back && is_repeating {
            return Step::Good;
        }
        let is_dense = self.steps >= DENSE_STEPS;
        self.steps = if self.has_begun && step <= 1 { self.steps + u64::from(step) } else { 0 };
        self.sequence = sequence;
        if !std::mem::replace(&mut self.has_begun, true) || step <= 1 {
            return Step::Good;
        }
        match (is_back, is_dense) {
            (true, _) if step.wrapping_neg() > RESTART_STEPS => Step::Restart,
            (true, _) => Step::Back,
            (false, true) => Step::Gap(step - 1),
            (false, false) => Step::Good,
        }
    }

    /// A snapshot's Clear: its number means nothing unless it is the very next.
    pub(super) fn take_snapshot(&mut self, sequence: u32) {
        if self.has_begun && sequence == self.sequence.wrapping_add(1) {
            self.sequence = sequence;
            self.steps += 1;
        }
    }

    /// Takes a ts_recv that its record vouches for.
    pub(super) fn take_time(&mut self, ts_recv: u64, is_repeating: bool) -> Time {
        if self.ts_recv == 0 && ts_recv != u64::MAX {
            self.ts_recv = ts_recv;
            return Time::Good;
        }
        if ts_recv < self.ts_recv {
            if is_repeating {
                return Time::Good;
            }
            // From here on: else every record would be late after one that was wrong.
            self.ts_recv = ts_recv;
            return Time::Back;
        }
        if ts_recv - self.ts_recv < FAR_NS {
            self.ts_recv = ts_recv;
            self.far_ts_recv = 0;
            return Time::Good;
        }
        let is_confirmed = self.far_ts_recv != 0 && ts_recv.wrapping_sub(self.far_ts_recv) < FAR_NS;
        if is_confirmed && ts_recv != u64::MAX {
            self.ts_recv = ts_recv;
            self.far_ts_recv = 0;
            return Time::Good;
        }
        self.far_ts_recv = ts_recv;
        Time::Far
    }
}

#[inline(always)]
pub(super) fn channel_key(record: &MboMsg) -> u32 {
    u32::from(record.hd.publisher_id) << 8 | u32::from(record.channel_id)
}

/// Few channels carry what one connection can: they are gone through one by one.
#[inline(never)]
pub(super) fn find_channel(channels: &mut Vec<Channel>, key: u32) -> usize {
    channels.iter().position(|channel| channel.key == key).unwrap_or_else(|| {
        channels.push(Channel::new(key));
        channels.len() - 1
    })
}
