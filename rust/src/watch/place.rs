//! Where a book stands in its stream: what of a repeated stream it has applied already.

use crate::{
    checkpoint::{self, In, Out},
    record::{Action, MboMsg, mbo_bytes},
};

/// Records of a book that are remembered to find one that comes twice.
const REMEMBERED_RECORDS: usize = 8;

/// The records of a book that share the latest ts_recv: how many, and a hash of them in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ts_recv: u64,
    /// Records of the stream itself; those of a snapshot are not counted.
    pub(super) records: u32,
    pub(super) hash: u64,
    /// Whether records of a snapshot had this ts_recv.
    pub(super) has_snapshot: bool,
}

impl Place {
    pub(super) fn at(ts_recv: u64) -> Self {
        Self { ts_recv, ..Self::default() }
    }

    pub(super) fn write(&self, out: &mut Out) {
        out.varints([self.ts_recv, u64::from(self.records)]);
        out.bytes(&self.hash.to_le_bytes());
        out.bits([self.has_snapshot]);
    }

    pub(super) fn read(input: &mut In<'_>) -> checkpoint::Result<Self> {
        let (ts_recv, records) = (input.varint()?, input.narrow("a number of records of")?);
        let hash = u64::from_le_bytes(input.array()?);
        Ok(Self { ts_recv, records, hash, has_snapshot: input.bool()? })
    }

    #[inline(always)]
    pub(super) fn add(&mut self, hash: u64) {
        self.records = self.records.wrapping_add(1);
        self.hash = (self.hash.rotate_left(23) ^ hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The hashes of the last records that change a book. They cover ts_recv: those of another one never match.
#[derive(Clone, Copy, Default)]
pub(super) struct Recent {
    hashes: [u64; REMEMBERED_RECORDS],
    count: u64,
    /// The number of the first of them that is known.
    first: u64,
    /// The ts_recv of the book's last snapshot or Clear, if it is known, and the number of the first record that is not
    /// earlier.
    begun_ts_recv: u64,
    begun: u64,
}

impl Recent {
    /// A snapshot or Clear has come, and its place: what was before is of no account any more.
    pub(super) fn begin(&mut self, place: &Place) {
        let same = u64::from(place.records);
        self.first = self.count;
        self.begun = self.count.saturating_sub(same);
        // Of what came before a restart, nobody knows how many there were.
        self.begun_ts_recv = if same <= self.count { place.ts_recv } else { 0 };
    }

    /// Forgets the last records.
    pub(super) fn forget(&mut self, records: u64) {
        let known = self.known();
        let end = self.count;
        self.count = end.saturating_sub(records);
        self.first = (end - known).min(self.count);
        for number in self.count..end.min(self.count + REMEMBERED_RECORDS as u64) {
            self.hashes[number as usize % REMEMBERED_RECORDS] = 0;
        }
    }

    /// How many are known, of the last ones: the place of the next one has been written to.
    fn known(&self) -> u64 {
        (self.count - self.first).min(REMEMBERED_RECORDS as u64 - 1)
    }

    fn ends_like(&self, other: &Self) -> bool {
        let back = |recent: &Self, n: u64| recent.hashes[(recent.count - n) as usize % REMEMBERED_RECORDS];
        (1..=self.known().min(other.known())).all(|n| back(self, n) == back(other, n))
    }

    /// Without a branch: one that changes nothing leaves its place to the next.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: u64, changes_book: bool) {
        self.hashes[self.count as usize % REMEMBERED_RECORDS] = hash;
        self.count += u64::from(changes_book);
    }

    #[inline(always)]
    pub(super) fn contains(&self, hash: u64) -> bool {
        // All of them, since whether an early one fits is not to be guessed.
        self.hashes.iter().fold(false, |found, known| found | (*known == hash))
    }
}

/// What of a book's records came again after a break.
pub(super) struct Repeated {
    /// … of those of the last place.
    pub(super) skipped: Place,
    recent: Recent,
    /// Those not earlier than the book's last snapshot or Clear.
    later: u64,
}

impl Repeated {
    pub(super) fn of(done: &Place) -> Self {
        Self { skipped: Place::at(done.ts_recv), recent: Recent::default(), later: 0 }
    }

    /// Another one of those that were applied as `applied`.
    pub(super) fn add(&mut self, record: &MboMsg, applied: &Recent) {
        if !Action::of(record).changes_book() {
            return;
        }
        self.recent.add(hash_of(record), true);
        self.later += u64::from(record.ts_recv >= applied.begun_ts_recv);
    }

    /// Whether these end like those that were applied, and are no more: what came late, or was lost, right before a
    /// break may have left no other trace.
    pub(super) fn is_what_was(&self, applied: &Recent) -> bool {
        let has_more = applied.begun_ts_recv > 0 && self.later > applied.count.saturating_sub(applied.begun);
        self.recent.ends_like(applied) && !has_more
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A hash of a record's 56 bytes but for its length, which also counts a ts_out. Independent multiplications of pairs,
/// since it is made of every record: XXH3 takes several times as long for so few bytes. Not against forgery.
#[inline(always)]
pub(super) fn hash_of(record: &MboMsg) -> u64 {
    let bytes = mbo_bytes(record);
    let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|j| bytes[i * 8 + j]));
    let left = fold(word(1) ^ 0xA076_1D64_78BD_642F, word(2) ^ 0xE703_7ED1_A0B4_28DB);
    let middle = fold(word(3) ^ 0x8EBC_6AF0_9C88_C6E3, word(4) ^ 0x5899_65CC_7537_4CC3);
    let right = fold(word(5) ^ 0x1D8E_4E27_C47D_124F, word(6) ^ 0xEB44_ACCA_B455_D165);
    left ^ middle.rotate_left(21) ^ right.rotate_left(42) ^ (word(0) >> 8).wrapping_mul(0x2D35_8DCC_AA6C_78A5)
}
