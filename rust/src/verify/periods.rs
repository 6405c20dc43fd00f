//! For how long something was so: crossed, locked, suspect.

use serde::Serialize;

use super::report::ns_text;

/// One period, by ts_recv (ns) of the events that began and ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The event after which it was so.
    #[serde(serialize_with = "ns_text")]
    pub from: u64,
    /// The first event after which it was no longer so, or the book's last.
    #[serde(serialize_with = "ns_text")]
    pub to: u64,
}

impl Period {
    fn ns(self) -> u64 {
        self.to - self.from
    }
}

/// Periods of one kind, of one book or summed over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Periods {
    /// How many there were.
    pub count: u64,
    /// How long they lasted together, ns.
    pub total_ns: u64,
    /// The longest.
    pub longest: Option<Period>,
    /// How many had not ended when the stream did.
    pub open: u64,
}

impl Periods {
    fn add(&mut self, period: Period) {
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(period.ns());
        if self.longest.is_none_or(|longest| period.ns() > longest.ns()) {
            self.longest = Some(period);
        }
    }

    /// Takes over the periods of another book.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.open += other.open;
        if let Some(theirs) = other.longest
            && self.longest.is_none_or(|ours| theirs.ns() > ours.ns())
        {
            self.longest = Some(theirs);
        }
    }
}

/// Makes periods out of one look after every event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    periods: Periods,
    current: Option<Period>,
}

impl Watch {
    /// What was seen after an event. A clock that goes backwards ends a period no earlier than it was last seen.
    #[inline]
    pub(super) fn look(&mut self, is_so: bool, ts_recv: u64) {
        match (&mut self.current, is_so) {
            (None, false) => {}
            (None, true) => self.current = Some(Period { from: ts_recv, to: ts_recv }),
            (Some(period), _) => {
                period.to = period.to.max(ts_recv);
                if !is_so {
                    self.periods.add(*period);
                    self.current = None;
                }
            }
        }
    }

    /// All periods; one that is still open counts until the last look.
    pub(super) fn periods(&self) -> Periods {
        let mut all = self.periods;
        if let Some(open) = self.current {
            all.add(open);
            all.open = 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(looks: &[(bool, u64)]) -> Periods {
        let mut watch = Watch::default();
        looks.iter().for_each(|(is_so, ts)| watch.look(*is_so, *ts));
        watch.periods()
    }

    #[test]
    fn periods_last_from_the_first_look_to_the_one_that_ends_them() {
        let looks = [(false, 5), (true, 10), (true, 12), (false, 20), (true, 30), (false, 31), (true, 40), (true, 45)];
        let longest = Some(Period { from: 10, to: 20 });
        assert_eq!(seen(&looks), Periods { count: 3, total_ns: 16, longest, open: 1 });
    }

    #[test]
    fn a_clock_that_goes_backwards_makes_no_negative_period() {
        assert_eq!(seen(&[(true, 10), (false, 4)]).total_ns, 0);
        assert_eq!(seen(&[(true, 10), (true, 15), (false, 12)]).total_ns, 5);
    }

    #[test]
    fn sums_keep_the_longest() {
        let mut sum = seen(&[(true, 10), (false, 12)]);
        sum.merge(&seen(&[(true, 20), (false, 29), (true, 30)]));
        assert_eq!(sum, Periods { count: 3, total_ns: 11, longest: Some(Period { from: 20, to: 29 }), open: 1 });
    }
}
