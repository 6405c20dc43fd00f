//! The ladder that is patched against the book that is read anew for every record.
//!
//! Random streams with few prices, ids and sizes, so that levels come and go within reach of the rows all the time.
//! Debug builds compare inside the deriver as well. The rules themselves are held against a second implementation in
//! Python, in tests/property/test_derive_against_oracle.py.

use dbn::{BidAskPair, MboMsg, Mbp1Msg, Mbp10Msg, RecordHeader, UNDEF_PRICE, rtype};
use l3book::{
    book::{OrderBook, SameSizeModify},
    derive::{Deriver, Schema},
    record::{Action, Reject, Side, flags},
};
use proptest::{collection::vec, prelude::*};

const LEVELS: usize = 10;
type Shown = [[(i64, u32, u32); 2]; LEVELS];

fn shown_by(book: &OrderBook) -> Shown {
    let mut shown = [[(UNDEF_PRICE, 0, 0); 2]; LEVELS];
    for side in Side::BOTH {
        for (place, level) in shown.iter_mut().zip(book.levels(side)) {
            place[side as usize] = (level.price, u32::try_from(level.size).unwrap_or(u32::MAX), level.count);
        }
    }
    shown
}

fn shown_in(levels: &[BidAskPair]) -> Vec<[(i64, u32, u32); 2]> {
    levels.iter().map(|l| [(l.bid_px, l.bid_sz, l.bid_ct), (l.ask_px, l.ask_sz, l.ask_ct)]).collect()
}

fn record(action: u8, side: u8, price: i64, order_id: u64, size: u32, bits: u8) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 7, 1_000),
        order_id,
        price,
        size,
        flags: bits.into(),
        channel_id: 0,
        action: action as std::ffi::c_char,
        side: side as std::ffi::c_char,
        ts_recv: 2_000,
        ts_in_delta: 5,
        sequence: order_id as u32,
    }
}

fn any_record() -> impl Strategy<Value = MboMsg> {
    let action = prop::sample::select(b"AAAAAAAAAAAACCCCCCCCMMMMMMTFNRx".to_vec());
    let side = prop::sample::select(b"BBBBAAAAN".to_vec());
    let price = prop_oneof![20 => 1..25i64, 1 => Just(UNDEF_PRICE), 1 => Just(i64::MIN)];
    let size = prop_oneof![20 => 1..4u32, 1 => Just(0), 1 => Just(u32::MAX)];
    let bits = prop_oneof![
        20 => Just(flags::LAST), 6 => Just(0), 1 => Just(flags::TOB | flags::LAST), 1 => Just(flags::SNAPSHOT)
    ];
    (action, side, price, 0..60u64, size, bits)
        .prop_map(|(action, side, price, id, size, bits)| record(action, side, price, id, size, bits))
}

/// The rows as (action, levels), by reading the whole book before and after each record.
fn naive(records: &[MboMsg], depth: usize) -> Vec<(u8, Shown)> {
    let mut book = OrderBook::new(SameSizeModify::default());
    let mut rows = Vec::new();
    for record in records {
        let action = Action::of(record);
        if Reject::of(action, record).is_some() {
            continue;
        }
        let before = shown_by(&book);
        book.apply(action, record);
        let after = shown_by(&book);
        let is_row = match action {
            Action::Trade => true,
            _ if record.flags.raw() & flags::SNAPSHOT != 0 => false,
            Action::Clear => true,
            _ => before[..depth] != after[..depth],
        };
        if is_row {
            rows.push((record.action as u8, after));
        }
    }
    rows
}

fn derive(records: &[MboMsg], schema: Schema) -> Vec<u8> {
    let mut deriver = Deriver::new(schema);
    for record in records {
        deriver.push(record);
    }
    deriver.finish();
    deriver.take()
}

fn read<R: Copy>(rows: &[u8]) -> Vec<R> {
    assert_eq!(rows.len() % size_of::<R>(), 0);
    // SAFETY: only used for rows of the schema that R is the layout of; the read is unaligned.
    rows.chunks_exact(size_of::<R>()).map(|row| unsafe { row.as_ptr().cast::<R>().read_unaligned() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ten_levels_are_those_of_the_book(records in vec(any_record(), 0..300)) {
        let rows = read::<Mbp10Msg>(&derive(&records, Schema::Mbp10));
        let expected = naive(&records, LEVELS);
        prop_assert_eq!(rows.len(), expected.len());
        for (row, (action, levels)) in rows.iter().zip(&expected) {
            prop_assert_eq!(row.action as u8, *action);
            prop_assert_eq!(&shown_in(&row.levels)[..], &levels[..]);
            prop_assert!(row.depth < LEVELS as u8);
        }
    }

    #[test]
    fn the_best_level_is_that_of_the_book(records in vec(any_record(), 0..200)) {
        let rows = read::<Mbp1Msg>(&derive(&records, Schema::Mbp1));
        let expected = naive(&records, 1);
        prop_assert_eq!(rows.len(), expected.len());
        for (row, (action, levels)) in rows.iter().zip(&expected) {
            prop_assert_eq!(row.action as u8, *action);
            prop_assert_eq!(&shown_in(&row.levels)[..], &levels[..1]);
        }
    }
}

#[test]
fn an_update_behind_ten_levels_makes_no_row() {
    let adds: Vec<MboMsg> = (1..=11).map(|i| record(b'A', b'B', 100 - i, i as u64, 1, flags::LAST)).collect();
    let rows = read::<Mbp10Msg>(&derive(&adds, Schema::Mbp10));
    assert_eq!(rows.len(), 10);
    assert_eq!(rows.last().map(|row| row.depth), Some(9));
}

#[test]
fn a_trade_shows_the_book_before_its_effect() {
    let records = [
        record(b'A', b'A', 100, 1, 5, flags::LAST),
        record(b'T', b'B', 100, 0, 5, 0),
        record(b'F', b'A', 100, 1, 5, 0),
        record(b'C', b'A', 100, 1, 5, flags::LAST),
    ];
    let rows = read::<Mbp1Msg>(&derive(&records, Schema::Mbp1));
    let seen: Vec<_> = rows.iter().map(|row| (row.action as u8, row.side as u8, row.levels[0].ask_sz)).collect();
    assert_eq!(seen, [(b'A', b'A', 5), (b'T', b'B', 5), (b'C', b'A', 0)]);
    let rows = read::<Mbp1Msg>(&derive(&records, Schema::Tbbo));
    assert_eq!(rows.iter().map(|row| row.levels[0].ask_px).collect::<Vec<_>>(), [100]);
}

#[test]
fn an_order_that_moves_away_is_shown_at_the_level_it_left() {
    let mut records: Vec<MboMsg> = (1..=12).map(|i| record(b'A', b'B', 100 - i, i as u64, 1, flags::LAST)).collect();
    records.push(record(b'M', b'B', 50, 3, 1, flags::LAST));
    let rows = read::<Mbp10Msg>(&derive(&records, Schema::Mbp10));
    assert_eq!(rows.last().map(|row| (row.action as u8, row.depth, row.price)), Some((b'M', 2, 50)));
}
