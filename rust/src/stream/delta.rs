//! What differs between two views of a book, and several such differences as one.

use std::collections::BTreeMap;

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
    pub(super) levels: [Vec<Level>; 2],
    /// As in [`View`].
    pub(super) queues: Option<[Vec<Vec<Order>>; 2]>,
    /// Of the book that it leads to.
    pub(super) crc: u32,
}

impl Delta {
    /// What leads from one view to the other, of the same extent.
    pub(super) fn between(old: &View, new: &View) -> Self {
        let mut delta = Self::none(new.queues.is_some(), crc_of(&new.levels));
        for side in Side::BOTH {
            delta.compare(side, old, new);
        }
        delta
    }

    fn none(with_queues: bool, crc: u32) -> Self {
        Self { levels: Default::default(), queues: with_queues.then(Default::default), crc }
    }

    /// Goes over the levels of both views together, best first.
    fn compare(&mut self, side: Side, old: &View, new: &View) {
        let at = side as usize;
        let (old_levels, new_levels) = (&old.levels[at], &new.levels[at]);
        let queue = |view: &View, i: usize| view.queues.as_ref().map(|queues| queues[at][i].clone());
        let is_equal = |i: usize, j: usize| {
            let queues = old.queues.as_ref().zip(new.queues.as_ref());
            old_levels[i] == new_levels[j] && queues.is_none_or(|(old, new)| old[at][i] == new[at][j])
        };
        let (mut i, mut j) = (0, 0);
        while i < old_levels.len() || j < new_levels.len() {
            let order = match (old_levels.get(i), new_levels.get(j)) {
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) if side == Side::Bid => new.price.cmp(&old.price),
                (Some(old), Some(new)) => old.price.cmp(&new.price),
            };
            if order.is_lt() {
                self.push(side, Level::new(old_levels[i].price, 0, 0), Some(Vec::new()));
            } else if order.is_gt() || !is_equal(i, j) {
                self.push(side, new_levels[j], queue(new, j));
            }
            i += usize::from(order.is_le());
            j += usize::from(order.is_ge());
        }
    }

    fn push(&mut self, side: Side, level: Level, queue: Option<Vec<Order>>) {
        self.levels[side as usize].push(level);
        if let (Some(queues), Some(queue)) = (&mut self.queues, queue) {
            queues[side as usize].push(queue);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.iter().all(Vec::is_empty)
    }

    /// Deltas that follow each other as one: of each level, what was said last.
    pub(super) fn merged<'a>(deltas: impl Iterator<Item = &'a Delta>) -> Option<Self> {
        let mut last: [BTreeMap<i64, (&Delta, usize)>; 2] = Default::default();
        let mut latest = None;
        for delta in deltas {
            for (last, levels) in last.iter_mut().zip(&delta.levels) {
                last.extend(levels.iter().enumerate().map(|(i, level)| (level.price, (delta, i))));
            }
            latest = Some(delta);
        }
        let latest = latest?;
        let mut merged = Self::none(latest.queues.is_some(), latest.crc);
        for side in Side::BOTH {
            let at = side as usize;
            let mut add = |(delta, i): &(&Delta, usize)| {
                let queue = delta.queues.as_ref().map(|queues| queues[at][*i].clone());
                merged.push(side, delta.levels[at][*i], queue);
            };
            match side {
                Side::Bid => last[at].values().rev().for_each(&mut add),
                Side::Ask => last[at].values().for_each(&mut add),
            }
        }
        Some(merged)
    }
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
