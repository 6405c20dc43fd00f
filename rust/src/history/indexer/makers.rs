//! All that is told of each item of the log.

use super::{
    Batch, IndexerSettings,
    checkpoints::{CheckpointSaved, Checkpoints},
    instruments::Instruments,
    sessions::Sessions,
};
use crate::{
    history::{HistoryError, Hole, Item, Log, Mark, Shadow, orders::Keeper, rows::RowMaker},
    record::MboMsg,
    view::{Extent, View},
};

/// Records that all look at before the next: they stay in the processor's nearest cache meanwhile, where a frame has no room.
const PIECE_RECORDS: usize = 512;

/// Why records are missing that no mark speaks of.
const MISSING: &str = "a segment is missing";

/// The market that is moved along, and what looks at it.
pub(super) struct Makers {
    shadow: Shadow,
    maker: RowMaker,
    orders: Keeper,
    /// First ordinal of the segment that filters are made of.
    segment: Option<u64>,
    /// The next records are another segment's.
    is_new_segment: bool,
    checkpoints: Checkpoints,
    instruments: Instruments,
    sessions: Sessions,
    keeps_records: bool,
    error: Option<HistoryError>,
}

/// What became of the records of an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Passed {
    pub(super) taken: usize,
    pub(super) given_back: usize,
}

impl Makers {
    pub(super) fn new(log: &Log, shadow: Shadow, settings: IndexerSettings) -> Result<Self, HistoryError> {
        let checkpoint_records = settings.keeps_checkpoints.then_some(settings.checkpoint_records);
        Ok(Self {
            checkpoints: Checkpoints::new(log, shadow.head().ordinal, checkpoint_records)?,
            shadow,
            maker: RowMaker::new(),
            orders: Keeper::new(),
            segment: None,
            is_new_segment: false,
            instruments: Instruments::default(),
            sessions: Sessions::default(),
            keeps_records: settings.keeps_records,
            error: None,
        })
    }

    pub(super) fn next_ordinal(&self) -> u64 {
        self.shadow.head().ordinal
    }

    pub(super) fn note_error(&mut self, error: HistoryError) {
        self.error = Some(error);
    }

    pub(super) fn take_error(&mut self) -> Option<HistoryError> {
        self.error.take().or_else(|| self.orders.take_error())
    }

    /// Takes an item, of its records at most so many.
    pub(super) fn take(&mut self, log: &Log, item: &Item<'_>, records_max: usize, batch: &mut Batch) -> Passed {
        match item {
            Item::Records { first_ordinal, records } => {
                self.mend_if_due();
                if *first_ordinal > self.next_ordinal() {
                    note_hole(batch, self.next_ordinal(), *first_ordinal, MISSING);
                    self.pass_hole(*first_ordinal);
                }
                let left = self.shadow.mends_at().map_or(u64::MAX, |at| at - *first_ordinal);
                let taken = records.len().min(records_max).min(usize::try_from(left).unwrap_or(usize::MAX));
                self.records(log, *first_ordinal, &records[..taken], batch);
                return Passed { taken, given_back: records.len() - taken };
            }
            Item::Missing { first, end } => {
                note_hole(batch, *first, *end, MISSING);
                self.pass_hole(*end);
            }
            Item::Metadata(_) => {
                self.instruments.expect_news();
                self.shadow.apply(item);
                self.is_new_segment = true;
            }
            Item::Mapping(_) => {
                self.mend_if_due();
                self.instruments.expect_news();
                self.shadow.apply(item);
            }
            Item::Session { ordinal, .. } => self.begin_session(log, *ordinal, item, batch),
            // Its beginning is lost.
            Item::Mark(Mark::Continues { ordinal, .. }) if *ordinal > self.shadow.head().session => {
                self.begin_session(log, *ordinal, item, batch);
            }
            Item::Mark(Mark::Hole { first, end, reason }) => {
                note_hole(batch, *first, *end, reason);
                if *end >= self.next_ordinal() {
                    self.pass_hole(*end);
                }
            }
            Item::Mark(mark) => {
                self.mend_if_due();
                self.maker.note_mark(&mut self.shadow.market, mark);
                self.shadow.apply(item);
            }
        }
        Passed::default()
    }

    fn begin_session(&mut self, log: &Log, ordinal: u64, item: &Item<'_>, batch: &mut Batch) {
        self.maker.end_session(&self.shadow.market);
        // With the session its books go, and what they were called.
        self.tell_instruments(batch);
        if ordinal > self.next_ordinal() {
            note_hole(batch, self.next_ordinal(), ordinal, MISSING);
        }
        self.sessions.begin(log, ordinal);
        self.shadow.apply(item);
    }

