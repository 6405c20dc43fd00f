"""Books that a publisher writes into its stream now and then: for who begins in the middle, and nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dbn_bytes import Mbo
from feeds import Fed, Truth, simulated
from l3book import Market
from l3book._core import Simulator
from l3book.jetstream import mirror, picture, reading, windows
from l3book.jetstream.address import NatsAddress
from l3book.jetstream.publisher import Publisher
from l3book.jetstream.publishing import Publishing
from l3book.sources import file as file_module
from l3book.sources import open_source
from l3book.sources.uri import parse_uri
from published_nats import days, kinds, last_sequence, reasons, remove, remove_before, states, wait_until
from running import RunningCommand
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from l3book.jetstream.connecting import Opened
    from l3book.jetstream.messages import Outgoing

RECORDS = 20_000
INSTRUMENTS = 5
SPAN_S = 100
EVERY_S = 5
"""Of the recording's time: as often as a chunk is read."""


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictured") / "day.dbn"
    return simulated(path, seed=31, instruments=INSTRUMENTS, records=RECORDS, span_s=SPAN_S)


@pytest.fixture(scope="module")
def truth(file: Path) -> Truth:
    return Truth(file)


def publish(path: Path, to: str, shards: int = 1, every_s: float = EVERY_S, pace: str = "?rate=25000") -> None:
    """Publish a file in chunks of hundreds of records, which end inside events."""
    source = open_source(f"file:{path}{pace}", None)
    publishing = Publishing(NatsAddress.of(parse_uri(to)), source, shards, 60.0, snapshot_every_s=every_s)
    published = asyncio.run(publishing.run(lambda _: None))
    assert published.error is None


def snapshots(nats: RunningNats, stream: str, shard: int = 0) -> list[int]:
    """Where a shard has some, in what is left of the stream."""

    async def read(jetstream: Any) -> list[int]:
        found, at = [], 1
        while True:
            try:
                message = await jetstream.get_msg(stream, at, subject=f"{stream}.*.*.{shard}", next=True)
            except Exception:  # noqa: BLE001  # none is left
                return found
            if message.headers["L3book-Kind"] == "snapshot":
                found.append(message.seq)
            at = message.seq + 1

    return list(nats.ask(read))


