//! What segments and exports begin with.

use dbn::{Metadata, MetadataBuilder, SType, Schema};

use super::{
    error::HistoryError,
    frame::Run,
    index::flags,
    log::{Frame, Log},
};
use crate::{metadata, symbols::Symbols};

fn metadata_of(dataset: &str, schema: Option<Schema>, start: u64, symbols: &Symbols) -> Metadata {
    MetadataBuilder::new()
        .dataset(dataset)
        .schema(schema)
        .start(start)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .mappings(symbols.mappings())
        .build()
}

/// The metadata of a segment, as bytes. Without a schema, as live streams have it: there are marks and mappings among the
/// MBO records, and whoever is told of one schema takes all records for it.
pub(super) fn segment_head(dataset: &str, start: u64, symbols: &Symbols) -> Vec<u8> {
    metadata::bytes(&metadata_of(dataset, None, start, symbols)).expect("symbols that fit into their places")
}

impl Log {
    /// The metadata of a stream of nothing but the MBO records of these ordinals, with all symbols that are known of them;
    /// nothing if there are none.
    ///
    /// # Errors
    /// If the log cannot be read or is damaged.
    pub fn metadata_of(&self, start: u64, end: u64) -> Result<Option<Metadata>, HistoryError> {
        let first = self.find_ordinal(start);
        let Some(frame) = self.frames().get(first).filter(|frame| frame.entry.first_ordinal < end) else {
            return Ok(None);
        };
        let (mut symbols, mut segment) = (Symbols::default(), None);
        let is_wanted = |frame: &&Frame| frame.entry.first_ordinal < end;
        for (at, frame) in
            (self.frames_of(frame.segment).start..).zip(&self.frames()[self.frames_of(frame.segment).start..])
        {
            if !is_wanted(&frame) {
                break;
            }
            if segment.replace(frame.segment) != Some(frame.segment) {
                symbols.add_metadata(&self.metadata(frame.segment)?);
            }
            if frame.entry.has(flags::MAPPING) {
                let plain = self.read_frame(at)?;
                let mut rest = &plain[..];
                while let Ok(run) = Run::of(rest) {
                    if let Run::Mapping(record) = run {
                        symbols.add_record(record);
                    }
                    rest = &rest[run.bytes().len()..];
                }
            }
        }
        let dataset = &self.segments()[frame.segment].dataset;
        Ok(Some(metadata_of(dataset, Some(Schema::Mbo), frame.entry.ts_recv.min, &symbols)))
    }
}
