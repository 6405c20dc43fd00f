"""The WebSocket as its page describes it: a client written from docs/websocket.md alone follows a million events of a
live feed beside clients that break every rule, and has at every moment the book that REST has."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec
import pytest

import l3book
from running import RunningServer, run
from running_gateway import RunningGateway

sys.path.insert(0, str(Path(__file__).parent))

from independent_book import Level, price_1e9
from independent_client import METADATA_START, Connection, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGES, MESSAGES_PER_S, SEED = 1_400_000, 45_000, 7
EVENTS_MIN = 1_000_000
INTERVAL_MS = 10
DEPTH = 10
QUEUES = 3
CONDITION_TIMEOUT_S = 120
POLL_INTERVAL_S = 0.25
REST_PAUSE_S = 0.04
COMPARED_WITH_REST_MIN = 20  # per channel; hundreds where nothing else runs
COMPARED_WITH_EACH_OTHER_MIN = 200
TRADES_MIN = 1_000
HTTP_CONNECTIONS_MAX = 4
MBO = struct.Struct("<BBHIQQqIBBccQiI")
"""Of an MBO record: length, rtype, publisher_id, instrument_id, ts_event, order_id, price, size, flags, channel_id,
action, side, ts_recv, ts_in_delta, sequence."""
BOOK_FIELDS = ("state", "crossed", "locked", "bids", "asks", "orders", "sequence", "ts_event", "ts_recv")
ACTION, SEQUENCE = 10, 14  # of MBO's fields

QUEUES_WIDE_ENOUGH = {
    # A test machine may let a client stand still for seconds. With these, that makes no gap: one would be our fault.
    "L3BOOK_SOCKET_QUEUE_MESSAGES_MAX": "8192",
    "L3BOOK_SOCKET_QUEUE_BYTES_MAX": "268435456",
}
ANSWERS_TO_HOSTILITY = {
    "unmasked": {"1002"},
    "reserved opcode": {"1002"},
    "reserved bit": {"1002"},
    "fragmented ping": {"1002"},
    "long ping": {"1002"},
    "continuation of nothing": {"1002"},
    "text within a message": {"1002"},
    "close of one byte": {"1002"},
    "close with 1005": {"1002"},
    "invalid UTF-8": {"1007"},
    "half a character": {"1007"},
    "not JSON": {"1007"},
    "binary in JSON": {"1007"},
    "10 MB": {"1009", "reset"},  # a reset can overtake the close where much is under way
    "10 MB in fragments": {"1009", "reset"},
    "claims 2^62 bytes": {"1009"},
    "claims 2^63 bytes": {"1009"},
    "errors": {"1008"},
    "good fragments": {"pong"},
    "garbage": {"closed"},
    "disconnects inside a frame": {"gone"},
    "storm": {"gone"},
    "half handshake": {"refused 408"},
    "slow loris": {"refused 408"},
    "never reads": {"1008", "end", "reset"},
    "stalls": {"gone"},
    "pings and never reads": {"gone"},
    "churn": {"gone"},
}

Moment = tuple[str, str, int]  # instrument, epoch, seq


class Picture(NamedTuple):
    """The best levels of a book at a moment, small enough to keep tens of thousands."""

    best: str
    levels: str
    queues: int | None
    queues_with_times: int | None

    def is_like(self, other: Picture) -> bool:
        """Whether the two agree in all that both of them know."""
        pairs = list(zip(self, other, strict=True))
        return all(mine == theirs for mine, theirs in pairs if mine and theirs)


def picture(bids: list[Level], asks: list[Level], *, has_times: bool, is_best_only: bool = False) -> Picture:
    best, levels = (
        "|".join(
            ";".join(f"{level.price}:{level.size}:{level.count}" for level in side[:count]) for side in (bids, asks)
        )
        for count in (1, DEPTH)
    )
    if is_best_only:
        return Picture(best, "", None, None)
    if any(level.queue is None for level in (*bids[:DEPTH], *asks[:DEPTH])):
        return Picture(best, levels, None, None)
    queues = [level.queue or [] for level in (*bids[:DEPTH], *asks[:DEPTH])]
    untimed = tuple(tuple((order_id, size) for order_id, size, _ in queue) for queue in queues)
    return Picture(best, levels, hash(untimed), hash(tuple(map(tuple, queues))) if has_times else None)


def levels_of(rest: list[list]) -> list[Level]:
    return [Level(price, size, count, [tuple(order) for order in queue]) for price, size, count, queue in rest]


class Witness:
    """What all channels and REST have shown, by the moment it was shown of."""

    def __init__(self) -> None:
        self.seen: dict[Moment, dict[str, Picture]] = defaultdict(dict)
        self.compared: Counter[tuple[str, str]] = Counter()
        self.disagreements: list[str] = []

    def watch(self, subscription: Subscription) -> None:
        """Take a picture of the subscription's book, if it has one."""
        book = subscription.book
        if book is None:
            return
        shown = picture(
            book.best("B", DEPTH),
            book.best("A", DEPTH),
            has_times=subscription.channel == "depth",
            is_best_only=subscription.channel == "bbo",
        )
        self.note((subscription.name, subscription.epoch, subscription.seq), kind_of(subscription), shown)

    def note(self, moment: Moment, kind: str, shown: Picture) -> None:
        """Hold it against all that was shown of the same moment."""
        seen = self.seen[moment]
        for other, picture_of_other in tuple(seen.items()):
            self.compared[min(kind, other), max(kind, other)] += 1
            if not shown.is_like(picture_of_other):
                self.disagreements.append(f"{moment}: {kind} {shown}, {other} {picture_of_other}")
        # Two of the same moment and kind are equal as soon as they have been compared.
        seen[kind] = shown


