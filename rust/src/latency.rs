//! Percentiles of how long something took, in constant memory.

use hdrhistogram::Histogram;

/// Longer than this counts as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Summary of what was recorded. Nanoseconds; all zero when nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were recorded.
    pub count: u64,
    /// Half took at most this long.
    pub p50_ns: u64,
    /// Nine of ten took at most this long.
    pub p90_ns: u64,
    /// 99 of 100 took at most this long.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// A histogram of durations with two significant digits.
pub struct Latency(Histogram<u32>);

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 2);
        Self(histogram.expect("the bounds are valid"))
    }
}

impl Latency {
    /// Records one duration.
    #[inline]
    pub fn record(&mut self, took: std::time::Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(ns.max(1));
    }

    /// What was recorded since the last reset.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        if self.0.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.0.len(),
            p50_ns: self.0.value_at_quantile(0.50),
            p90_ns: self.0.value_at_quantile(0.90),
            p99_ns: self.0.value_at_quantile(0.99),
            max_ns: self.0.max(),
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}
