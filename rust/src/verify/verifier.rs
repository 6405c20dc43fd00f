//! A decoded stream, verified as it comes.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use dbn::Metadata;

use super::{
    Options,
    against::{Against, AgainstReport},
    audit::Audit,
    chain::Chain,
    difference::{Difference, Judge},
    fifo::Fifo,
    official::OfficialError,
    periods::Periods,
    report::{BookReport, FORMAT, HashPoint, Hashes, OracleReport, Report, Verdict},
    selection::Selection,
    witness::Witness,
};
use crate::{
    book::SameSizeModify,
    decode::{Position, Sink},
    event::Rules,
    market::{Key, Market},
    naive::NaiveBook,
    record::{MboMsg, read_mbo},
};

/// Receives a decoded stream and verifies it.
pub struct Verifier {
    options: Options,
    market: Market,
    selection: Selection,
    witnesses: Vec<Witness>,
    index: HashMap<Key, usize>,
    /// The last record's place in `witnesses`: runs of one book are long.
    recent: usize,
    audit: Audit,
    chain: Chain,
    points: Vec<HashPoint>,
    against: Option<Against>,
    difference: Option<Difference>,
    /// The last record that was looked at.
    last: Option<(MboMsg, Position)>,
    events: u64,
    /// … up to which everything has been checked.
    events_checked: u64,
    skipped: u64,
    oracle: OracleReport,
    invariant_checks: u64,
    /// The end of the stream has been checked.
    is_end_checked: bool,
}

impl Verifier {
    /// At the start of a stream.
    ///
    /// # Errors
    /// If there is to be an MBP-10 file, and it cannot be read or is none.
    pub fn new(options: Options) -> Result<Self, OfficialError> {
        Ok(Self {
            market: Market::new(Rules { same_size: options.same_size, ..Rules::default() }),
            selection: Selection::new(options.instrument.clone()),
            witnesses: Vec::new(),
            index: HashMap::new(),
            recent: 0,
            audit: Audit::default(),
            chain: Chain::new(),
            points: Vec::new(),
            against: options.against.as_deref().map(Against::open).transpose()?,
            difference: None,
            last: None,
            events: 0,
            events_checked: options.check_after_events,
            skipped: 0,
            oracle: OracleReport::default(),
            invariant_checks: 0,
            is_end_checked: false,
            options,
        })
    }

    /// The books.
    #[must_use]
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The first difference so far, and the last event before it after which everything was checked.
    #[must_use]
    pub fn difference(&self) -> Option<(&Difference, u64)> {
        self.difference.as_ref().map(|difference| (difference, self.events_checked))
    }

    fn witness_of(&mut self, key: Key) -> usize {
        if self.witnesses.get(self.recent).is_none_or(|witness| witness.key != key) {
            let next = self.witnesses.len();
            self.recent = *self.index.entry(key).or_insert(next);
            if self.recent == next {
                let to_back = self.options.oracle_same_size.unwrap_or(self.options.same_size) == SameSizeModify::ToBack;
                let rules = self.market.rules();
                let naive = self.options.with_oracle.then(|| NaiveBook::new(to_back, rules.until, rules.epoch));
                self.witnesses.push(Witness::new(key, naive));
            }
        }
        self.recent
    }

    fn record(&mut self, bytes: &[u8], at: Position) {
        let record = read_mbo(bytes);
        let key = Key::of(&record);
        if !self.selection.takes(key) {
            self.skipped += 1;
            return;
        }
        self.last = Some((record, at));
        let witness = self.witness_of(key);
        let witness = &mut self.witnesses[witness];
        self.audit.record(&mut witness.ts_event, &record, at.record);
        let touch = witness.before(&record, at, self.market.book(key));
        self.market.mbo(bytes, bytes.len(), at);
        let book = self.market.book(key).expect("it has just taken a record");
        let is_complete = witness.after(book);
        if self.difference.is_none()
            && let Some(shadow) = &mut witness.shadow
        {
            match shadow.push(&record, touch, book, is_complete) {
                Ok(()) => self.oracle.events += u64::from(is_complete),
                Err(mismatch) => {
                    self.difference = Some(Difference::new(Judge::Oracle, at, &record, book.moment().seq, mismatch));
                }
            }
        }
        if self.difference.is_none()
            && let Some(against) = &mut self.against
            && let Err(mismatch) = against.push(&record, &mut self.selection)
        {
            self.difference = Some(Difference::new(Judge::Mbp10, at, &record, book.moment().seq, mismatch));
        }
        if is_complete {
            self.chain.add(key, book);
            self.event_done(at);
        }
    }

    fn event_done(&mut self, at: Position) {
        self.events += 1;
        if self.events.is_multiple_of(self.options.check_every_events) && self.events > self.options.check_after_events
        {
            self.check_everything();
        }
        if self.options.hash_every_events > 0 && self.events.is_multiple_of(self.options.hash_every_events) {
            let (running, state) = (self.chain.value(), self.market.fingerprint());
            self.points.push(HashPoint { event: self.events, record: at.record, running, state });
        }
    }

