"""The past played again over the WebSocket, mirrored and held against REST's `at=`."""

import asyncio
import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from websockets.sync.client import ClientConnection

from http_contract import problem
from l3book.client import AsyncClient, Client, ReplayError
from mirror import Mirror
from recorded import recorded_server, serve_recorded, simulated, times_of
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer
from sockets import ANSWER_TIMEOUT_S, connect, hear, hear_until, say

RECORDS = 60_000
INSTRUMENTS = 2
MATCHES = 10
SEEKS = 12
FAST = 1_000_000
AHEAD_NS = 500_000_000
HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(
        tmp_path_factory.mktemp("replays") / "sim.dbn", RECORDS, seed=12, instruments=INSTRUMENTS, resting_max=300
    )


@pytest.fixture(scope="module")
def times(recording: Path) -> list[int]:
    return times_of(recording)


@pytest.fixture(scope="module")
def server(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"replays_per_key_max": 16, "slow_consumer_timeout_s": 600, "history_checkpoint_records": 9000}
    with recorded_server(recording, tmp_path_factory.mktemp("history"), **settings) as server:
        yield server


def subscribe(client: ClientConnection, channel: str, instrument: str = "SYN0", **more: Any) -> dict[str, Any]:
    """Subscribe; -> the ack."""
    op = {"op": "subscribe", "id": 1, "channel": channel, "instrument": instrument, "interval_ms": 10, **more}
    client.send(json.dumps(op))
    return hear_until(client, lambda message: message["type"] in {"ack", "error"} and message.get("id") == 1)[-1]


def travel(client: ClientConnection, op: str, **more: Any) -> dict[str, Any]:
    """Send an op; -> its ack or error. What comes before belongs to what was before."""
    say(client, op=op, id=99, **more)
    return hear_until(client, lambda message: message.get("id") == 99)[-1]


def as_of(server: RunningServer, at: int, name: str = "SYN0") -> tuple[int, dict[str, Any]]:
    body = server.get(f"/v1/books/{name}?depth=all&at={at}").raise_for_status().json()
    book = {side: [level[:3] for level in body[side]] for side in ("bids", "asks")}
    return body["seq"], {**book, "state": body["state"]}


def cut(book: dict[str, Any], depth: int | None) -> dict[str, Any]:
    return {**book, "bids": book["bids"][:depth], "asks": book["asks"][:depth]}


CHANNELS = [("bbo", {}, 1), ("depth", {"depth": 10}, 10), ("depth", {"depth": 3, "level": 3}, 3), ("orders", {}, None)]


@pytest.mark.parametrize("speed", [0.5, 20, FAST])
@pytest.mark.parametrize(("channel", "options", "depth"), CHANNELS, ids=["bbo", "depth", "queues", "orders"])
def test_a_replay_rebuilds_the_past(
    server: RunningServer, times: list[int], channel: str, options: dict[str, Any], depth: int | None, speed: float
) -> None:
    with connect(server) as client:
        mirror = Mirror(depth)
        subscribe(client, channel, **options)
        mirror.take(hear(client))
        present = mirror.version[0]
        ack = travel(client, "replay", **{"from": str(times[1000])}, speed=speed)
        assert (ack["type"], ack["state"], ack["speed"]) == ("ack", "playing", speed)
        snapshot = hear(client)
        assert snapshot["type"] == "snapshot"
        mirror.take(snapshot)
        assert mirror.version[0] != present
        assert snapshot["seq"] >= as_of(server, times[1000])[0]
        seen = {snapshot["seq"]: (int(snapshot["ts_event"]), mirror.book())}
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        last_seq = as_of(server, times[-1])[0]
        while len(seen) < 50 and snapshot["seq"] < last_seq and time.monotonic() < deadline_s:
            snapshot = hear(client)
            mirror.take(snapshot)
            seen[snapshot["seq"]] = (int(snapshot["ts_event"]), mirror.book())
    matched = 0
    for seq, (at, book) in random.Random(1).sample(sorted(seen.items()), min(len(seen), MATCHES)):
        their_seq, theirs = as_of(server, at)
        # Several events can have the same time; then the book as of it is a later one.
        if their_seq == seq:
            assert cut(theirs, depth) == book
            matched += 1
    assert matched


