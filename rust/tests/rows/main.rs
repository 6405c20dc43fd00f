//! Rows by the second, held against a slow model; and made anew from any place where one may begin.

#![allow(missing_docs)]

mod model;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    slice::from_ref,
};

use l3book::{
    event::Rules,
    history::{Mark, rows::RowMaker},
    market::{Key, Market},
    record::{MboMsg, flags},
};
use model::{Made, Model, NS_PER_S, Step, apply};
use proptest::prelude::*;
use support::hostile;

/// Of one record in so many, a mark or a session stands before it.
const MARK_EVERY: u8 = 24;

/// How far a record's ts_recv is from the one before.
fn step_ns(byte: u8) -> i64 {
    const S: i64 = NS_PER_S as i64;
    match byte {
        0..=99 => 1_000,
        100..=179 => S / 4,
        180..=209 => S,
        210..=224 => -S / 2,
        225..=232 => -3 * S,
        233..=238 => 40 * S,
        239..=244 => 90 * S,
        245..=249 => -59 * S,
        250..=253 => -90 * S,
        254..=255 => 0,
    }
}

/// A hostile stream with times that cross seconds, marks and sessions.
fn steps(bytes: &[u8], times: &[u8], marks: &[u8]) -> Vec<Step> {
    let mut ts_recv = hostile::T0 as i64;
    let mut steps = Vec::new();
    for (i, mut record) in hostile::records(bytes, 3).into_iter().enumerate() {
        let (time, mark) = (times[i % times.len()], marks[i % marks.len()]);
        ts_recv += step_ns(time);
        record.ts_recv = if time == 255 { u64::MAX } else { ts_recv as u64 };
        let (publisher_id, instrument_id) = hostile::KEYS[usize::from(mark) % 3];
        let key = Key { publisher_id, instrument_id };
        match mark / (256 / u16::from(MARK_EVERY)) as u8 {
            0 => steps.push(Step::Mark(match mark % 4 {
                0 => Mark::Doubt { key, reason: "gap".into() },
                1 => Mark::Trust { key },
                2 => Mark::Await,
                _ => Mark::Drop { key, counts: [1, 0, 0, 0] },
            })),
            1 if mark % 8 == 0 => steps.push(Step::Session),
            _ => {}
        }
        steps.push(Step::Record(record));
    }
    steps
}

/// A maker beside its market, somewhere in a stream.
struct Run {
    market: Market,
    maker: RowMaker,
    /// Where in the steps, and how many records were before.
    at: usize,
    ordinal: u64,
    made: Made,
}

impl Run {
    /// Begins at a record, with the market as it then is.
    fn from(steps: &[Step], ordinal: u64) -> Self {
        let mut run = Self {
            market: Market::new(Rules::default()),
            maker: RowMaker::new(),
            at: 0,
            ordinal: 0,
            made: Made::default(),
        };
        while run.ordinal < ordinal {
            match &steps[run.at] {
                Step::Record(record) => {
                    apply(&mut run.market, from_ref(record));
                    run.ordinal += 1;
                }
                Step::Mark(mark) => mark.apply(&mut run.market),
                Step::Session => run.market = Market::new(Rules::default()),
            }
            run.at += 1;
        }
        run
    }

    /// Goes on by about so many steps, records that follow each other together, and takes the rows.
    fn advance(&mut self, steps: &[Step], count: usize) {
        let end = (self.at + count).min(steps.len());
        while self.at < end {
            match &steps[self.at] {
                Step::Record(_) => self.records(&steps[self.at..end]),
                Step::Mark(mark) => {
                    self.maker.note_mark(&mut self.market, mark);
                    mark.apply(&mut self.market);
                    self.at += 1;
                }
                Step::Session => {
                    self.maker.end_session(&self.market);
                    self.market = Market::new(Rules::default());
                    self.at += 1;
                }
            }
        }
        self.made.add(&self.maker.take(&self.market));
    }

    fn records(&mut self, steps: &[Step]) {
        let of = |step: &Step| if let Step::Record(record) = step { Some(*record) } else { None };
        let records: Vec<MboMsg> = steps.iter().map_while(of).collect();
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let count = self.maker.note(&mut self.market, rest, self.ordinal);
            assert!(count > 0);
            apply(&mut self.market, &rest[..count]);
            rest = &rest[count..];
            self.ordinal += count as u64;
        }
        self.at += records.len();
    }
}

