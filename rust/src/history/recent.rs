//! Books at moments that were asked for lately: who goes on to a time nearby, as one who drags a slider does, need not come
//! all the way from a checkpoint again.

use std::{collections::VecDeque, sync::Arc};

use crate::{event::EventBook, market::Key};

/// Orders that all of them have together, about 100 bytes each.
pub(super) const ORDERS_MAX: usize = 200_000;
/// What a book counts for beside its orders: the tables of an empty one.
const ORDERS_BASE: usize = 2_000;

/// One book as it was right behind a record: a checkpoint of its own, in memory.
#[derive(Clone)]
pub(super) struct Moment {
    /// Of the next record.
    pub(super) ordinal: u64,
    /// The latest ts_event of all records of the session before.
    pub(super) latest: u64,
    pub(super) book: Arc<EventBook>,
}

struct Kept {
    /// The session, by its ordinal, and the book.
    of: (u64, Key),
    moment: Moment,
}

impl Kept {
    fn orders(&self) -> usize {
        ORDERS_BASE + self.moment.book.book().len()
    }
}

/// The moments that were used last.
#[derive(Default)]
pub(super) struct Recent {
    /// Of which reading of the log they are.
    readings: u64,
    /// The latest last.
    kept: VecDeque<Kept>,
    orders: usize,
}

impl Recent {
    /// The last moment of a book with nothing before it that is later than a time (ns).
    pub(super) fn before(&mut self, readings: u64, of: (u64, Key), at: u64) -> Option<Moment> {
        if !self.is_of(readings) {
            return None;
        }
        let is_good = |kept: &Kept| kept.of == of && kept.moment.latest <= at;
        let good = self.kept.iter().enumerate().filter(|(_, kept)| is_good(kept));
        let (place, _) = good.max_by_key(|(_, kept)| kept.moment.ordinal)?;
        let kept = self.kept.remove(place)?;
        let moment = kept.moment.clone();
        self.kept.push_back(kept);
        Some(moment)
    }

    pub(super) fn keep(&mut self, readings: u64, of: (u64, Key), moment: Moment) {
        let is_same = |kept: &Kept| kept.of == of && kept.moment.ordinal == moment.ordinal;
        if !self.is_of(readings) || self.kept.iter().any(is_same) {
            return;
        }
        let kept = Kept { of, moment };
        self.orders += kept.orders();
        self.kept.push_back(kept);
        while self.orders > ORDERS_MAX
            && let Some(oldest) = self.kept.pop_front()
        {
            self.orders -= oldest.orders();
        }
    }

    /// Whether the moments are those of a reading. Nothing is known of a log that was read anew, for its folder may hold
    /// another; and who still asks by the reading before neither finds nor leaves anything.
    fn is_of(&mut self, readings: u64) -> bool {
        if self.readings < readings {
            *self = Self { readings, ..Self::default() };
        }
        self.readings == readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;

    fn moment(ordinal: u64) -> Moment {
        Moment { ordinal, latest: ordinal * 10, book: Arc::new(EventBook::new(&Rules::default())) }
    }

    #[test]
    fn the_last_moment_that_is_not_later_is_found_and_the_oldest_are_forgotten() {
        let (mut recent, of) = (Recent::default(), (0, Key::default()));
        for ordinal in [5, 3, 3, 8] {
            recent.keep(1, of, moment(ordinal));
        }
        assert_eq!(recent.kept.len(), 3);
        let found = |recent: &mut Recent, at| recent.before(1, of, at).map(|moment| moment.ordinal);
        assert_eq!([29, 30, 49, 79, 80].map(|at| found(&mut recent, at)), [None, Some(3), Some(3), Some(5), Some(8)]);
        assert!(recent.before(1, (1, Key::default()), 80).is_none(), "of another session");
        let more = ORDERS_MAX / ORDERS_BASE - 2;
        (0..more as u64).for_each(|i| recent.keep(1, (2, Key::default()), moment(i)));
        assert_eq!((found(&mut recent, 39), found(&mut recent, 59)), (None, Some(5)), "which was used after it");
        assert!(recent.before(2, of, 80).is_none(), "the log was read anew");
        assert_eq!(recent.orders, 0);
        recent.keep(1, of, moment(5));
        assert!(recent.before(2, of, 80).is_none(), "a walk that began before that left nothing");
        recent.keep(2, of, moment(6));
        assert!(recent.before(1, of, 80).is_none() && recent.before(2, of, 80).is_some(), "and finds nothing");
    }
}