def kind_of(subscription: Subscription) -> str:
    return f"{subscription.channel}{subscription.level}-{subscription.queues}"


class RestReader(threading.Thread):
    """Asks for the books over and over, and keeps pictures of the answers."""

    def __init__(self, url: str, instruments: list[str]) -> None:
        super().__init__()
        self.url = url
        self.instruments = instruments
        self.shown: list[tuple[Moment, Picture]] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=CONDITION_TIMEOUT_S) as client:
            while not self.is_over.wait(REST_PAUSE_S):
                for instrument in self.instruments:
                    answer = client.get(f"/v1/books/{instrument}", params={"level": 3, "depth": DEPTH})
                    book = msgspec.json.decode(answer.raise_for_status().content)
                    shown = picture(levels_of(book["bids"]), levels_of(book["asks"]), has_times=True)
                    self.shown.append(((instrument, book["epoch"], book["seq"]), shown))


class Followers:
    """The good clients: three sockets, both subprotocols, every channel of every book."""

    def __init__(self, url: str, instruments: list[str], witness: Witness) -> None:
        address = url.replace("http", "ws", 1) + "/v1/ws"
        self.json = Connection(address, "l3book.v1.json", witness.watch)
        self.msgpack = Connection(address, "l3book.v1.msgpack", witness.watch)
        self.orders_in_json = Connection(address, "l3book.v1.json", witness.watch)
        self.connections = [self.json, self.msgpack, self.orders_in_json]
        for instrument in instruments:
            for channel in ("depth", "bbo", "trades", "dbn"):
                self._add(self.json, channel, instrument)
            for channel, level in (("depth", 3), ("dbn", None)):
                self._add(self.msgpack, channel, instrument, level)
        self._add(self.msgpack, "orders", instruments[0])
        self._add(self.orders_in_json, "orders", instruments[1])
        self._add(self.orders_in_json, "depth", instruments[1], 3)
        self._add(self.orders_in_json, "depth", instruments[0], 3, QUEUES)

    @staticmethod
    def _add(
        connection: Connection, channel: str, instrument: str, level: int | None = None, queues: int | None = None
    ) -> None:
        options = {"interval_ms": INTERVAL_MS} | ({"level": level} if level else {})
        if queues is not None:
            options["queues"] = queues
        if channel == "depth":
            options["depth"] = DEPTH
        connection.subscriptions.append(Subscription(channel, instrument, **options))

    @property
    def subscriptions(self) -> list[Subscription]:
        return [subscription for connection in self.connections for subscription in connection.subscriptions]

    @property
    def names(self) -> set[str]:
        """The books they follow."""
        return {subscription.name for subscription in self.subscriptions}

    @property
    def groups(self) -> int:
        """How many different things they have subscribed to."""
        return len({(kind_of(subscription), subscription.asked_for) for subscription in self.subscriptions})

    def faults(self) -> list[str]:
        """What they should not have noticed."""
        found = []
        for connection in self.connections:
            found += connection.violations + connection.closes
            if connection.counts["resyncs"]:
                found.append(f"{connection.counts['resyncs']} resyncs")
        for subscription in self.subscriptions:
            found += [f"{gap}" for gap in subscription.gaps]
            if subscription.error is not None:
                found.append(f"{subscription.error}")
        return found


async def until(
    condition: Callable[[], object], what: Callable[[], object], faults: Callable[[], list[str]] = list
) -> None:
    deadline_s = time.monotonic() + CONDITION_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s or faults():
            raise AssertionError(what())
        await asyncio.sleep(POLL_INTERVAL_S)