fn inputs() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u8>)> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..200);
    (prop::collection::vec(any::<u8>(), 8..8 * 150), bytes(), bytes())
}

/// The first rows in which two differ.
fn difference(made: &Made, expected: &Made) -> Option<String> {
    fn of<K: Ord + Copy + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
        made: &BTreeMap<K, V>,
        expected: &BTreeMap<K, V>,
    ) -> Option<String> {
        let keys: BTreeSet<K> = made.keys().chain(expected.keys()).copied().collect();
        let differs = |key: &K| made.get(key) != expected.get(key);
        let at = keys.into_iter().find(differs)?;
        Some(format!("{at:?}: made {:?}, expected {:?}", made.get(&at), expected.get(&at)))
    }
    of(&made.trades, &expected.trades)
        .or_else(|| of(&made.bbo, &expected.bbo))
        .or_else(|| of(&made.levels, &expected.levels))
}

/// `L3BOOK_ROWS_CASES` makes more than a few.
fn cases() -> ProptestConfig {
    let cases = std::env::var("L3BOOK_ROWS_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn rows_are_those_of_the_model((bytes, times, marks) in inputs(), stride in 1_usize..80) {
        let mut steps = steps(&bytes, &times, &marks);
        let mut run = Run::from(&steps, 0);
        while run.at < steps.len() {
            run.advance(&steps, stride);
        }
        let expected = Model::rows(&steps);
        prop_assert_eq!(difference(&run.made.without_ordinals(), &expected.without_ordinals()), None);
        steps.push(Step::Session);
        run.advance(&steps, 1);
        prop_assert_eq!(difference(&run.made, &Model::rows(&steps)), None);
    }

    /// Stops anywhere, several times, and goes on from where it must with a maker that knows nothing.
    #[test]
    fn rows_are_the_same_however_often_they_are_begun_anew(
        (bytes, times, marks) in inputs(),
        strides in prop::collection::vec(1_usize..60, 1..20),
    ) {
        let mut steps = steps(&bytes, &times, &marks);
        steps.push(Step::Session);
        let mut made = Made::default();
        let mut run = Run::from(&steps, 0);
        for stride in strides.iter().cycle() {
            run.advance(&steps, *stride);
            made.bbo.append(&mut run.made.bbo);
            made.levels.append(&mut run.made.levels);
            made.trades.append(&mut run.made.trades);
            if run.at == steps.len() {
                break;
            }
            if stride % 3 != 0 {
                // Or the same again and again, for the whole length of a second.
                let stopped_at = run.at;
                run = Run::from(&steps, run.maker.resume_ordinal().unwrap_or(run.ordinal));
                run.advance(&steps, stopped_at - run.at);
            }
        }
        prop_assert_eq!(difference(&made, &Model::rows(&steps)), None);
    }
}

#[test]
fn the_streams_of_these_tests_have_everything_in_them() {
    let bytes: Vec<u8> = (0..8 * 4_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
    let steps = steps(&bytes, &bytes[1..3_001], &bytes[5..2_005]);
    let made = Model::rows(&steps);
    let marks = steps.iter().filter(|step| matches!(step, Step::Mark(_))).count();
    let sessions = steps.iter().filter(|step| matches!(step, Step::Session)).count();
    assert!(marks > 50 && sessions > 5, "{marks} marks, {sessions} sessions");
    assert!(made.trades.len() > 50, "{} trades", made.trades.len());
    assert!(made.levels.values().any(|level| level.1 == 0) && made.levels.values().any(|level| level.1 > 0));
    let states: BTreeSet<u8> = made.bbo.values().map(|row| row.2).collect();
    assert_eq!(states.len(), 4, "{states:?}");
}

/// A source that broke off inside an event sends it again from its start.
#[test]
fn trades_of_an_event_that_is_forgotten_are_none() {
    let record = |action, flags| Step::Record(hostile::record(action, b'B', 100 * hostile::UNIT, 1, 1, flags));
    let key = Key { publisher_id: hostile::KEYS[0].0, instrument_id: hostile::KEYS[0].1 };
    let steps = [
        record(b'A', flags::LAST),
        record(b'T', 0),
        Step::Mark(Mark::Drop { key, counts: [1, 0, 0, 0] }),
        record(b'T', 0),
        record(b'C', flags::LAST),
    ];
    let mut run = Run::from(&steps, 0);
    for _ in &steps {
        run.advance(&steps, 1);
    }
    assert_eq!(run.made.trades.keys().collect::<Vec<_>>(), [&2]);
}
