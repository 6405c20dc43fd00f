//! The time that a recorded record gets on its way out.

use dbn::{RecordHeader, UNDEF_TIMESTAMP};

use super::layout::{Layout, u64_at};

const NS_PER_S: u128 = 1_000_000_000;
/// Fixed-point bits of [`Pace::speed`]: a day is off by less than 40 ns, and equally in every session.
const SPEED_BITS: u32 = 40;

/// How recorded time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Recorded time, this often 2^-40 of it.
    Scaled(u64),
    /// This many records a second, whatever their times.
    Rate(u64),
}

impl Pace {
    /// Recorded time, so many times as fast.
    ///
    /// # Errors
    /// Unless the speed lies between a millionth and a million.
    pub fn speed(speed: f64) -> Result<Self, String> {
        if !(1e-6..=1e6).contains(&speed) {
            return Err(format!("speed {speed}, expected 0.000001 to 1000000"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2^20 and 2^60")]
        Ok(Self::Scaled((f64::from(2u32).powi(SPEED_BITS as i32) / speed).round() as u64))
    }
}

/// Gives records fresh times: a function of nothing but the origin and a record's place or recorded time, so that all
/// sessions of one clock send the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What the tape's first record gets, ns.
    pub origin_ns: u64,
    /// How time runs from there.
    pub pace: Pace,
}

impl Clock {
    /// The time of record `index` (over all passes), recorded `since_first_ns` after the tape's first.
    #[inline]
    pub(super) fn time_ns(&self, index: u64, since_first_ns: i128) -> u64 {
        let since_origin_ns = match self.pace {
            // Saturating: a recording with absurd times, often enough, must still be later and later.
            Pace::Scaled(factor) => since_first_ns.saturating_mul(i128::from(factor)) >> SPEED_BITS,
            Pace::Rate(rate) => i128::try_from(u128::from(index) * NS_PER_S / u128::from(rate)).unwrap_or(i128::MAX),
        };
        let time_ns = i128::from(self.origin_ns).saturating_add(since_origin_ns);
        u64::try_from(time_ns.clamp(0, i128::from(UNDEF_TIMESTAMP - 1))).expect("within u64")
    }
}

/// Gives a record another time; its other time keeps its distance.
pub(super) fn restamp(record: &mut [u8], recorded_ns: u64, time_ns: u64) {
    const TS_EVENT: usize = std::mem::offset_of!(RecordHeader, ts_event);
    let shift_ns = time_ns.wrapping_sub(recorded_ns);
    for at in [Some(TS_EVENT), Layout::of(record[1]).ts_recv].into_iter().flatten() {
        let ts_ns = u64_at(record, at);
        if ts_ns != UNDEF_TIMESTAMP {
            record[at..at + 8].copy_from_slice(&ts_ns.wrapping_add(shift_ns).to_le_bytes());
        }
    }
}
