//! Where in the log an order is: filters beside the segments, and the life of one order by them.
//!
//! A file `<segment>.orders` says for every order of the segment in which *units* of it the order has records, a unit
//! being a stretch of some 30,000 different orders, about as long as a frame. Up to [`UNITS_MAX`] units that follow each
//! other are a group: one table with the hash of each (order, unit), laid out so that one read of 4 KiB tells all units
//! of an order, and one more tells whether the group is what it should be. A day at 500,000 records a second is some 700,000
//! frames in 22,000 groups: 44,000 reads instead of its terabyte.
//!
//! Why hashes in a table and no Bloom filter for each frame: what 32 frames know of an order lies in one page, where 32
//! filters are as many reads; and with 27 bits of a hash, one question in 150,000 leads to a frame in vain.
//!
//! All of it is derived: what no group covers, or only one that does not fit its checksum, is read instead, and what a
//! group says is looked up in the frame. So answers are exact whatever is in these files, as long as no checksum of 32
//! bits fits by accident.

mod group;
mod keeper;
mod life;

pub use keeper::{Catching, Keeper};
pub use life::{Life, life};

use std::path::PathBuf;

use super::{layout::beside, segment::Segment};
use crate::market::Key;

/// Units of a group at most. What lies behind the last group is read, which takes a tenth of a second with so many.
pub const UNITS_MAX: usize = 32;
/// Different orders of a unit at most; about as many as a frame of 65,536 records has.
pub const UNIT_ORDERS_MAX: usize = 28_000;
/// Records of a unit at most: an order can have any number of them.
const UNIT_RECORDS_MAX: u64 = 65_536;

/// The file beside a segment.
pub(crate) fn path_of(segment: &Segment) -> PathBuf {
    beside(&segment.path, "orders")
}

/// What an order is known by: the same on every machine. Ids can be chosen so that hashes meet; that makes a group
/// useless, not wrong.
#[inline(always)]
fn hash_of(key: Key, order_id: u64) -> u64 {
    let book = u64::from(key.publisher_id) << 32 | u64::from(key.instrument_id);
    let mut hash = order_id ^ book.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32);
    // The finalizer of SplitMix64.
    hash = (hash ^ hash >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ hash >> 31
}
