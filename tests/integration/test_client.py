"""The clients against the real server: what they hold is what REST says."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import l3book
from l3book.client import AsyncClient, Client, RefusedError, SubscriptionError
from running import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from l3book.client import Subscription
    from running import RunningServer

    Serve = Callable[..., RunningServer]

WAIT_S = 90
AGREEMENTS = 3
ALL = 10_000
KINDS: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("bbo", {}, {"level": 1, "depth": 1}),
    ("depth", {"depth": 3}, {"level": 2, "depth": 3}),
    ("depth", {"depth": 25, "level": 3}, {"level": 3, "depth": 25}),
    ("depth", {"depth": 25, "level": 3, "queues": 4}, {"level": 3, "depth": 25}),
    ("orders", {}, {"level": 3, "depth": ALL}),
]
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def facts(book: dict[str, Any], channel: str, queues: int = ALL) -> dict[str, Any]:
    """What both can know: channel `orders` does not tell the new time of an order that has moved."""
    names = ("epoch", "seq", "sequence", "state", "crossed", "locked", "ts_event", "ts_recv")
    sides = {
        side: [plain(level if rank < queues else level[:3], channel) for rank, level in enumerate(book[side])]
        for side in ("bids", "asks")
    }
    return {**{name: book[name] for name in names}, **sides}


def plain(level: list[Any], channel: str) -> list[Any]:
    price, size, count, *queue = level
    return [price, size, count, *([entry[:2] for entry in queue[0]] if queue and channel == "orders" else queue)]


def assert_agrees(
    server: RunningServer, subscription: Subscription, channel: str, params: dict[str, int], queues: int = ALL
) -> None:
    """At so many moments at which both show the same seq, all of it is equal."""
    asked: dict[int, dict[str, Any]] = {}
    agreed = 0
    deadline_s = time.monotonic() + WAIT_S
    while agreed < AGREEMENTS:
        assert time.monotonic() < deadline_s, f"only {agreed} moments to compare"
        subscription.next(WAIT_S)
        mine = facts(subscription.book.to_dict(), channel)
        book = facts(server.get("/v1/books/SYN0", params=params).raise_for_status().json(), channel, queues)
        asked[book["seq"]] = book
        if (theirs := asked.get(mine["seq"])) is not None:
            assert mine == theirs
            agreed += 1


@pytest.mark.parametrize(("channel", "options", "params"), KINDS, ids=lambda value: str(value))
def test_the_book_is_that_of_rest_at_the_same_seq(
    serve: Serve, channel: Any, options: dict[str, Any], params: dict[str, int]
) -> None:
    server = serve("--source", "synthetic:?rate=20&instruments=1")
    server.wait_until_ready()
    with Client(server.url) as client:
        subscription = client.subscribe(channel, "SYN0", interval_ms=10, **options)
        assert_agrees(server, subscription, channel, params, options.get("queues", ALL))
        counters = client.counters
        assert (counters.resyncs, counters.gaps, counters.crc_errors, counters.reconnects) == (0, 0, 0, 0)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_every_channel_of_a_fast_source_fits_without_a_resync(serve: Serve, encoding: Any) -> None:
    server = serve("--source", "synthetic:?rate=100000&instruments=1")
    server.wait_until_ready()
    with Client(server.url, encoding=encoding) as client:
        client.subscribe("bbo", "SYN0", interval_ms=10)
        client.subscribe("depth", "SYN0", depth=25, level=3, interval_ms=10)
        client.subscribe("orders", "SYN0", interval_ms=10)
        client.subscribe("trades", "SYN0", interval_ms=10)
        client.subscribe("dbn", "SYN0", interval_ms=10)
        seen = {(update.channel, update.kind) for update in itertools.islice(client, 200)}
        assert {channel for channel, _ in seen} == {"bbo", "depth", "orders", "trades", "dbn"}
        assert {("bbo", "delta"), ("depth", "delta"), ("orders", "delta"), ("trades", "delta")} <= seen
        assert (client.counters.resyncs, client.counters.crc_errors) == (0, 0)


def test_dbn_records_rebuild_the_book(serve: Serve) -> None:
    """Fed to a market of our own, which then has REST's book; it counts events anew, so the venue's say when."""
    server = serve("--source", "synthetic:?rate=20&instruments=1")
    server.wait_until_ready()
    market = l3book.Market()
    asked: dict[tuple[int, str], Any] = {}
    agreed = 0
    deadline_s = time.monotonic() + WAIT_S
    with Client(server.url) as client:
        subscription = client.subscribe("dbn", "SYN0", interval_ms=10)
        while agreed < AGREEMENTS:
            assert time.monotonic() < deadline_s, f"only {agreed} moments to compare"
            market.feed(subscription.next(WAIT_S).records)
            mine = market.snapshot("SYN0", depth=None, level=3).to_dict()
            book = server.get("/v1/books/SYN0", params={"level": 3, "depth": ALL}).raise_for_status().json()
            asked[(book["sequence"], book["ts_event"])] = (book["bids"], book["asks"], book["orders"])
            if (theirs := asked.get((mine["sequence"], mine["ts_event"]))) is not None:
                assert (mine["bids"], mine["asks"], mine["orders"]) == theirs
                agreed += 1


def test_a_killed_server_and_its_return(serve: Serve) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=1000")
    server.wait_until_ready()
    with Client(server.url) as client:
        subscription = client.subscribe("depth", "SYN0", interval_ms=10)
        before = subscription.next(WAIT_S).epoch
        server.kill()
        again = serve("--source", "synthetic:?instruments=1&rate=1000", port=urlsplit(server.url).port)
        epochs = [subscription.next(WAIT_S).epoch]
        while epochs[-1] == before:
            epochs.append(subscription.next(WAIT_S).epoch)
        assert client.counters.reconnects >= 1
        assert_agrees(again, subscription, "depth", {"level": 2, "depth": 10})


def test_a_wrong_and_a_revoked_key_are_clear_errors(serve: Serve, tmp_path: Path) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path / "state")}
    key = run("keys", "create", "--name", "desk", env=env).stdout.decode().strip()
    server = serve("--source", "synthetic:?instruments=1", env=env)
    server.wait_until_ready()
    for wrong in (None, "l3b_000000000000_" + "0" * 64):
        with pytest.raises(RefusedError, match="answered 401") as caught:
            Client(server.url, wrong).connect()
        assert caught.value.status == 401
    with Client(server.url, key) as client:
        subscription = client.subscribe("depth", "SYN0")
        assert subscription.next(WAIT_S).kind == "snapshot"
        assert run("keys", "revoke", "desk", env=env).returncode == 0
        with pytest.raises(RefusedError, match="4401") as caught:
            for _ in subscription:
                pass
        assert caught.value.status == 4401


def test_an_unknown_instrument_is_a_clear_error(serve: Serve) -> None:
    server = serve("--source", "synthetic:?instruments=1")
    server.wait_until_ready()
    with Client(server.url) as client:
        with pytest.raises(SubscriptionError, match=r"CLX9.*\(unknown_instrument\)"):
            client.subscribe("depth", "CLX9")
        client.subscribe("depth", "SYN0")
        with pytest.raises(SubscriptionError, match="already_subscribed"):
            client.subscribe("depth", "SYN0")


def test_the_asynchronous_client(serve: Serve) -> None:
    server = serve("--source", "synthetic:?instruments=2")
    server.wait_until_ready()

    async def seqs() -> list[list[int]]:
        async with AsyncClient(server.url) as client:
            books = [await client.subscribe("depth", name, interval_ms=10) for name in ("SYN0", "SYN1")]
            return [[(await book.next(WAIT_S)).seq for _ in range(5)] for book in books]

    for seen in asyncio.run(seqs()):
        assert seen == sorted(set(seen))


def test_the_example_of_the_readme(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve("--source", "synthetic:?instruments=1")
    server.wait_until_ready()
    section = README.split("\n## WebSocket\n", 1)[1].split("\n## ", 1)[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    code = example.replace("http://127.0.0.1:8000", server.url)
    assert code != example
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102
    assert "<client.Book SYN0 · live" in capsys.readouterr().out
