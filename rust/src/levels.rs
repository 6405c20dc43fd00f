//! The price levels of one book: a `BTreeMap` per side, from price to a slot with the level's totals and queue ends.
//!
//! A direct-mapped cache of `price → slot` stands in front of the trees. It needs no invalidation, since a slot says
//! itself which price it holds, and it grows with the number of levels up to [`CACHE_LINES_MAX`]. The tree is searched
//! when a level is new, dies, or its cache line was taken by another price: a book whose Adds are spread evenly over more
//! levels than that pays for it each time. The best level of each side is cached; finding the next one when it dies
//! costs one walk down the tree.

use std::collections::{BTreeMap, btree_map};

use crate::{
    id_map::{NIL, prefetch},
    record::Side,
};

const CACHE_LINES_MIN: usize = 16;
/// 64 KiB: more would push more valuable things out of the processor's own cache.
const CACHE_LINES_MAX: usize = 1 << 14;
/// Prices of one instrument are multiples of its tick, which the hash spreads nearly evenly: this many cache lines for
/// each of them make two of them meet rarely.
const CACHE_LINES_PER_LEVEL: usize = 2;

/// One price level with the ends of its queue. `size == 0` marks a free slot, chained through `head`.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct LevelSlot {
    pub(crate) price: i64,
    pub(crate) size: u64,
    pub(crate) count: u32,
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) side: Side,
}

impl LevelSlot {
    fn new(side: Side, price: i64) -> Self {
        Self { price, size: 0, count: 0, head: NIL, tail: NIL, side }
    }
}

#[derive(Clone)]
pub(crate) struct Levels {
    /// The first is nobody's, see [`NIL`].
    slots: Vec<LevelSlot>,
    free: u32,
    trees: [BTreeMap<i64, u32>; 2],
    best: [u32; 2],
    cache: Box<[u32]>,
    /// 64 − log2(cache lines).
    cache_shift: u32,
}

