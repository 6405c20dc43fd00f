//! What a DBN stream begins with, as bytes.

use dbn::{Metadata, Publisher, encode::dbn::MetadataEncoder};

/// The bytes of a stream's beginning.
///
/// # Errors
/// If the metadata cannot be encoded: a symbol is too long for its place.
pub(crate) fn bytes(metadata: &Metadata) -> dbn::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    MetadataEncoder::new(&mut bytes).encode(metadata)?;
    Ok(bytes)
}

/// The dataset of a publisher; empty if nobody knows it.
pub(crate) fn dataset_of(publisher_id: u16) -> String {
    let publisher = Publisher::try_from(publisher_id);
    publisher.map(|publisher| publisher.dataset().as_str().to_owned()).unwrap_or_default()
}