async def metrics_until(server: RunningServer, condition: Callable[[dict], bool]) -> dict:
    deadline_s = time.monotonic() + CONDITION_TIMEOUT_S
    while not condition(metrics := await asyncio.to_thread(server.metrics)):
        if time.monotonic() > deadline_s:
            raise AssertionError(metrics)
        await asyncio.sleep(POLL_INTERVAL_S)
    return metrics


class Truth:
    """What the recording holds, read without the server."""

    def __init__(self, recording: bytes) -> None:
        self.market = l3book.Market()
        self.market.feed(recording)
        self.last: dict[tuple[int, int], tuple] = {}
        self.trades: dict[tuple[int, int], list[tuple]] = defaultdict(list)
        _, _, length = METADATA_START.unpack_from(recording)
        for record in MBO.iter_unpack(memoryview(recording)[METADATA_START.size + length :]):
            key = (record[2], record[3])
            self.last[key] = record
            if record[ACTION] == b"T":
                self.trades[key].append(record)


class RestBook:
    """A whole book as REST has it, queues included, and as each channel should have it."""

    def __init__(self, server: RunningServer, name: str) -> None:
        self.shown = server.get(f"/v1/books/{name}", params={"level": 3, "depth": "all"}).raise_for_status().json()
        self.sides = {"B": levels_of(self.shown["bids"]), "A": levels_of(self.shown["asks"])}
        self.without_times = {
            side: [
                Level(level.price, level.size, level.count, [(order_id, size, "") for order_id, size, _ in level.queue])
                for level in levels
            ]
            for side, levels in self.sides.items()
        }

    def differs_from(self, subscription: Subscription) -> str:
        """What of the subscription's book is not as here; "" if all of it is."""
        book = subscription.book
        facts = (subscription.epoch, subscription.state)
        # Events that change nothing of what a channel shows move seq, and are not told.
        if book is None or facts != (self.shown["epoch"], self.shown["state"]) or subscription.seq > self.shown["seq"]:
            return f"{facts} {subscription.seq}"
        for side in ("B", "A"):
            if subscription.channel == "orders":
                expected = self.without_times[side]
            else:
                expected = self.sides[side][: subscription.depth]
            if subscription.channel != "orders":
                bare = [Level(level.price, level.size, level.count) for level in expected[subscription.queues :]]
                expected = expected[: subscription.queues] + bare
            if (held := book.best(side)) != expected:
                return f"{side}: {held[:3]}…, REST {expected[:3]}…"
        return ""


def check_the_end(followers: Followers, server: RunningServer, truth: Truth) -> None:
    """The source has ended, and all has arrived: nothing may be missing anywhere."""
    books = {name: RestBook(server, name) for name in followers.names}
    for subscription in followers.subscriptions:
        what = (subscription.channel, subscription.name)
        key = subscription.key
        rest = books[subscription.name]
        if subscription.channel == "dbn":
            market = l3book.Market()
            for frame in subscription.frames:
                market.feed(frame)
            for other in (rest.shown, json.loads(truth.market.book_json(key, level=3, depth=None))):
                shown = json.loads(market.book_json(key, level=3, depth=None))
                assert {name: shown[name] for name in BOOK_FIELDS} == {name: other[name] for name in BOOK_FIELDS}, what
        elif subscription.channel == "trades":
            brought = subscription.trades
            assert len(brought) >= TRADES_MIN, what
            assert [
                (trade.ts_event, trade.order_id, price_1e9(trade.price or ""), trade.size, trade.side, trade.ts_recv)
                for trade in brought
            ] == [
                (str(record[4]), str(record[5]), record[6], record[7], record[11].decode(), str(record[12]))
                for record in truth.trades[key][-len(brought) :]
            ], what
        else:
            assert not rest.differs_from(subscription), what


def end_of(followers: Followers, server: RunningServer, truth: Truth) -> Callable[[], str]:
    """-> what still lacks something of the end, asked again and again; "" if nothing does."""
    books = {name: RestBook(server, name) for name in followers.names}

    def lacks(subscription: Subscription) -> bool:
        key = subscription.key
        if subscription.channel == "dbn":
            return MBO.unpack(subscription.frames[-1][-MBO.size :]) != truth.last[key]
        if subscription.channel == "trades":
            return [trade.sequence for trade in subscription.trades[-1:]] != [truth.trades[key][-1][SEQUENCE]]
        return bool(books[subscription.name].differs_from(subscription))

    def first_lacking() -> str:
        lacking = (subscription for subscription in followers.subscriptions if lacks(subscription))
        return next((f"{subscription.channel} {subscription.name} {subscription.seq}" for subscription in lacking), "")

    return first_lacking


