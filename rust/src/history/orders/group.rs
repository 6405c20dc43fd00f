//! One group of units: a table of hashes.
//!
//! Layout, little endian; groups follow each other in the file, each a page of 4,096 bytes and then its blocks:
//!
//! ```text
//! page   "L3OR", u32 version, u64 first_ordinal, u32 units, u32 blocks, u64 end ordinal of each unit (32 of them),
//!        zeros, and in the last 4 bytes the CRC-32 of all before
//! block  4,096 bytes: up to 1,023 entries u32 in ascending order, then u32::MAX; in the last 4 bytes the CRC-32 of all
//!        before
//! entry  27 bits of the hash, 5 bits: the unit
//! ```
//!
//! The upper 32 bits of a hash choose the block, the lowest 27 are in the entry. A group without blocks says nothing.

use std::{fs::File, io, ops::Range};

use super::{UNITS_MAX, hash_of};
use crate::{history::platform::FileExt, market::Key};

pub(super) const PAGE_BYTES: usize = 4_096;
const MAGIC: [u8; 4] = *b"L3OR";
const VERSION: u32 = 1;
const UNITS_AT: usize = 24;
const CRC_AT: usize = PAGE_BYTES - 4;
/// So full that of a million blocks one has no room for what falls to it.
const ENTRIES_MEAN: usize = 870;
/// A group whose blocks are fuller than that with twice and four times as many blocks was made to be.
const DOUBLINGS_MAX: u32 = 3;
const UNIT_BITS: u32 = 5;
const _: () = assert!(1 << UNIT_BITS == UNITS_MAX);

/// What the page of a group says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) first_ordinal: u64,
    /// End ordinals of its units.
    ends: Vec<u64>,
    blocks: u32,
    /// Where its page is.
    offset: u64,
}

/// An order in a unit, before it is in a table: the hash, with the unit in the bits between those that are used.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

impl Seen {
    const UNIT_SHIFT: u32 = 32 - UNIT_BITS;
    const UNIT_MASK: u64 = (UNITS_MAX as u64 - 1) << Self::UNIT_SHIFT;

    #[inline(always)]
    pub(super) fn new(hash: u64, unit: usize) -> Self {
        Self(hash & !Self::UNIT_MASK | (unit as u64) << Self::UNIT_SHIFT)
    }

    fn block(self, blocks: u32) -> usize {
        (((self.0 >> 32) * u64::from(blocks)) >> 32) as usize
    }

    fn entry(self) -> u32 {
        (self.0 as u32).rotate_left(UNIT_BITS)
    }
}

fn sealed(page: &mut [u8; PAGE_BYTES]) {
    let crc = crc32fast::hash(&page[..CRC_AT]);
    page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
}

fn is_sealed(page: &[u8; PAGE_BYTES]) -> bool {
    page[CRC_AT..] == crc32fast::hash(&page[..CRC_AT]).to_le_bytes()
}

/// The bytes of a group.
pub(super) fn encode(first_ordinal: u64, ends: &[u64], seen: &[Seen]) -> Vec<u8> {
    let least = seen.len().div_ceil(ENTRIES_MEAN).max(1);
    let table = (0..=DOUBLINGS_MAX).find_map(|doublings| table(seen, (least << doublings) as u32)).unwrap_or_default();
    let blocks = table.len() / PAGE_BYTES;
    let mut page = [0; PAGE_BYTES];
    page[..4].copy_from_slice(&MAGIC);
    page[4..8].copy_from_slice(&VERSION.to_le_bytes());
    page[8..16].copy_from_slice(&first_ordinal.to_le_bytes());
    page[16..20].copy_from_slice(&(ends.len() as u32).to_le_bytes());
    page[20..24].copy_from_slice(&(blocks as u32).to_le_bytes());
    for (at, end) in page[UNITS_AT..].chunks_exact_mut(8).zip(ends) {
        at.copy_from_slice(&end.to_le_bytes());
    }
    sealed(&mut page);
    let mut bytes = page.to_vec();
    bytes.extend_from_slice(&table);
    bytes
}

