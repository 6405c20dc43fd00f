//! A market that is moved along a log, to any time and at any pace, with others that follow it.

#![allow(missing_docs)]

mod support;

use l3book::{
    event::{Rules, State},
    history::{Log, PastError, Replay, layout::beside, restore},
    market::{Key, LookupError, Market, Name},
    record::{MBO_BYTES, read_mbo},
    stream::{Channel, Kind, Stream},
    view::View,
};
use support::timeline::{
    ALL, STREAM_RECORDS, checkpoints, record_session, recorded, shown, simulate, simulated, until,
};

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
    assert_eq!(replay.step(&mut market, &Name::Key(key), 40, usize::MAX, &|| true).expect("recorded"), 40);
    assert_eq!(seq(&market), before + 40);
    same(&market, replay.ordinal());
    assert_eq!(replay.step(&mut market, &Name::Key(key), -41, usize::MAX, &|| true).expect("recorded"), -41);
    assert_eq!(seq(&market), before - 1);
    same(&market, replay.ordinal());
    assert_eq!(
        replay.step(&mut market, &Name::Key(key), i64::MIN, usize::MAX, &|| true).expect("recorded"),
        -(before as i64 - 1)
    );
    assert_eq!((seq(&market), replay.ordinal()), (0, 0));
    replay.advance(&mut market, u64::MAX, 1_000).expect("recorded");
    let (there, epoch) = (replay.ordinal(), market.book(key).expect("there").epoch());
    assert_eq!(replay.step(&mut market, &Name::Key(key), -40, usize::MAX, &|| false).expect("recorded"), 0);
    assert_eq!((replay.ordinal(), market.book(key).expect("there").epoch()), (there, epoch), "given up");
    same(&market, there);
    let unknown = replay.step(&mut market, &Name::InstrumentId(77), 1, usize::MAX, &|| true);
    assert!(matches!(unknown, Err(PastError::Lookup(LookupError::Unknown(..)))));

    // To the end, and on with what is recorded then.
    replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded");
    assert_eq!((replay.ordinal(), replay.next_ts()), (STREAM_RECORDS as u64, None));
    let end = market.fingerprint();
    assert_eq!(end, until(stream, u64::MAX).fingerprint());
    assert_eq!(replay.step(&mut market, &Name::Key(key), 3, usize::MAX, &|| true).expect("recorded"), 0);
    record_session(&folder.0, &stream[..900 * MBO_BYTES], 700, "two");
    assert_eq!(replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded"), 900);
    same(&market, STREAM_RECORDS as u64 + 900);
    assert!(!epochs.contains(&market.book(key).expect("it stays").epoch()));
}

/// Where one session ends another begins, at the same ordinal: whoever asks for a time in between gets the books of the first,
/// as a question for that time does, and whoever plays on leaves them with the second one's first record.
#[test]
fn between_two_sessions_a_replay_has_the_books_of_the_first() {
    let stream = simulated();
    let (first, second) = stream.split_at(2_000 * MBO_BYTES);
    for checkpointed in [&[][..], &[1_500, 2_000]] {
        let folder = recorded(first, 700);
        record_session(&folder.0, second, 700, "two");
        checkpoints(&folder.0, checkpointed);
        let (before, after) = (read_mbo(&first[first.len() - MBO_BYTES..]), read_mbo(second));
        let expected = until(first, u64::MAX).fingerprint();
        let mut market = Market::new(Rules::default());
        let mut replay = Replay::open(&folder.0, Some(before.hd.ts_event), 1, &mut market).expect("recorded");
        let look = |replay: &Replay, market: &Market| (replay.ordinal(), replay.next_ts(), market.fingerprint());
        let between = (2_000, Some(after.ts_recv), expected);
        assert_eq!(look(&replay, &market), between, "opened there");
        replay.seek(&mut market, read_mbo(&first[500 * MBO_BYTES..]).hd.ts_event).expect("recorded");
        assert_ne!(market.fingerprint(), expected);
        replay.seek(&mut market, after.hd.ts_event - 1).expect("recorded");
        assert_eq!(look(&replay, &market), between, "sought");
        replay.seek(&mut market, read_mbo(&first[500 * MBO_BYTES..]).hd.ts_event).expect("recorded");
        replay.advance(&mut market, after.ts_recv - 1, usize::MAX).expect("recorded");
        assert_eq!(look(&replay, &market), between, "played");
        assert_eq!(replay.advance(&mut market, after.ts_recv, 1).expect("recorded"), 1);
        let resting = |market: &Market| market.books().map(|(_, book)| book.book().len()).sum::<usize>();
        assert!(resting(&market) <= 1, "of the second alone");
        replay.advance(&mut market, u64::MAX, usize::MAX).expect("recorded");
        assert_eq!((replay.ordinal(), replay.next_ts()), (STREAM_RECORDS as u64, None));
        assert_eq!(market.fingerprint(), until(second, u64::MAX).fingerprint());
    }
}

