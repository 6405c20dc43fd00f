//! The invariants of a book, checked one by one.

use super::{Broken, OrderBook};
use crate::{id_map::NIL, levels::LevelSlot, record::Side};

impl OrderBook {
    /// Checks every invariant of the module documentation. Walks the whole book.
    ///
    /// # Errors
    /// The first broken invariant, in words.
    pub fn check(&self) -> Result<(), Broken> {
        let fail = |what: String| Err(Broken(what));
        let mut orders_seen = 0;
        let mut levels_seen = 0;
        for side in Side::BOTH {
            for (price, slot) in self.levels.entries(side) {
                let level = self.levels.get(slot);
                if level.price != price || level.side != side {
                    return fail(format!("the tree's level {} {price} holds price {}", side.letter(), level.price));
                }
                orders_seen += self.check_queue(slot, level)?;
                levels_seen += 1;
            }
            let best = self.levels.iter(side).next().map(|level| level.price);
            if self.best(side).map(|level| level.price) != best {
                return fail(format!("cached best {} is {:?}, the tree's is {best:?}", side.letter(), self.best(side)));
            }
        }
        if orders_seen != self.orders.len() {
            return fail(format!("{orders_seen} orders are queued, {} are indexed", self.orders.len()));
        }
        match self.orders.free_slots() {
            Some(free) if free + orders_seen == self.orders.slots() => {}
            free => {
                return fail(format!("{free:?} free and {orders_seen} used of {} order slots", self.orders.slots()));
            }
        }
        let (level_slots, free_levels) = self.levels.slots();
        if free_levels + levels_seen != level_slots {
            return fail(format!("{free_levels} free and {levels_seen} used of {level_slots} level slots"));
        }
        Ok(())
    }

    /// Checks one queue; returns its length.
    fn check_queue(&self, slot: u32, level: &LevelSlot) -> Result<usize, Broken> {
        let fail = |what: String| Err(Broken(format!("level {}: {what}", level.price)));
        let (mut count, mut size, mut prev, mut at) = (0usize, 0u64, NIL, level.head);
        while at != NIL {
            let order = self.orders.get(at);
            if order.size == 0 || order.level != slot || order.prev != prev || !self.orders.indexed(at) {
                return fail(format!("order {} has size 0, a wrong level or link, or is not indexed", order.id));
            }
            size += u64::from(order.size);
            count += 1;
            if count > self.orders.len() {
                return fail("the queue runs in a circle".into());
            }
            (prev, at) = (at, order.next);
        }
        let quote = self.quotes[level.side as usize].filter(|(_, at)| *at == slot).map_or(0, |(size, _)| size);
        if prev != level.tail || count != level.count as usize || size + quote != level.size || level.size == 0 {
            return fail(format!(
                "{count} orders of size {size} and a quote of {quote} are there, {} and {} are stated",
                level.count, level.size
            ));
        }
        Ok(count)
    }
}
