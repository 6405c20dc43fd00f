//! Books → JSON and MessagePack, the one shape that files, REST and the WebSocket share.

pub use crate::writer::push_price;
use crate::{
    book::{Level, Order, QueuePosition},
    event::Moment,
    market::{Key, Market},
    record::Side,
    view::View,
    writer::{Json, MessagePack, Writer, first, next},
};

fn write_queue<W: Writer>(writer: &mut W, queue: &[Order]) {
    writer.items(queue.iter(), |writer, order| {
        writer.array(3);
        writer.quoted(order.order_id);
        writer.separate();
        writer.int(u64::from(order.size));
        writer.separate();
        writer.quoted(order.ts_event);
        writer.end_array();
    });
}

/// Writes a level, with its queue if it carries one. Inlined, so that where there is never one it is never asked for.
#[inline(always)]
pub(crate) fn write_level<W: Writer>(writer: &mut W, level: &Level, queue: Option<&Vec<Order>>) {
    writer.array(if queue.is_some() { 4 } else { 3 });
    writer.price(level.price);
    writer.separate();
    writer.int(level.size);
    writer.separate();
    writer.int(u64::from(level.count));
    if let Some(queue) = queue {
        writer.separate();
        write_queue(writer, queue);
    }
    writer.end_array();
}

/// Writes the entries of both sides; `side` writes one, as a list of levels.
pub(crate) fn write_sides<W: Writer>(writer: &mut W, mut side: impl FnMut(&mut W, Side)) {
    writer.name(next!("bids"));
    side(writer, Side::Bid);
    writer.name(next!("asks"));
    side(writer, Side::Ask);
}

/// Writes the levels of both sides of a view.
pub(crate) fn write_view_sides<W: Writer>(writer: &mut W, view: &View) {
    write_sides(writer, |writer, side| {
        let levels = view.levels[side as usize].iter();
        match &view.queues {
            // Apart, so that the many without queues are not asked for them one by one.
            None => writer.items(levels, |writer, level| write_level(writer, level, None)),
            Some(queues) => writer.items(levels.enumerate(), |writer, (i, level)| {
                write_level(writer, level, queues[side as usize].get(i));
            }),
        }
    });
}

/// Writes the entries that say when: which event, by all its numbers and times.
pub(crate) fn write_moment<W: Writer>(writer: &mut W, moment: &Moment) {
    writer.name(next!("seq"));
    writer.int(moment.seq);
    writer.name(next!("sequence"));
    writer.int(u64::from(moment.sequence));
    writer.name(next!("ts_event"));
    writer.quoted(moment.ts_event);
    writer.name(next!("ts_recv"));
    writer.quoted(moment.ts_recv);
}

fn write_instrument<W: Writer>(writer: &mut W, key: Key, symbol: Option<&str>, epoch: u64) {
    writer.name(first!("instrument_id"));
    writer.int(u64::from(key.instrument_id));
    writer.name(next!("publisher_id"));
    writer.int(u64::from(key.publisher_id));
    writer.name(next!("symbol"));
    match symbol {
        Some(symbol) => writer.text(symbol),
        None => writer.null(),
    }
    writer.name(next!("epoch"));
    writer.hex(epoch);
}

fn write_view<W: Writer>(writer: &mut W, view: &View) {
    writer.map(14);
    write_instrument(writer, view.key, view.symbol.as_deref(), view.epoch);
    write_moment(writer, &view.moment);
    writer.name(next!("state"));
    writer.word(view.state.name());
    writer.name(next!("crossed"));
    writer.bool(view.is_crossed);
    writer.name(next!("locked"));
    writer.bool(view.is_locked);
    write_view_sides(writer, view);
    writer.name(next!("orders"));
    writer.int(view.orders as u64);
    writer.end_map();
}

/// Appends a view as one JSON object.
pub fn push_view(out: &mut Vec<u8>, view: &View) {
    write_view(&mut Json(out), view);
}

/// Appends a view as one MessagePack map: the same object as [`push_view`]'s.
pub fn push_view_message_pack(out: &mut Vec<u8>, view: &View) {
    write_view(&mut MessagePack::new(out), view);
}

/// One resting order, and where it stands in its queue.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderView {
    /// Which book.
    pub key: Key,
    /// The instrument's symbol at that moment.
    pub symbol: Option<Box<str>>,
    /// Which run of the book.
    pub epoch: u64,
    /// Its completed events.
    pub seq: u64,
    /// The order.
    pub order: Order,
    /// Its place.
    pub position: QueuePosition,
}

impl OrderView {
    /// An order of a book; nothing if it does not rest there.
    #[must_use]
    pub fn lookup(market: &Market, key: Key, order_id: u64) -> Option<Self> {
        let book = market.book(key)?;
        Some(Self {
            key,
            symbol: market.symbol(key).map(Into::into),
            epoch: book.epoch(),
            seq: book.moment().seq,
            order: book.book().order(order_id)?,
            position: book.book().queue_position(order_id)?,
        })
    }
}

/// Appends an order as one JSON object.
pub fn push_order(out: &mut Vec<u8>, view: &OrderView) {
    let (order, position) = (&view.order, &view.position);
    let mut writer = Json(out);
    writer.map(14);
    write_instrument(&mut writer, view.key, view.symbol.as_deref(), view.epoch);
    writer.name(next!("seq"));
    writer.int(view.seq);
    writer.name(next!("order_id"));
    writer.quoted(order.order_id);
    writer.name(next!("status"));
    writer.word("resting");
    writer.name(next!("side"));
    writer.text(order.side.letter().encode_utf8(&mut [0; 4]));
    writer.name(next!("price"));
    writer.price(order.price);
    writer.name(next!("size"));
    writer.int(u64::from(order.size));
    writer.name(next!("ts_event"));
    writer.quoted(order.ts_event);
    writer.name(next!("orders_ahead"));
    writer.int(u64::from(position.orders_ahead));
    writer.name(next!("size_ahead"));
    writer.int(position.size_ahead);
    writer.name(next!("orders_behind"));
    writer.int(u64::from(position.orders_behind));
    writer.name(next!("size_behind"));
    writer.int(position.size_behind);
    writer.end_map();
}
