//! The metadata of what was derived.

use std::num::NonZeroU64;

use dbn::{Metadata, SType, SymbolMapping, VersionUpgradePolicy};

use super::schema::Schema;
use crate::{metadata::dataset_of, record::MboMsg};

/// What derived rows are headed by: the input's metadata, less what no longer holds.
pub(super) fn derived(input: &Metadata, schema: Schema) -> Metadata {
    let mut metadata = input.clone();
    metadata.upgrade(VersionUpgradePolicy::UpgradeToV3);
    metadata.schema = Some(schema.dbn());
    // Rows carry no ts_out, and a limit counted the input's records.
    metadata.ts_out = false;
    metadata.limit = None;
    metadata
}

/// The same with the mappings of some only, and the symbols that these are of: rows of one instrument name no others.
pub(super) fn narrowed(metadata: &Metadata, is_wanted: impl Fn(&SymbolMapping) -> bool) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.mappings.retain(is_wanted);
    let Metadata { symbols, mappings, .. } = &mut metadata;
    symbols.retain(|symbol| mappings.iter().any(|mapping| mapping.raw_symbol == *symbol));
    metadata
}

/// Metadata for a stream that came without: what its first record tells.
pub(super) fn made_up(first: &MboMsg, schema: Schema) -> Metadata {
    Metadata::builder()
        .dataset(dataset_of(first.hd.publisher_id))
        .schema(Some(schema.dbn()))
        .start(first.ts_recv)
        .end(None::<NonZeroU64>)
        .stype_in(None)
        .stype_out(SType::InstrumentId)
        .version(3)
        .build()
}
