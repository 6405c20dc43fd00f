"""A publisher that is killed outright: whoever reads its stream says so within seconds, and comes back by itself."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from feeds import Fed
from l3book.sources.connection import ConnectionLost
from published_nats import days, last_sequence, publish, wait_until
from running import RunningCommand
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from running import RunningServer

SYNTHETIC = ("--source", "synthetic:?instruments=2&rate=500&seed=4")


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


def told(server: RunningServer) -> tuple[str, str | None]:
    source: dict[str, Any] = server.metrics()["source"]
    return source["state"], source["publisher"]


def gauge(server: RunningServer) -> set[str]:
    lines = server.get("/metrics").text.splitlines()
    return {line for line in lines if line.startswith("l3book_source_publisher{") and line.endswith(" 1.0")}


def test_a_killed_publisher_is_missed_and_its_return_is_seen(
    nats: RunningNats, serve: Callable[..., RunningServer]
) -> None:
    to = nats.uri("MISSED")
    publisher = RunningCommand("publish", *SYNTHETIC, "--to", to)
    server = serve("--source", to + "?end=reconnect")
    try:
        wait_until(lambda: told(server) == ("running", "there"), "running")
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        publisher.kill()
        wait_until(lambda: told(server) == ("reconnecting", "silent"), "missed")
        answer = server.get("/readyz")
        assert (answer.status_code, "nothing is heard of the publisher" in answer.text) == (503, True)
        assert server.get("/readyz?feed=any").status_code == 200
        assert gauge(server) == {'l3book_source_publisher{state="silent"} 1.0'}
        books = server.get("/v1/instruments").json()["instruments"]
        assert {book["state"] for book in books} == {"live"}, "they are what they were"
        before = server.metrics()["totals"]["messages"]
        publisher = RunningCommand("publish", *SYNTHETIC, "--to", to)
        wait_until(lambda: told(server) == ("running", "there"), "back")
        wait_until(lambda: server.metrics()["totals"]["messages"] > before, "and going on")
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready again")
        kinds = [(entry["kind"], entry["reason"]) for entry in server.get("/v1/feed/transitions").json()["transitions"]]
        assert kinds.count(("lost", "publisher")) == 1
        assert kinds.count(("connected", "publisher")) == 1
        assert server.metrics()["source"]["losses"] == {}
    finally:
        publisher.kill()


def test_a_publisher_without_anything_to_say_is_not_missed(nats: RunningNats, tmp_path: Path) -> None:
    """And one that has told its end need not be there; but whoever goes on behind that has to."""
    file = days(tmp_path, 1)[0]
    to = nats.uri("QUIET")
    publish(file, to)
    with Fed(to + "?from=new&end=reconnect") as fed:
        wait_until(lambda: fed.feed.status.publisher == "ended", "its end, though nothing was read")
        publisher = RunningCommand("publish", "--source", "synthetic:?rate=1&seed=9", "--to", to)
        try:
            wait_until(lambda: fed.feed.status.publisher == "there", "another")
            wait_until(lambda: fed.market.stats()["records"] > 3, "seconds")
            losses = [entry for entry in fed.feed.transitions.recent() if entry["kind"] == "lost"]
            assert losses == []
        finally:
            publisher.kill()
        wait_until(lambda: fed.feed.status.publisher == "silent", "missed")
    with Fed(to + "?from=new") as fed:
        wait_until(lambda: fed.engine.state == "reconnecting", "missed by who came later, too")
        assert fed.feed.status.publisher == "silent"


def test_a_publisher_that_came_and_went_while_the_line_was_away_is_missed(
    nats: RunningNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was missed before, too: what the reader then finds of it is read, and it is missed again."""
    to = nats.uri("BETWEEN")
    publisher = RunningCommand("publish", *SYNTHETIC, "--to", to)
    try:
        with Fed(to + "?end=reconnect") as fed:
            wait_until(lambda: fed.market.stats()["records"] > 0, "records")
            publisher.kill()
            wait_until(lambda: (fed.engine.state, fed.feed.status.publisher) == ("reconnecting", "silent"), "missed")
            connect, before = fed.feed._connector.connect, fed.market.stats()["records"]

            async def is_away(*_: object) -> None:
                raise ConnectionLost("network", "not yet")

            monkeypatch.setattr(fed.feed._connector, "connect", is_away)
            nats.kill()
            wait_until(lambda: fed.feed.status.losses["network"] > 0, "away")
            assert fed.feed.status.publisher is None, "nothing is known of it"
            nats.start()
            at = last_sequence(nats, "BETWEEN")
            publisher = RunningCommand("publish", *SYNTHETIC, "--to", to)
            wait_until(lambda: last_sequence(nats, "BETWEEN") > at + 20, "more")
            publisher.kill()
            monkeypatch.setattr(fed.feed._connector, "connect", connect)
            wait_until(lambda: fed.market.stats()["records"] > before, "read")
            wait_until(lambda: (fed.engine.state, fed.feed.status.publisher) == ("reconnecting", "silent"), "missed")
    finally:
        publisher.kill()


async def streams(jetstream: Any) -> list[Any]:
    return list(await jetstream.streams_info())


@pytest.mark.parametrize("is_frozen", [False, True], ids=["gone", "frozen"])
def test_a_publisher_told_to_end_waits_for_no_server_that_is_away(*, is_frozen: bool) -> None:
    """Where it waited as long for its return as if it had not been told: five minutes."""
    server = RunningNats()
    publisher = RunningCommand("publish", *SYNTHETIC, "--to", server.uri("LEFT"))
    try:
        wait_until(lambda: any(stream.state.messages > 2 for stream in server.ask(streams)), "published")
        if is_frozen:
            server.process.send_signal(signal.SIGSTOP)
            publisher.wait_for_line("no acknowledgement within")
        else:
            server.kill()
            publisher.wait_for_line("the next attempt in")
        publisher.process.terminate()
        assert publisher.wait_for_exit() == 1
        publisher.wait_for_line(r"LEFT: [\d,]+ records? in .* all acknowledged")
        publisher.wait_for_line(r"told to end, and nothing acknowledged for 5 s; [\d,]+ records? of the source not")
    finally:
        publisher.kill()
        server.close()