impl Levels {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![LevelSlot::new(Side::Bid, 0)],
            free: NIL,
            trees: [BTreeMap::new(), BTreeMap::new()],
            best: [NIL; 2],
            cache: Box::new([NIL; CACHE_LINES_MIN]),
            cache_shift: u64::BITS - CACHE_LINES_MIN.trailing_zeros(),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, slot: u32) -> &LevelSlot {
        &self.slots[slot as usize]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut LevelSlot {
        &mut self.slots[slot as usize]
    }

    #[inline(always)]
    fn cache_line(&self, side: Side, price: i64) -> usize {
        // Fibonacci hashing.
        let mixed = (price as u64 ^ ((side as u64) << 63)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> self.cache_shift) as usize
    }

    /// The slot of the level at this price, made if there is none.
    #[inline(always)]
    pub(crate) fn at(&mut self, side: Side, price: i64) -> u32 {
        let line = self.cache_line(side, price);
        let cached = self.cache[line];
        let level = self.get(cached);
        // One branch, not three: all of it is true nearly always.
        if (level.price == price) & (level.side == side) & (level.size != 0) {
            return cached;
        }
        let slot = self.in_tree(side, price);
        let line = self.cache_line(side, price);
        self.cache[line] = slot;
        slot
    }

    #[inline(never)]
    fn in_tree(&mut self, side: Side, price: i64) -> u32 {
        let vacant = match self.trees[side as usize].entry(price) {
            btree_map::Entry::Occupied(level) => return *level.get(),
            btree_map::Entry::Vacant(vacant) => vacant,
        };
        let level = LevelSlot::new(side, price);
        let slot = if self.free == NIL {
            let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 levels");
            self.slots.push(level);
            slot
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].head;
            self.slots[slot as usize] = level;
            slot
        };
        vacant.insert(slot);
        self.grow_cache();
        let best = &mut self.best[side as usize];
        let is_better = *best == NIL
            || match side {
                Side::Bid => price > self.slots[*best as usize].price,
                Side::Ask => price < self.slots[*best as usize].price,
            };
        if is_better {
            *best = slot;
        }
        slot
    }

    fn grow_cache(&mut self) {
        let wanted = (self.len(Side::Bid) + self.len(Side::Ask)) * CACHE_LINES_PER_LEVEL;
        if wanted > self.cache.len() && self.cache.len() < CACHE_LINES_MAX {
            self.set_cache_lines(self.cache.len() * 2);
        }
    }

    fn set_cache_lines(&mut self, lines: usize) {
        self.cache = vec![NIL; lines].into_boxed_slice();
        self.cache_shift = u64::BITS - lines.trailing_zeros();
    }

    /// Takes a level of size 0 out of the book.
    #[inline(never)]
    pub(crate) fn remove(&mut self, slot: u32) {
        let level = &mut self.slots[slot as usize];
        debug_assert!(level.size == 0 && level.count == 0);
        let tree = &mut self.trees[level.side as usize];
        tree.remove(&level.price);
        level.head = self.free;
        self.free = slot;
        let side = level.side;
        if self.best[side as usize] == slot {
            let next = match side {
                Side::Bid => tree.last_key_value(),
                Side::Ask => tree.first_key_value(),
            };
            self.best[side as usize] = next.map_or(NIL, |(_, slot)| *slot);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.truncate(1);
        self.free = NIL;
        self.trees.iter_mut().for_each(BTreeMap::clear);
        self.best = [NIL; 2];
        self.set_cache_lines(CACHE_LINES_MIN);
    }

    #[inline]
    pub(crate) fn best(&self, side: Side) -> Option<&LevelSlot> {
        let best = self.best[side as usize];
        (best != NIL).then(|| self.get(best))
    }

    pub(crate) fn len(&self, side: Side) -> usize {
        self.trees[side as usize].len()
    }

    pub(crate) fn find(&self, side: Side, price: i64) -> Option<&LevelSlot> {
        self.trees[side as usize].get(&price).map(|slot| self.get(*slot))
    }

    /// Slots of a side's levels, best first, each with the price under which the tree holds it.
    pub(crate) fn entries(&self, side: Side) -> impl Iterator<Item = (i64, u32)> {
        let tree = &self.trees[side as usize];
        let (mut up, mut down) = match side {
            Side::Bid => (None, Some(tree.iter().rev())),
            Side::Ask => (Some(tree.iter()), None),
        };
        std::iter::from_fn(move || {
            let entry = match (&mut up, &mut down) {
                (Some(entries), _) => entries.next(),
                (_, Some(entries)) => entries.next(),
                _ => None,
            };
            entry.map(|(price, slot)| (*price, *slot))
        })
    }

    /// A side's levels, best first.
    pub(crate) fn iter(&self, side: Side) -> impl Iterator<Item = &LevelSlot> {
        self.entries(side).map(|(_, slot)| self.get(slot))
    }

    /// Bytes held by level slots, in use or not, and by the cache; without the trees' nodes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<LevelSlot>() + size_of_val(&*self.cache)
    }

    /// Slots in use or free, and those of them that are free by their own account.
    pub(crate) fn slots(&self) -> (usize, usize) {
        let free = self.slots.iter().skip(1).filter(|level| level.size == 0).count();
        (self.slots.len() - 1, free)
    }

    /// Asks for the cache line (the processor's) of the cache line (ours) of a price.
    #[inline(always)]
    pub(crate) fn prefetch_cached(&self, side: Side, price: i64) {
        prefetch(&self.cache[self.cache_line(side, price)]);
    }

    /// The slot that the level at this price probably has, or any: to be prefetched, not to be believed.
    #[inline(always)]
    pub(crate) fn guess(&self, side: Side, price: i64) -> u32 {
        self.cache[self.cache_line(side, price)]
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(level) = self.slots.get(slot as usize) {
            prefetch(level);
        }
    }
}
