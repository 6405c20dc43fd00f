//! A market that is moved along a log, to any time and at any pace, with others that follow it.

#![allow(missing_docs)]

mod support;

use l3book::{
    event::Rules,
    history::{Log, PastError, Replay, restore},
    market::{Key, LookupError, Market, Name},
    record::{MBO_BYTES, read_mbo},
    stream::{Channel, Kind, Stream},
    view::View,
};
use support::timeline::{ALL, STREAM_RECORDS, checkpoints, record_session, recorded, shown, simulated, until};

#[test]
fn a_replay_goes_anywhere_and_its_books_can_be_followed() {
    let stream = simulated();
    let folder = recorded(stream, 700);
    checkpoints(&folder.0, &[1_500, 3_000]);
    let ts_of = |ordinal: usize| read_mbo(&stream[ordinal * MBO_BYTES..]);
    let mut market = Market::new(Rules::default());
    let mut replay = Replay::open(&folder.0, Some(ts_of(2_000).hd.ts_event), 70, &mut market).expect("recorded");
    let same = |market: &Market, ordinal: u64| {
        let log = Log::open(&folder.0).expect("a log");
        let restored = restore(&log, ordinal, false).expect("recorded").market;
        for (key, _) in restored.books() {
            let (ours, theirs) = (shown(market, key).expect("there"), shown(&restored, key).expect("there"));
            assert_eq!(View { epoch: 0, ..ours }, View { epoch: 0, ..theirs }, "{key} at ordinal {ordinal}");
        }
        assert_eq!(market.records_taken(), ordinal);
    };
    same(&market, replay.ordinal());
    let key = Key::of(&ts_of(2_000));
    let mut followed = [Channel::Depth(ALL), Channel::Orders, Channel::Trades, Channel::Dbn]
        .map(|channel| Stream::open(&market, &Name::Key(key), channel).expect("a book"));
    let mut epochs = vec![market.book(key).expect("there").epoch()];
    for stream in &mut followed {
        let look = stream.look(&mut market);
        assert_eq!(stream.tell(look).expect("a beginning").kind(), Kind::Snapshot);
    }
    for at in [500, 4_000, 4_000, 1_499, 3_001] {
        replay.seek(&mut market, ts_of(at).hd.ts_event).expect("recorded");
        same(&market, replay.ordinal());
        market.check().expect("sound books");
        let epoch = market.book(key).expect("it stays").epoch();
        assert!(!epochs.contains(&epoch), "{epoch} again, after {epochs:?}");
        epochs.push(epoch);
        for (n, stream) in followed.iter_mut().enumerate() {
            let look = stream.look(&mut market);
            assert_eq!(stream.tell(look).expect("a new beginning").kind(), Kind::Snapshot, "stream {n}");
        }
    }

    // Forwards at a pace: as many as are due, and no more than wanted.
    let begin = replay.ordinal();
    let due = ts_of(begin as usize + 300).ts_recv;
    let expected = (begin as usize..STREAM_RECORDS).take_while(|at| ts_of(*at).ts_recv <= due).count();
    assert_eq!(replay.advance(&mut market, due, 100).expect("recorded"), 100);
    assert_eq!(replay.advance(&mut market, due, usize::MAX).expect("recorded"), expected - 100);
    assert_eq!(replay.advance(&mut market, due, usize::MAX).expect("recorded"), 0);
    assert_eq!(replay.ordinal(), begin + expected as u64);
    assert_eq!(replay.next_ts(), Some(ts_of(begin as usize + expected).ts_recv));
    same(&market, replay.ordinal());

    // By events of one book, there and back.
    let seq = |market: &Market| market.book(key).expect("there").moment().seq;
    let before = seq(&market);
    assert_eq!(replay.step(&mut market, &Name::Key(key), 40, usize::MAX).expect("recorded"), 40);
    assert_eq!(seq(&market), before + 40);
    same(&market, replay.ordinal());
    assert_eq!(replay.step(&mut market, &Name::Key(key), -41, usize::MAX).expect("recorded"), -41);
    assert_eq!(seq(&market), before - 1);
    same(&market, replay.ordinal());
    assert_eq!(
        replay.step(&mut market, &Name::Key(key), i64::MIN, usize::MAX).expect("recorded"),
        -(before as i64 - 1)
    );
    assert_eq!((seq(&market), replay.ordinal()), (0, 0));
    let unknown = replay.step(&mut market, &Name::InstrumentId(77), 1, usize::MAX);
    assert!(matches!(unknown, Err(PastError::Lookup(LookupError::Unknown(..)))));

    // To the end, and on with what is recorded then.
    replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded");
    assert_eq!((replay.ordinal(), replay.next_ts()), (STREAM_RECORDS as u64, None));
    let end = market.fingerprint();
    assert_eq!(end, until(stream, u64::MAX).fingerprint());
    assert_eq!(replay.step(&mut market, &Name::Key(key), 3, usize::MAX).expect("recorded"), 0);
    record_session(&folder.0, &stream[..900 * MBO_BYTES], 700, "two");
    assert_eq!(replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded"), 900);
    same(&market, STREAM_RECORDS as u64 + 900);
    assert!(!epochs.contains(&market.book(key).expect("it stays").epoch()));
}
