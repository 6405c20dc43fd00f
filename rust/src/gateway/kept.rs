//! The books and derivers that a session keeps beside its tape, once it has asked for what they give.

use super::{tape::Tape, tape_file::TapeError};
use crate::{
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    derive::{Deriver, Schema},
    event::Rules,
    market::Market,
    record::{MBO_BYTES, read_mbo},
};

/// Something made from a tape's records, and the position up to which it has seen them.
struct Fed<T> {
    item: T,
    position: u64,
}

#[derive(Default)]
pub(super) struct Kept {
    market: Option<Fed<Box<Market>>>,
    /// By length of their intervals: rows of shorter ones are due first, whoever closes them.
    derivers: Vec<Fed<Deriver>>,
}

impl Kept {
    pub(super) fn want_market(&mut self) {
        self.market.get_or_insert_with(|| Fed { item: Box::new(Market::new(Rules::default())), position: 0 });
    }

    pub(super) fn want_rows(&mut self, schema: Schema) {
        if self.derivers.iter().all(|deriver| deriver.item.schema() != schema) {
            self.derivers.push(Fed { item: Deriver::new(schema), position: 0 });
            self.derivers.sort_by_key(|deriver| deriver.item.schema().interval_ns());
        }
    }

    pub(super) fn market(&self) -> Option<&Market> {
        self.market.as_ref().map(|market| &*market.item)
    }

    pub(super) fn derives(&self) -> bool {
        !self.derivers.is_empty()
    }

    /// Goes over the tape again, up to its position, for what has not seen all of it; says whether anything had not.
    ///
    /// # Errors
    /// If the files cannot be read again as they were. What lags still lags then: it must not pass for whole.
    pub(super) fn catch_up(&mut self, tape: &Tape) -> Result<bool, TapeError> {
        let position = tape.position();
        let mut market = self.market.as_mut().filter(|market| market.position != position);
        let mut derivers: Vec<_> = self.derivers.iter_mut().filter(|deriver| deriver.position != position).collect();
        if market.is_none() && derivers.is_empty() {
            return Ok(false);
        }
        if let Some(market) = &mut market {
            *market.item = Market::new(Rules::default());
        }
        for deriver in &mut derivers {
            deriver.item = Deriver::new(deriver.item.schema());
        }
        go_over(tape, |block| {
            if let Some(market) = &mut market {
                market.item.mbo(block, MBO_BYTES, Position::default());
            }
            for deriver in &mut derivers {
                deriver.item.mbo(block, MBO_BYTES, Position::default());
                deriver.item.clear();
            }
        })?;
        market.into_iter().for_each(|market| market.position = position);
        derivers.into_iter().for_each(|deriver| deriver.position = position);
        Ok(true)
    }

    /// Applies the next records of the tape to the books.
    pub(super) fn apply(&mut self, records: &[u8]) {
        let Some(market) = &mut self.market else { return };
        for block in blocks(records) {
            market.item.mbo(block, MBO_BYTES, Position::default());
        }
        market.position += (records.len() / MBO_BYTES) as u64;
    }

    /// Makes rows of the next record of the tape.
    pub(super) fn derive(&mut self, record: &[u8]) {
        let record = read_mbo(record);
        for deriver in &mut self.derivers {
            deriver.item.push(&record);
            deriver.position += 1;
        }
    }

    /// Closes the intervals that have ended by a time.
    pub(super) fn advance(&mut self, ts_ns: u64) {
        self.derivers.iter_mut().for_each(|deriver| deriver.item.advance(ts_ns));
    }

    /// Closes all intervals.
    pub(super) fn finish(&mut self) {
        self.derivers.iter_mut().for_each(|deriver| deriver.item.finish());
    }

    /// Closes all intervals, and begins anew: time goes back.
    pub(super) fn restart(&mut self) {
        for deriver in &mut self.derivers {
            deriver.item = Deriver::new(deriver.item.schema());
        }
    }

    #[inline]
    pub(super) fn has_rows(&self) -> bool {
        self.derivers.iter().any(|deriver| !deriver.item.rows().is_empty())
    }

    /// Hands over the rows made so far, schema by schema, and forgets them.
    pub(super) fn drain_rows(&mut self, mut each: impl FnMut(Schema, &[u8])) {
        for deriver in &mut self.derivers {
            each(deriver.item.schema(), deriver.item.rows());
            deriver.item.clear();
        }
    }
}

/// Reads again what lies between the beginning of the tape's pass and its position.
fn go_over(tape: &Tape, mut each: impl FnMut(&[u8])) -> Result<(), TapeError> {
    let position = tape.position();
    if position == 0 {
        return Ok(());
    }
    let mut again = tape.rewound()?;
    while again.position() < position && again.fill() {
        let ready = again.run().len() / MBO_BYTES;
        let records = usize::try_from(position - again.position()).map_or(ready, |left| left.min(ready));
        let bytes = records * MBO_BYTES;
        blocks(&again.run()[..bytes]).for_each(&mut each);
        again.consume(records, bytes);
    }
    match again.take_fault() {
        Some(fault) => Err(fault),
        None if again.position() < position => Err(again.changed(position)),
        None => Ok(()),
    }
}

fn blocks(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    records.chunks(BLOCK_RECORDS_MAX * MBO_BYTES)
}
