//! One message to all clients of a stream, and its encodings.

use std::sync::Arc;

use super::{Channel, delta::Delta, effect::Effect};
use crate::{
    encode::{write_level, write_moment, write_sides, write_view_sides},
    market::Key,
    record::{MboMsg, UNDEF_PRICE},
    view::{Head, View},
    writer::{Json, MessagePack, Writer, first, next},
};

/// Entries of every message but a gap: type, channel, instrument, epoch, four of its moment, state, crossed and locked.
const HEAD_ENTRIES: usize = 11;

/// What all messages of a stream are about.
pub(super) struct Subject {
    pub(super) channel: Channel,
    pub(super) key: Key,
    pub(super) instrument: String,
}

/// What a message is to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It begins anew.
    Snapshot,
    /// It continues.
    Delta,
    /// Something is missing; a snapshot follows.
    Gap,
}

impl Kind {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Snapshot => "snapshot",
            Kind::Delta => "delta",
            Kind::Gap => "gap",
        }
    }
}

/// A trade. Price in units of 1e-9, times ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    ts_event: u64,
    ts_recv: u64,
    price: i64,
    size: u32,
    /// The aggressor's.
    side: &'static str,
    order_id: u64,
    sequence: u32,
}

impl Trade {
    pub(super) fn of(record: &MboMsg) -> Self {
        Self {
            ts_event: record.hd.ts_event,
            ts_recv: record.ts_recv,
            price: record.price,
            size: record.size,
            side: match record.side as u8 {
                b'A' => "A",
                b'B' => "B",
                _ => "N",
            },
            order_id: record.order_id,
            sequence: record.sequence,
        }
    }

    fn write<W: Writer>(&self, writer: &mut W) {
        writer.map(7);
        writer.name(first!("ts_event"));
        writer.quoted(self.ts_event);
        writer.name(next!("ts_recv"));
        writer.quoted(self.ts_recv);
        writer.name(next!("price"));
        match self.price {
            UNDEF_PRICE => writer.null(),
            price => writer.price(price),
        }
        writer.name(next!("size"));
        writer.int(u64::from(self.size));
        writer.name(next!("side"));
        writer.word(self.side);
        writer.name(next!("order_id"));
        writer.quoted(self.order_id);
        writer.name(next!("sequence"));
        writer.int(u64::from(self.sequence));
        writer.end_map();
    }
}

pub(super) enum Body {
    /// A snapshot of levels.
    View {
        view: Arc<View>,
        crc: u32,
    },
    Delta(Delta),
    Effects {
        effects: Vec<Effect>,
        crc: u32,
    },
    Trades(Vec<Trade>),
    /// Whole DBN records, of a snapshot behind metadata.
    Bytes(Vec<u8>),
    /// The first seq that is missing.
    Gap {
        from: u64,
    },
}

/// What a stream tells its clients; encoded when somebody asks.
pub struct Message {
    subject: Arc<Subject>,
    head: Head,
    prev: Option<u64>,
    body: Body,
}

impl Message {
    pub(super) fn new(subject: Arc<Subject>, head: Head, prev: Option<u64>, body: Body) -> Self {
        Self { subject, head, prev, body }
    }

    /// What it is to the message before it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (&self.body, self.prev) {
            (Body::Gap { .. }, _) => Kind::Gap,
            (_, None) => Kind::Snapshot,
            (_, Some(_)) => Kind::Delta,
        }
    }

    /// Which run of the book.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.head.epoch
    }

    /// The `seq` of the message before it; none if it begins anew.
    #[must_use]
    pub fn prev(&self) -> Option<u64> {
        self.prev
    }

    /// Completed events of the book.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.head.moment.seq
    }

    /// ts_recv (ns) of the last event that it tells of; 0 if it tells of none.
    #[must_use]
    pub fn ts_recv(&self) -> u64 {
        let has_events = self.kind() != Kind::Gap && self.prev != Some(self.seq());
        if has_events { self.head.moment.ts_recv } else { 0 }
    }

    /// Channel `dbn`: whole records, of a snapshot behind metadata.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn delta(&self) -> Option<&Delta> {
        match &self.body {
            Body::Delta(delta) => Some(delta),
            _ => None,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut Json(&mut out));
        String::from_utf8(out).expect("text and digits")
    }

    /// As MessagePack: the same object.
    #[must_use]
    pub fn message_pack(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut MessagePack::new(&mut out));
        out
    }

    fn write<W: Writer>(&self, writer: &mut W) {
        if let Body::Gap { from } = self.body {
            self.write_gap(writer, from);
            return writer.end_map();
        }
        let key_or_prev = if self.prev.is_some() { 1 } else { 2 };
        let entries = match &self.body {
            Body::View { .. } | Body::Delta(_) => 3,
            Body::Effects { .. } => 2,
            Body::Trades(_) => 1,
            Body::Bytes(_) | Body::Gap { .. } => 0,
        };
        writer.map(HEAD_ENTRIES + key_or_prev + entries);
        self.write_head(writer);
        match &self.body {
            Body::View { view, crc } => {
                write_view_sides(writer, view);
                write_crc(writer, *crc);
            }
            Body::Delta(delta) => {
                write_sides(writer, |writer, side| {
                    writer.items(delta.sides[side as usize].iter(), |writer, (level, queue)| {
                        write_level(writer, level, queue.as_ref());
                    });
                });
                write_crc(writer, delta.crc);
            }
            Body::Effects { effects, crc } => {
                writer.name(next!("ops"));
                writer.items(effects.iter(), |writer, effect| effect.write(writer));
                write_crc(writer, *crc);
            }
            Body::Trades(trades) => {
                writer.name(next!("trades"));
                writer.items(trades.iter(), |writer, trade| trade.write(writer));
            }
            Body::Bytes(_) | Body::Gap { .. } => {}
        }
        writer.end_map();
    }

    fn write_subject<W: Writer>(&self, writer: &mut W) {
        writer.name(first!("type"));
        writer.word(self.kind().name());
        writer.name(next!("channel"));
        writer.word(self.subject.channel.name());
        writer.name(next!("instrument"));
        writer.text(&self.subject.instrument);
    }

    fn write_head<W: Writer>(&self, writer: &mut W) {
        self.write_subject(writer);
        if self.prev.is_none() {
            writer.name(next!("publisher_id"));
            writer.int(u64::from(self.subject.key.publisher_id));
            writer.name(next!("instrument_id"));
            writer.int(u64::from(self.subject.key.instrument_id));
        }
        writer.name(next!("epoch"));
        writer.hex(self.head.epoch);
        if let Some(prev) = self.prev {
            writer.name(next!("prev"));
            writer.int(prev);
        }
        write_moment(writer, &self.head.moment);
        writer.name(next!("state"));
        writer.word(self.head.state.name());
        writer.name(next!("crossed"));
        writer.bool(self.head.is_crossed);
        writer.name(next!("locked"));
        writer.bool(self.head.is_locked);
    }

    fn write_gap<W: Writer>(&self, writer: &mut W, from: u64) {
        writer.map(6);
        self.write_subject(writer);
        writer.name(next!("from"));
        writer.int(from);
        writer.name(next!("to"));
        writer.int(self.seq());
        writer.name(next!("reason"));
        writer.word("overflow");
    }
}

fn write_crc<W: Writer>(writer: &mut W, crc: u32) {
    writer.name(next!("crc"));
    writer.int(u64::from(crc));
}
