//! Streams, held against clients that know nothing but their messages: at every message each has the book.

#![allow(missing_docs)]

mod stream_clients;
mod support;

use std::sync::Arc;

use l3book::{
    book::SameSizeModify,
    event::{EventBook, Rules},
    feed::Feed,
    market::{Key, Market, Name},
    record::{MBO_BYTES, MboMsg, Side, flags, mbo_bytes},
    stream::{Channel, Kind, MERGED_DELTAS_MAX, Message, Stream, TAP_RECORDS_MAX, TRADES_MAX},
    view::Extent,
    watch::{Reason, Resumption, WatchedFeed},
};
use proptest::prelude::*;
use serde_json::Value;
use stream_clients::{DepthClient, OrdersClient, number};
use support::hostile;

const KEY: Key = Key { publisher_id: 1, instrument_id: 1 };
const DEPTHS: [usize; 3] = [1, 3, 10];
/// None, fewer than levels, as many, all.
const QUEUES: [usize; 4] = [0, 2, 3, usize::MAX];

fn poll(stream: &mut Stream, market: &mut Market) -> Option<Arc<Message>> {
    let look = stream.look(market);
    stream.tell(look)
}

fn snapshot(stream: &mut Stream, market: &mut Market) -> Arc<Message> {
    if !stream.is_begun() {
        let look = stream.look(market);
        stream.begin(look);
    }
    stream.snapshot()
}

/// A watched market with two books, which breaks, is doubted and goes on as the steps say.
struct Unsteady {
    feed: WatchedFeed,
    steps: Vec<(MboMsg, u8)>,
}

impl Unsteady {
    fn new(bytes: &[u8], controls: &[u8], rules: Rules) -> Self {
        let mut feed = WatchedFeed::new(rules);
        let first = hostile::record(b'A', b'B', hostile::UNIT, 1, 9, flags::LAST);
        feed.feed(mbo_bytes(&first)).expect("a record");
        let controls = controls.iter().copied().cycle();
        Self { feed, steps: hostile::records(bytes, 2).into_iter().zip(controls).collect() }
    }

    /// Takes the next steps; false at the end. `control` is left to the caller but for its highest values.
    fn run(&mut self, mut each: impl FnMut(&mut Market, u8)) {
        for (record, control) in std::mem::take(&mut self.steps) {
            match control {
                250..=252 => {
                    self.feed.disconnected();
                    each(&mut self.feed.market, 0);
                    self.feed.reconnected(Resumption::Snapshot);
                }
                253..=255 => drop(self.feed.doubt(&Reason::Borrowed("test"), None)),
                _ => {}
            }
            self.feed.feed(mbo_bytes(&record)).expect("a record");
            each(&mut self.feed.market, control);
        }
    }
}

fn rules(to_back: bool) -> Rules {
    let same_size = if to_back { SameSizeModify::ToBack } else { SameSizeModify::KeepsPlace };
    Rules { same_size, ..Rules::default() }
}