    /// Every invariant of every book, and every book as a whole against its naive one.
    fn check_everything(&mut self) {
        if self.difference.is_some() {
            return;
        }
        for witness in &mut self.witnesses {
            let (Some((record, at)), Some(book)) = (witness.last(), self.market.book(witness.key)) else { continue };
            if let Err((judge, mismatch)) = witness.check_everything(book) {
                self.difference = Some(Difference::new(judge, at, &record, book.moment().seq, mismatch));
                return;
            }
        }
        self.events_checked = self.events;
        self.invariant_checks += 1;
        self.oracle.whole += 1;
    }

    /// Checks everything once more, at the end of the stream.
    pub(super) fn check_end(&mut self) {
        if !self.is_end_checked {
            self.is_end_checked = true;
            self.check_everything();
        }
    }

    fn verdict(&self, is_damaged: bool, records: u64, against: Option<&AgainstReport>) -> Verdict {
        if self.difference.is_some() {
            Verdict::Different
        } else if is_damaged || against.is_some_and(|against| against.fault.is_some()) {
            Verdict::Damaged
        } else if against.is_some_and(|against| against.rows == 0) {
            Verdict::NoOverlap
        } else if records == 0 && self.market.stream_counters().other_records > 0 {
            Verdict::NoMbo
        } else if self.market.problems().next().is_some() {
            Verdict::Rejected
        } else {
            Verdict::Good
        }
    }

    fn finish_against(&mut self) -> Option<AgainstReport> {
        let (report, mismatch) = self.against.take()?.finish(&mut self.selection, self.difference.is_none());
        if let (Some(mismatch), Some((record, at))) = (mismatch, self.last) {
            let seq = self.market.book(Key::of(&record)).map_or(0, |book| book.moment().seq);
            self.difference = Some(Difference::new(Judge::Mbp10, at, &record, seq, mismatch));
        }
        Some(report)
    }

    /// Ends the stream of a file. `damage` says why it ended early, if it did.
    #[must_use]
    pub fn finish(mut self, file: String, damage: Option<String>, took: Duration) -> Report {
        self.check_end();
        let against = self.finish_against();
        let mut books: Vec<_> = self.witnesses.iter().map(|witness| witness.report(&self.market)).collect();
        books.sort_unstable_by_key(|book| (book.publisher_id, book.instrument_id));
        let sum = |part: fn(&BookReport) -> &Periods| {
            let mut sum = Periods::default();
            books.iter().for_each(|book| sum.merge(part(book)));
            sum
        };
        let mut fifo = Fifo::default();
        books.iter().for_each(|book| fifo.merge(&book.fifo));
        let counters: BTreeMap<_, _> = self.market.counters().into_iter().collect();
        let compared = self.witnesses.iter().filter_map(|witness| witness.shadow.as_ref());
        self.oracle.levels = compared.map(|shadow| shadow.levels_compared).sum();
        let took_s = took.as_secs_f64();
        Report {
            format: FORMAT,
            file,
            verdict: self.verdict(damage.is_some(), counters["records"], against.as_ref()),
            difference: self.difference,
            damage,
            first_rejected: self.market.problems().next().map(|problem| {
                let (at, what) = (problem.at, problem.reason.describe(&problem.record));
                format!("record {} at byte {}: {what}", at.record, at.offset)
            }),
            skipped: self.skipped,
            books_skipped: self.selection.left_out() as u64,
            other_records: self.market.stream_counters().other_records,
            metadata_headers: self.market.stream_counters().metadata_headers,
            span: self.audit.span,
            oddities: self.audit.oddities,
            crossed: sum(|book| &book.crossed),
            locked: sum(|book| &book.locked),
            suspect: sum(|book| &book.suspect),
            fifo,
            fifo_rate: fifo.rate(),
            oracle: self.options.with_oracle.then_some(self.oracle),
            invariant_checks: self.invariant_checks,
            against,
            hashes: Hashes { state: self.market.fingerprint(), running: self.chain.value(), points: self.points },
            books,
            took_s,
            records_per_s: if took_s > 0.0 { counters["records"] as f64 / took_s } else { 0.0 },
            counters,
        }
    }
}

impl Sink for Verifier {
    fn metadata(&mut self, metadata: &Metadata) {
        self.audit.metadata(metadata);
        self.selection.metadata(metadata);
        self.market.metadata(metadata);
    }

    /// Two passes, as in [`Market`]: the lookups of a block wait for memory together.
    fn mbo(&mut self, block: &[u8], stride: usize, first: Position) {
        for bytes in block.chunks_exact(stride) {
            let record = read_mbo(bytes);
            if let Some(book) = self.market.book(Key::of(&record)) {
                book.book().prefetch(record.order_id);
            }
        }
        for (i, bytes) in block.chunks_exact(stride).enumerate() {
            self.record(
                bytes,
                Position { record: first.record + i as u64, offset: first.offset + (i * stride) as u64 },
            );
        }
    }

    fn symbol_mapping(&mut self, record: &[u8]) {
        self.selection.symbol_mapping(record);
        self.market.symbol_mapping(record);
    }

    fn other(&mut self, rtype: u8) {
        self.market.other(rtype);
    }
}