    fn records(&mut self, log: &Log, first_ordinal: u64, records: &[MboMsg], batch: &mut Batch) {
        if std::mem::take(&mut self.is_new_segment) {
            self.begin_segment(log);
        }
        if self.keeps_records {
            batch.records.extend_from_slice(records);
            batch.ordinals.extend(first_ordinal..first_ordinal + records.len() as u64);
        }
        let mut ordinal = first_ordinal;
        for piece in records.chunks(PIECE_RECORDS) {
            self.orders.add(ordinal, piece);
            let mut rest = piece;
            // Before the rows' maker knows them.
            self.shadow.meet(piece, |_| {});
            while !rest.is_empty() {
                let noted = self.maker.note(&mut self.shadow.market, rest, ordinal);
                self.shadow.records(ordinal, &rest[..noted]);
                ordinal += noted as u64;
                rest = &rest[noted..];
            }
        }
    }

    /// Books that were in doubt may be known again from a checkpoint on: what they differ by is told.
    fn mend_if_due(&mut self) {
        if self.shadow.mends_at() == Some(self.next_ordinal()) {
            self.pass(self.next_ordinal(), |shadow| _ = shadow.mend_if_due());
        }
    }

    /// Goes on behind a hole that ends there.
    fn pass_hole(&mut self, end: u64) {
        let first = self.next_ordinal();
        self.pass(end, |shadow| shadow.apply(&Item::Mark(Mark::Hole { first, end, reason: String::new() })));
    }

    /// Has the books become others without a record.
    fn pass(&mut self, end: u64, change: impl FnOnce(&mut Shadow)) {
        let first = self.next_ordinal();
        let resume_ordinal = self.maker.resume_ordinal().unwrap_or(first);
        let all = Extent::levels(usize::MAX);
        let before: Vec<View> = self.shadow.market.books().map(|(key, book)| View::of(key, None, book, all)).collect();
        self.maker.end_session(&self.shadow.market);
        change(&mut self.shadow);
        let (market, ts_recv) = (&self.shadow.market, self.shadow.head().ts_recv);
        self.maker.pass_hole(&before, market, first..end, resume_ordinal, ts_recv);
    }

    /// Filters are made of the segment in which the next record is; returns its first ordinal.
    pub(super) fn begin_segment(&mut self, log: &Log) -> u64 {
        let ordinal = self.next_ordinal();
        let Some(segment) = log.segments().iter().rfind(|segment| segment.first_ordinal <= ordinal) else { return 0 };
        if self.segment != Some(segment.first_ordinal) {
            self.segment = Some(segment.first_ordinal);
            self.orders.begin(segment);
            if let Err(error) = self.orders.catch_up(log, ordinal) {
                self.error = Some(error);
            }
        }
        segment.first_ordinal
    }

    /// Nothing if none is due, or it cannot be written.
    pub(super) fn save_checkpoint(&mut self) -> Option<CheckpointSaved> {
        self.checkpoints.save_if_due(&self.shadow).unwrap_or_else(|error| {
            self.error = Some(error);
            None
        })
    }

    /// What can only be said at the end of a batch.
    pub(super) fn finish(&mut self, log: &Log, batch: &mut Batch) -> Result<(), HistoryError> {
        batch.sessions = self.sessions.take_known(log)?;
        batch.end_ordinal = self.next_ordinal();
        batch.rows = self.maker.take(&self.shadow.market);
        let unfinished = [self.maker.resume_ordinal(), self.sessions.resume_ordinal()];
        batch.resume_ordinal = unfinished.into_iter().flatten().min().unwrap_or(batch.end_ordinal);
        self.tell_instruments(batch);
        Ok(())
    }

    fn tell_instruments(&mut self, batch: &mut Batch) {
        let news = self.instruments.news(&self.shadow.market, self.shadow.head().ts_recv);
        batch.instruments.retain(|told| news.iter().all(|new| new.key != told.key));
        batch.instruments.extend(news);
    }
}

/// Says of a hole; what its mark says replaces what was only found to be missing.
fn note_hole(batch: &mut Batch, first: u64, end: u64, reason: &str) {
    let known = batch.holes.pop_if(|known| known.end == end);
    let first = known.map_or(first, |known| known.first.min(first));
    batch.holes.push(Hole { first, end, reason: reason.into() });
}
