"""What is published of a source: cut, spread over shards, numbered, and gone on with after any message."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import Mbo, split
from history_log import by_book
from l3book import Market
from l3book._core import Simulator
from l3book.jetstream.feeding import _Passing
from l3book.jetstream.messages import PAYLOAD_BYTES_MAX, Label, Outgoing, shards_of, subjects_of
from l3book.jetstream.records import Cutter, RecordError, are_whole, shard_of
from l3book.jetstream.windows import HEAD_EVERY_MESSAGES, Progress, ShardState, Windows
from l3book.sources import is_connector, open_source

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "BOOKS"
SOURCE = "0123456789abcdef"
MAPPING = struct.pack("<BBHIQB71sB71sQQ", 44, 0x16, 0, 7, 1, 1, b"ES", 1, b"ESZ5", 0, 2**64 - 1)


def made(records: int = 6000, instruments: int = 9) -> bytes:
    simulator = Simulator(seed=3, instruments=instruments, resting_max=64)
    return simulator.header() + simulator.read(records)


def windows(shards: int, sent: list[Outgoing] | None = None, source: str = SOURCE) -> Windows:
    """As a publisher makes them that finds these messages in the stream."""
    sent = sent or []
    states = []
    for shard in range(shards):
        own = [message.label for message in sent if message.shard == shard]
        states.append(ShardState.after(own[-1]) if own else ShardState())
    last = sent[-1] if sent else None
    progress = Progress(source)
    if last is not None and last.label.source == source:
        progress = Progress.after(last.label, last.shard)
    return Windows(STREAM, states, last.sequence if last else 0, last.label.ts_event if last else 0, progress)


def published(maker: Windows, data: bytes, chunk: int) -> list[Outgoing]:
    found = []
    for at in range(0, len(data), chunk):
        found += list(maker.take(data[at : at + chunk]))
    return found + list(maker.end())


def records_in(sent: list[Outgoing], shard: int) -> bytes:
    return b"".join(message.payload for message in sent if message.label.kind == "records" and message.shard == shard)


def test_one_shard_has_the_records_as_they_came() -> None:
    data = made()
    sent = published(windows(1), data, 10_007)
    assert records_in(sent, 0) == split(data)[1]
    assert sent[0].label.kind == "head"
    assert sent[0].payload == split(data)[0]
    assert [message.sequence for message in sent] == list(range(1, len(sent) + 1))
    assert [message.label.number for message in sent] == list(range(1, len(sent) + 1))
    assert sent[-1].label.kind == "end"
    assert sum(message.records for message in sent) == len(split(data)[1]) // 56


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_a_book_is_in_one_shard_with_all_its_records_in_order(shards: int) -> None:
    data = made()
    sent = published(windows(shards), data, 50_000)
    whole = split(data)[1]
    rows = [whole[at : at + 56] for at in range(0, len(whole), 56)]
    for shard in range(shards):
        keys = [struct.unpack_from("<HI", row, 2) for row in rows]
        wanted = [row for row, key in zip(rows, keys, strict=True) if shard_of(*key, shards) == shard]
        assert records_in(sent, shard) == b"".join(wanted)
        market = Market()
        for message in sent:
            if message.shard == shard and message.payload:
                market.feed(message.payload)
        assert all(book.symbol for book in market.instruments())


def test_shards_by_hand() -> None:
    """docs/nats.md has these numbers."""
    assert [shard_of(1, instrument, 4) for instrument in range(1, 9)] == [2, 3, 1, 2, 0, 1, 3, 0]
    assert shard_of(65535, 2**32 - 1, 256) == 70


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("chunk", [700, 40_000])
def test_gone_on_with_after_any_message_the_stream_is_the_same(shards: int, chunk: int) -> None:
    data = made(700, 5) + MAPPING + made(400, 5)
    whole = published(windows(shards), data, chunk)
    for kept in range(1, len(whole) + 1):
        sent = whole[:kept]
        rest = published(windows(shards, sent), data, 1300)
        both = sent + rest
        assert [message.sequence for message in both] == list(range(1, len(both) + 1))
        for shard in range(shards):
            assert records_in(both, shard) == records_in(whole, shard), (kept, whole[kept - 1].label)
            numbers = [message.label.number for message in both if message.shard == shard]
            assert numbers == list(range(1, len(numbers) + 1))
            assert [m.label.kind for m in both if m.shard == shard][-1] == "end"


def test_another_source_follows_with_a_head_of_its_own() -> None:
    first = published(windows(2), made(300), 5000)
    later = published(windows(2, first, "f" * 16), made(300, 2), 5000)
    assert [message.label.kind for message in later[:2]] == ["head", "head"]
    assert later[0].sequence == first[-1].sequence + 1
    assert later[0].label.number == first[-2].label.number + 1
    assert all(message.label.head in (later[0].sequence, later[1].sequence) for message in later)


def test_messages_are_small_enough_and_heads_come_again() -> None:
    maker = windows(1)
    data = made(30_000, 2)
    sent = list(maker.take(data))
    assert max(len(message.payload) for message in sent) <= PAYLOAD_BYTES_MAX
    records = split(made(2))[1][:56]
    for _ in range(HEAD_EVERY_MESSAGES + 1):
        sent += list(maker.take(records))
    heads = [message for message in sent if message.label.kind == "head"]
    assert len(heads) == 2
    assert heads[1].payload == heads[0].payload
    assert sent[-1].label.head == heads[1].sequence


def test_a_large_head_comes_again_only_after_much_more_than_itself() -> None:
    """Every symbol of a venue, and a market that is quiet: its stream is not made of heads."""
    maker, record = windows(1), split(made(2))[1][:56]
    mappings = [MAPPING[:4] + struct.pack("<I", instrument) + MAPPING[8:] for instrument in range(2000)]
    sent = list(maker.take(split(made(2))[0] + b"".join(mappings)))
    sent += list(maker.take(record))
    before = len(sent)
    for _ in range(2 * HEAD_EVERY_MESSAGES):
        sent += list(maker.take(record))
    assert [message.label.kind for message in sent[before:]] == ["records"] * 2 * HEAD_EVERY_MESSAGES


def test_a_long_head_comes_in_parts() -> None:
    metadata = bytearray(split(made(2))[0])
    padded = bytes(metadata) + MAPPING * 1
    maker = windows(1)
    list(maker.take(padded))
    maker._metadata = b"x" * (PAYLOAD_BYTES_MAX + 10)
    sent = list(maker._head(0, 0, 0))
    assert [message.label.part for message in sent] == [1, 2]
    assert {message.label.parts for message in sent} == {2}
    assert {message.label.head for message in sent} == {sent[0].sequence}


def test_labels_are_read_as_they_were_written_and_nothing_else_is_one() -> None:
    label = Label("records", 4, SOURCE, 10, 20, 3, 99)
    headers = label.headers()
    assert Label.of(headers) == label
    assert Label.of(None) is None
    for name in headers:
        assert Label.of({key: value for key, value in headers.items() if key != name}) is None, name
        assert Label.of({**headers, name: "-1" if name != "L3book-Source" else ""}) is None, name
    assert Label.of({**headers, "L3book-From": "21"}) is None
    assert Label.of({**headers, "L3book-Part": "3/2"}) is None


def test_a_stream_says_by_its_subjects_how_many_shards_it_has() -> None:
    assert shards_of(STREAM, [subjects_of(STREAM, 12)]) == 12
    for subjects in ([], ["orders.>"], ["OTHER.*.2.*"], ["BOOKS.*.0.*"], ["BOOKS.*.999.*"], ["BOOKS.*.1.*", "x"]):
        assert shards_of(STREAM, subjects) is None, subjects


def test_what_is_no_record_is_said() -> None:
    with pytest.raises(RecordError, match="compressed"):
        list(Cutter().feed(b"\x28\xb5\x2f\xfd" + bytes(100)))
    with pytest.raises(RecordError, match="a record of 0 bytes"):
        list(Cutter().feed(bytes(64)))
    record = Mbo("A", "B", 1, 1, 1).to_bytes()
    assert are_whole(record * 3 + MAPPING)
    assert not are_whole(record + record[:20])
    assert not are_whole(b"hello, world, this is not for you")
    assert not are_whole(split(made(2))[0])


def test_of_a_feed_that_repeats_itself_only_news_is_passed_on() -> None:
    """Broken off inside events, again and again: what was passed on of them is not passed on twice."""
    simulator = Simulator(seed=9, instruments=3, resting_max=64)
    head, body = simulator.header(), simulator.read(3000)
    rows = [body[at : at + 56] for at in range(0, len(body), 56)]
    passed: list[bytes] = []
    passing = _Passing(lambda brought: passed.append(brought) if isinstance(brought, bytes) else None)
    passing.on_state("running")
    passing.take(head)
    at = 0
    for end in (1500, 1503, 1506, 1507, 2200, 2201, 2202, len(rows)):
        passing.take(b"".join(rows[at:end]))
        if end == len(rows):
            break
        passing.market.disconnected()
        start = passing.market.resume_ts()
        assert start is not None
        at = next(i for i, row in enumerate(rows) if struct.unpack_from("<Q", row, 8)[0] >= start)
        passing.market.reconnected("resume")
        passing.on_state("running")
        passing.take(head)
    cut = [item.data for data in passed for item in Cutter().feed(data) if item.kind == "mbo"]
    found = b"".join(cut)
    assert len(found) == len(body)
    assert by_book(found) == by_book(body)


@pytest.mark.parametrize("pace", ["rate=1", "speed=0.000001", ""])
def test_what_is_published_already_is_passed_over_without_a_pace(pace: str, tmp_path: Path) -> None:
    path = tmp_path / "day.dbn"
    path.write_bytes(made(9000))
    source = open_source(f"file:{path}?{pace}")
    assert not is_connector(source)
    source.hurry(9000)
    cutter, records = Cutter(), 0
    for chunk in source:
        records += sum(len(item.rows()) for item in cutter.feed(chunk) if item.kind == "mbo")
        if records >= 9000:
            break
    source = open_source("synthetic:?rate=1")
    assert not is_connector(source)
    source.hurry(50_000)
    taken = 0
    for chunk in source:
        taken += len(chunk) // 56
        if taken >= 50_000:
            break


def test_doubts_go_to_the_shards_of_their_books() -> None:
    maker = windows(4)
    list(maker.take(made(300)))
    told = list(maker.doubt([(1, 1, "gap"), (1, 2, "gap"), (1, 3, "duplicate")]))
    assert {message.shard: json.loads(message.payload)["doubts"] for message in told} == {
        1: [[1, 3, "duplicate"]],
        2: [[1, 1, "gap"]],
        3: [[1, 2, "gap"]],
    }
    assert [message.shard for message in maker.doubt([(0, 0, "publisher restarted")])] == [0, 1, 2, 3]


def test_books_are_not_written_where_the_stream_ends_already() -> None:
    """Whoever wrote it was killed behind a snapshot, or in it: what it has is not there a second time."""
    data, key = made(300, 1), (1, 1)
    whole = list(windows(1).take(data))
    again = windows(1, whole)
    assert list(again.take(data)) == []
    assert list(again.snapshot([(key, bytes(56))])) == []
    list(again.take(data[-56:]))
    assert [message.label.kind for message in again.snapshot([(key, bytes(56))])] == ["books", "snapshot"]


def test_books_of_two_attempts_are_different_messages() -> None:
    """They share their number with the message before them: a server shall not take the second for the first."""
    made_of = [windows(1), windows(1)]
    for maker in made_of:
        list(maker.take(made(300, 1)))
    made_of[1]._sequence += 1
    first, second = (list(maker.snapshot([((1, 1), bytes(56))])) for maker in made_of)
    assert first[0].label.number == second[0].label.number
    assert first[0].identity != second[0].identity
