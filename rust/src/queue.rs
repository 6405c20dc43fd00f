//! Where orders lie: one arena per book, threaded into a FIFO queue per price level, found by id.
//!
//! An order is 32 bytes, so two share a cache line, and its links are 32-bit slot numbers instead of pointers. Freed
//! slots are chained through `next` and reused first: memory follows the most orders that ever rested at once, not the
//! orders ever seen.
//! The price is paid in one case: a queue that was built from scattered free slots is walked in scattered order.

use std::hint::select_unpredictable;

use crate::{
    id_map::{IdMap, NIL, Place, Tag, prefetch},
    levels::LevelSlot,
};

/// One resting order, or a free slot chained through `next`.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct OrderSlot {
    pub(crate) id: u64,
    /// ts_event of the record that gave the order its place in the queue.
    pub(crate) ts_event: u64,
    pub(crate) size: u32,
    pub(crate) level: u32,
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

const NO_ORDER: OrderSlot = OrderSlot { id: 0, ts_event: 0, size: 0, level: NIL, prev: NIL, next: NIL };

#[derive(Clone)]
pub(crate) struct Orders {
    /// The first is nobody's: links that lead nowhere lead to it.
    slots: Vec<OrderSlot>,
    free: u32,
    ids: IdMap,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self { slots: vec![NO_ORDER], free: NIL, ids: IdMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Where an order's id stands, or would stand.
    #[inline(always)]
    pub(crate) fn find(&self, id: u64) -> Place {
        self.find_tagged(self.tag(id), id)
    }

    /// [`find`](Self::find), with the id's tag already at hand.
    #[inline(always)]
    pub(crate) fn find_tagged(&self, tag: Tag, id: u64) -> Place {
        let slots = self.slots.as_slice();
        self.ids.find(tag, |slot| slots[slot as usize].id == id)
    }

    #[inline(always)]
    pub(crate) fn get(&self, slot: u32) -> &OrderSlot {
        &self.slots[slot as usize]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut OrderSlot {
        &mut self.slots[slot as usize]
    }

    /// A slot for a new order whose id was missed at `place`; in no queue yet.
    #[inline(always)]
    pub(crate) fn insert(&mut self, place: Place, id: u64, ts_event: u64, size: u32) -> u32 {
        let order = OrderSlot { id, ts_event, size, level: NIL, prev: NIL, next: NIL };
        let slot = if self.free == NIL {
            self.grow_by(order)
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].next;
            self.slots[slot as usize] = order;
            slot
        };
        self.ids.insert(place, slot);
        slot
    }

    /// By a quarter, not by doubling as a `Vec` would: what was once grown stays for the day, and half-empty arenas would be
    /// the largest part of a market's memory.
    #[cold]
    fn grow_by(&mut self, order: OrderSlot) -> u32 {
        const GROWN_MIN: usize = 16;
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 4).max(GROWN_MIN));
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 orders");
        self.slots.push(order);
        slot
    }

    /// Forgets an order that is in no queue any more.
    #[inline(always)]
    pub(crate) fn remove(&mut self, place: Place) {
        self.ids.remove(place);
        self.slots[place.slot as usize].next = self.free;
        self.free = place.slot;
    }

    /// Puts an order at the back of a level's queue and adds it to the level's totals.
    ///
    /// Here and in [`unlink`](Self::unlink) a link that leads nowhere is written through all the same: whether an
    /// order has a neighbour is as good as random, and a wrong guess of the processor costs more than a write.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, level: &mut LevelSlot, level_slot: u32, slot: u32) {
        let tail = level.tail;
        let order = &mut self.slots[slot as usize];
        order.level = level_slot;
        order.prev = tail;
        order.next = NIL;
        level.size += u64::from(order.size);
        level.count += 1;
        level.tail = slot;
        level.head = select_unpredictable(tail == NIL, slot, level.head);
        self.slots[tail as usize].next = slot;
    }

    /// Takes an order out of a level's queue and off the level's totals.
    #[inline(always)]
    pub(crate) fn unlink(&mut self, level: &mut LevelSlot, slot: u32) {
        let OrderSlot { size, prev, next, .. } = self.slots[slot as usize];
        level.size -= u64::from(size);
        level.count -= 1;
        level.head = select_unpredictable(prev == NIL, next, level.head);
        level.tail = select_unpredictable(next == NIL, prev, level.tail);
        self.slots[prev as usize].next = next;
        self.slots[next as usize].prev = prev;
    }

    /// The orders of a queue in priority order.
    pub(crate) fn queue(&self, level: &LevelSlot) -> impl Iterator<Item = &OrderSlot> {
        let mut slot = level.head;
        std::iter::from_fn(move || {
            if slot == NIL {
                return None;
            }
            let order = self.get(slot);
            slot = order.next;
            Some(order)
        })
    }

    /// Removes every order. Costs no more than a few times the number of orders there were, however large the id
    /// table has grown: a feed that clears after every order must not pay for the table each time.
    pub(crate) fn clear<'a>(&mut self, levels: impl Iterator<Item = &'a LevelSlot>) {
        const FILL_BYTES_PER_REMOVAL: usize = 128;
        if self.len() * FILL_BYTES_PER_REMOVAL < self.ids.memory_bytes() {
            for level in levels {
                let mut slot = level.head;
                while slot != NIL {
                    let order = *self.get(slot);
                    self.ids.remove(self.find(order.id));
                    slot = order.next;
                }
            }
        } else {
            self.ids.clear();
        }
        self.slots.clear();
        self.slots.push(NO_ORDER);
        self.free = NIL;
    }

    #[inline(always)]
    pub(crate) fn tag(&self, id: u64) -> Tag {
        self.ids.tag(id)
    }

    #[inline(always)]
    pub(crate) fn prefetch_entry(&self, tag: Tag) {
        self.ids.prefetch(tag);
    }

    /// Asks for the slot that the order of this tag probably has.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, tag: Tag) {
        self.prefetch(self.ids.guess(tag));
    }

    #[inline(always)]
    pub(crate) fn prefetch_neighbours(&self, tag: Tag) {
        let order = self.get(self.ids.guess(tag));
        self.prefetch(order.prev);
        self.prefetch(order.next);
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        // Links of free slots and of the first slot are whatever was written there last.
        if let Some(order) = self.slots.get(slot as usize) {
            prefetch(order);
        }
    }

    /// Whether the id table leads from the order's id to exactly this slot.
    pub(crate) fn indexed(&self, slot: u32) -> bool {
        self.ids.holds(self.get(slot).id, slot)
    }

    /// Bytes held by arena and id table.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<OrderSlot>() + self.ids.memory_bytes()
    }

    /// Number of free slots, counted along the chain; `None` if the chain is longer than the arena.
    pub(crate) fn free_slots(&self) -> Option<usize> {
        let mut count = 0;
        let mut slot = self.free;
        while slot != NIL {
            count += 1;
            if count > self.slots() {
                return None;
            }
            slot = self.slots[slot as usize].next;
        }
        Some(count)
    }

    /// Slots in use or free.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len() - 1
    }
}
