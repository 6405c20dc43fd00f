//! `key → slot number` in one open-addressing table of eight-byte entries.
//!
//! Why not `HashMap<u64, u32>`: its entries are 16 bytes plus a control byte, and its SipHash costs more than the
//! rest of applying a message. Here an entry is a 32-bit tag (the top half of the hash) and a 32-bit slot number; the
//! key itself stands in the slot that the caller must read anyway. Eight entries share a cache line, so linear
//! probing at a load of at most 5/8 nearly always ends in the line it began in.
//!
//! - A tag holds all the bits its home position is made of, so growing and closing the gap after a removal never
//!   touch the slots.
//! - Removal shifts later entries back; there are no tombstones, so a day of churn leaves no trace.
//! - The hash is one 64×64→128 bit multiplication, folded, with two secret words per process: ids chosen to collide
//!   need the secret. It loses to a plain multiplicative hash by about a nanosecond.
//! - It loses to an array when ids are dense, and to nothing else that keeps arbitrary 64-bit ids.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

/// No slot: the end of a list, or an empty table entry.
pub(crate) const NIL: u32 = u32::MAX;

const CAPACITY_MIN: usize = 16;

#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    slot: u32,
}

const EMPTY: Entry = Entry { tag: 0, slot: NIL };

#[derive(Clone)]
pub(crate) struct IdMap {
    entries: Box<[Entry]>,
    /// 32 − log2(capacity): what turns a tag into its home position.
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
            entries: vec![EMPTY; CAPACITY_MIN].into_boxed_slice(),
            shift: 32 - CAPACITY_MIN.trailing_zeros(),
            len: 0,
            secret: process_secret(),
        }
    }

    #[inline(always)]
    fn tag(&self, key: u64) -> u32 {
        let wide = u128::from(key ^ self.secret[0]) * u128::from(self.secret[1]);
        (((wide >> 64) as u64 ^ wide as u64) >> 32) as u32
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline(always)]
    fn entry(&self, at: usize) -> Entry {
        debug_assert!(at < self.entries.len());
        // SAFETY: every position is either `home(tag)`, below 2^(32 − shift) = entries.len(), or masked by len − 1.
        unsafe { *self.entries.get_unchecked(at) }
    }

    /// The table position and slot of `key`, where `is_key(slot)` says whether a slot holds that key.
    #[inline(always)]
    pub(crate) fn find(&self, key: u64, is_key: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let tag = self.tag(key);
        let mask = self.mask();
        let mut at = self.home(tag);
        loop {
            let entry = self.entry(at);
            if entry.tag == tag && entry.slot != NIL && is_key(entry.slot) {
                return Some((at, entry.slot));
            }
            if entry.slot == NIL {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a key that is known to be absent.
    #[inline(always)]
    pub(crate) fn insert(&mut self, key: u64, slot: u32) {
        debug_assert!(slot != NIL);
        if (self.len + 1) * 8 > self.entries.len() * 5 {
            self.grow();
        }
        let tag = self.tag(key);
        self.place(Entry { tag, slot });
        self.len += 1;
    }

    #[inline(always)]
    fn place(&mut self, entry: Entry) {
        let mask = self.mask();
        let mut at = self.home(entry.tag);
        while self.entry(at).slot != NIL {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![EMPTY; self.entries.len() * 2].into_boxed_slice();
        let old = std::mem::replace(&mut self.entries, larger);
        self.shift -= 1;
        for entry in old.iter().filter(|entry| entry.slot != NIL) {
            self.place(*entry);
        }
    }

    /// Removes the entry at a position that [`find`](Self::find) returned, and closes the gap.
    #[inline(always)]
    pub(crate) fn remove_at(&mut self, at: usize) {
        let mask = self.mask();
        let mut gap = at;
        let mut next = at;
        loop {
            next = (next + 1) & mask;
            let entry = self.entry(next);
            if entry.slot == NIL {
                break;
            }
            let from_home = next.wrapping_sub(self.home(entry.tag)) & mask;
            let from_gap = next.wrapping_sub(gap) & mask;
            if from_home >= from_gap {
                self.entries[gap] = entry;
                gap = next;
            }
        }
        self.entries[gap] = EMPTY;
        self.len -= 1;
    }

    pub(crate) fn clear(&mut self) {
        self.entries.fill(EMPTY);
        self.len = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Asks the processor to load the line in which `key` will be looked for. A hint: it never faults.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: u64) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = self.home(self.tag(key));
            // SAFETY: the address lies within `entries` (see `entry`), and a prefetch does not access it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.entries.as_ptr().add(at).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = key;
    }

    /// The slot of an entry whose tag and slot agree with `key`, for `check()`: a plain scan of the probe sequence.
    pub(crate) fn holds(&self, key: u64, slot: u32) -> bool {
        self.find(key, |candidate| candidate == slot).is_some()
    }
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
            let mut keys: Vec<u64> = Vec::new();
            let mut std_map: HashMap<u64, u32> = HashMap::new();
            for (key, insert) in ops {
                let found = map.find(key, |slot| keys[slot as usize] == key);
                prop_assert_eq!(found.map(|(_, slot)| slot), std_map.get(&key).copied());
                match (insert, found) {
                    (true, None) => {
                        let slot = keys.len() as u32;
                        keys.push(key);
                        map.insert(key, slot);
                        std_map.insert(key, slot);
                    }
                    (false, Some((at, _))) => {
                        map.remove_at(at);
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

    #[test]
    fn grows_past_a_million_and_empties_again() {
        let mut map = IdMap::new();
        let key = |slot: u32| u64::from(slot) * 0x1_0000_0001;
        for slot in 0..1_000_000 {
            map.insert(key(slot), slot);
        }
        for slot in 0..1_000_000 {
            let (at, found) = map.find(key(slot), |s| s == slot).expect("inserted");
            assert_eq!(found, slot);
            map.remove_at(at);
        }
        assert_eq!(map.len(), 0);
        assert!(map.entries.iter().all(|entry| entry.slot == NIL));
    }
}