def test_it_ends_where_the_live_book_is(server: RunningServer, times: list[int]) -> None:
    with connect(server) as client:
        mirror = Mirror(None)
        subscribe(client, "orders")
        live = Mirror(None)
        live.take(hear(client))
        travel(client, "replay", **{"from": str(times[1])}, speed=FAST)
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while mirror.version[1] != live.version[1]:
            assert time.monotonic() < deadline_s, (mirror.version, live.version)
            mirror.take(hear(client))
        assert mirror.orders == live.orders
        assert wait_for_heartbeat(client, lambda told: told.get("state") == "ended")["ts"]
        ack = travel(client, "live")
        assert (ack["replay"], "state" in ack) == (None, False)
        live_again = Mirror(None)
        live_again.take(hear(client))
        assert (live_again.version, live_again.orders) == (live.version, live.orders)
        assert "replay" not in wait_for_heartbeat(client, lambda _told: True)


def wait_for_heartbeat(client: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while time.monotonic() < deadline_s:
        message = json.loads(client.recv(ANSWER_TIMEOUT_S))
        if message["type"] == "heartbeat" and wanted(message):
            return dict(message)
    raise AssertionError("no such heartbeat")


def test_seeks_lead_where_at_leads(server: RunningServer, times: list[int]) -> None:
    epochs = set()
    with connect(server) as client:
        mirror = Mirror(None)
        subscribe(client, "orders")
        hear(client)
        travel(client, "replay", **{"from": str(times[100])}, paused=True)
        mirror.take(hear(client))
        for at in random.Random(2).sample(times, SEEKS):
            epochs.add(mirror.version[0])
            ack = travel(client, "seek", at=str(at))
            assert ack["state"] == "paused"
            snapshot = hear(client)
            assert snapshot["type"] == "snapshot", "the first message after the ack"
            assert snapshot["epoch"] not in epochs
            mirror.take(snapshot)
            seq, book = as_of(server, at)
            assert (mirror.version[1], mirror.book()) == (seq, book)


def test_steps_go_by_events_of_one_book(server: RunningServer, times: list[int]) -> None:
    with connect(server) as client:
        mirror = Mirror(None)
        subscribe(client, "orders")
        hear(client)
        travel(client, "replay", **{"from": str(times[20_000])}, paused=True)
        mirror.take(hear(client))
        for events in (1, 1, 2, 5, 100, 1):
            seq = mirror.version[1]
            assert travel(client, "step", events=events)["state"] == "paused"
            while mirror.version[1] < seq + events:
                mirror.take(hear(client))
            assert mirror.version[1] == seq + events
        before = {}
        for events in (3, -3, -50, 50):
            seq = mirror.version[1]
            before[seq] = copy.deepcopy(mirror.orders)
            travel(client, "step", events=events)
            while mirror.version[1] != seq + events:
                mirror.take(hear(client))
            if seq + events in before:
                assert mirror.orders == before[seq + events]
        subscribe(client, "bbo", "SYN1")
        assert travel(client, "step")["code"] == "bad_parameter"
        assert travel(client, "step", instrument="SYN1")["type"] == "ack"


@pytest.mark.parametrize("subprotocol", ["json", "msgpack"])
def test_a_step_says_how_far_it_went_and_that_there_is_no_more(
    server: RunningServer, times: list[int], subprotocol: Literal["json", "msgpack"]
) -> None:
    """At either end nothing moves and nothing follows, so the answer itself has to say so."""
    with Client(server.url, encoding=subprotocol) as client:
        client.subscribe("orders", "SYN0")
        client.replay(times[-20], paused=True)

        def step(events: int) -> tuple[int | None, str | None]:
            state = client.step(events)
            assert state is not None
            return state.events, state.stopped_at

        assert step(1) == (1, None)
        assert step(-2) == (-2, None)
        went, why = step(1000)
        assert (went in range(1, 21), why) == (True, "end")
        assert step(1) == step(3) == (0, "end")
        client.seek(times[2000])
        went, why = step(-1_000_000)
        assert went is not None
        assert (went < 0, why) == (True, "beginning")
        assert step(-1) == (0, "beginning")
        assert step(1) == (1, None)
        state = client.pause()
        assert state is not None
        assert (state.events, state.stopped_at) == (None, None), "of a step only"


@pytest.mark.parametrize("subprotocol", ["json", "msgpack"])
def test_a_replay_that_stands_still_says_where_also_when_nothing_shown_has_changed(
    server: RunningServer, times: list[int], subprotocol: str
) -> None:
    coder = {"json": msgspec.json, "msgpack": msgspec.msgpack}[subprotocol]
    silent = 0
    with connect(server, subprotocols=[f"l3book.v1.{subprotocol}"]) as client:

        def ask(**op: Any) -> None:
            sent = coder.encode({"id": 1, **op})
            client.send(sent.decode() if subprotocol == "json" else sent)

        def told(last: str) -> list[dict[str, Any]]:
            heard: list[dict[str, Any]] = []
            while not heard or heard[-1]["type"] != last:
                message = coder.decode(client.recv(ANSWER_TIMEOUT_S))
                heard += [message] if message["type"] != "heartbeat" else []
            return heard

        ask(op="subscribe", channel="bbo", instrument="SYN0", interval_ms=1000)
        told("snapshot")
        ask(op="replay", **{"from": str(times[20_000])}, paused=True)
        *_, snapshot, moment = told("moment")
        seq, shown = snapshot["seq"], snapshot["seq"]
        assert (snapshot["type"], moment["seq"], moment["epoch"]) == ("snapshot", seq, snapshot["epoch"])
        for events in (1,) * 15 + (40, 1):
            ask(op="step", events=events)
            ack, *deltas, moment = told("moment")
            assert ack["type"] == "ack"
            seq += events
            assert (moment["seq"], moment["channel"], moment["instrument"]) == (seq, "bbo", "SYN0")
            for delta in deltas:
                # Moments are beside what deltas continue.
                assert (delta["type"], delta["prev"]) == ("delta", shown)
                shown = delta["seq"]
            silent += not deltas
            past = server.get(f"/v1/books/SYN0?at={moment['ts_event']}").json()
            if past["seq"] == seq:
                facts = ("sequence", "ts_event", "ts_recv", "orders")
                assert {fact: moment[fact] for fact in facts} == {fact: past[fact] for fact in facts}
    assert silent, "a step that changed neither best price"


def test_the_end_of_what_is_recorded_is_told_as_a_moment_too(server: RunningServer, times: list[int]) -> None:
    with Client(server.url) as client:
        bbo = client.subscribe("bbo", "SYN0", interval_ms=1000)
        client.replay(str(times[-300]), speed=FAST)
        update = next(update for update in bbo if update.kind == "moment")
        last = server.get("/v1/books/SYN0").json()
        assert (update.seq, str(update.ts_event), update.orders) == (last["seq"], last["ts_event"], last["orders"])
        assert bbo.book.seq <= update.seq


@pytest.mark.parametrize("options", [{"depth": 10}, {"depth": 10, "level": 3}], ids=["levels", "queues"])
def test_what_was_played_comes_before_the_answer_to_a_pause(
    server: RunningServer, times: list[int], options: dict[str, Any]
) -> None:
    with connect(server) as client:
        subscribe(client, "depth", interval_ms=1000, **options)
        travel(client, "replay", **{"from": str(times[3000])}, speed=0.5)
        hear_until(client, lambda message: message["type"] == "snapshot")
        hear_until(client, lambda message: message["type"] == "delta")
        # In the middle of the interval, so that there is something that has not been told.
        time.sleep(0.3)
        say(client, op="pause", id=99)
        *told, ack = hear_until(client, lambda message: message.get("id") == 99)
        assert ack["state"] == "paused"
        assert told, "what was played since the interval began"
        assert int(told[-1]["ts_recv"]) <= int(ack["ts"]), "it stands where the book does, or a little later"
        last = told[-1]
        # Another interval goes by.
        for _ in range(2):
            wait_for_heartbeat(client, lambda _told: True)
        assert travel(client, "pause")["ts"] == ack["ts"]
        # Of so many events some change the levels subscribed to.
        travel(client, "step", events=500)
        stepped = hear_until(client, lambda message: message["type"] == "delta")[-1]
        assert stepped["prev"] == last["seq"], "nothing has been told in between"


def test_a_book_that_is_not_there_yet_comes_with_its_first_event(server: RunningServer, times: list[int]) -> None:
    with connect(server) as client:
        ack = travel(client, "replay", **{"from": str(times[0] - 1)}, paused=True)
        if ack["type"] == "error":
            # Whether the very moment before the first record is recorded is the log's to say.
            assert ack["code"] == "not_recorded"
            return
        assert subscribe(client, "depth")["type"] == "ack"
        say(client, op="ping", id=5)
        assert hear(client) == {"type": "pong", "id": 5}
        travel(client, "resume", speed=FAST)
        heard = hear_until(client, lambda message: message["type"] == "snapshot")
        Mirror(10).take(heard[-1])


def test_two_are_at_different_times_and_a_third_in_the_present(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """The live feed goes on meanwhile, and its client is told everything."""
    server = serve("--source", "synthetic:?rate=3000", "--history", str(tmp_path / "history"))
    server.wait_until_ready()
    first = int(server.get("/v1/books/SYN0").json()["ts_event"])
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while server.get(f"/v1/books/SYN0?at={first + AHEAD_NS}").headers.get("Cache-Control") in {"no-cache", "no-store"}:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)
    with connect(server) as early, connect(server) as late, connect(server) as present:
        mirrors = {early: Mirror(10), late: Mirror(10), present: Mirror(10)}
        for client, mirror in mirrors.items():
            subscribe(client, "depth")
            mirror.take(hear(client))
        for client, at in ((early, first), (late, first + AHEAD_NS)):
            travel(client, "replay", **{"from": str(at)}, speed=0.1)
            mirrors[client].take(hear(client))
        for _ in range(40):
            for client, mirror in mirrors.items():
                mirror.take(hear(client))
        assert mirrors[early].version[1] < mirrors[late].version[1]
        # The one in the present has been told everything, and gets to where the book is.
        now = server.get("/v1/books/SYN0").json()["seq"]
        assert mirrors[late].version[1] < now
        while mirrors[present].version[1] < now:
            mirrors[present].take(hear(present))


def test_one_replay_for_several(server: RunningServer, times: list[int]) -> None:
    made = server.client.post("/v1/replays", json={"from": str(times[3000]), "paused": True})
    assert made.status_code == 201
    path, replay = made.headers["Location"], made.json()["id"]
    assert path.endswith(replay)
    with connect(server) as one, connect(server) as other:
        mirrors = {one: Mirror(10), other: Mirror(10)}
        for client, mirror in mirrors.items():
            subscribe(client, "depth")
            hear(client)
            assert travel(client, "replay", replay=replay)["state"] == "paused"
            mirror.take(hear(client))
        assert server.get(path).json()["sockets"] == 2
        change = {"at": str(times[5000]), "step": {"instrument": "SYN0", "events": 2}, "speed": 3}
        changed = server.client.patch(path, json=change).raise_for_status().json()
        assert (changed["state"], changed["speed"]) == ("paused", 3)
        assert changed["stepped"] == {"events": 2, "stopped_at": None}
        seq = as_of(server, times[5000])[0]
        for client, mirror in mirrors.items():
            while mirror.version[1] != seq + 2:
                mirror.take(hear(client))
        assert mirrors[one].version == mirrors[other].version
        playing = server.client.patch(path, json={"paused": False}).json()
        assert (playing["state"], playing["stepped"]) == ("playing", None)
        assert travel(other, "pause")["state"] == "paused"
        assert server.get(path).json()["state"] == "paused"
        assert server.client.delete(path).status_code == 204
        for client in mirrors:
            heard = hear_until(client, lambda message: message["type"] == "ack")
            assert (heard[-1]["replay"], "id" in heard[-1]) == (None, False)
            assert hear(client)["type"] == "snapshot"
    problem(server.get(path), 404, "unknown_replay")
    problem(server.client.delete(path), 404, "unknown_replay")


def test_what_is_refused_changes_nothing(server: RunningServer, times: list[int]) -> None:
    with connect(server) as client:
        mirror = Mirror(10)
        subscribe(client, "depth")
        mirror.take(hear(client))
        refusals = [
            ({"op": "pause"}, "no_replay"),
            ({"op": "live"}, "no_replay"),
            ({"op": "replay"}, "bad_parameter"),
            ({"op": "replay", "from": str(times[5]), "replay": "00"}, "bad_parameter"),
            ({"op": "replay", "replay": "0123456789abcdef"}, "unknown_replay"),
            ({"op": "replay", "from": "soon"}, "bad_parameter"),
            ({"op": "replay", "from": str(times[0] - HOUR_NS)}, "not_recorded"),
        ]
        for op, code in refusals:
            assert travel(client, **op)["code"] == code, op
        assert "replay" not in wait_for_heartbeat(client, lambda _told: True)
        travel(client, "replay", **{"from": str(times[500])}, paused=True)
        snapshot = hear(client)
        assert travel(client, "seek", at=str(times[0] - HOUR_NS))["code"] == "not_recorded"
        assert travel(client, "seek", at="soon")["code"] == "bad_parameter"
        assert travel(client, "step", instrument="NONE")["code"] == "unknown_instrument"
        travel(client, "step")
        delta = hear(client)
        assert (delta["type"], delta["epoch"]) == ("delta", snapshot["epoch"])


def test_limits_and_what_frees_them(
    serve: Callable[..., RunningServer], recording: Path, times: list[int], tmp_path: Path
) -> None:
    server = serve_recorded(
        serve, recording, tmp_path / "history", replays_per_key_max=2, replay_idle_timeout_s=1, sockets_max=10
    )
    body = {"from": str(times[100]), "paused": True}
    with connect(server) as one, connect(server) as other:
        assert travel(one, "replay", **body)["type"] == "ack"
        made = server.client.post("/v1/replays", json=body)
        assert made.status_code == 201
        assert travel(other, "replay", replay=made.json()["id"])["type"] == "ack"
        refused = server.client.post("/v1/replays", json=body)
        assert problem(refused, 429, "too_many_replays")
        assert refused.headers["Retry-After"]
        assert travel(other, "replay", **body)["code"] == "too_many_replays"
        # Somebody is in it: it does not end for want of use.
        time.sleep(2)
        assert len(server.get("/v1/replays").json()["replays"]) == 2
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while server.get("/v1/replays").json()["replays"]:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)
    assert server.client.post("/v1/replays", json=body).status_code == 201


