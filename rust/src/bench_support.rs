//! What benchmarks may see of the inside: the id table by itself, the floor that applying is compared with. No API.

use crate::id_map::{IdMap, NIL, Place};

/// A set of order ids in the book's own id table. The ids stand in slots of eight bytes instead of whole orders.
pub struct IdsOnly {
    map: IdMap,
    /// By slot; the first is never used.
    ids: Vec<u64>,
    free: Vec<u32>,
}

impl Default for IdsOnly {
    fn default() -> Self {
        Self { map: IdMap::new(), ids: vec![0], free: Vec::new() }
    }
}

impl IdsOnly {
    /// Asks for the memory in which the id will be looked for.
    #[inline(always)]
    pub fn prefetch(&self, id: u64) {
        self.map.prefetch(self.map.tag(id));
    }

    #[inline(always)]
    fn find(&self, id: u64) -> Place {
        self.map.find(self.map.tag(id), |slot| self.ids[slot as usize] == id)
    }

    /// Whether the id is there.
    #[inline(always)]
    pub fn contains(&self, id: u64) -> bool {
        self.find(id).slot != NIL
    }

    /// Adds an id that is not there, after looking for it as a book must.
    #[inline(always)]
    pub fn insert(&mut self, id: u64) {
        let place = self.find(id);
        if place.slot != NIL {
            return;
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.ids[slot as usize] = id;
                slot
            }
            None => {
                self.ids.push(id);
                u32::try_from(self.ids.len() - 1).expect("fewer than 2^32 ids")
            }
        };
        self.map.insert(place, slot);
    }

    /// Takes the id out, if it is there.
    #[inline(always)]
    pub fn remove(&mut self, id: u64) {
        let place = self.find(id);
        if place.slot != NIL {
            self.map.remove(place);
            self.free.push(place.slot);
        }
    }

    /// Takes all ids out.
    pub fn clear(&mut self) {
        self.map.clear();
        self.ids.truncate(1);
        self.free.clear();
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
