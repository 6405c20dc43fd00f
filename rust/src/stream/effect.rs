//! What a record does to a book, found by looking at the order before and after: no client has to know the rules.

use crate::{
    book::OrderBook,
    record::{Action, MboMsg, Reject, Side, UNDEF_PRICE, flags},
    writer::Writer,
};

/// An effect on a book. Sizes are whole units, prices in units of 1e-9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A new order at the back of its queue.
    Add { order_id: u64, side: Side, price: i64, size: u32 },
    /// The order now rests at this price with this size, at the back of its queue or where it was.
    Modify { order_id: u64, price: i64, size: u32, to_back: bool },
    /// The order has lost so much, and is gone at 0.
    Cancel { order_id: u64, size: u32 },
    /// A top-of-book quote (none at no price) has replaced the whole side.
    Quote { side: Side, quote: Option<(i64, u32)> },
}

/// Applies a record to a book, and appends what that did.
pub(super) fn apply(book: &mut OrderBook, record: &MboMsg, effects: &mut Vec<Effect>) {
    let action = Action::of(record);
    if !action.changes_book() || Reject::of(action, record).is_some() {
        return;
    }
    let order_id = record.order_id;
    if let (Action::Add, Some(side), true) = (action, Side::of(record), record.flags.raw() & flags::TOB != 0) {
        let is_empty = record.price == UNDEF_PRICE;
        if is_empty || record.size > 0 {
            let quote = (!is_empty).then_some((record.price, record.size));
            effects.push(Effect::Quote { side, quote });
        }
        return book.apply(action, record);
    }
    let before = book.order(order_id);
    book.apply(action, record);
    let after = book.order(order_id);
    // A Clear begins a new epoch, which begins with a snapshot.
    if action == Action::Clear {
        return;
    }
    let is_replaced = action == Action::Add && record.size > 0;
    match (before, after) {
        (Some(before), Some(after)) if !is_replaced && before.side == after.side => {
            let stays = before.price == after.price && !book.same_size().goes_to_back(before.size, after.size);
            if action == Action::Cancel {
                if before.size > after.size {
                    effects.push(Effect::Cancel { order_id, size: before.size - after.size });
                }
            } else if action == Action::Modify && !(stays && before.size == after.size) {
                effects.push(Effect::Modify { order_id, price: after.price, size: after.size, to_back: !stays });
            }
        }
        _ => {
            if let Some(before) = before {
                effects.push(Effect::Cancel { order_id, size: before.size });
            }
            if let Some(after) = after {
                effects.push(Effect::Add { order_id, side: after.side, price: after.price, size: after.size });
            }
        }
    }
}

fn write_side<W: Writer>(writer: &mut W, side: Side) {
    writer.word(if side == Side::Bid { "B" } else { "A" });
}

impl Effect {
    pub(super) fn write<W: Writer>(&self, writer: &mut W) {
        match *self {
            Effect::Add { order_id, side, price, size } => {
                writer.array(5);
                writer.word("A");
                writer.separate();
                writer.quoted(order_id);
                writer.separate();
                write_side(writer, side);
                writer.separate();
                writer.price(price);
                writer.separate();
                writer.int(u64::from(size));
            }
            Effect::Modify { order_id, price, size, to_back } => {
                writer.array(5);
                writer.word("M");
                writer.separate();
                writer.quoted(order_id);
                writer.separate();
                writer.price(price);
                writer.separate();
                writer.int(u64::from(size));
                writer.separate();
                writer.word(if to_back { "back" } else { "keep" });
            }
            Effect::Cancel { order_id, size } => {
                writer.array(3);
                writer.word("C");
                writer.separate();
                writer.quoted(order_id);
                writer.separate();
                writer.int(u64::from(size));
            }
            Effect::Quote { side, quote } => {
                writer.array(4);
                writer.word("Q");
                writer.separate();
                write_side(writer, side);
                writer.separate();
                match quote {
                    Some((price, _)) => writer.price(price),
                    None => writer.null(),
                }
                writer.separate();
                writer.int(quote.map_or(0, |(_, size)| u64::from(size)));
            }
        }
        writer.end_array();
    }
}
