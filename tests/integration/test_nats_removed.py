"""What is no longer in a stream, or is in another one of its name: books that may lack it are in doubt."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import Mbo, split
from feeds import Fed
from l3book import Market
from published_nats import (
    RECORDS,
    days,
    last_sequence,
    publish,
    reasons,
    remove,
    remove_before,
    send,
    states,
    wait_until,
)
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running import RunningServer


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


def test_a_new_reader_of_a_stream_without_its_beginning_has_no_live_book(nats: RunningNats, tmp_path: Path) -> None:
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("AGED"))
    remove_before(nats, "AGED", last_sequence(nats, "AGED") - 1)
    publish(second, nats.uri("AGED"))
    with Fed(nats.uri("AGED")) as fed:
        fed.wait_for_state("ended")
        assert len(fed.market.instruments()) == 4
        assert states(fed) == {"suspect"}
        assert reasons(fed) == {"removed from stream"}


def test_a_new_reader_that_begins_later_has_no_live_book(nats: RunningNats, tmp_path: Path) -> None:
    second = days(tmp_path, 2)[1]
    publish(second, nats.uri("LATER"))
    with Fed(nats.uri("LATER") + "?from=new&end=reconnect") as fed:
        wait_until(lambda: fed.engine.state == "running", "connected")
        third = tmp_path / "third.dbn"
        third.write_bytes(second.read_bytes()[:-56])
        publish(third, nats.uri("LATER"))
        wait_until(lambda: len(fed.market.instruments()) == 4, "books")
        wait_until(lambda: states(fed) == {"suspect"}, "doubts")
        assert reasons(fed) == {"begins in the middle"}


def test_what_was_removed_while_a_server_was_away_is_noticed(
    nats: RunningNats, serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """Its books come from its history, and are those of an earlier time: nothing of the stream reaches back to it."""
    first, second, third = days(tmp_path, 3)
    folder, to = tmp_path / "history", nats.uri("AWAY") + "?end=reconnect"
    publish(first, nats.uri("AWAY"))
    server = serve("--source", to, "--history", str(folder))
    wait_until(lambda: server.metrics()["totals"]["messages"] == RECORDS, "all of the first")
    server.kill()
    publish(second, nats.uri("AWAY"))
    remove_before(nats, "AWAY", last_sequence(nats, "AWAY") - 1)
    publish(third, nats.uri("AWAY"))
    again = serve("--source", to, "--history", str(folder))
    wait_until(lambda: again.metrics()["totals"]["messages"] > RECORDS, "the third")
    books = again.get("/v1/instruments").json()["instruments"]
    assert {book["state"] for book in books} == {"suspect"}
    assert "removed from stream" in again.get("/v1/feed/transitions").text


def test_a_stream_that_is_made_anew_is_not_gone_on_with(tmp_path: Path) -> None:
    """It has grown past the reader's place meanwhile: under the next sequence is a message with the next number."""
    first, second, third = days(tmp_path, 3)
    server, other = RunningNats(), RunningNats()
    try:
        publish(first, server.uri("ANEW"))
        for file in (second, third):
            publish(file, other.uri("ANEW"))
        other.kill()
        with Fed(server.uri("ANEW") + "?end=reconnect") as fed:
            fed.wait_for_records(RECORDS)
            assert states(fed) == {"live"}
            server.kill()
            shutil.rmtree(server.folder / "store")
            (other.folder / "store").rename(server.folder / "store")
            server.start()
            wait_until(lambda: fed.engine.state == "failed", "refused")
            assert "made anew" in str(fed.engine.error)
            assert states(fed) == {"suspect"}
            assert fed.market.stats()["records"] == RECORDS
    finally:
        server.close()
        other.close()


def label(kind: str, number: int) -> dict[str, str]:
    numbers = {"Number": str(number), "From": "0", "To": "0", "Head": "1", "Ts-Event": "1"}
    return {"L3book-Kind": kind, "L3book-Source": "x" * 16} | {f"L3book-{name}": text for name, text in numbers.items()}


