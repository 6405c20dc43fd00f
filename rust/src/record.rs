//! The MBO record as the book reads it: which byte means which action, and why a record can be refused.
//!
//! Layout and meaning: Databento, "MBO schema" and "Common fields, enums and types".

use std::mem::MaybeUninit;

pub use dbn::{MboMsg, UNDEF_PRICE};

/// Bytes of an MBO record, and of one that carries `ts_out` behind it.
pub const MBO_BYTES: usize = size_of::<MboMsg>();
/// See [`MBO_BYTES`].
pub const MBO_TS_OUT_BYTES: usize = MBO_BYTES + 8;

// What the unsafe blocks below rely on: as many bytes as the fields have together (a header of 16, then 8 + 8 + 4 + 1 + 1 +
// 1 + 1 + 8 + 4 + 4), so none is padding.
const _: () = assert!(size_of::<dbn::RecordHeader>() == 16 && MBO_BYTES == 16 + 40);

/// Bits of the `flags` byte.
pub mod flags {
    pub use dbn::flags::{LAST, MAYBE_BAD_BOOK, SNAPSHOT, TOB};
}

/// What an action byte asks for. The numbers index [`Counters::by_action`](crate::book::Counters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// `A`: a new order at the back of its queue.
    Add = 0,
    /// `C`: an order shrinks or leaves.
    Cancel = 1,
    /// `M`: an order changes size, price or both.
    Modify = 2,
    /// `R`: the whole book empties.
    Clear = 3,
    /// `T`: a trade; never changes the book.
    Trade = 4,
    /// `F`: a resting order was filled; never changes the book.
    Fill = 5,
    /// `N`: nothing, but possibly the end of an event.
    None = 6,
    /// Any other byte.
    Unknown = 7,
}

const ACTIONS: [Action; 256] = {
    let mut table = [Action::Unknown; 256];
    table[b'A' as usize] = Action::Add;
    table[b'C' as usize] = Action::Cancel;
    table[b'M' as usize] = Action::Modify;
    table[b'R' as usize] = Action::Clear;
    table[b'T' as usize] = Action::Trade;
    table[b'F' as usize] = Action::Fill;
    table[b'N' as usize] = Action::None;
    table
};

impl Action {
    /// The action of a record.
    #[inline(always)]
    #[must_use]
    pub fn of(record: &MboMsg) -> Self {
        ACTIONS[record.action as u8 as usize]
    }

    /// Whether the action can change a book.
    #[inline(always)]
    #[must_use]
    pub fn changes_book(self) -> bool {
        (self as u8) <= Action::Clear as u8
    }
}

/// A side of the book; the number indexes per-side arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// `B`: buyers.
    Bid = 0,
    /// `A`: sellers.
    Ask = 1,
}

impl Side {
    /// Both sides, bid first.
    pub const BOTH: [Side; 2] = [Side::Bid, Side::Ask];

    /// The side an order of this record rests on; `None` for `N` and anything else.
    #[inline(always)]
    #[must_use]
    pub fn of(record: &MboMsg) -> Option<Self> {
        Self::from_byte(record.side as u8)
    }

    /// `B` or `A`.
    #[inline(always)]
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        // Not a match on the letters: which of the two it is, is a coin toss, and no branch should hang on it.
        const { assert!(Side::Bid as u8 == 0 && Side::Ask as u8 == b'B' - b'A') };
        Self::BOTH.get(usize::from(b'B'.wrapping_sub(byte))).copied()
    }

    /// `'B'` or `'A'`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Side::Bid => 'B',
            Side::Ask => 'A',
        }
    }
}

/// Why a record was refused. The book stays as it was and the feed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reject {
    /// The action byte is none of `A C M R T F N`.
    Action = 0,
    /// An Add or Modify whose side is neither `B` nor `A`.
    Side = 1,
    /// An Add or Modify without a price (and, for an Add, without TOB).
    Price = 2,
}

impl Reject {
    /// Whether applying this record as this action would be refused, and why.
    #[inline(always)]
    #[must_use]
    pub fn of(action: Action, record: &MboMsg) -> Option<Self> {
        match action {
            Action::Add | Action::Modify => {
                if Side::of(record).is_none() {
                    return Some(Reject::Side);
                }
                let may_lack_price = action == Action::Add && record.flags.raw() & flags::TOB != 0;
                (record.price == UNDEF_PRICE && !may_lack_price).then_some(Reject::Price)
            }
            Action::Unknown => Some(Reject::Action),
            _ => None,
        }
    }

    /// The counter's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reject::Action => "rejected_action",
            Reject::Side => "rejected_side",
            Reject::Price => "rejected_price",
        }
    }

    /// What was found in the record, and what was expected.
    #[must_use]
    pub fn describe(self, record: &MboMsg) -> String {
        let letter = |byte: std::ffi::c_char| (byte as u8).escape_ascii().to_string();
        let action = letter(record.action);
        match self {
            Reject::Action => format!("action '{action}', expected one of A C M R T F N"),
            Reject::Side => format!("side '{}' on action {action}, expected B or A", letter(record.side)),
            Reject::Price => format!("undefined price on action {action}, expected a price"),
        }
    }
}

/// Reads an MBO record from the first 56 bytes of a slice, at any alignment.
///
/// # Panics
/// If there are fewer than 56 bytes.
#[inline(always)]
#[must_use]
pub fn read_mbo(bytes: &[u8]) -> MboMsg {
    assert!(bytes.len() >= MBO_BYTES);
    // SAFETY: the length was just checked, the read is unaligned, and every bit pattern is a valid MboMsg: it is
    // `repr(C)` and made of integers, of `c_char` and of a flag set that wraps a `u8`.
    unsafe { bytes.as_ptr().cast::<MboMsg>().read_unaligned() }
}

/// The records of a block without gaps: where they lie if they lie aligned, or else copied into `copies`.
///
/// In place, since a copy on the stack is read back field by field before it has been written: 2 to 3 ns a record.
///
/// # Panics
/// If `copies` has too few places.
#[inline(always)]
pub(crate) fn mbo_records<'a>(block: &'a [u8], stride: usize, copies: &'a mut [MaybeUninit<MboMsg>]) -> &'a [MboMsg] {
    if stride == MBO_BYTES {
        // SAFETY: every bit pattern is a valid MboMsg (see `read_mbo`).
        let (unaligned, records, rest) = unsafe { block.align_to::<MboMsg>() };
        if unaligned.is_empty() && rest.is_empty() {
            return records;
        }
    }
    let mut count = 0;
    for bytes in block.chunks_exact(stride) {
        copies[count].write(read_mbo(bytes));
        count += 1;
    }
    // SAFETY: the first `count` places were just written, and MaybeUninit<T> has the layout of T.
    unsafe { &*(std::ptr::from_ref(&copies[..count]) as *const [MboMsg]) }
}

/// The 56 bytes of a record, as [`read_mbo`] reads them.
///
/// Not dbn's `as_ref`: that takes the length from the header, which counts `ts_out` where the record came with one.
#[must_use]
pub fn mbo_bytes(record: &MboMsg) -> &[u8; MBO_BYTES] {
    // SAFETY: MboMsg is `repr(C)`, MBO_BYTES long and without padding, so each of its bytes is initialised.
    unsafe { &*std::ptr::from_ref(record).cast() }
}

/// The bytes of records that follow each other; see [`mbo_bytes`].
#[must_use]
pub fn mbo_slice_bytes(records: &[MboMsg]) -> &[u8] {
    // SAFETY: as above, and a slice has no gaps between its records.
    unsafe { std::slice::from_raw_parts(records.as_ptr().cast(), size_of_val(records)) }
}
