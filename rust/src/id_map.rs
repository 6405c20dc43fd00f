//! `key → slot number` in a hash table of buckets of one cache line each.
//!
//! Why not `HashMap<u64, u32>`: its entries are 16 bytes plus a control byte, and its SipHash costs more than the
//! rest of applying a message. Here an entry is a 32-bit tag (half of the hash) and a 32-bit slot number; the key itself
//! stands in the slot that the caller must read anyway.
//!
//! - A bucket holds seven entries; their tags are compared at once, without a loop whose end the processor would
//!   have to guess. With linear probing those wrong guesses cost more than the memory access.
//! - A key whose bucket is full goes to the next that is not, and every bucket on the way counts it: so a search knows
//!   where to stop, and removal leaves no tombstone: a day of churn leaves no trace.
//! - Tags hold all the bits that the bucket is chosen by, so growing never touches the slots.
//! - The hash is a 64×64→128 bit multiplication with two secret words per process, folded and mixed once more: ids chosen
//!   to collide need the secret, and ids in sequence meet with no secret. A plain multiplicative hash is a little cheaper.
//! - It loses to an array when ids are dense, and when fewer than a few dozen keys are held, to nearly anything.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

/// No slot: the end of a list, or an empty place in the table. Arenas keep their first slot unused for it, so that a
/// link can be followed or written without asking first whether it leads anywhere.
pub(crate) const NIL: u32 = 0;

const BUCKET_KEYS: usize = 7;
/// The table grows when it holds more keys per bucket than this. One bucket in twenty then passes keys on; with one key
/// more it would be one in seven, and the processor would guess wrong how far to search.
const BUCKET_KEYS_MEAN_MAX: usize = 4;
const BUCKETS_MIN: usize = 2;

/// Half of a key's hash; never [`NO_TAG`].
pub(crate) type Tag = u32;

/// Marks an empty place.
const NO_TAG: Tag = 0;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: [Tag; BUCKET_KEYS],
    /// Keys that belong here or before, and stand behind.
    passed_on: u32,
    /// One more than tags, always [`NIL`]: for guesses that match no tag.
    slots: [u32; BUCKET_KEYS + 1],
}

const ALL_PLACES: u32 = (1 << BUCKET_KEYS) - 1;

const EMPTY: Bucket = Bucket { tags: [NO_TAG; BUCKET_KEYS], passed_on: 0, slots: [NIL; BUCKET_KEYS + 1] };

impl Bucket {
    /// A bit for each place that holds this tag.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn places_of(&self, tag: Tag) -> u32 {
        use std::arch::x86_64::{_mm_castsi128_ps, _mm_cmpeq_epi32, _mm_load_si128, _mm_movemask_ps, _mm_set1_epi32};
        const { assert!(std::mem::offset_of!(Bucket, tags) == 0 && std::mem::offset_of!(Bucket, slots) == 32) };
        // SAFETY: SSE2 is part of x86-64; the bucket is aligned to 64 bytes and begins with 32 bytes of `u32`.
        let (low, high) = unsafe {
            let words = std::ptr::from_ref(self).cast();
            let wanted = _mm_set1_epi32(tag.cast_signed());
            let low = _mm_cmpeq_epi32(_mm_load_si128(words), wanted);
            let high = _mm_cmpeq_epi32(_mm_load_si128(words.add(1)), wanted);
            (_mm_movemask_ps(_mm_castsi128_ps(low)), _mm_movemask_ps(_mm_castsi128_ps(high)))
        };
        (low | high << 4).cast_unsigned() & ALL_PLACES
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn places_of(&self, tag: Tag) -> u32 {
        self.places_of_plainly(tag)
    }

    /// For processors of other kinds; the compiler finds vector instructions of its own.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn places_of_plainly(&self, tag: Tag) -> u32 {
        self.tags.iter().enumerate().fold(0, |all, (at, held)| all | u32::from(*held == tag) << at)
    }
}