fn steps() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let bytes = prop::collection::vec(any::<u8>(), 0..120 * hostile::BYTES_PER_RECORD);
    (bytes, prop::collection::vec(any::<u8>(), 1..40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn depth_clients_have_the_book_at_every_message(
        (bytes, controls) in steps(), depth in 0usize..3, queues in 0usize..4, is_bbo: bool,
    ) {
        let extent = Extent { depth: DEPTHS[depth], queues: QUEUES[queues] };
        let (channel, extent) = match is_bbo {
            true => (Channel::Bbo, Extent::levels(1)),
            false => (Channel::Depth(extent), extent),
        };
        let mut unsteady = Unsteady::new(&bytes, &controls, Rules::default());
        let mut stream = Stream::open(&unsteady.feed.market, &Name::Key(KEY), channel).expect("a book");
        let (mut steady, mut late) = (DepthClient::default(), DepthClient::default());
        steady.apply(&snapshot(&mut stream, &mut unsteady.feed.market));
        late.apply(&stream.snapshot());
        unsteady.run(|market, control| {
            if control % 2 == 0 {
                if let Some(message) = poll(&mut stream, market) {
                    steady.apply(&message);
                }
                steady.assert_is(market.book(KEY).expect("a book"), extent);
                assert!(poll(&mut stream, market).is_none(), "nothing has changed");
            }
            if control % 5 == 0 {
                let epoch = u64::from_str_radix(&late.epoch, 16).expect("hexadecimal");
                match stream.merged(epoch, late.seq.expect("a seq")) {
                    Some(message) => late.apply(&message),
                    None if (&late.epoch, late.seq) == (&steady.epoch, steady.seq) => {}
                    None => late.apply(&stream.snapshot()),
                }
                assert_eq!(late, steady);
                let mut newcomer = DepthClient::default();
                newcomer.apply(&snapshot(&mut stream, market));
                assert_eq!(newcomer, steady);
            }
        });
    }

    #[test]
    fn orders_clients_have_every_queue_at_every_message((bytes, controls) in steps(), to_back: bool, start in 0u8..20) {
        let mut unsteady = Unsteady::new(&bytes, &controls, rules(to_back));
        let mut stream = Stream::open(&unsteady.feed.market, &Name::Key(KEY), Channel::Orders).expect("a book");
        let (mut client, mut waits) = (OrdersClient::default(), start);
        unsteady.run(|market, control| {
            // It may begin inside an event.
            waits = waits.saturating_sub(1);
            if waits == 0 && control % 2 == 0 {
                if let Some(message) = poll(&mut stream, market) {
                    client.apply(&message);
                }
                client.assert_is(market.book(KEY).expect("a book"));
                assert!(poll(&mut stream, market).is_none(), "nothing has changed");
            }
            if waits == 0 && control % 5 == 0 && stream.is_begun() {
                let mut newcomer = OrdersClient::default();
                newcomer.apply(&stream.snapshot());
                assert_eq!(newcomer.base.seq, client.base.seq);
                assert_eq!(newcomer.queues, client.queues);
                assert_eq!(newcomer.quotes, client.quotes);
            }
        });
    }

    #[test]
    fn dbn_makes_an_equal_book_anew(
        bytes in prop::collection::vec(any::<u8>(), 0..120 * hostile::BYTES_PER_RECORD),
        controls in prop::collection::vec(any::<u8>(), 1..40), start in 0usize..20, ts_out: bool,
    ) {
        let mut first = Feed::new(Rules::default());
        let records = hostile::records(&bytes, 2);
        let nothing = hostile::record(b'N', b'N', 0, 0, 0, flags::LAST);
        first.feed(mbo_bytes(&nothing)).expect("a record");
        let mut stream = Stream::open(&first.market, &Name::Key(KEY), Channel::Dbn).expect("a book");
        let mut second: Option<Feed> = None;
        let last = (&nothing, &0u8);
        for (n, (record, control)) in records.iter().zip(controls.iter().cycle()).chain([last, last]).enumerate() {
            let mut bytes = mbo_bytes(record).to_vec();
            if ts_out {
                bytes[0] += 2;
                bytes.extend_from_slice(&[7; 8]);
            }
            first.feed(&bytes).expect("a record");
            if n < start || control % 3 != 0 {
                continue;
            }
            if let Some(message) = poll(&mut stream, &mut first.market) {
                let feed = second.get_or_insert_with(|| Feed::new(Rules::default()));
                feed.feed(message.bytes().expect("records")).expect("DBN");
                assert_eq!(message.kind() == Kind::Snapshot, stream.is_begun() && message.prev().is_none());
            }
            let book = first.market.book(KEY).expect("a book");
            // What was completed by force, the second book completes when it gets the record that forced it.
            let is_forced = book.counters().iter().any(|(name, count)| *name == "forced_events" && *count > 0);
            if let (Some(second), true) = (&second, !is_forced || n + 1 == records.len() + 2) {
                let other = second.market.book(KEY).expect("a book");
                for side in Side::BOTH {
                    let orders = |book: &EventBook| book.book().queues(side).map(|(level, queue)| {
                        (level, queue.collect::<Vec<_>>())
                    }).collect::<Vec<_>>();
                    assert_eq!(orders(book), orders(other), "side {}", side.letter());
                }
            }
        }
    }

    #[test]
    fn dbn_and_trades_tell_all_records_in_order(
        bytes in prop::collection::vec(any::<u8>(), 0..120 * hostile::BYTES_PER_RECORD),
        controls in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut feed = Feed::new(Rules::default());
        let nothing = hostile::record(b'N', b'N', 0, 0, 0, flags::LAST);
        feed.feed(mbo_bytes(&nothing)).expect("a record");
        let open = |market: &Market, channel| Stream::open(market, &Name::Key(KEY), channel).expect("a book");
        let (mut dbn, mut trades) = (open(&feed.market, Channel::Dbn), open(&feed.market, Channel::Trades));
        assert_eq!(poll(&mut dbn, &mut feed.market).map(|message| message.kind()), Some(Kind::Snapshot));
        assert_eq!(poll(&mut trades, &mut feed.market).map(|message| message.kind()), Some(Kind::Snapshot));
        let records = hostile::records(&bytes, 2);
        let (mut told, mut traded) = (Vec::new(), Vec::new());
        let mut newest = Vec::new();
        let last = (&nothing, &0u8);
        for (record, control) in records.iter().zip(controls.iter().cycle()).chain([last]) {
            feed.feed(mbo_bytes(record)).expect("a record");
            if control % 3 != 0 {
                continue;
            }
            if let Some(message) = poll(&mut dbn, &mut feed.market) {
                told.extend_from_slice(message.bytes().expect("records"));
            }
            if let Some(message) = poll(&mut trades, &mut feed.market) {
                let value: Value = serde_json::from_str(&message.json()).expect("JSON");
                newest = value["trades"].as_array().expect("trades").clone();
                if message.kind() == Kind::Delta {
                    traded.append(&mut newest.clone());
                } else {
                    // It begins anew with what is known, of which some may not have been told.
                    let known = newest.iter().rev().position(|trade| Some(trade) == traded.last()).unwrap_or(newest.len());
                    traded.extend_from_slice(&newest[newest.len() - known..]);
                }
            }
        }
        let own = || records.iter().filter(|record| support::agreement::key_of(record) == KEY);
        let expected: Vec<u8> = own().chain([&nothing]).flat_map(mbo_bytes).copied().collect();
        prop_assert_eq!(&told, &expected);
        prop_assert_eq!(told.len() % MBO_BYTES, 0);
        let expected: Vec<u64> = own().filter(|record| record.action as u8 == b'T').map(|record| u64::from(record.sequence)).collect();
        let traded: Vec<u64> = traded.iter().map(|trade| number(&trade["sequence"])).collect();
        prop_assert_eq!(traded, expected);
        let value: Value = serde_json::from_str(&trades.snapshot().json()).expect("JSON");
        // More only where the last message begins an epoch.
        prop_assert!(value["trades"].as_array().expect("trades").len() <= TRADES_MAX.max(newest.len()));
    }
}

fn with_one_order() -> WatchedFeed {
    let mut feed = WatchedFeed::new(Rules::default());
    feed.feed(mbo_bytes(&hostile::record(b'A', b'B', hostile::UNIT, 5, 1, flags::LAST))).expect("a record");
    feed
}

fn open(feed: &WatchedFeed, channel: Channel) -> Stream {
    Stream::open(&feed.market, &Name::Key(KEY), channel).expect("a book")
}

#[test]
fn what_an_unfinished_event_says_is_told_when_it_completes_or_never() {
    let mut feed = with_one_order();
    let mut streams = [Channel::Orders, Channel::Trades, Channel::Dbn].map(|channel| open(&feed, channel));
    for stream in &mut streams {
        snapshot(stream, &mut feed.market);
    }
    let part = |action: u8, flags| hostile::record(action, b'B', hostile::UNIT, 1, 1, flags);
    for is_lost in [true, false] {
        feed.feed(mbo_bytes(&part(b'T', 0))).expect("a record");
        feed.feed(mbo_bytes(&part(b'C', 0))).expect("a record");
        for stream in &mut streams {
            assert!(poll(stream, &mut feed.market).is_none());
        }
        if is_lost {
            feed.disconnected();
            let [orders, trades, dbn] = streams.each_mut().map(|stream| poll(stream, &mut feed.market));
            let (orders, trades) = (orders.expect("its state").json(), trades.expect("its state").json());
            assert!(orders.contains("\"state\":\"suspect\"") && orders.contains("\"ops\":[]"), "{orders}");
            assert!(trades.contains("\"state\":\"suspect\"") && trades.contains("\"trades\":[]"), "{trades}");
            assert!(dbn.is_none());
            feed.reconnected(Resumption::Snapshot);
        }
    }
    feed.feed(mbo_bytes(&part(b'N', flags::LAST))).expect("a record");
    let [orders, trades, dbn] =
        streams.each_mut().map(|stream| poll(stream, &mut feed.market).expect("a complete event"));
    assert!(orders.json().contains("\"ops\":[[\"C\",\"1\",1]]"), "{}", orders.json());
    assert!(
        trades.json().contains("\"price\":\"1.00\",\"size\":1,\"side\":\"B\",\"order_id\":\"1\""),
        "{}",
        trades.json()
    );
    assert_eq!(dbn.bytes().map(<[u8]>::len), Some(3 * MBO_BYTES));
}

#[test]
fn a_change_of_state_alone_is_told_once_and_continues() {
    let mut feed = with_one_order();
    let mut stream = open(&feed, Channel::Bbo);
    let first = snapshot(&mut stream, &mut feed.market);
    feed.doubt(&Reason::Borrowed("test"), None);
    let doubt = poll(&mut stream, &mut feed.market).expect("a state");
    assert_eq!((doubt.prev(), doubt.seq(), doubt.ts_recv()), (Some(first.seq()), first.seq(), 0));
    assert!(poll(&mut stream, &mut feed.market).is_none());
    let merged = stream.merged(doubt.epoch(), first.seq()).expect("a delta");
    assert!(Arc::ptr_eq(&merged, &doubt), "one delta is not made twice");
    feed.feed(mbo_bytes(&hostile::record(b'A', b'B', hostile::UNIT, 1, 2, flags::LAST))).expect("a record");
    let next = poll(&mut stream, &mut feed.market).expect("a level");
    assert_eq!((next.prev(), next.seq()), (Some(first.seq()), first.seq() + 1));
    assert!(stream.merged(next.epoch(), next.seq()).is_none());
}

#[test]
fn a_level_pushed_out_of_the_best_is_taken_back_and_what_moves_nothing_is_not_told() {
    let mut feed = with_one_order();
    let mut stream = open(&feed, Channel::Bbo);
    snapshot(&mut stream, &mut feed.market);
    feed.feed(mbo_bytes(&hostile::record(b'A', b'B', hostile::UNIT / 2, 7, 2, flags::LAST))).expect("a record");
    assert!(poll(&mut stream, &mut feed.market).is_none(), "not among the best");
    feed.feed(mbo_bytes(&hostile::record(b'A', b'B', 2 * hostile::UNIT, 3, 3, flags::LAST))).expect("a record");
    let delta = poll(&mut stream, &mut feed.market).expect("a level");
    assert!(delta.json().contains("\"prev\":1,\"seq\":3,"), "{}", delta.json());
    assert!(delta.json().contains("\"bids\":[[\"2.00\",3,1],[\"1.00\",0,0]],\"asks\":[]"), "{}", delta.json());
}

#[test]
fn only_so_many_deltas_are_merged() {
    let mut feed = with_one_order();
    let mut stream = open(&feed, Channel::Bbo);
    let first = snapshot(&mut stream, &mut feed.market);
    for n in 0..MERGED_DELTAS_MAX as u64 + 1 {
        assert_eq!(stream.merged(first.epoch(), first.seq()).is_some(), n > 0);
        feed.feed(mbo_bytes(&hostile::record(b'A', b'B', hostile::UNIT, 1, 2 + n, flags::LAST))).expect("a record");
        poll(&mut stream, &mut feed.market).expect("a level");
    }
    assert!(stream.merged(first.epoch(), first.seq()).is_none());
    assert!(stream.merged(first.epoch(), first.seq() + 1).is_some());
    assert!(stream.merged(first.epoch() + 1, first.seq() + 1).is_none());
}

#[test]
fn too_many_records_between_two_polls_are_a_gap_and_then_a_snapshot() {
    let mut feed = with_one_order();
    let mut streams = [Channel::Orders, Channel::Dbn].map(|channel| open(&feed, channel));
    for stream in &mut streams {
        snapshot(stream, &mut feed.market);
    }
    let more: Vec<MboMsg> = (0..TAP_RECORDS_MAX as u64 + 1)
        .map(|n| hostile::record(b'A', b'A', 2 * hostile::UNIT, 1, 100 + n % 2, flags::LAST))
        .collect();
    feed.feed(&hostile::to_bytes(&more)).expect("records");
    for stream in &mut streams {
        let gap = poll(stream, &mut feed.market).expect("a gap");
        assert_eq!(gap.kind(), Kind::Gap);
        let expected = format!(
            "{{\"type\":\"gap\",\"channel\":\"{}\",\"instrument\":\"1:1\",\"from\":2,\"to\":{},\"reason\":\"overflow\"}}",
            stream.channel().name(),
            more.len() + 1
        );
        assert_eq!(gap.json(), expected);
        // A newcomer takes the snapshot first; the others still get theirs.
        let newcomer = snapshot(stream, &mut feed.market);
        let again = poll(stream, &mut feed.market).expect("a snapshot");
        assert!(Arc::ptr_eq(&newcomer, &again));
        assert!(poll(stream, &mut feed.market).is_none());
    }
    let mut client = OrdersClient::default();
    client.apply(&streams[0].snapshot());
    client.assert_is(feed.market.book(KEY).expect("a book"));
}

#[test]
fn a_closed_stream_leaves_the_book_alone() {
    let mut feed = with_one_order();
    let mut stream = open(&feed, Channel::Dbn);
    snapshot(&mut stream, &mut feed.market);
    stream.close(&mut feed.market);
    feed.feed(mbo_bytes(&hostile::record(b'A', b'B', hostile::UNIT, 1, 2, flags::LAST))).expect("a record");
    assert!(!stream.is_begun());
}
