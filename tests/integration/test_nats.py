"""A source published to a real NATS server, and read from there: the same books, whatever is killed meanwhile."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from dbn_bytes import Mbo, metadata, split, stream
from feeds import Fed, simulated
from history_log import applied_by_book, by_book, recorded
from l3book import Market
from l3book._core import Log, Simulator
from l3book.jetstream.records import Cutter
from published_nats import reasons
from running import RunningCommand, error_line, run
from running_gateway import KEY, RunningGateway
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running import RunningServer

RECORDS = 60_000
INSTRUMENTS = 6
PACED = "rate=10000"
"""Six seconds: time to kill something in."""
WAIT_S = 90


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


@pytest.fixture
def own_nats() -> Iterator[RunningNats]:
    """One that may be killed."""
    server = RunningNats()
    yield server
    server.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    simulator = Simulator(seed=11, instruments=INSTRUMENTS, resting_max=200)
    path = tmp_path_factory.mktemp("published") / "day.dbn"
    path.write_bytes(simulator.header() + simulator.read_last(RECORDS))
    return path


def hash_of(path: Path) -> str:
    market = Market()
    market.feed_file(path)
    return market.state_hash()


def publish(source: object, to: str, *arguments: str) -> Any:
    return run("publish", "--source", source, "--to", to, *arguments)


def good(source: object, to: str, *arguments: str) -> str:
    completed = publish(source, to, *arguments)
    text = completed.stderr.decode()
    assert completed.returncode == 0, text
    return text


def messages(nats: RunningNats, stream: str) -> list[Any]:
    """All messages of a stream, as they lie there."""

    async def read(jetstream: Any) -> list[Any]:
        state = (await jetstream.stream_info(stream)).state
        return [await jetstream.get_msg(stream, seq) for seq in range(max(1, state.first_seq), state.last_seq + 1)]

    return nats.ask(read)


def state_of(nats: RunningNats, stream: str) -> Any:
    async def read(jetstream: Any) -> Any:
        return (await jetstream.stream_info(stream)).state

    return nats.ask(read)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.05)


def has_messages(nats: RunningNats, stream: str, count: int) -> bool:
    try:
        return state_of(nats, stream).last_seq >= count
    except Exception:  # noqa: BLE001  # the stream is not made yet, or the server not there
        return False


def published_records(nats: RunningNats, stream: str, shard: int = 0) -> bytes:
    """All MBO records of a shard; symbol mappings lie between them."""
    cutter, found = Cutter(), []
    for message in messages(nats, stream):
        if message.headers["L3book-Kind"] == "records" and message.subject.endswith(f".{shard}"):
            found += [item.data for item in cutter.feed(message.data) if item.kind == "mbo"]
    assert cutter.is_whole
    return b"".join(found)


@pytest.fixture(scope="module")
def whole(nats: RunningNats, file: Path) -> str:
    """The file in one shard."""
    assert f"{RECORDS:,} records in" in good(f"file:{file}", nats.uri("WHOLE"))
    return nats.uri("WHOLE")


@pytest.fixture(scope="module")
def halves(nats: RunningNats, file: Path) -> str:
    """The file in two shards."""
    good(f"file:{file}", nats.uri("HALVES"), "--shards", "2")
    return nats.uri("HALVES")


def assert_recorded(server: RunningServer, folder: Path, file: Path) -> None:
    """The server has ended with every record of the file once, and the books that they make."""
    server.wait_for_state("ended")
    states = {book["state"] for book in server.get("/v1/instruments").json()["instruments"]}
    assert states == {"live"}
    server.process.terminate()
    assert server.wait_for_exit() == 0, "".join(server.lines)
    assert applied_by_book(folder) == by_book(split(file.read_bytes())[1])
    assert Log(folder).restore().state_hash() == hash_of(file)


def test_what_was_published_is_served_as_the_file_is(
    whole: str, serve: Callable[..., RunningServer], file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "history"
    server = serve("--source", whole, "--history", str(folder))
    source = server.wait_for_state("ended")["source"]
    assert (source["connects"], source["losses"], source["refused_messages"]) == (1, {}, 0)
    market = Market()
    market.feed_file(file)
    listed = server.get("/v1/instruments").json()["instruments"]
    assert len(listed) == INSTRUMENTS
    for book in listed:
        told = server.get(f"/v1/books/{book['symbol']}?level=3&depth=all").json()
        wanted = json.loads(market.book_json(book["symbol"], level=3, depth=None))
        assert {**told, "epoch": 0} == {**wanted, "epoch": 0}
    assert_recorded(server, folder, file)
    assert recorded(folder) == split(file.read_bytes())[1], "in the order of the file"


def test_published_again_nothing_is_added(nats: RunningNats, halves: str, file: Path) -> None:
    before = state_of(nats, "HALVES")
    assert "are there already" in good(f"file:{file}", halves, "--shards", "2")
    assert state_of(nats, "HALVES").last_seq == before.last_seq
    assert "the stream has 2 shards: expected --shards 2" in error_line(publish(f"file:{file}", halves))


@pytest.mark.parametrize("shards", [1, 3])
def test_a_publisher_that_is_killed_goes_on_where_it_was(nats: RunningNats, file: Path, shards: int) -> None:
    stream = f"KILLED{shards}"
    for kill in range(2):
        arguments = ("--source", f"file:{file}?{PACED}", "--to", nats.uri(stream), "--shards", str(shards))
        running = RunningCommand("publish", *arguments)
        wait_until(lambda: has_messages(nats, stream, 40 * (kill + 1)), "messages")  # noqa: B023  # called at once
        running.kill()
    assert "goes on after record" in good(f"file:{file}", nats.uri(stream), "--shards", str(shards))
    wanted = by_book(split(file.read_bytes())[1])
    found: dict[Any, bytes] = {}
    for shard in range(shards):
        found |= by_book(published_records(nats, stream, shard))
    assert found == wanted
    market = Market()
    market.feed_file(file)
    for shard in range(shards):
        with Fed(f"{nats.uri(stream)}?shard={shard}") as fed:
            fed.wait_for_state("ended")
            for book in fed.market.instruments():
                assert fed.market.book(book.symbol).state_hash() == market.book(book.symbol).state_hash()


def durable(server: RunningServer) -> int:
    ordinal: int = server.metrics()["history"]["recorder"]["durable_ordinal"]
    return ordinal


def test_a_server_that_is_killed_goes_on_without_loss(
    nats: RunningNats, serve: Callable[..., RunningServer], file: Path, tmp_path: Path
) -> None:
    publisher = RunningCommand("publish", "--source", f"file:{file}?{PACED}", "--to", nats.uri("RESTARTED"))
    folder, read = tmp_path / "history", 0
    try:
        for _ in range(2):
            server = serve("--source", nats.uri("RESTARTED"), "--history", str(folder))
            wait_until(lambda: durable(server) > read + 1000, "records in the log")  # noqa: B023  # called at once
            read = durable(server)
            server.kill()
        assert publisher.wait_for_exit() == 0, "".join(publisher.lines)
    finally:
        publisher.kill()
    ended = serve("--source", nats.uri("RESTARTED"), "--history", str(folder))
    assert_recorded(ended, folder, file)
    assert "restored" in "".join(ended.lines)
    # Nothing more comes, and what there is repeats what the books had: they are live nonetheless.
    again = serve("--source", nats.uri("RESTARTED"), "--history", str(folder))
    assert_recorded(again, folder, file)


def test_nats_is_killed_and_comes_back(
    own_nats: RunningNats, serve: Callable[..., RunningServer], file: Path, tmp_path: Path
) -> None:
    stream, folder = "SHAKEN", tmp_path / "history"
    publisher = RunningCommand("publish", "--source", f"file:{file}?{PACED}", "--to", own_nats.uri(stream))
    server = serve("--source", own_nats.uri(stream), "--history", str(folder))
    try:
        for kill in (1, 2):
            wait_until(lambda: server.metrics()["totals"]["messages"] > 5_000 * kill, "messages")  # noqa: B023
            own_nats.kill()
            server.wait_for_state("reconnecting")
            states = {book["state"] for book in server.get("/v1/instruments").json()["instruments"]}
            assert states == {"live"}, "what follows is known to follow: nothing is in doubt"
            assert server.get("/readyz").status_code == 503
            assert server.get("/readyz?feed=any").status_code == 200
            own_nats.start()
            wait_until(lambda: server.metrics()["source"]["reconnects"] == kill, "reconnected")  # noqa: B023
        assert publisher.wait_for_exit() == 0, "".join(publisher.lines)
    finally:
        publisher.kill()
    assert re.search(r"all acknowledged; \d+ connections lost", "".join(publisher.lines))
    assert server.wait_for_state("ended")["source"]["reconnects"] == 2
    assert_recorded(server, folder, file)
    assert recorded(folder) == split(file.read_bytes())[1], "in the order of the file"


def test_each_shard_is_a_server_of_its_own(halves: str, file: Path) -> None:
    market, found = Market(), []
    market.feed_file(file)
    for shard in range(2):
        with Fed(f"{halves}?shard={shard}") as fed:
            fed.wait_for_state("ended")
            for book in fed.market.instruments():
                assert book.state == "live"
                assert fed.market.book(book.symbol).state_hash() == market.book(book.symbol).state_hash()
                found.append(book.symbol)
    assert sorted(found) == sorted(book.symbol for book in market.instruments()), "each in one of them"
    for query, text in (("?shard=2", "shard 2 of 2: expected 0 to 1"), ("", "expected one of them, ?shard=0 to 1")):
        with Fed(halves + query) as fed:
            wait_until(lambda: fed.engine.state == "failed", "refused")  # called at once
            assert text in str(fed.engine.error)


def test_a_book_that_has_a_channel_for_itself_for_long_is_not_doubted_when_another_follows(
    nats: RunningNats, tmp_path: Path
) -> None:
    """From a channel that skips no number for thousands of steps, one that skips is a gap; not so from a part of it."""
    path, alone = tmp_path / "alone.dbn", 5_000
    other = range(alone + 1, alone + 6)
    instruments = [2 if sequence in other else 1 for sequence in range(1, alone + 11)]
    adds = [
        Mbo("A", "B", 10**9, 5, sequence, instrument_id=instrument, sequence=sequence)
        for sequence, instrument in enumerate(instruments, 1)
    ]
    path.write_bytes(metadata(version=3, symbols={"ONE": 1, "TWO": 2}) + stream(adds))
    good(f"file:{path}", nats.uri("ALONE"), "--shards", "2")
    orders = {}
    for shard in range(2):
        with Fed(f"{nats.uri('ALONE')}?shard={shard}") as fed:
            fed.wait_for_state("ended")
            assert {book.state for book in fed.market.instruments()} == {"live"}
            assert fed.market.watch_stats()["gaps"] == 0
            orders |= {book.instrument_id: book.orders for book in fed.market.instruments()}
    assert orders == {1: alone + 5, 2: 5}


def test_a_shard_without_instruments_is_ready_for_whoever_takes_any_feed(
    nats: RunningNats, serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    simulator = Simulator(seed=3, instruments=1, resting_max=64)
    path = tmp_path / "one.dbn"
    path.write_bytes(simulator.header() + simulator.read_last(500))
    good(f"file:{path}", nats.uri("ONE"), "--shards", "2")
    books = []
    for shard in range(2):
        server = serve("--source", f"{nats.uri('ONE')}?shard={shard}&end=reconnect")
        wait_until(lambda: server.get("/readyz?feed=any").status_code == 200, "ready")  # noqa: B023
        books.append(len(server.get("/v1/instruments").json()["instruments"]))
    assert sorted(books) == [0, 1]


def test_whoever_begins_later_has_the_names(nats: RunningNats, whole: str) -> None:
    middle = messages(nats, "WHOLE")[8].headers["L3book-Ts-Event"]
    with Fed(f"{whole}?from={middle}") as fed:
        fed.wait_for_state("ended")
        assert 0 < fed.market.stats()["records"] < RECORDS
        assert all(book.symbol for book in fed.market.instruments())
    with Fed(f"{whole}?from=new") as fed:
        wait_until(lambda: fed.engine.state == "running", "connected")
        assert fed.market.stats()["records"] == 0
        assert fed.market.stats()["metadata_headers"] == 1


def test_messages_of_others_are_refused_counted_and_named(
    nats: RunningNats, serve: Callable[..., RunningServer], file: Path
) -> None:
    good(f"file:{file}", nats.uri("NOISE"))

    async def disturb(jetstream: Any) -> None:
        await jetstream.publish("NOISE.x.1.0", b"hello")
        await jetstream.publish("NOISE.x.1.0", b"", headers={"L3book-Kind": "records"})

    nats.ask(disturb)
    server = serve("--source", nats.uri("NOISE") + "?end=reconnect")
    wait_until(lambda: server.metrics()["source"]["refused_messages"] == 2, "both refused")
    assert "NOISE.x.1.0, 5 bytes) is not of l3book" in "".join(server.lines)
    kinds = [entry["kind"] for entry in server.get("/v1/feed/transitions").json()["transitions"]]
    assert kinds.count("refused") == 2
    assert "l3book_source_refused_messages_total 2.0" in server.get("/metrics").text
    assert "is not of l3book: expected a stream of its own" in error_line(publish(f"file:{file}", nats.uri("NOISE")))


def test_messages_that_were_removed_put_books_in_doubt(own_nats: RunningNats, file: Path) -> None:
    """They went while the reader was away: it sees by the numbers that some are missing."""
    publisher = RunningCommand("publish", "--source", f"file:{file}?rate=5000", "--to", own_nats.uri("REMOVED"))
    try:
        with Fed(own_nats.uri("REMOVED")) as fed:
            fed.wait_for_records(2000)
            states = {book.state for book in fed.market.instruments()}
            assert states == {"live"}
            publisher.kill()

            async def remove(jetstream: Any) -> None:
                for message in ("4", "6"):
                    label = {"L3book-Kind": "records", "L3book-Number": message, "L3book-Source": "x" * 16}
                    places = {"L3book-From": "0", "L3book-To": "0", "L3book-Head": "1", "L3book-Ts-Event": "0"}
                    await jetstream.publish("REMOVED.x.1.0", b"", headers=label | places)

            own_nats.ask(remove)
            wait_until(lambda: {book.state for book in fed.market.instruments()} == {"suspect"}, "doubts")
            # A book is suspect before anybody is told of it.
            wait_until(lambda: len(reasons(fed)) > 0, "a reason")
            assert reasons(fed) == {"removed from stream"}
    finally:
        publisher.kill()


def test_a_second_publisher_is_noticed(nats: RunningNats, file: Path) -> None:
    first = RunningCommand("publish", "--source", f"file:{file}?rate=2000", "--to", nats.uri("TWO"))
    try:
        wait_until(lambda: has_messages(nats, "TWO", 5), "messages")
        second = publish(f"file:{file}", nats.uri("TWO"))
        assert second.returncode == 1 or first.wait_for_exit() == 1
    finally:
        first.kill()
    assert "expected no other publisher" in second.stderr.decode() + "".join(first.lines)
    found = published_records(nats, "TWO")
    assert split(file.read_bytes())[1].startswith(found), "never out of order, never twice"


def test_a_live_feed_is_published_without_its_repeats(
    nats: RunningNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is cut twice, and the gateway repeats a second each time: nobody sees a record twice."""
    pytest.importorskip("databento", reason="live sources need the official client")
    path = simulated(tmp_path / "day.dbn", seed=4, instruments=3, records=6000, span_s=60)
    faults = ("--fault", "drop-connection@2000", "--fault", "drop-connection@4000")
    with RunningGateway(path, "--rate", "3000", "--shared-clock", "--key", KEY, *faults) as gateway:
        dataset = split(path.read_bytes())[0][8:24].rstrip(b"\0").decode()
        uri = f"live://{dataset}?symbols=ALL_SYMBOLS&start=0"
        arguments = ("--source", uri, "--to", nats.uri("FEED"), "--gateway", gateway.address)
        publisher = RunningCommand("publish", *arguments, env={"DATABENTO_API_KEY": KEY})
        try:
            assert publisher.wait_for_exit() == 0, "".join(publisher.lines)
        finally:
            publisher.kill()
    found, wanted = by_book(published_records(nats, "FEED")), by_book(split(path.read_bytes())[1])
    assert {key: len(records) // 56 for key, records in found.items()} == {
        key: len(records) // 56 for key, records in wanted.items()
    }, "".join(publisher.lines)
    assert found == wanted
    with Fed(nats.uri("FEED")) as fed:
        fed.wait_for_state("ended")
        assert fed.market.state_hash() == hash_of(path)


