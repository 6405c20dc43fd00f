//! The metadata of what was derived.

use std::num::NonZeroU64;

use dbn::{Metadata, Publisher, SType, VersionUpgradePolicy, encode::dbn::MetadataEncoder};

use super::schema::Schema;
use crate::record::MboMsg;

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

/// Metadata for a stream that came without: what its first record tells.
pub(super) fn made_up(first: &MboMsg, schema: Schema) -> Metadata {
    let publisher = Publisher::try_from(first.hd.publisher_id);
    let dataset = publisher.map(|publisher| publisher.dataset().as_str().to_owned()).unwrap_or_default();
    Metadata::builder()
        .dataset(dataset)
        .schema(Some(schema.dbn()))
        .start(first.ts_recv)
        .end(None::<NonZeroU64>)
        .stype_in(None)
        .stype_out(SType::InstrumentId)
        .version(3)
        .build()
}

/// The bytes of a stream's beginning.
///
/// # Errors
/// If the metadata cannot be encoded: a symbol is too long for its place.
pub(super) fn bytes(metadata: &Metadata) -> dbn::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    MetadataEncoder::new(&mut bytes).encode(metadata)?;
    Ok(bytes)
}
