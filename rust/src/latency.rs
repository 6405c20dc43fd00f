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

/// Upper bounds, inclusive, of the buckets in which all that was ever recorded is counted; what is longer has one more.
pub const BUCKET_BOUNDS_NS: [u64; 22] = [
    25,
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
];

/// Everything that was recorded since the start, whatever was reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many were in each bucket and in none before it; the last are longer than every bound.
    pub counts: [u64; BUCKET_BOUNDS_NS.len() + 1],
    /// Sum of all, to two significant digits each.
    pub sum_ns: u64,
}

/// A histogram of durations with two significant digits.
pub struct Latency {
    window: Histogram<u32>,
    /// Of the windows before.
    past: Totals,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 2);
        Self { window: histogram.expect("the bounds are valid"), past: Totals::default() }
    }
}

impl Latency {
    /// Records one duration.
    #[inline]
    pub fn record(&mut self, took: std::time::Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.window.saturating_record(ns.max(1));
    }

    /// What was recorded since the last reset.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let window = &self.window;
        if window.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: window.len(),
            p50_ns: window.value_at_quantile(0.50),
            p90_ns: window.value_at_quantile(0.90),
            p99_ns: window.value_at_quantile(0.99),
            max_ns: window.max(),
        }
    }

    /// Everything so far. Buckets are filled when somebody asks, so that recording pays nothing for them.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.past;
        for value in self.window.iter_recorded() {
            let (ns, count) = (self.window.lowest_equivalent(value.value_iterated_to()), value.count_at_value());
            totals.counts[BUCKET_BOUNDS_NS.partition_point(|bound| *bound < ns)] += u64::from(count);
            totals.sum_ns = totals.sum_ns.saturating_add(ns.saturating_mul(u64::from(count)));
        }
        totals
    }

    /// Begins a new window; totals go on.
    pub fn reset(&mut self) {
        self.past = self.totals();
        self.window.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn totals_outlast_windows_and_are_in_the_bucket_whose_bound_they_reach() {
        let mut latency = Latency::default();
        for ns in [25, 26, 1_000] {
            latency.record(Duration::from_nanos(ns));
        }
        latency.reset();
        assert_eq!(latency.percentiles().count, 0);
        latency.record(Duration::from_secs(2));
        let totals = latency.totals();
        let filled: Vec<usize> = (0..totals.counts.len()).filter(|bucket| totals.counts[*bucket] == 1).collect();
        assert_eq!(filled, [0, 1, 5, BUCKET_BOUNDS_NS.len()]);
        assert_eq!(totals.counts.iter().sum::<u64>(), 4);
        assert!(totals.sum_ns.abs_diff(2_000_001_051) < 20_000_000);
    }
}