def test_whoever_begins_at_any_snapshot_has_the_books_of_a_whole_replay(
    nats: RunningNats, file: Path, truth: Truth
) -> None:
    publish(file, nats.uri("ANY"))
    places = snapshots(nats, "ANY")
    assert len(places) > 5
    live_looks = 0
    for place in places[:: max(1, len(places) // 8)]:
        # Its books are before it: they, and nothing else, are left of what was before.
        first = place - 1
        while kinds_at(nats, "ANY", first - 1) == "books":
            first -= 1
        remove_before(nats, "ANY", first)
        with Fed(nats.uri("ANY")) as fed:
            fed.wait_for_state("ended", truth=truth)
            assert fed.feed.status.refused_messages == 0
            assert reasons(fed) <= {"removed from stream"}
            live_looks += fed.live_looks
            live = [book for book in fed.market.instruments() if book.state == "live"]
            assert live
            fed.assert_final(truth, all_live=place != places[-1])
            fed.market.check()
    assert live_looks > 0


def kinds_at(nats: RunningNats, stream: str, sequence: int) -> str:
    async def read(jetstream: Any) -> str:
        return str((await jetstream.get_msg(stream, sequence)).headers["L3book-Kind"])

    return str(nats.ask(read))


def test_a_reader_in_step_is_not_touched(nats: RunningNats, file: Path) -> None:
    """Neither what its books are nor how they count, nor a byte of what it reads."""
    told = {}
    for stream, every_s in (("WITH", EVERY_S), ("WITHOUT", 0)):
        publish(file, nats.uri(stream), every_s=every_s)
        with Fed(nats.uri(stream)) as fed:
            fed.wait_for_state("ended")
            assert fed.market.stats()["records"] == RECORDS
            books = [(book.publisher_id, book.instrument_id) for book in fed.market.instruments()]
            told[stream] = [fed.market.book_json(key, level=3, depth=None) for key in books]
            assert fed.market.watch_stats()["suspicions"] == {}
    assert told["WITH"] == told["WITHOUT"]
    assert snapshots(nats, "WITH")
    assert not snapshots(nats, "WITHOUT")


def test_what_is_missing_in_the_middle_is_made_good_by_the_next_snapshot(
    nats: RunningNats, file: Path, truth: Truth
) -> None:
    shards = 3
    publish(file, nats.uri("TORN"), shards=shards)
    read, live = 0, 0
    for shard in range(shards):
        places = snapshots(nats, "TORN", shard)
        for gone in range(places[1] + 1, places[2]) if places else ():
            remove(nats, "TORN", gone)
        with Fed(f"{nats.uri('TORN')}?shard={shard}") as fed:
            fed.wait_for_state("ended", truth=truth)
            books = fed.market.instruments()
            assert reasons(fed) == ({"removed from stream"} if books else set())
            read, live = read + len(books), live + sum(book.state == "live" for book in books)
    assert read == INSTRUMENTS
    assert live >= INSTRUMENTS - 1, "but for one that is inside an event at the last snapshot"


def test_a_snapshot_of_which_a_part_is_gone_is_left_for_the_next(
    nats: RunningNats, file: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "BOOKS_BYTES_MAX", 100 * 56)
    publish(file, nats.uri("PART"))
    places = snapshots(nats, "PART")
    remove_before(nats, "PART", places[2] - 1)
    assert [kinds_at(nats, "PART", at) for at in (places[2] - 1, places[2])] == ["books", "snapshot"]
    assert [kinds_at(nats, "PART", at) for at in (places[3] - 2, places[3] - 1)] == ["books", "books"]
    with Fed(nats.uri("PART")) as fed:
        fed.wait_for_state("ended", truth=truth)
        assert fed.feed.status.refused_messages == 0
        assert "live" in states(fed)


def test_what_follows_on_another_source_is_not_pictured_before_its_own_beginning(
    nats: RunningNats, tmp_path: Path
) -> None:
    """The second file goes on with the books of the first, which nobody has who publishes it."""
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("SECOND"), every_s=0.01, pace="?rate=20000")
    before = last_sequence(nats, "SECOND")
    assert snapshots(nats, "SECOND")
    publish(second, nats.uri("SECOND"), every_s=0.01, pace="?rate=20000")
    assert all(place <= before for place in snapshots(nats, "SECOND"))
    with Fed(nats.uri("SECOND")) as fed:
        fed.wait_for_state("ended")
        assert states(fed) == {"live"}
    remove_before(nats, "SECOND", before + 1)
    with Fed(nats.uri("SECOND")) as fed:
        fed.wait_for_state("ended")
        assert states(fed) == {"suspect"}


def test_a_publisher_that_was_killed_goes_on_with_snapshots(nats: RunningNats, file: Path, truth: Truth) -> None:
    arguments = ("--to", nats.uri("KILLED"), "--snapshot-every-s", "1")
    for _ in range(2):
        before = len(snapshots(nats, "KILLED"))
        running = RunningCommand("publish", "--source", f"file:{file}?rate=4000", *arguments)
        wait_until(lambda: len(snapshots(nats, "KILLED")) > before + 1, "snapshots")  # noqa: B023  # called at once
        running.kill()
    publish(file, nats.uri("KILLED"))
    assert kinds(nats, "KILLED").count("end") == 1
    place = snapshots(nats, "KILLED")[-2]
    remove_before(nats, "KILLED", place - 1)
    with Fed(nats.uri("KILLED")) as fed:
        fed.wait_for_state("ended", truth=truth)
        assert fed.live_looks > 0
        assert "live" in states(fed)


class Killed(Exception):  # noqa: N818  # what happens to it is no mistake of its
    """The publisher is gone, from one message to the next."""


@pytest.mark.parametrize("is_kept", [False, True], ids=["among its parts", "behind it"])
def test_a_publisher_that_was_killed_at_a_snapshot_goes_on_at_once(
    nats: RunningNats, file: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    """It comes to the same place again, and the stream has a part of what it would write there, or all of it."""
    monkeypatch.setattr(windows, "BOOKS_BYTES_MAX", 100 * 56)
    # Without a pace it comes by the same steps.
    monkeypatch.setattr(file_module, "CHUNK_RECORDS_MAX", 500)
    stream, send = f"INSIDE{is_kept:d}", Publisher._send

    async def send_until_killed(publisher: Publisher, opened: Opened, message: Outgoing) -> None:
        is_its_end = message.label.kind == "snapshot" and message.label.end > RECORDS // 2
        if not is_its_end or is_kept:
            await send(publisher, opened, message)
        if is_its_end:
            await asyncio.wait([sent.acknowledged for sent in publisher._unacknowledged])
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "_send", send_until_killed)
        with pytest.raises(Killed):
            publish(file, nats.uri(stream), pace="")
    before = kinds(nats, stream)
    assert before[-2:] == (["books", "snapshot"] if is_kept else ["books", "books"])
    publish(file, nats.uri(stream), pace="")
    after = kinds(nats, stream)
    assert after[: len(before)] == before
    assert after[len(before)] == "records", "nothing is written twice"
    assert len(snapshots(nats, stream)) > 3
    with Fed(nats.uri(stream)) as fed:
        fed.wait_for_state("ended", truth=truth)
        assert fed.market.stats()["records"] == RECORDS
        fed.assert_final(truth)


def test_a_snapshot_that_could_not_be_fetched_is_fetched_again(
    nats: RunningNats, file: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer in time loses the reader no books: what is left of the stream has one snapshot."""
    publish(file, nats.uri("ONCE"))
    remove_before(nats, "ONCE", snapshots(nats, "ONCE")[-1] - 1)
    assert len(snapshots(nats, "ONCE")) == 1
    from nats.errors import TimeoutError as ClientTimeoutError

    asked = []

    async def books_at(*arguments: Any) -> bytes:
        asked.append(arguments)
        if len(asked) < 3:
            raise ClientTimeoutError
        return await picture.books_at(*arguments)

    monkeypatch.setattr(reading, "books_at", books_at)
    with Fed(nats.uri("ONCE")) as fed:
        fed.wait_for_state("ended")
        assert len(asked) == 3
        assert fed.feed.status.losses == {"timeout": 2}
        assert fed.feed.status.refused_messages == 0
        fed.assert_final(truth, all_live=False)
        assert "live" in states(fed)


def test_of_an_empty_book_no_more_is_awaited_than_its_clear(
    nats: RunningNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came next of it would be taken for whole, whatever it was."""
    monkeypatch.setattr(mirror, "SIZES_BETWEEN", 0)
    path, to = tmp_path / "empty.dbn", nats.uri("EMPTY")

    def record(action: str, order_id: int, instrument_id: int) -> bytes:
        return Mbo(action, "B", 10**9, 5, order_id, instrument_id=instrument_id).to_bytes()

    path.write_bytes(
        Simulator(seed=1).header() + record("A", 1, 7) + record("A", 2, 8) + record("C", 1, 7) + record("A", 3, 8)
    )
    publish(path, to, every_s=1e-9)
    remove_before(nats, "EMPTY", snapshots(nats, "EMPTY")[-1] - 1)
    with Fed(to + "?end=reconnect") as fed:
        expected, expect_snapshot = [], fed.feed.expect_snapshot

        def expect(key: tuple[int, int]) -> None:
            expected.append(key[1])
            expect_snapshot(key)

        monkeypatch.setattr(fed.feed, "expect_snapshot", expect)
        wait_until(lambda: len(fed.market.instruments()) == 2, "both books")
        wait_until(lambda: states(fed) == {"live"}, "live")
        assert expected == [8]


def test_a_restarted_server_is_not_taken_back_by_a_snapshot(
    nats: RunningNats, serve: Any, file: Path, tmp_path: Path
) -> None:
    """It reads again what it had, and among that a snapshot of an earlier place."""
    folder, to = tmp_path / "history", nats.uri("AGAIN")
    publish(file, to)
    market = Market()
    market.feed_file(file)
    for _ in range(2):
        server = serve("--source", to, "--history", str(folder))
        server.wait_for_state("ended")
        books = server.get("/v1/instruments").json()["instruments"]
        assert {book["state"] for book in books} == {"live"}
        for book in books:
            told = server.get(f"/v1/books/{book['symbol']}?level=3&depth=all").json()
            wanted = market.snapshot(book["symbol"], depth=None, level=3).to_dict()
            assert (told["bids"], told["asks"]) == (wanted["bids"], wanted["asks"])
        server.process.terminate()
        assert server.wait_for_exit() == 0