def test_the_client_travels(server: RunningServer, times: list[int]) -> None:
    with Client(server.url) as client:
        depth = client.subscribe("depth", "SYN0", interval_ms=10)
        assert depth.next(STATE_TIMEOUT_S).kind == "snapshot"
        assert client.replayed is None
        state = client.replay(times[2000], speed=50)
        assert (state.state, state.speed, client.replayed) == ("playing", 50, state)
        while (update := depth.next(STATE_TIMEOUT_S)).kind != "delta" or update.epoch == "":
            continue
        assert client.pause() == client.replayed
        client.seek(times[9000])
        while (update := depth.next(STATE_TIMEOUT_S)).kind != "snapshot":
            continue
        assert update.seq == as_of(server, times[9000])[0]
        client.step(2)
        while update.seq < as_of(server, times[9000])[0] + 2:
            update = depth.next(STATE_TIMEOUT_S)
        resumed = client.resume(0.5)
        assert resumed is not None
        assert resumed.speed == 0.5
        with pytest.raises(ReplayError, match="not_recorded"):
            client.seek(times[0] - HOUR_NS)
        client.live()
        assert client.replayed is None
        with pytest.raises(ReplayError, match="no_replay"):
            client.pause()
        assert client.counters.crc_errors == client.counters.resyncs == 0


def test_the_asynchronous_client_travels(server: RunningServer, times: list[int]) -> None:
    async def run() -> None:
        async with AsyncClient(server.url, encoding="json") as client:
            orders = await client.subscribe("orders", "SYN1", interval_ms=10)
            await client.replay(str(times[2000]), paused=True)
            await client.seek(times[4000])
            await client.resume(10)
            seq = as_of(server, times[4000], "SYN1")[0]
            while (await orders.next(STATE_TIMEOUT_S)).seq <= seq or client.replayed is None:
                continue
            await client.pause()
            await client.step(-1)
            await client.live()
            assert client.replayed is None
            assert client.counters.crc_errors == client.counters.resyncs == 0

    asyncio.run(run())
