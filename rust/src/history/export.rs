//! What segments and exports begin with.

use dbn::{Metadata, MetadataBuilder, SType, Schema};

use super::{
    error::HistoryError,
    frame::Run,
    frames::Frame,
    index::{Entry, flags},
    log::Log,
};
use crate::{
    metadata,
    record::{MBO_BYTES, read_mbo},
    symbols::Symbols,
};

pub(super) fn metadata_of(dataset: &str, schema: Option<Schema>, start: u64, symbols: &Symbols) -> Metadata {
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
    /// The earliest ts_recv of those records of a frame that have one of these ordinals.
    fn earliest(&self, at: usize, start: u64, end: u64) -> Result<u64, HistoryError> {
        let Entry { first_ordinal, ts_recv, .. } = self.frames()[at].entry;
        if start <= first_ordinal && self.frames()[at].entry.end_ordinal() <= end {
            return Ok(ts_recv.min);
        }
        let plain = self.read_frame(at)?;
        let (mut rest, mut ordinal, mut earliest) = (&plain[..], first_ordinal, u64::MAX);
        while let Ok(run) = Run::of(rest) {
            rest = &rest[run.bytes().len()..];
            if let Run::Records(records) = run {
                for record in records.chunks_exact(MBO_BYTES) {
                    if (start..end).contains(&ordinal) {
                        earliest = earliest.min(read_mbo(record).ts_recv);
                    }
                    ordinal += 1;
                }
            }
        }
        Ok(if earliest == u64::MAX { ts_recv.min } else { earliest })
    }

    /// The metadata of a stream of nothing but the MBO records of these ordinals, with all symbols that are known of them,
    /// from the earliest ts_recv of the first frame's records among them; nothing if there are none.
    ///
    /// # Errors
    /// If the log cannot be read or is damaged.
    pub fn metadata_of(&self, start: u64, end: u64) -> Result<Option<Metadata>, HistoryError> {
        let first = self.find_ordinal(start);
        let Some(frame) = self.frames().get(first).filter(|frame| frame.entry.first_ordinal < end) else {
            return Ok(None);
        };
        let (mut symbols, mut segment) = (Symbols::default(), None);
        let is_wanted = |frame: &Frame| frame.entry.first_ordinal < end;
        for at in self.frames_of(frame.segment).start..self.frames().len() {
            let frame = &self.frames()[at];
            if !is_wanted(frame) {
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
        let mut metadata = metadata_of(dataset, Some(Schema::Mbo), self.earliest(first, start, end)?, &symbols);
        // Whoever asks for all of a log asks for every symbol of it.
        metadata.symbols = metadata.mappings.iter().map(|mapping| mapping.raw_symbol.clone()).collect();
        Ok(Some(metadata))
    }
}
