//! The price levels of one book: a `BTreeMap` per side, from price to a slot with the level's totals and queue ends.
//!
//! A cache of `price → slot` stands in front of the trees. It needs no invalidation, since a slot says itself which
//! price it holds. The tree is searched when a level is new, dies, or its place in the cache was taken by another price.
//! The best level of each side is cached too; finding the next one when it dies costs one walk down the tree.

use std::collections::{BTreeMap, btree_map};

use crate::{
    id_map::{NIL, prefetch},
    price_cache::PriceCache,
    record::Side,
};

/// Levels of each side from whose prices the cache learns the tick.
const LEARN_LEVELS: usize = 64;

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
    cache: PriceCache,
}

impl Levels {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![LevelSlot::new(Side::Bid, 0)],
            free: NIL,
            trees: [BTreeMap::new(), BTreeMap::new()],
            best: [NIL; 2],
            cache: PriceCache::new(),
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

    /// The slot of the level at this price, made if there is none.
    #[inline(always)]
    pub(crate) fn at(&mut self, side: Side, price: i64) -> u32 {
        let cached = self.cache.get(price);
        let level = self.get(cached);
        // One branch, not three: all of it is true nearly always.
        if (level.price == price) & (level.side == side) & (level.size != 0) {
            return cached;
        }
        self.in_tree(side, price)
    }

    #[inline(never)]
    fn in_tree(&mut self, side: Side, price: i64) -> u32 {
        let vacant = match self.trees[side as usize].entry(price) {
            btree_map::Entry::Occupied(level) => {
                let slot = *level.get();
                if self.cache.missed() {
                    self.learn();
                }
                self.cache.set(price, slot);
                return slot;
            }
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
        let best = &mut self.best[side as usize];
        let is_better = *best == NIL
            || match side {
                Side::Bid => price > self.slots[*best as usize].price,
                Side::Ask => price < self.slots[*best as usize].price,
            };
        if is_better {
            *best = slot;
        }
        if self.cache.is_small_for(self.len(Side::Bid) + self.len(Side::Ask)) {
            self.learn();
        }
        self.cache.set(price, slot);
        slot
    }

    #[cold]
    fn learn(&mut self) {
        let near = |side| self.entries(side).take(LEARN_LEVELS).map(|(price, _)| price);
        let prices: Vec<i64> = near(Side::Bid).chain(near(Side::Ask)).collect();
        self.cache.learn(self.len(Side::Bid) + self.len(Side::Ask), prices.into_iter());
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
        self.cache = PriceCache::new();
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

    /// Appends a side's best `depth` levels, best first: [`iter`](Self::iter) without asking at each step which way to go.
    pub(crate) fn extend_best<T>(&self, side: Side, depth: usize, out: &mut Vec<T>, of: impl Fn(&LevelSlot) -> T) {
        let tree = &self.trees[side as usize];
        let of = |slot: &u32| of(self.get(*slot));
        match side {
            Side::Bid => out.extend(tree.values().rev().take(depth).map(of)),
            Side::Ask => out.extend(tree.values().take(depth).map(of)),
        }
    }

    /// Bytes held by level slots, in use or not, and by the cache; without the trees' nodes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<LevelSlot>() + self.cache.memory_bytes()
    }

    /// Slots in use or free, and those of them that are free by their own account.
    pub(crate) fn slots(&self) -> (usize, usize) {
        let free = self.slots.iter().skip(1).filter(|level| level.size == 0).count();
        (self.slots.len() - 1, free)
    }

    /// Asks for the place where the cache may know a price.
    #[inline(always)]
    pub(crate) fn prefetch_cached(&self, price: i64) {
        self.cache.prefetch(price);
    }

    /// The slot that the level at this price probably has, or any: to be prefetched, not to be believed.
    #[inline(always)]
    pub(crate) fn guess(&self, price: i64) -> u32 {
        self.cache.get(price)
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(level) = self.slots.get(slot as usize) {
            prefetch(level);
        }
    }
}