/// Behind a hole without a checkpoint books are in doubt, but only up to the next one: then a replay that plays on shows
/// what a question for that time gets.
#[test]
fn a_replay_that_plays_over_a_hole_has_good_books_from_the_next_checkpoint_on() {
    let stream = simulate(3, 25_000);
    let folder = recorded(&stream, 700);
    let log = Log::open(&folder.0).expect("a log");
    assert!(log.segments().len() > 3, "{} segments", log.segments().len());
    let [gone, next] = [&log.segments()[1], &log.segments()[2]];
    let mended = next.first_ordinal + 111;
    checkpoints(&folder.0, &[mended]);
    let whole = restore(&log, mended + 50, false).expect("recorded").market;
    std::fs::remove_file(&gone.path).expect("there");
    std::fs::remove_file(beside(&gone.path, "index")).expect("there");

    let mut market = Market::new(Rules::default());
    let begin = read_mbo(&stream[(gone.first_ordinal as usize - 10) * MBO_BYTES..]).hd.ts_event;
    let mut replay = Replay::open(&folder.0, Some(begin), 0, &mut market).expect("recorded");
    let key = whole.books().next().expect("a book").0;
    let mut followed = Stream::open(&market, &Name::Key(key), Channel::Depth(ALL)).expect("a book");
    let look = followed.look(&mut market);
    followed.tell(look).expect("a beginning");
    let mut go_to = |market: &mut Market, ordinal: u64| {
        while replay.ordinal() < ordinal {
            assert_eq!(replay.advance(market, u64::MAX, 1).expect("good frames"), 1);
        }
        assert_eq!(replay.ordinal(), ordinal);
    };
    let states = |market: &Market| market.books().map(|(_, book)| book.state()).collect::<Vec<_>>();
    go_to(&mut market, mended - 1);
    assert!(states(&market).iter().all(|state| *state == State::Suspect), "{:?}", states(&market));
    let in_doubt = market.book(key).expect("it stays").epoch();
    go_to(&mut market, mended + 50);
    assert_eq!(states(&market), states(&whole));
    for (key, _) in whole.books() {
        let (ours, theirs) = (shown(&market, key).expect("there"), shown(&whole, key).expect("there"));
        assert_eq!(View { epoch: 0, ..ours }, View { epoch: 0, ..theirs }, "{key}");
    }
    assert!(market.book(key).expect("it stays").epoch() > in_doubt);
    let look = followed.look(&mut market);
    assert_eq!(followed.tell(look).expect("a new beginning").kind(), Kind::Snapshot);

    // Back over that place, where seq does not lead from one event to the next: by events, to where each was complete.
    let name = Name::Key(key);
    let told = |market: &Market| View { epoch: 0, ..shown(market, key).expect("there") };
    let mut passed = Vec::new();
    let there = replay.ordinal();
    for looks in [0, 1] {
        let asked = std::cell::Cell::new(0);
        let is_wanted = || asked.replace(asked.get() + 1) < looks;
        assert_eq!(replay.step(&mut market, &name, -40, usize::MAX, &is_wanted).expect("recorded"), 0);
        assert_eq!(replay.ordinal(), there, "given up after {looks} looks");
    }
    for _ in 0..40 {
        passed.push(told(&market));
        assert_eq!(replay.step(&mut market, &name, -1, usize::MAX, &|| true).expect("recorded"), -1);
    }
    assert!(replay.ordinal() < mended);
    assert_eq!(market.book(key).expect("it stays").state(), State::Suspect);
    // Many at once are the same way back.
    let at_once = told(&market);
    let mut again = Vec::new();
    while replay.ordinal() < mended + 50 {
        assert_eq!(replay.step(&mut market, &name, 1, usize::MAX, &|| true).expect("recorded"), 1);
        again.push(told(&market));
    }
    let live = |views: &[View]| views.iter().filter(|view| view.state == State::Live).cloned().collect::<Vec<_>>();
    again.reverse();
    let (there, back) = (live(&passed), live(&again));
    assert!(there.len() > 3, "{}", there.len());
    // What the checkpoint made of the book is a step on the way back; on the way there it comes with the next event.
    assert_eq!(there[..there.len() - 1], back[back.len() + 1 - there.len()..]);
    while told(&market) != passed[0] {
        assert_eq!(replay.step(&mut market, &name, -1, usize::MAX, &|| true).expect("recorded"), -1);
    }
    assert_eq!(replay.step(&mut market, &name, -40, usize::MAX, &|| true).expect("recorded"), -40);
    assert_eq!(told(&market), at_once);
}

#[test]
fn a_replay_that_plays_over_two_sessions_keeps_the_books_of_each_to_its_end() {
    let stream = simulated();
    let (first, rest) = stream.split_at(1_000 * MBO_BYTES);
    let (second, third) = rest.split_at(1_000 * MBO_BYTES);
    let folder = recorded(first, 700);
    record_session(&folder.0, second, 700, "two");
    record_session(&folder.0, third, 700, "three");
    let mut market = Market::new(Rules::default());
    let begin = read_mbo(&first[500 * MBO_BYTES..]).hd.ts_event;
    let mut replay = Replay::open(&folder.0, Some(begin), 1, &mut market).expect("recorded");
    let next = read_mbo(third).ts_recv;
    replay.advance(&mut market, next - 1, usize::MAX).expect("recorded");
    assert_eq!((replay.ordinal(), replay.next_ts()), (2_000, Some(next)));
    assert_eq!(market.fingerprint(), until(second, u64::MAX).fingerprint());
}
