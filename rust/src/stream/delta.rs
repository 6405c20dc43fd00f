//! What differs between two views of a book, and several such differences as one.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{
    book::{Level, Order},
    record::Side,
    view::View,
    writer::{push_int, push_price},
};

/// Levels a side that the checksum covers at most.
const CRC_LEVELS: usize = 10;

/// Changed levels, each as it now is; one of size 0 is no longer among the best.
pub(super) struct Delta {
    pub(super) sides: [Vec<Changed>; 2],
    /// Of the book that it leads to.
    pub(super) crc: u32,
}

/// A level as it now is, with its orders if it is among those that carry them.
pub(super) type Changed = (Level, Option<Vec<Order>>);

impl Delta {
    /// What leads from one view to the other, of the same extent.
    pub(super) fn between(old: &View, new: &View) -> Self {
        Self { sides: Side::BOTH.map(|side| compare(side, old, new)), crc: crc_of(&new.levels) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sides.iter().all(Vec::is_empty)
    }

    /// Deltas that follow each other as one: of each level, what was said last.
    pub(super) fn merged<'a>(deltas: impl Iterator<Item = &'a Delta>) -> Option<Self> {
        let mut last: [BTreeMap<i64, &Changed>; 2] = Default::default();
        let mut crc = None;
        for delta in deltas {
            for (last, changed) in last.iter_mut().zip(&delta.sides) {
                last.extend(changed.iter().map(|changed| (changed.0.price, changed)));
            }
            crc = Some(delta.crc);
        }
        let sides = Side::BOTH.map(|side| {
            let last = last[side as usize].values().copied().cloned();
            if side == Side::Bid { last.rev().collect() } else { last.collect() }
        });
        Some(Self { sides, crc: crc? })
    }
}

/// Goes over a side's levels in both views together, best first.
fn compare(side: Side, old: &View, new: &View) -> Vec<Changed> {
    let at = side as usize;
    let (old_levels, new_levels) = (&old.levels[at], &new.levels[at]);
    let (old_queues, new_queues) =
        (old.queues.as_ref().map(|both| &both[at]), new.queues.as_ref().map(|both| &both[at]));
    let mut changed = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old_levels.len() || j < new_levels.len() {
        let order = match (old_levels.get(i), new_levels.get(j)) {
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
            (Some(old), Some(new)) if side == Side::Bid => new.price.cmp(&old.price),
            (Some(old), Some(new)) => old.price.cmp(&new.price),
        };
        if order.is_lt() {
            changed.push((Level::new(old_levels[i].price, 0, 0), new_queues.map(|_| Vec::new())));
        } else {
            let queue = new_queues.and_then(|queues| queues.get(j));
            let is_told =
                order.is_eq() && old_levels[i] == new_levels[j] && old_queues.and_then(|queues| queues.get(i)) == queue;
            if !is_told {
                changed.push((new_levels[j], queue.cloned()));
            }
        }
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    changed
}

/// CRC-32 (IEEE) of `price:size` of the best ten levels as they stand on the wire, asks first, joined by commas.
pub(super) fn crc_of(levels: &[Vec<Level>; 2]) -> u32 {
    let mut text = Vec::with_capacity(CRC_LEVELS * 2 * 24);
    for side in [Side::Ask, Side::Bid] {
        for level in levels[side as usize].iter().take(CRC_LEVELS) {
            if !text.is_empty() {
                text.push(b',');
            }
            push_price(&mut text, level.price);
            text.push(b':');
            push_int(&mut text, level.size);
        }
    }
    crc32fast::hash(&text)
}

/// The same of a book's own best levels.
pub(super) fn crc_of_book(book: &crate::book::OrderBook) -> u32 {
    crc_of(&Side::BOTH.map(|side| book.best_levels(side, CRC_LEVELS)))
}
