//! Where orders lie: one arena per book, threaded into a FIFO queue per price level, found by id.
//!
//! An order is 32 bytes, so two share a cache line, and its links are 32-bit slot numbers instead of pointers. Freed
//! slots are chained through `next` and reused first: memory follows the orders that rest, not the orders ever seen.
//! The price is paid in one case: a queue that was built from scattered free slots is walked in scattered order.

use crate::id_map::{IdMap, NIL};

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

/// One price level with the ends of its queue. `size == 0` marks a free slot, chained through `head`.
#[derive(Clone, Copy)]
pub(crate) struct LevelSlot {
    pub(crate) price: i64,
    pub(crate) size: u64,
    pub(crate) count: u32,
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) side: u8,
}

#[derive(Clone)]
pub(crate) struct Orders {
    slots: Vec<OrderSlot>,
    free: u32,
    ids: IdMap,
}

/// An order found by id: its slot, and its place in the id table for a cheap removal.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) slot: u32,
    at: usize,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: NIL, ids: IdMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    #[inline(always)]
    pub(crate) fn find(&self, id: u64) -> Option<Found> {
        let slots = self.slots.as_slice();
        self.ids.find(id, |slot| slots[slot as usize].id == id).map(|(at, slot)| Found { slot, at })
    }

    #[inline(always)]
    pub(crate) fn get(&self, slot: u32) -> &OrderSlot {
        &self.slots[slot as usize]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut OrderSlot {
        &mut self.slots[slot as usize]
    }

    /// A slot for a new order, indexed under `id`, in no queue yet.
    #[inline(always)]
    pub(crate) fn insert(&mut self, id: u64, ts_event: u64, size: u32) -> u32 {
        let order = OrderSlot { id, ts_event, size, level: NIL, prev: NIL, next: NIL };
        let slot = if self.free == NIL {
            let slot =
                u32::try_from(self.slots.len()).ok().filter(|slot| *slot != NIL).expect("fewer than 2^32 - 1 orders");
            self.slots.push(order);
            slot
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].next;
            self.slots[slot as usize] = order;
            slot
        };
        self.ids.insert(id, slot);
        slot
    }

    /// Forgets an order that is in no queue any more.
    #[inline(always)]
    pub(crate) fn remove(&mut self, found: Found) {
        self.ids.remove_at(found.at);
        self.slots[found.slot as usize].next = self.free;
        self.free = found.slot;
    }

    /// Puts an order at the back of a level's queue and adds it to the level's totals.
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
        if tail == NIL {
            level.head = slot;
        } else {
            self.slots[tail as usize].next = slot;
        }
    }

    /// Takes an order out of a level's queue and off the level's totals.
    #[inline(always)]
    pub(crate) fn unlink(&mut self, level: &mut LevelSlot, slot: u32) {
        let order = self.slots[slot as usize];
        level.size -= u64::from(order.size);
        level.count -= 1;
        if order.prev == NIL {
            level.head = order.next;
        } else {
            self.slots[order.prev as usize].next = order.next;
        }
        if order.next == NIL {
            level.tail = order.prev;
        } else {
            self.slots[order.next as usize].prev = order.prev;
        }
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
        const FILL_BYTES_PER_REMOVAL: usize = 16;
        if self.len() * FILL_BYTES_PER_REMOVAL < self.ids.capacity() {
            for level in levels {
                let mut slot = level.head;
                while slot != NIL {
                    let order = *self.get(slot);
                    let found = self.find(order.id).expect("a queued order is indexed");
                    self.ids.remove_at(found.at);
                    slot = order.next;
                }
            }
        } else {
            self.ids.clear();
        }
        self.slots.clear();
        self.free = NIL;
    }

    #[inline(always)]
    pub(crate) fn prefetch(&self, id: u64) {
        self.ids.prefetch(id);
    }

    /// Whether the id table leads from the order's id to exactly this slot.
    pub(crate) fn indexed(&self, slot: u32) -> bool {
        self.ids.holds(self.get(slot).id, slot)
    }

    /// Bytes held by arena and id table.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<OrderSlot>() + self.ids.capacity() * 8
    }

    /// Number of free slots, counted along the chain; `None` if the chain is longer than the arena.
    pub(crate) fn free_slots(&self) -> Option<usize> {
        let mut count = 0;
        let mut slot = self.free;
        while slot != NIL {
            count += 1;
            if count > self.slots.len() {
                return None;
            }
            slot = self.slots[slot as usize].next;
        }
        Some(count)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }
}
