//! `price → level slot`, most of the time: a direct-mapped cache in front of the trees of price levels.
//!
//! Prices of one instrument are multiples of its tick, so a price divided by the tick, modulo the number of lines, gives
//! neighbouring levels neighbouring lines, and no two of them the same. (A multiplicative hash of the price itself meets
//! itself in a quarter of the lookups, for some ticks.) The tick is learnt from the prices near the touch, when the
//! cache is made and again when it has missed as often as it has lines. Nothing depends on it being right: a price that
//! is no multiple goes to some line or other.
//!
//! The division is exact, so it is a shift and a multiplication by the inverse of the tick's odd part modulo 2^64.
//!
//! It loses where a book is wider than the lines, tick for tick, or has ticks of many sizes: then two levels share a
//! line, and the later use of the other searches the tree.

use crate::id_map::{NIL, prefetch};

const LINES_MIN: usize = 16;
/// 64 KiB: more would push more valuable things out of the processor's own cache.
const LINES_MAX: usize = 1 << 14;
const LINES_PER_LEVEL: usize = 2;

#[derive(Clone)]
pub(crate) struct PriceCache {
    lines: Box<[u32]>,
    /// Of the tick's odd part, modulo 2^64.
    inverse: u64,
    /// How often two divides the tick.
    shift: u32,
    misses: usize,
}

impl PriceCache {
    pub(crate) fn new() -> Self {
        Self { lines: Box::new([NIL; LINES_MIN]), inverse: 1, shift: 0, misses: 0 }
    }

    #[inline(always)]
    fn line(&self, price: i64) -> usize {
        let ticks = (price as u64).wrapping_mul(self.inverse) >> self.shift;
        ticks as usize & (self.lines.len() - 1)
    }

    /// The slot that the level at this price probably has.
    #[inline(always)]
    pub(crate) fn get(&self, price: i64) -> u32 {
        self.lines[self.line(price)]
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, price: i64, slot: u32) {
        let line = self.line(price);
        self.lines[line] = slot;
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, price: i64) {
        prefetch(&self.lines[self.line(price)]);
    }

    /// Notes that a level was there that the cache did not lead to; says whether it is time to [`learn`](Self::learn).
    pub(crate) fn missed(&mut self) -> bool {
        self.misses += 1;
        self.misses > self.lines.len()
    }

    /// Whether a book of so many levels needs more lines.
    pub(crate) fn is_small_for(&self, levels: usize) -> bool {
        levels * LINES_PER_LEVEL > self.lines.len() && self.lines.len() < LINES_MAX
    }

    /// Starts afresh for a book of so many levels, some of which are at these prices.
    pub(crate) fn learn(&mut self, levels: usize, prices: impl Iterator<Item = i64>) {
        let lines = (levels * LINES_PER_LEVEL).next_power_of_two().clamp(LINES_MIN, LINES_MAX);
        self.lines = vec![NIL; lines].into_boxed_slice();
        self.misses = 0;
        let tick = prices.fold(0, |tick, price| gcd(price.unsigned_abs(), tick)).max(1);
        self.shift = tick.trailing_zeros();
        self.inverse = inverse_of_odd(tick >> self.shift);
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Newton's iteration doubles the number of right bits each time, from the three that an odd number has of its own.
fn inverse_of_odd(odd: u64) -> u64 {
    (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_levels_get_lines_of_their_own() {
        for tick in [1, 10_000, 250_000_000, 10_000_000, 15_625_000, 3_125_000, 7] {
            for first in [0, 64_000_000_000 / tick * tick, -40 * tick] {
                let prices = || (0..100).map(|i| first + i * tick);
                let mut cache = PriceCache::new();
                cache.learn(100, prices());
                for (slot, price) in (1..).zip(prices()) {
                    cache.set(price, slot);
                }
                assert!((1..).zip(prices()).all(|(slot, price)| cache.get(price) == slot), "tick {tick} from {first}");
            }
        }
    }

    #[test]
    fn an_inverse_undoes_its_number() {
        for odd in [1, 3, 5, 78_125, 152_587_890_625, u64::MAX, 0x9E37_79B9_7F4A_7C15] {
            assert_eq!(odd.wrapping_mul(inverse_of_odd(odd)), 1, "{odd}");
        }
    }

    #[test]
    fn odd_prices_are_no_trouble() {
        let mut cache = PriceCache::new();
        cache.learn(3, [i64::MIN, i64::MAX - 1, 0].into_iter());
        cache.set(i64::MIN, 5);
        assert_eq!(cache.get(i64::MIN), 5);
        cache.learn(0, std::iter::empty());
        assert_eq!(cache.get(i64::MIN), NIL);
    }
}
