//! Random numbers that are the same on every machine and in every release.
//!
//! The generator is written out here because the bytes of a stream are pinned by tests and used in benchmarks: the
//! `rand` crate reserves the right to change both its default generators and the algorithms of its distributions.

/// xoshiro256++ by Blackman and Vigna, its state filled by splitmix64 as its authors advise.
pub(super) struct Rng([u64; 4]);

/// P(k) = 0.9^k / 10, as 1,024 equally likely entries; the longest distance is a few dozen.
const GEOMETRIC: [u8; 1024] = {
    let mut table = [0; 1024];
    let (mut filled, mut k) = (0, 0);
    while filled < table.len() {
        let end = filled + (table.len() - filled).div_ceil(10);
        while filled < end {
            table[filled] = k;
            filled += 1;
        }
        k += 1;
    }
    table
};

impl Rng {
    pub(super) fn new(mut seed: u64) -> Self {
        Self(std::array::from_fn(|_| splitmix64(&mut seed)))
    }

    pub(super) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `0..bound`; the bias of one part in 2^32 is of no matter to a market.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Uniform in `0..bound` for bounds that do not fit in 32 bits.
    pub(super) fn below_u64(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// Geometric with p = 0.1, from 0.
    pub(super) fn geometric(&mut self) -> u32 {
        u32::from(GEOMETRIC[(self.next() >> 54) as usize])
    }

    /// Exponential around `mean`, in integers: a whole number of halvings, and evenly spread between two of them.
    pub(super) fn exponential(&mut self, mean: u64) -> u64 {
        let bits = self.next();
        let halvings = u64::from((bits | 1 << 47).trailing_zeros());
        // A halving is ln 2 means long; with the even spread the average is 1.5 of them, hence the two thirds.
        ((halvings << 16 | bits >> 48) * (mean * 2 / 3)) >> 16
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_reference_outputs() {
        assert_eq!(splitmix64(&mut 0), 0xe220_a839_7b1d_cdaf);
        let mut rng = Rng([1, 2, 3, 4]);
        let first: [u64; 5] = std::array::from_fn(|_| rng.next());
        assert_eq!(first, [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]);
    }

    #[test]
    fn distributions_have_the_means_they_claim() {
        let mut rng = Rng::new(7);
        let n = 1_000_000;
        let gaps: u64 = (0..n).map(|_| rng.exponential(120_000)).sum();
        assert!((gaps / n).abs_diff(120_000) < 1_000, "{}", gaps / n);
        let distances: u64 = (0..n).map(|_| u64::from(rng.geometric())).sum();
        assert!((800..900).contains(&(distances * 100 / n)), "{}", distances * 100 / n);
        assert!((0..n).all(|_| rng.below(3) < 3));
    }
}