def sockets_of(server: RunningServer) -> int:
    """How many sockets the server's process has open, with those that no counter of its own knows; 0 where the system
    does not tell."""
    folder = Path(f"/proc/{server.process.pid}/fd")
    count = 0
    for entry in folder.iterdir() if folder.is_dir() else ():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return count


async def follow(server: RunningServer, gateway: RunningGateway, witness: Witness, truth: Truth) -> None:
    """Follow the feed to its end, in hostile company."""
    instruments = ["SYN0", "SYN1"]
    await until(
        lambda: len(server.get("/v1/instruments").json()["instruments"]) == len(instruments),
        lambda: "".join(server.lines),
    )
    with gateway.held():
        # All are there before the millions go by.
        followers = Followers(server.url, instruments, witness)
        tasks = [asyncio.create_task(connection.run()) for connection in followers.connections]
        await until(
            lambda: all(subscription.has_snapshot for subscription in followers.subscriptions),
            lambda: f"no snapshot of all: {followers.faults()} {''.join(server.lines)}",
        )
        began = {subscription.name: subscription.seq for subscription in followers.subscriptions if subscription.book}
    expected = {"sockets": len(tasks), "subscriptions": len(followers.subscriptions), "groups": followers.groups}
    before = sockets_of(server)
    reader = RestReader(server.url, instruments)
    reader.start()
    port = server.url.rsplit(":", 1)[1]
    program = Path(__file__).with_name("hostile_clients.py")
    hostile = subprocess.Popen(  # noqa: ASYNC220  # nothing else is going on yet
        [sys.executable, program, port, *instruments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        await metrics_until(server, lambda metrics: metrics["source"]["state"] == "ended")
        lacking = await asyncio.to_thread(end_of, followers, server, truth)
        await until(
            lambda: not lacking(), lambda: f"not all has arrived: {lacking()} {followers.faults()}", followers.faults
        )
        written, _ = await asyncio.to_thread(hostile.communicate, timeout=CONDITION_TIMEOUT_S)
        reader.is_over.set()
        await asyncio.to_thread(reader.join)

        answers = {kind: set(outcomes) for kind, outcomes in json.loads(written).items()}
        assert answers.keys() == ANSWERS_TO_HOSTILITY.keys()
        assert not {kind: found for kind, found in answers.items() if not found <= ANSWERS_TO_HOSTILITY[kind]}
        assert not any(task.done() for task in tasks), tasks
        metrics = await metrics_until(server, lambda metrics: expected.items() <= metrics["websocket"].items())
        assert metrics["websocket"]["slow_closed"] > 0, metrics["websocket"]
        await until(
            lambda: sockets_of(server) <= before + HTTP_CONNECTIONS_MAX,
            lambda: f"{sockets_of(server)} sockets of the server's process are open, {before} were",
        )
        ended = {subscription.name: subscription.seq for subscription in followers.subscriptions if subscription.book}
        assert sum(ended.values()) - sum(began.values()) >= EVENTS_MIN
        assert not followers.faults()
        await asyncio.to_thread(check_the_end, followers, server, truth)
    finally:
        reader.is_over.set()
        hostile.kill()
        hostile.communicate()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        reader.join()
    for moment, shown in reader.shown:
        witness.note(moment, "rest", shown)


@pytest.mark.alone
@pytest.mark.timeout(400)
def test_a_client_written_from_the_page_has_the_books_of_rest_over_a_million_events_in_hostile_company(
    tmp_path: Path, serve: Callable[..., RunningServer]
) -> None:
    path = tmp_path / "market.dbn"
    simulated = run("simulate", "-o", path, "--messages", MESSAGES, "--instruments", 2, "--seed", SEED)
    assert simulated.returncode == 0, simulated.stderr
    truth, witness = Truth(path.read_bytes()), Witness()
    with RunningGateway(path, "--rate", MESSAGES_PER_S, "--shared-clock", protocol="raw") as gateway:
        server = serve("--source", f"tcp://{gateway.address}", env=QUEUES_WIDE_ENOUGH)
        asyncio.run(follow(server, gateway, witness, truth))

    assert not witness.disagreements, witness.disagreements[:3]
    bbo, levels, few_queues, queues, orders = "bbo2-0", "depth2-0", f"depth3-{QUEUES}", f"depth3-{DEPTH}", "orders3-10"
    for kind in (bbo, levels, few_queues, queues, orders):
        assert witness.compared[kind, "rest"] >= COMPARED_WITH_REST_MIN, witness.compared
    for pair in ((bbo, levels), (levels, few_queues), (levels, queues), (queues, orders)):
        assert witness.compared[pair] >= COMPARED_WITH_EACH_OTHER_MIN, witness.compared