def test_a_publisher_of_a_feed_that_is_started_again_puts_books_in_doubt(nats: RunningNats, file: Path) -> None:
    """It does not know what it missed. Here the feed begins anew, with a snapshot of each book: that clears it up."""
    for _ in range(2):
        with RunningGateway(file, "--max", protocol="raw") as gateway:
            assert f"{RECORDS:,} records in" in good(f"tcp://{gateway.address}", nats.uri("AGAIN"))
    doubts = [message for message in messages(nats, "AGAIN") if message.headers["L3book-Kind"] == "doubt"]
    assert json.loads(doubts[0].data)["doubts"] == [[0, 0, "publisher restarted"]]
    with Fed(nats.uri("AGAIN")) as fed:
        fed.wait_for_state("ended")
        assert fed.market.watch_stats()["suspicions"]["publisher restarted"] == INSTRUMENTS
        assert len(fed.market.suspects()) < INSTRUMENTS


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("tcp://127.0.0.1:4222", "expected nats://HOST:PORT/STREAM"),
        ("nats://127.0.0.1:4222", "expected nats://HOST:PORT/STREAM"),
        ("nats://127.0.0.1:4222/a.b", "expected a stream's name"),
        ("nats://me:secret@127.0.0.1:4222/S", "a user in the URI"),
        ("nats://127.0.0.1:4222/S?shard=1", "unknown key 'shard'"),
        ("nats://127.0.0.1:1/S", "127.0.0.1:1: Connection refused"),
    ],
)
def test_what_cannot_be_published_to_is_said(nats: RunningNats, file: Path, to: str, text: str) -> None:
    completed = publish(f"file:{file}", to)
    assert completed.returncode in (1, 2)
    assert text in completed.stderr.decode()
    assert "secret" not in completed.stderr.decode()
    assert "Traceback" not in completed.stderr.decode()