/// So many blocks, or nothing if one of them has no room.
fn table(seen: &[Seen], blocks: u32) -> Option<Vec<u8>> {
    let mut starts = vec![0_usize; blocks as usize + 1];
    for one in seen {
        starts[one.block(blocks) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut places = starts.clone();
    let mut entries = vec![0_u32; seen.len()];
    for one in seen {
        let place = &mut places[one.block(blocks)];
        entries[*place] = one.entry();
        *place += 1;
    }
    let mut bytes = Vec::with_capacity(blocks as usize * PAGE_BYTES);
    for bounds in starts.windows(2) {
        let block = &mut entries[bounds[0]..bounds[1]];
        block.sort_unstable();
        let mut page = [u8::MAX; PAGE_BYTES];
        let mut room = page[..CRC_AT].chunks_exact_mut(4);
        let mut last = None;
        for entry in block.iter().filter(|entry| last.replace(**entry) != Some(**entry)) {
            room.next()?.copy_from_slice(&entry.to_le_bytes());
        }
        sealed(&mut page);
        bytes.extend_from_slice(&page);
    }
    Some(bytes)
}

impl Group {
    /// The group whose page is at an offset; nothing if there is no good one.
    pub(super) fn read(file: &File, offset: u64) -> io::Result<Option<Self>> {
        let Some(page) = read_page(file, offset)? else { return Ok(None) };
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| page[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| page[at + i]));
        let (units, first_ordinal) = (u32_at(16) as usize, u64_at(8));
        if page[..4] != MAGIC || u32_at(4) != VERSION || !(1..=UNITS_MAX).contains(&units) {
            return Ok(None);
        }
        let ends: Vec<u64> = (0..units).map(|unit| u64_at(UNITS_AT + unit * 8)).collect();
        let group = Self { first_ordinal, ends, blocks: u32_at(20), offset };
        let is_whole = file.metadata()?.len() >= group.end_offset();
        let is_ordered = group.ends.is_sorted() && group.ends[0] >= first_ordinal;
        Ok((is_whole && is_ordered).then_some(group))
    }

    pub(super) fn end_ordinal(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.first_ordinal)
    }

    pub(super) fn end_offset(&self) -> u64 {
        self.offset + PAGE_BYTES as u64 * (1 + u64::from(self.blocks))
    }

    /// The ordinals among which records of this order can be: all of them if the group cannot tell.
    pub(super) fn ask(&self, file: &File, key: Key, order_id: u64) -> io::Result<Answer> {
        let hash = hash_of(key, order_id);
        let block = if self.blocks == 0 {
            None
        } else {
            let at = Seen::new(hash, 0).block(self.blocks) as u64;
            read_page(file, self.offset + PAGE_BYTES as u64 * (1 + at))?
        };
        let Some(block) = block else {
            let all = self.first_ordinal..self.end_ordinal();
            return Ok(Answer { stretches: Vec::from([all]), is_damaged: self.blocks > 0 });
        };
        let wanted = Seen::new(hash, 0).entry() >> UNIT_BITS;
        let entries =
            block[..CRC_AT].chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("4 bytes")));
        // What fills free room can be taken for an entry of a unit: then that is read for nothing.
        let units = entries.filter(|entry| entry >> UNIT_BITS == wanted);
        let stretches = units.filter_map(|entry| self.unit(entry as usize & (UNITS_MAX - 1))).collect();
        Ok(Answer { stretches, is_damaged: false })
    }

    fn unit(&self, unit: usize) -> Option<Range<u64>> {
        let end = *self.ends.get(unit)?;
        Some(unit.checked_sub(1).map_or(self.first_ordinal, |before| self.ends[before])..end)
    }
}

/// Where an order can be.
pub(super) struct Answer {
    /// In ascending order.
    pub(super) stretches: Vec<Range<u64>>,
    /// Whether the table is not what was written.
    pub(super) is_damaged: bool,
}

/// A page that fits its checksum; nothing if there is none.
fn read_page(file: &File, offset: u64) -> io::Result<Option<[u8; PAGE_BYTES]>> {
    let mut page = [0; PAGE_BYTES];
    match file.read_exact_at(&mut page, offset) {
        Ok(()) => Ok(Some(page).filter(is_sealed)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_all_meet_make_a_group_that_says_nothing() {
        let seen: Vec<Seen> = (0..100_000).map(|hash| Seen::new(hash, 0)).collect();
        let bytes = encode(5, &[10], &seen);
        assert_eq!(bytes.len(), PAGE_BYTES);
    }

    #[test]
    fn entries_are_sorted_by_unit_within_a_hash() {
        let one = |unit| Seen::new(0x1234_5678_9ABC_DEF0, unit).entry();
        assert_eq!(one(31) - one(0), 31);
        assert!(Seen::new(u64::MAX, 0).block(7) == 6 && Seen::new(0, 31).block(7) == 0);
    }
}
