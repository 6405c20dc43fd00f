//! Which records of which book a session gets: looked up for each record, worked out only when something changes.

use std::ops::Range;

use super::{
    subscription::{Origin, Subscription},
    symbology::Names,
};
use crate::{
    derive::Schema,
    id_map::{IdMap, NIL},
    market::Key,
};

/// What of one book is wanted, while its instrument keeps its name.
pub(super) struct Route {
    pub(super) key: Key,
    /// Recorded time (ns) in which the rest holds; empty when it has to be worked out anew.
    pub(super) span: Range<u64>,
    /// The tape's records from this ts_event on.
    tape_from_ns: Option<u64>,
    /// Derived rows from these times on.
    derived_from_ns: Vec<(Schema, u64)>,
}

impl Route {
    #[inline(always)]
    pub(super) fn takes_record(&self, ts_event: u64) -> bool {
        self.tape_from_ns.is_some_and(|from_ns| ts_event >= from_ns)
    }

    pub(super) fn takes_row(&self, schema: Schema, ts_ns: u64) -> bool {
        self.derived_from_ns.iter().any(|(derived, from_ns)| *derived == schema && ts_ns >= *from_ns)
    }

    /// Works out what is wanted while the instrument is called as it is at `recorded_ns`.
    pub(super) fn work_out(&mut self, recorded_ns: u64, names: &Names, subscriptions: &[Subscription]) {
        let id = self.key.instrument_id;
        let (name, span) = names.name(id, recorded_ns);
        self.span = span;
        self.tape_from_ns = None;
        self.derived_from_ns.clear();
        for subscription in subscriptions {
            let is_waiting = || subscription.snapshots.as_ref().is_some_and(|all| all.waiting.contains(&self.key));
            if subscription.selection.symbol_for(id, &name).is_none() || is_waiting() {
                continue;
            }
            let start_ns = subscription.start_ns;
            match subscription.origin {
                Origin::Tape => {
                    self.tape_from_ns = Some(self.tape_from_ns.map_or(start_ns, |from_ns| from_ns.min(start_ns)));
                }
                Origin::Derived(schema) => self.derived_from_ns.push((schema, start_ns)),
            }
        }
    }
}

/// The routes of all books that have been seen.
#[derive(Default)]
pub(super) struct Routes {
    index: Option<IdMap>,
    routes: Vec<Route>,
}

impl Routes {
    /// The place of a book's route.
    #[inline(always)]
    pub(super) fn find_or_add(&mut self, key: Key) -> usize {
        let routes = self.routes.as_slice();
        let index = self.index.get_or_insert_with(IdMap::new);
        let place = index.find(index.tag(packed(key)), |slot| routes[slot as usize - 1].key == key);
        match place.slot {
            NIL => self.add(key),
            slot => slot as usize - 1,
        }
    }

    #[cold]
    fn add(&mut self, key: Key) -> usize {
        let at = self.routes.len();
        let routes = self.routes.as_slice();
        let index = self.index.get_or_insert_with(IdMap::new);
        let place = index.find(index.tag(packed(key)), |slot| routes[slot as usize - 1].key == key);
        index.insert(place, u32::try_from(at + 1).expect("fewer than 2^32 - 1 books"));
        self.routes.push(Route { key, span: 0..0, tape_from_ns: None, derived_from_ns: Vec::new() });
        at
    }

    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> &Route {
        &self.routes[at]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Route {
        &mut self.routes[at]
    }

    /// Says that what is wanted has changed.
    pub(super) fn forget(&mut self) {
        self.routes.iter_mut().for_each(|route| route.span = 0..0);
    }
}

fn packed(key: Key) -> u64 {
    u64::from(key.publisher_id) << 32 | u64::from(key.instrument_id)
}