def test_a_stream_of_others_is_left_alone(nats: RunningNats, file: Path) -> None:
    async def make(jetstream: Any) -> None:
        await jetstream.add_stream(name="ORDERS", subjects=["orders.>"])

    nats.ask(make)
    assert "the stream is for orders.>" in error_line(publish(f"file:{file}", nats.uri("ORDERS")))
    with Fed(nats.uri("ORDERS")) as fed:
        wait_until(lambda: fed.engine.state == "failed", "refused")
        assert "the stream is for orders.>" in str(fed.engine.error)


def test_a_server_waits_for_the_stream(nats: RunningNats, file: Path) -> None:
    with Fed(nats.uri("LATE")) as fed:
        wait_until(lambda: fed.feed.status.losses["not found"] > 0, "looked for the stream")
        good(f"file:{file}", nats.uri("LATE"))
        fed.wait_for_state("ended")
        assert fed.market.state_hash() == hash_of(file)


def test_credentials_come_from_the_environment(file: Path) -> None:
    server = RunningNats("--user", "feed", "--pass", "correct horse")
    try:
        refused = publish(f"file:{file}", server.uri("S"))
        assert "Authorization Violation" in refused.stderr.decode()
        env = {"L3BOOK_NATS_USER": "feed", "L3BOOK_NATS_PASSWORD": "correct horse"}
        let_in = run("publish", "--source", f"file:{file}", "--to", server.uri("S"), env=env)
        assert let_in.returncode == 0, let_in.stderr
    finally:
        server.close()
