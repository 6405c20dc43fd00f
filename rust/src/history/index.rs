//! Where the frames of a segment are, in a file beside it.
//!
//! Layout, little endian: `L3IX`, version u32, 8 zero bytes; then an entry of 80 bytes per frame, in order:
//!
//! ```text
//!  0 first_ordinal u64      of the frame's first MBO record, or of the next one if it has none
//!  8 offset        u64      of the frame in the segment
//! 16 frame_bytes   u32      24 records u32
//! 20 plain_bytes   u32      28 flags   u32   (see `flags`)
//! 32 ts_event min, max u64  48 ts_recv min, max u64   (of the MBO records; min > max without any)
//! 64 xxh3          u64      XXH3-64 of the frame's bytes
//! 72 zero          u32      76 crc u32   CRC-32 of the 76 bytes before
//! ```
//!
//! Derived from the segment: damaged or absent, it is made anew from there.

use crate::record::MBO_BYTES;

/// What stands first in the file.
const MAGIC: [u8; 4] = *b"L3IX";
const VERSION: u32 = 1;
/// Bytes before the first entry.
pub const HEADER_BYTES: usize = 16;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 80;
const CRC_AT: usize = 76;

/// Bits of [`Entry::flags`].
pub mod flags {
    /// The metadata, which is no frame of records.
    pub const METADATA: u32 = 1;
    /// Begins with a mark that says which session this is.
    pub const SESSION: u32 = 2;
    /// Begins with the mark of a hole.
    pub const HOLE: u32 = 4;
    /// Something else than an MBO record stands behind the last one.
    pub const TRAILING: u32 = 8;
    /// Holds symbol mappings.
    pub const MAPPING: u32 = 16;
    /// That mark says that the session begins here …
    pub const BEGINS: u32 = 32;
    /// … or that it goes on. Earlier versions wrote neither.
    pub const CONTINUES: u32 = 64;
}

/// The times of some records, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The earliest.
    pub min: u64,
    /// The latest; earlier than `min` if there are no records.
    pub max: u64,
}

impl Default for Span {
    fn default() -> Self {
        Self { min: u64::MAX, max: 0 }
    }
}

impl Span {
    /// The times of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Ordinal of its first MBO record, or of the next one if it has none.
    pub first_ordinal: u64,
    /// Where it begins in its segment.
    pub offset: u64,
    /// Its length there.
    pub frame_bytes: u32,
    /// Its length when decompressed.
    pub plain_bytes: u32,
    /// Its MBO records.
    pub records: u32,
    /// See [`flags`].
    pub flags: u32,
    /// ts_event of the MBO records, ns.
    pub ts_event: Span,
    /// ts_recv of the MBO records, ns.
    pub ts_recv: Span,
    /// XXH3-64 of its bytes in the segment.
    pub xxh3: u64,
}

impl Entry {
    /// The ordinal after its last record's.
    #[must_use]
    pub fn end_ordinal(&self) -> u64 {
        // A file may be named as if its first record had any ordinal.
        self.first_ordinal.saturating_add(u64::from(self.records))
    }

    /// Where the next frame begins.
    #[must_use]
    pub fn end_offset(&self) -> u64 {
        self.offset + u64::from(self.frame_bytes)
    }

    /// Whether there is nothing in it but MBO records: one after the other, nobody has to look what comes next.
    #[must_use]
    pub fn is_records_only(&self) -> bool {
        self.records > 0 && u64::from(self.records) * MBO_BYTES as u64 == u64::from(self.plain_bytes)
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// As it stands in the file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let longs = [(0, self.first_ordinal), (8, self.offset), (32, self.ts_event.min), (40, self.ts_event.max)];
        let more = [(48, self.ts_recv.min), (56, self.ts_recv.max), (64, self.xxh3)];
        for (at, value) in longs.into_iter().chain(more) {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        for (at, value) in [(16, self.frame_bytes), (20, self.plain_bytes), (24, self.records), (28, self.flags)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Nothing if these are not the bytes of an entry.
    #[must_use]
    pub fn of(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        (u32_at(CRC_AT) == crc32fast::hash(&bytes[..CRC_AT])).then(|| Self {
            first_ordinal: u64_at(0),
            offset: u64_at(8),
            frame_bytes: u32_at(16),
            plain_bytes: u32_at(20),
            records: u32_at(24),
            flags: u32_at(28),
            ts_event: Span { min: u64_at(32), max: u64_at(40) },
            ts_recv: Span { min: u64_at(48), max: u64_at(56) },
            xxh3: u64_at(64),
        })
    }
}

/// What stands before the entries.
#[must_use]
pub fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// The entries of an index whose first is of this ordinal, up to the first that is not whole or does not follow the one
/// before, and whether that is all there is.
#[must_use]
pub fn read(bytes: &[u8], first_ordinal: u64) -> (Vec<Entry>, bool) {
    let Some(rest) = bytes.strip_prefix(&header()) else { return (Vec::new(), false) };
    read_on(rest, first_ordinal, None)
}

/// As [`read`], from behind an entry that is known on.
#[must_use]
pub fn read_on(bytes: &[u8], first_ordinal: u64, known: Option<&Entry>) -> (Vec<Entry>, bool) {
    let mut entries: Vec<Entry> = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    let place = |entry: &Entry| (entry.end_ordinal(), entry.end_offset());
    let (mut ordinal, mut offset) = known.map_or((first_ordinal, 0), place);
    for chunk in bytes.chunks(ENTRY_BYTES) {
        let entry = chunk.try_into().ok().and_then(Entry::of);
        let Some(entry) = entry.filter(|entry| {
            let follows = (entry.first_ordinal, entry.offset) == (ordinal, offset);
            follows && entry.has(flags::METADATA) == (offset == 0) && entry.frame_bytes > 0
        }) else {
            return (entries, false);
        };
        (ordinal, offset) = place(&entry);
        entries.push(entry);
    }
    (entries, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |first_ordinal, offset, records, flags| Entry {
            first_ordinal,
            offset,
            records,
            flags,
            frame_bytes: 100,
            plain_bytes: records * 56,
            ts_event: Span { min: 5, max: 7 },
            xxh3: 9,
            ..Entry::default()
        };
        vec![entry(40, 0, 0, flags::METADATA), entry(40, 100, 3, 0), entry(43, 200, 1, flags::TRAILING)]
    }

    fn file(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = header().to_vec();
        entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_bytes()));
        bytes
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        assert_eq!(read(&file(&entries()), 40), (entries(), true));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let whole = file(&entries());
        for len in 0..whole.len() {
            let count = len.saturating_sub(HEADER_BYTES) / ENTRY_BYTES;
            let is_whole = len >= HEADER_BYTES && (len - HEADER_BYTES).is_multiple_of(ENTRY_BYTES);
            assert_eq!(read(&whole[..len], 40), (entries()[..count].to_vec(), is_whole), "cut at {len}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let (read, is_whole) = read(&bytes, 40);
            assert!(!is_whole && read.len() == at.saturating_sub(HEADER_BYTES) / ENTRY_BYTES, "flipped at {at}");
        }
    }

    #[test]
    fn entries_that_do_not_follow_each_other_are_not_read() {
        let mut swapped = entries();
        swapped.swap(1, 2);
        assert_eq!(read(&file(&swapped), 40).0.len(), 1);
        assert_eq!(read(&file(&entries()), 41).0.len(), 0, "of another segment");
        assert_eq!(read(&file(&entries()[1..]), 40).0.len(), 0, "without its metadata");
    }
}