def test_a_book_is_doubted_that_no_record_was_seen_of_yet(nats: RunningNats, tmp_path: Path) -> None:
    second = days(tmp_path, 2)[1]
    head = second.read_bytes()[: len(second.read_bytes()) - RECORDS * 56]
    one = second.read_bytes()[len(head) : len(head) + 56]
    key = int.from_bytes(one[2:4], "little"), int.from_bytes(one[4:8], "little")
    send_to = nats.uri("UNSEEN")
    (tmp_path / "empty.dbn").write_bytes(head)
    publish(tmp_path / "empty.dbn", send_to)
    number = last_sequence(nats, "UNSEEN")
    with Fed(send_to + "?end=reconnect") as fed:
        doubts = b'{"doubts":[[%d,%d,"channel gap"]]}' % key
        send(nats, "UNSEEN.x.1.0", doubts, label("doubt", number + 1))
        send(nats, "UNSEEN.x.1.0", one, label("records", number + 2))
        wait_until(lambda: states(fed) == {"suspect"}, "doubt")
        assert reasons(fed) == {"channel gap"}
        assert fed.engine.state == "running"


def test_records_that_nothing_can_decode_cost_trust_and_not_the_reader(nats: RunningNats, tmp_path: Path) -> None:
    """Passed over, counted and named: whoever reads them again could not decode them either."""
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("ODD"))
    number = last_sequence(nats, "ODD")
    with Fed(nats.uri("ODD") + "?end=reconnect") as fed:
        fed.wait_for_records(RECORDS)
        odd = bytes([15]) + second.read_bytes()[-55:] + bytes(4)
        send(nats, "ODD.x.1.0", odd, label("records", number + 1))
        send(nats, "ODD.x.1.0", b"DBN\x01 is no head", label("head", number + 2))
        last = second.read_bytes()[-56 * 100 :]
        send(nats, "ODD.x.1.0", last, label("records", number + 3))
        fed.wait_for_records(RECORDS + 100)
        assert fed.feed.status.refused_messages == 2
        assert fed.engine.state == "running"
        assert states(fed) == {"suspect"}
        assert "damaged message" in reasons(fed)
    market = Market()
    market.feed_file(first)
    assert fed.market.state_hash() != market.state_hash()


def test_what_is_removed_between_two_messages_is_a_hole(nats: RunningNats, tmp_path: Path) -> None:
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("HOLE"))
    remove(nats, "HOLE", 3)
    publish(second, nats.uri("HOLE"))
    with Fed(nats.uri("HOLE")) as fed:
        fed.wait_for_state("ended")
        assert states(fed) == {"suspect"}
        assert reasons(fed) == {"removed from stream"}


def test_after_a_restart_a_book_that_is_new_is_doubted_if_the_stream_has_lost_anything(
    nats: RunningNats, serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """And those that the server had are not: its history has what the stream has no more."""
    # More than the second that is read again, so that its place is behind what is left of the beginning.
    records = 60_000
    first, folder, to = days(tmp_path, 1, records)[0], tmp_path / "history", nats.uri("LATE") + "?end=reconnect"
    publish(first, nats.uri("LATE"))
    server = serve("--source", to, "--history", str(folder))
    wait_until(lambda: server.metrics()["history"]["recorder"]["durable_ordinal"] >= records, "all of it, on disk")
    server.kill()
    remove_before(nats, "LATE", 3)
    last = split(first.read_bytes())[1][-56:]
    ts_recv = int.from_bytes(last[40:48], "little") + 10**6
    new = Mbo("A", "B", 10**9, 1, 77, ts_event=ts_recv, ts_recv=ts_recv, instrument_id=4711).to_bytes()
    send(nats, "LATE.x.1.0", new, label("records", last_sequence(nats, "LATE") + 1) | {"L3book-Ts-Event": str(ts_recv)})
    again = serve("--source", to, "--history", str(folder))

    def books() -> dict[int, str]:
        found = again.get("/v1/instruments").json()["instruments"]
        return {book["instrument_id"]: book["state"] for book in found}

    wait_until(lambda: len(books()) == 5 and "live" in books().values(), "the new one")
    assert {instrument for instrument, state in books().items() if state == "suspect"} == {4711}
