//! A book as the records of an MBO snapshot.
//!
//! A Clear, then an Add per resting order, bids first, each side by price and then by queue, all with the flags
//! SNAPSHOT and BAD_TS_RECV, and the last with LAST. ts_recv is the time of the snapshot. The Clear's ts_event is that
//! of the last complete event (0 if there was none), an Add's the time its order got its place; a book applied from it is equal in both. The
//! Adds' sequence is that of the last complete event, since a book does not keep its orders' own; the Clear's is 0.

use dbn::{FlagSet, MboMsg, RecordHeader, UNDEF_PRICE, flags, rtype};

use crate::{
    book::OrderBook,
    event::Moment,
    market::Key,
    record::{MBO_BYTES, Side, mbo_bytes},
};

const SNAPSHOT: u8 = flags::SNAPSHOT | flags::BAD_TS_RECV;
const FLAGS_OFFSET: usize = std::mem::offset_of!(MboMsg, flags);

/// Appends the snapshot of a book after its last complete event, at a time. A book without records has no moment:
/// what will happen to it may carry an earlier time than this one's.
pub(crate) fn append(out: &mut Vec<u8>, key: Key, book: Option<&OrderBook>, moment: Moment, ts_recv: u64) {
    let clear = MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, key.publisher_id, key.instrument_id, moment.ts_event),
        order_id: 0,
        price: UNDEF_PRICE,
        size: 0,
        flags: FlagSet::new(SNAPSHOT),
        channel_id: 0,
        action: b'R' as _,
        side: b'N' as _,
        ts_recv,
        ts_in_delta: 0,
        sequence: 0,
    };
    out.extend_from_slice(mbo_bytes(&clear));
    for side in Side::BOTH {
        let Some(book) = book else { continue };
        let mut add = clear;
        (add.action, add.side, add.sequence) = (b'A' as _, side.letter() as u8 as _, moment.sequence);
        if let Some((price, size)) = book.quote(side) {
            // It stands for its whole side, so it comes before that side's orders.
            (add.price, add.size) = (price, u32::try_from(size).unwrap_or(u32::MAX));
            add.flags = FlagSet::new(SNAPSHOT | flags::TOB);
            out.extend_from_slice(mbo_bytes(&add));
            add.flags = FlagSet::new(SNAPSHOT);
        }
        for order in book.queues(side).flat_map(|(_, orders)| orders) {
            (add.order_id, add.price, add.size) = (order.order_id, order.price, order.size);
            add.hd.ts_event = order.ts_event;
            out.extend_from_slice(mbo_bytes(&add));
        }
    }
    let last = out.len() - MBO_BYTES;
    out[last + FLAGS_OFFSET] |= flags::LAST;
}