/// Where a key stands in the table; good until the table changes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The slot; [`NIL`] if the key is absent.
    pub(crate) slot: u32,
    tag: Tag,
    bucket: u32,
    at: u32,
}

#[derive(Clone)]
pub(crate) struct IdMap {
    buckets: Box<[Bucket]>,
    /// 32 − log2(number of buckets): what turns a tag into its bucket.
    shift: u32,
    len: usize,
    secret: [u64; 2],
}

/// Two words that are the same for every table of the process, so that a map can be rebuilt from another's keys.
fn process_secret() -> [u64; 2] {
    static SECRET: OnceLock<[u64; 2]> = OnceLock::new();
    *SECRET.get_or_init(|| {
        let state = RandomState::new();
        [state.hash_one(1u8), state.hash_one(2u8) | 1]
    })
}

impl IdMap {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![EMPTY; BUCKETS_MIN].into_boxed_slice(),
            shift: 32 - BUCKETS_MIN.trailing_zeros(),
            len: 0,
            secret: process_secret(),
        }
    }

    #[inline(always)]
    pub(crate) fn tag(&self, key: u64) -> Tag {
        let wide = u128::from(key ^ self.secret[0]) * u128::from(self.secret[1]);
        let folded = (wide >> 64) as u64 ^ wide as u64;
        // Consecutive keys are still evenly spaced here, and with some secrets they would meet in few buckets.
        ((folded ^ folded >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 | 1
    }

    #[inline(always)]
    fn home(&self, tag: Tag) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline(always)]
    fn after(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// Where a key of this tag stands, where `is_key(slot)` says whether a slot holds that key.
    #[inline(always)]
    pub(crate) fn find(&self, tag: Tag, is_key: impl Fn(u32) -> bool) -> Place {
        let home = self.home(tag);
        let mut bucket = home;
        loop {
            let held = &self.buckets[bucket];
            let mut places = held.places_of(tag);
            while places != 0 {
                let at = places.trailing_zeros();
                let slot = held.slots[at as usize];
                if is_key(slot) {
                    return Place { slot, tag, bucket: bucket as u32, at };
                }
                places &= places - 1;
            }
            bucket = self.after(bucket);
            // Every bucket can have passed a key on, each at another time: then only the way round ends the search.
            if held.passed_on == 0 || bucket == home {
                return Place { slot: NIL, tag, bucket: 0, at: 0 };
            }
        }
    }

    /// Adds a key that [`find`](Self::find) missed.
    #[inline(always)]
    pub(crate) fn insert(&mut self, place: Place, slot: u32) {
        debug_assert!(slot != NIL && place.slot == NIL);
        self.len += 1;
        if self.len > self.buckets.len() * BUCKET_KEYS_MEAN_MAX {
            self.grow();
        }
        self.put(place.tag, slot);
    }

    #[inline(always)]
    fn put(&mut self, tag: Tag, slot: u32) {
        let mut bucket = self.home(tag);
        loop {
            let held = &mut self.buckets[bucket];
            let free = held.places_of(NO_TAG);
            if free != 0 {
                let at = free.trailing_zeros() as usize;
                held.tags[at] = tag;
                held.slots[at] = slot;
                return;
            }
            held.passed_on += 1;
            bucket = self.after(bucket);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let larger = vec![EMPTY; self.buckets.len() * 2].into_boxed_slice();
        let old = std::mem::replace(&mut self.buckets, larger);
        self.shift -= 1;
        for bucket in old {
            for (tag, slot) in bucket.tags.into_iter().zip(bucket.slots).filter(|(tag, _)| *tag != NO_TAG) {
                self.put(tag, slot);
            }
        }
    }

    /// Removes the key that [`find`](Self::find) found.
    #[inline(always)]
    pub(crate) fn remove(&mut self, place: Place) {
        let mut bucket = self.home(place.tag);
        while bucket != place.bucket as usize {
            self.buckets[bucket].passed_on -= 1;
            bucket = self.after(bucket);
        }
        let held = &mut self.buckets[bucket];
        debug_assert!(place.slot != NIL && held.slots[place.at as usize] == place.slot);
        held.tags[place.at as usize] = NO_TAG;
        self.len -= 1;
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.fill(EMPTY);
        self.len = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Asks for the bucket in which a key of this tag will be looked for.
    #[inline(always)]
    pub(crate) fn prefetch(&self, tag: Tag) {
        prefetch(&self.buckets[self.home(tag)]);
    }

    /// The slot that a key of this tag most likely has, or any: to be prefetched, not to be believed.
    #[inline(always)]
    pub(crate) fn guess(&self, tag: Tag) -> u32 {
        let held = &self.buckets[self.home(tag)];
        held.slots[(held.places_of(tag) | 1 << BUCKET_KEYS).trailing_zeros() as usize]
    }

    /// Whether `key` leads to exactly this slot, for `check()`.
    pub(crate) fn holds(&self, key: u64, slot: u32) -> bool {
        self.find(self.tag(key), |candidate| candidate == slot).slot == slot
    }
}

/// Asks the processor to load what lies here. A hint: it changes nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(at: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch accesses no memory and never faults; and this address is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few distinct keys and many removals, so that probe runs wrap, merge and split.
        #[test]
        fn agrees_with_std(ops in prop::collection::vec((0u64..40, any::<bool>()), 0..400)) {
            let mut map = IdMap::new();
            let mut keys: Vec<u64> = vec![u64::MAX];
            let mut std_map: HashMap<u64, u32> = HashMap::new();
            for (key, insert) in ops {
                let place = map.find(map.tag(key), |slot| keys[slot as usize] == key);
                prop_assert_eq!(place.slot, std_map.get(&key).copied().unwrap_or(NIL));
                match (insert, place.slot != NIL) {
                    (true, false) => {
                        let slot = keys.len() as u32;
                        keys.push(key);
                        map.insert(place, slot);
                        std_map.insert(key, slot);
                    }
                    (false, true) => {
                        map.remove(place);
                        std_map.remove(&key);
                    }
                    _ => {}
                }
                prop_assert_eq!(map.len(), std_map.len());
            }
            for (key, slot) in &std_map {
                prop_assert!(map.holds(*key, *slot));
            }
        }
    }

    proptest! {
        #[test]
        fn tags_are_compared_alike_on_every_processor(tags: [u8; BUCKET_KEYS], passed_on in 0u32..3, tag in 0u32..3) {
            let tags = tags.map(|tag| u32::from(tag % 3));
            let bucket = Bucket { tags, passed_on, ..EMPTY };
            prop_assert_eq!(bucket.places_of(tag), bucket.places_of_plainly(tag));
        }
    }

    #[test]
    fn grows_past_a_million_and_empties_again() {
        let mut map = IdMap::new();
        let key = |slot: u32| u64::from(slot) * 0x1_0000_0001;
        for slot in 1..=1_000_000 {
            map.insert(map.find(map.tag(key(slot)), |s| s == slot), slot);
        }
        for slot in 1..=1_000_000 {
            let place = map.find(map.tag(key(slot)), |s| s == slot);
            assert_eq!(place.slot, slot);
            map.remove(place);
        }
        assert_eq!(map.len(), 0);
        assert!(map.buckets.iter().all(|held| held.tags == [NO_TAG; BUCKET_KEYS] && held.passed_on == 0));
    }

    /// Both buckets have passed a key on, at different times; a search that only stops where none was passed on never ends.
    #[test]
    fn a_search_ends_where_every_bucket_has_passed_a_key_on() {
        const KEYS: usize = BUCKETS_MIN * BUCKET_KEYS_MEAN_MAX;
        let mut map = IdMap::new();
        let find = |map: &IdMap, key: u64| map.find(map.tag(key), |slot| u64::from(slot) == key);
        let keys_of = |map: &IdMap, bucket| (1..1000u64).filter(|key| map.home(map.tag(*key)) == bucket).collect();
        let homes: [Vec<u64>; 2] = [keys_of(&map, 0), keys_of(&map, 1)];
        let insert = |map: &mut IdMap, key: u64| map.insert(find(map, key), key as u32);
        homes[0][..KEYS].iter().for_each(|key| insert(&mut map, *key));
        // Stays: the last, which stands in the second bucket.
        homes[0][..KEYS - 1].iter().for_each(|key| map.remove(find(&map, *key)));
        homes[1][..KEYS - 1].iter().for_each(|key| insert(&mut map, *key));
        assert!(map.buckets.iter().all(|held| held.passed_on > 0));
        for absent in [homes[0][KEYS], homes[1][KEYS]] {
            assert_eq!(find(&map, absent).slot, NIL);
        }
    }

    fn longest_way(map: &IdMap) -> usize {
        let counts = map.buckets.iter().chain(&map.buckets).map(|held| held.passed_on);
        let runs = counts.scan(0, |run, passed_on| {
            *run = if passed_on == 0 { 0 } else { *run + 1 };
            Some(*run)
        });
        runs.max().unwrap_or(0)
    }

    /// Whoever knows the secret can choose ids that all meet in one bucket; for whoever does not, they are ids like others.
    #[test]
    fn ids_that_collide_under_one_secret_do_not_under_another() {
        const KEYS: usize = 20_000;
        let map_with = |secret| IdMap { secret, ..IdMap::new() };
        let known = [0x0123_4567_89AB_CDEF, 0x9E37_79B9_7F4A_7C15];
        let victim = map_with(known);
        let bad: Vec<u64> = (0..).filter(|key| victim.tag(*key) >> 20 == 0x5A5).take(KEYS).collect();
        let fill = |mut map: IdMap| {
            for (slot, key) in (1..).zip(&bad) {
                map.insert(map.find(map.tag(*key), |held| bad[held as usize - 1] == *key), slot);
            }
            longest_way(&map)
        };
        assert!(fill(map_with(known)) > 1000, "these keys were chosen to collide");
        for words in [[1, 3], [u64::MAX, 0xDEAD_BEEF_0BAD_F00D]] {
            assert!(fill(map_with(words.map(|word| word | 1 << 40))) < 16);
        }
        assert!(fill(IdMap::new()) < 16, "the secret of this process");
    }

    /// The first of these secrets is one with which a multiplication alone sends consecutive ids to a fifth of the buckets.
    #[test]
    fn ids_in_sequence_spread_with_every_secret() {
        const KEYS: u32 = 20_000;
        let mut state = 7u64;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ state >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD)
        };
        let unlucky = [0x7906_02f3_074e_425a, 0xcccd_0f5f_470d_c57f];
        let edges = [[0, 1], [0, u64::MAX], [0, 1 << 63 | 1], unlucky];
        let secrets = edges.into_iter().chain(std::iter::repeat_with(|| [word(), word() | 1]).take(60));
        for secret in secrets {
            for step in [1, 2, 16, 1000, 1 << 20, 1 << 32, 1 << 40] {
                let mut map = IdMap { secret, ..IdMap::new() };
                for slot in 1..=KEYS {
                    let key = 8_058_566_000_000u64.wrapping_add(u64::from(slot).wrapping_mul(step));
                    map.insert(map.find(map.tag(key), |_| false), slot);
                }
                // With secrets as poor as the first three, the multiplication does nothing for steps beyond 32 bits.
                let is_poor = secret[1].count_ones() < 3 || secret[1] == u64::MAX;
                assert!(is_poor || longest_way(&map) < 16, "secret {secret:x?}, step {step}: {}", longest_way(&map));
            }
        }
    }
}
