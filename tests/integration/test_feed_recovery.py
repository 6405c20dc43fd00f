"""Lost connections: told apart, waited for, recovered from, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import UNIT, Mbo, metadata, split, stream
from feeds import TIMEOUT_S, Fed, Truth, simulated
from l3book._core import Simulator
from l3book.feed.options import FeedOptions
from l3book.feed.transitions import Transitions
from l3book.sources.live import KEY_VARIABLE
from running_gateway import KEY, RunningGateway
from small_gateway import SmallGateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running import RunningServer
    from small_gateway import Session

RECORDS = 20_000
WRONG_KEY = "db-wrongwrongwrongwrongwrongSECR"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("feed") / "simulated.dbn"
    simulated(path, seed=11, instruments=2, records=RECORDS, span_s=100)
    return path, Truth(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_gateway_that_is_not_there_yet_is_waited_for(simulation: tuple[Path, Truth]) -> None:
    path, truth = simulation
    port = free_port()
    with Fed("live://GLBX.MDP3", gateway=f"127.0.0.1:{port}") as fed:
        while fed.feed.status.losses["refused"] < 2:
            assert fed.engine.state in {"starting", "connecting"}, fed.story()
            time.sleep(0.01)
        with RunningGateway(path, "--max", port=port):
            fed.wait_for_state("ended", truth=truth)
            fed.assert_final(truth)


@pytest.mark.parametrize("protocol", ["lsg", "raw"])
def test_a_gateway_that_is_killed_and_started_again(protocol: str, simulation: tuple[Path, Truth]) -> None:
    """Twice. Its machine closes the connections in order, and still nobody takes that for the end of the stream."""
    path, truth = simulation
    gateway = RunningGateway(path, "--rate", 10_000, protocol=protocol)
    # Raw, nothing tells a sender that was killed from one that has finished: it has to be said.
    uri = "live://GLBX.MDP3" if protocol == "lsg" else f"tcp://{gateway.address}?end=reconnect"
    with Fed(uri, gateway=gateway.address if protocol == "lsg" else None) as fed:
        for records in (RECORDS // 4, RECORDS // 2):
            fed.wait_for_records(records)
            gateway.kill()
            fed.wait_for_state("reconnecting", truth=truth)
            fed.look(truth)
            assert all(entry.state != "live" for entry in fed.market.instruments()), fed.story()
            gateway = RunningGateway(path, "--rate", 10_000, port=gateway.port, protocol=protocol)
            fed.wait_for_state("running", truth=truth)
        with gateway:
            if protocol == "lsg":
                fed.wait_for_state("ended", truth=truth)
                fed.assert_final(truth)
            else:
                fed.wait_for_records(RECORDS)
                fed.look(truth)
    assert fed.feed.status.connects >= 3
    assert fed.market.watch_stats()["already_applied"] > 0


def test_a_connection_that_falls_silent_is_half_open(
    simulation: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l3book.sources.live.SILENCE_MARGIN_S", 0.5)
    path, truth = simulation
    with (
        RunningGateway(path, "--rate", 20_000, "--fault", "half-open@5000") as gateway,
        Fed("live://GLBX.MDP3?heartbeat_s=5", gateway=gateway.address) as fed,
    ):
        fed.wait_for_state("ended", truth=truth)
        fed.assert_final(truth)
    assert fed.feed.status.losses["half-open"] == 1


def test_a_raw_connection_may_be_silent_unless_told_otherwise() -> None:
    body = metadata(symbols={"AB": 7}) + stream([Mbo("A", "B", UNIT, 1, 1, instrument_id=7)])

    def script(session: Session) -> None:
        session.send(body)
        session.wait_for_close()

    with SmallGateway([script]) as gateway:
        with Fed(f"tcp://{gateway.address}") as fed:
            fed.wait_for_records(1)
            time.sleep(0.5)
            assert fed.engine.state == "running"
        with Fed(f"tcp://{gateway.address}?idle_s=0.2") as fed:
            while fed.feed.status.losses["half-open"] < 3:
                time.sleep(0.01)
    assert fed.market.stats()["records"] == 1, "what came again was not applied again"


@pytest.mark.parametrize(
    "fault", ["drop-connection@5000", "truncate@5000", "stall@5000:1s", "throttle:2MB", "drop-connection~3000"]
)
def test_raw_streams_recover_from_what_can_be_seen(fault: str, simulation: tuple[Path, Truth]) -> None:
    """Everything comes again from the beginning: what was applied is dropped."""
    path, truth = simulation
    with (
        RunningGateway(path, "--rate", 20_000, "--fault", fault, protocol="raw") as gateway,
        Fed(f"tcp://{gateway.address}") as fed,
    ):
        if "~" not in fault:
            fed.wait_for_state("ended", truth=truth)
            fed.assert_final(truth)
            return
        while fed.feed.status.connects < 5:
            fed.look(truth)
        assert fed.live_looks > 0


def test_damage_in_the_middle_of_a_stream_is_recovered_from(simulation: tuple[Path, Truth]) -> None:
    path, truth = simulation
    data = path.read_bytes()
    head = len(split(data)[0])

    def damaged(session: Session) -> None:
        session.authenticate()
        session.subscriptions()
        session.send(data[: head + 56 * 300] + bytes(56) + data[head + 56 * 300 :])
        session.wait_for_close()

    def whole(session: Session) -> None:
        session.authenticate()
        (subscription,) = session.subscriptions()
        session.send(data)
        if "start" in subscription:
            session.send(system_record(3, "Finished mbo replay"))

    with SmallGateway([damaged, damaged, whole]) as gateway, Fed("live://A.B", gateway=gateway.address) as fed:
        fed.wait_for_state("ended", truth=truth)
        fed.assert_final(truth)
        assert fed.feed.status.losses["damage"] == 2
        last = gateway.sessions[-1].lines
    assert any("start" in line for line in last), "asked for what was missed, and for no more"


def system_record(code: int, text: str) -> bytes:
    """DBN's SystemMsg, version 2 and later."""
    head = bytes([320 // 4, 0x17]) + bytes(6) + (1).to_bytes(8, "little")
    return head + text.encode().ljust(303, b"\0") + bytes([code])


def error_record(code: int, text: str) -> bytes:
    """DBN's ErrorMsg, version 2 and later."""
    head = bytes([320 // 4, 0x15]) + bytes(6) + (1).to_bytes(8, "little")
    return head + text.encode().ljust(302, b"\0") + bytes([code, 1])


@pytest.mark.parametrize("code", [1, 2, 5])
def test_an_error_for_good_fails_the_source_at_once(code: int) -> None:
    def script(session: Session) -> None:
        session.authenticate()
        session.subscriptions()
        session.send(metadata() + error_record(code, "you may not have this"))
        session.wait_for_close()

    with SmallGateway([script]) as gateway, Fed("live://A.B", gateway=gateway.address) as fed:
        fed.engine._thread.join(TIMEOUT_S)
        assert fed.engine.state == "failed"
        assert fed.engine.error == f"the gateway says: you may not have this (code {code})"
        assert len(gateway.sessions) == 1, "no second attempt"


@pytest.mark.parametrize(("code", "asked"), [(6, "start"), (8, "snapshot")])
def test_an_error_that_passes_is_recovered_from(code: int, asked: str, simulation: tuple[Path, Truth]) -> None:
    """What is no longer to be had by `start` is asked for as a snapshot."""
    data = simulation[0].read_bytes()[: -(-len(simulation[0].read_bytes()) // 2)]
    head, body = split(data)

    def broken(session: Session) -> None:
        session.authenticate()
        session.subscriptions()
        session.send(head + body[: len(body) // 56 * 56] + error_record(code, "not now"))
        session.wait_for_close()

    def silent(session: Session) -> None:
        session.authenticate()
        session.subscriptions()
        session.wait_for_close()

    with SmallGateway([broken, silent]) as gateway, Fed("live://A.B", gateway=gateway.address) as fed:
        deadline_s = time.monotonic() + TIMEOUT_S
        while len(gateway.sessions) < 2 or len(gateway.sessions[1].lines) < 3:
            assert time.monotonic() < deadline_s, fed.story()
            time.sleep(0.01)
        (subscription,) = gateway.sessions[1].lines[1:2]
    assert ("start" in subscription) == (asked == "start")
    assert subscription["snapshot"] == ("1" if asked == "snapshot" else "0")


def test_a_loss_longer_ago_than_the_replay_range_is_recovered_from_by_snapshots(simulation: tuple[Path, Truth]) -> None:
    path, truth = simulation
    options = FeedOptions(replay_range_s=0.0)
    with (
        RunningGateway(path, "--rate", 20_000, "--fault", "drop-connection@5000") as gateway,
        Fed("live://GLBX.MDP3", gateway=gateway.address, options=options) as fed,
    ):
        while fed.feed.status.connects < 2:
            fed.look(truth)
        fed.wait_for_records(RECORDS // 2)
    assert [entry["reason"] for entry in fed.feed.transitions.recent() if entry["kind"] == "connected"][:2] == [
        "first",
        "snapshot",
    ]


def test_the_budget_ends_the_attempts() -> None:
    options = FeedOptions(reconnect_budget_s=0.6)
    with Fed(f"tcp://127.0.0.1:{free_port()}", options=options) as fed:
        fed.engine._thread.join(TIMEOUT_S)
        assert fed.engine.state == "failed"
        assert fed.engine.error is not None
        assert "attempts in 0.6 s (reconnect_budget_s): 127.0.0.1:" in fed.engine.error
        assert "Connection refused" in fed.engine.error


@pytest.mark.parametrize("moment", ["back-off", "handshake", "stream"])
def test_closing_ends_whatever_is_going_on(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With waits of minutes, a close that waited for them would run into the time-out of the test."""
    monkeypatch.setattr("l3book.feed.supervisor.WAIT_FIRST_S", 1000.0)
    monkeypatch.setattr("l3book.feed.supervisor.WAIT_MAX_S", 1000.0)

    def script(session: Session) -> None:
        if moment == "stream":
            session.authenticate()
            session.subscriptions()
            session.send(metadata())
        session.wait_for_close()

    with SmallGateway([script]) as gateway:
        address = f"127.0.0.1:{free_port()}" if moment == "back-off" else gateway.address
        with Fed("live://A.B", gateway=address) as fed:
            deadline_s = time.monotonic() + TIMEOUT_S
            while not (fed.feed.status.losses if moment == "back-off" else gateway.sessions):
                assert time.monotonic() < deadline_s, fed.story()
                time.sleep(0.01)
            time.sleep(0.1)
    assert not fed.engine._thread.is_alive()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")  # noqa: PTH112
def test_nothing_is_left_behind(simulation: tuple[Path, Truth]) -> None:
    path, _ = simulation
    with RunningGateway(path, "--rate", 20_000, "--fault", "drop-connection~2000") as gateway:

        def feed_for_a_while() -> None:
            with Fed("live://GLBX.MDP3", gateway=gateway.address) as fed:
                while fed.feed.status.connects < 4:
                    time.sleep(0.01)

        feed_for_a_while()
        before = open_files(), threading.active_count()
        for _ in range(3):
            feed_for_a_while()
        assert (open_files(), threading.active_count()) == before


def test_the_server_ends_with_the_books_of_the_file(
    serve: Callable[..., RunningServer], simulation: tuple[Path, Truth]
) -> None:
    path, truth = simulation
    with RunningGateway(path, "--rate", 20_000, "--fault", "drop-connection@5000") as gateway:
        source = "live://GLBX.MDP3?symbols=SYN0,SYN1&compression=zstd"
        server = serve("--source", source, "--gateway", gateway.address, env={KEY_VARIABLE: KEY})
        metrics = server.wait_for_state("ended")
        served = {
            (book["publisher_id"], book["instrument_id"])
            for book in server.get("/v1/instruments").json()["instruments"]
        }
        assert served == set(truth.final)
        for (publisher_id, instrument_id), final in truth.final.items():
            body = server.get(f"/v1/books/{publisher_id}:{instrument_id}?level=3&depth=all").content
            assert body[body.index(b'"bids":[') :] == final[final.index(b'"bids":[') :]
            assert b'"state":"live"' in body
        source_metrics = metrics["source"]
        assert source_metrics["losses"]["reset"] == 1
        # The end is believed when one more connection brings nothing.
        assert source_metrics["losses"]["ended"] == 1
        assert source_metrics["reconnects"] == 2
        assert source_metrics["lag_ns"] > 0
        assert metrics["feed"]["already_applied"] > 0
        assert metrics["event_loop"]["count"] > 0
        transitions = server.get("/v1/feed/transitions").json()["transitions"]
        assert {entry["kind"] for entry in transitions} == {"connected", "lost", "suspect", "live"}
        assert server.get("/readyz").status_code == 200
        everything = "".join(server.lines) + server.get("/v1/metrics").text + server.get("/v1/feed/transitions").text
        assert KEY not in everything
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0


def test_a_wrong_key_fails_the_source_with_the_gateways_words(
    serve: Callable[..., RunningServer], simulation: tuple[Path, Truth]
) -> None:
    with RunningGateway(simulation[0], "--max") as gateway:
        server = serve(
            "--source",
            f"live://GLBX.MDP3?gateway={gateway.address}",
            "--log-level",
            "debug",
            env={KEY_VARIABLE: WRONG_KEY},
        )
        metrics = server.wait_for_state("failed")
        ready = server.get("/readyz")
    assert metrics["source"]["error"].startswith("the gateway refused the session: ")
    assert metrics["source"]["attempts"] == 1
    assert ready.status_code == 503
    assert metrics["source"]["error"] in ready.json()["detail"]
    for text in ("".join(server.lines), str(metrics), ready.text):
        assert WRONG_KEY not in text
        assert WRONG_KEY[-5:] not in text


def test_a_server_whose_gateway_is_away_says_so(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", f"tcp://127.0.0.1:{free_port()}")
    metrics = server.wait_for_state("connecting")
    assert metrics["feed"]["last_ts_recv"] == 0
    ready = server.get("/readyz")
    assert (ready.status_code, ready.json()["detail"]) == (503, "the source is connecting")
    assert server.get("/readyz?feed=any").status_code == 503, "there is nothing to be served"
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


def test_a_server_is_not_ready_while_its_source_is_away_and_serves_its_books_on(
    serve: Callable[..., RunningServer],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = serve("--source", f"tcp://127.0.0.1:{port}?end=reconnect")
        connection, _ = listener.accept()
        connection.sendall(metadata() + stream([Mbo("A", "B", UNIT, 1, 1, instrument_id=7)]))
        server.wait_until_ready()
    connection.close()
    server.wait_for_state("reconnecting")
    ready = server.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["detail"].startswith("the source is reconnecting: ")
    serving = server.get("/readyz?feed=any")
    assert (serving.status_code, serving.json()["status"]) == (200, "ready")
    assert ready.json()["detail"] in serving.json()["warning"]
    assert server.get("/v1/books/7").json()["state"] == "suspect"
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(TIMEOUT_S)
        with listener.accept()[0] as connection:
            connection.sendall(metadata() + stream([Mbo("A", "B", UNIT, 1, 2, instrument_id=7)]))
            server.wait_until_ready()


def test_a_server_whose_source_has_no_books_is_ready_for_whoever_takes_any_feed(
    serve: Callable[..., RunningServer],
) -> None:
    """A shard that no instrument is in: with its head it has told all that there is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serve("--source", f"tcp://127.0.0.1:{listener.getsockname()[1]}?end=reconnect")
        connection, _ = listener.accept()
        with connection:
            assert server.get("/readyz?feed=any").status_code == 503, "its head is not there yet"
            connection.sendall(metadata())
            server.wait_for_state("running")
            deadline_s = time.monotonic() + TIMEOUT_S
            while (serving := server.get("/readyz?feed=any")).status_code != 200:
                assert time.monotonic() < deadline_s, serving.text
                time.sleep(0.02)
            assert server.get("/readyz").status_code == 503
        server.wait_for_state("reconnecting")
    assert server.get("/readyz?feed=any").status_code == 200, "a line that is lost leaves it as it was"


def test_a_server_whose_source_is_far_behind_is_not_ready(
    serve: Callable[..., RunningServer], simulation: tuple[Path, Truth]
) -> None:
    """A recording, live: its ts_recv are old. Once the source has ended, what it brought is all there is."""
    with RunningGateway(simulation[0], "--rate", 1000) as gateway:
        source = f"live://GLBX.MDP3?gateway={gateway.address}"
        server = serve("--source", source, env={KEY_VARIABLE: KEY, "L3BOOK_READY_LAG_MS_MAX": "60000"})
        deadline_s = time.monotonic() + TIMEOUT_S
        while "behind" not in (detail := server.get("/readyz").json().get("detail", "")):
            assert time.monotonic() < deadline_s, detail
            time.sleep(0.02)
        assert detail.endswith(" ms behind: expected at most 60000 ms")
        ready = server.get("/readyz?feed=any")
        assert (ready.status_code, "behind" in ready.json()["detail"]) == (503, True), "it has never caught up"


def test_a_server_that_has_caught_up_may_fall_behind_with_its_feed(serve: Callable[..., RunningServer]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        server = serve("--source", address, env={"L3BOOK_READY_LAG_MS_MAX": "2000"})
        connection, _ = listener.accept()
        with connection:
            connection.sendall(metadata())
            deadline_s, order_id = time.monotonic() + TIMEOUT_S, 0
            # With a book, or it would be ready for having none.
            while not server.metrics()["books"] or server.get("/readyz?feed=any").status_code != 200:
                assert time.monotonic() < deadline_s
                order_id += 1
                now_ns = time.time_ns()
                connection.sendall(Mbo("A", "B", UNIT, 1, order_id, ts_event=now_ns, ts_recv=now_ns).to_bytes())
                time.sleep(0.05)
            while "behind" not in (detail := server.get("/readyz").json().get("detail", "")):
                assert time.monotonic() < deadline_s, detail
                time.sleep(0.05)
            serving = server.get("/readyz?feed=any")
            assert (serving.status_code, "behind" in serving.json()["warning"]) == (200, True)


def test_snapshots_of_books_that_have_not_begun_raise_no_doubt(tmp_path: Path) -> None:
    """Their Clear once carried a time later than that of the first event."""
    simulator = Simulator(seed=3, instruments=5)
    path = tmp_path / "simulated.dbn"
    path.write_bytes(simulator.header() + simulator.read(RECORDS))
    with (
        RunningGateway(path, "--rate", 50_000) as gateway,
        Fed("live://GLBX.MDP3?snapshot=1", gateway=gateway.address) as fed,
    ):
        fed.wait_for_state("ended")
        assert set(fed.market.watch_stats()["suspicions"]) <= {"disconnected"}, fed.story()


def test_many_books_do_not_hide_what_happened_to_the_line() -> None:
    transitions = Transitions()
    transitions.add("lost", "reset")
    for book in range(500):
        transitions.add("suspect", "disconnected", instrument_id=book)
    kinds = [entry["kind"] for entry in transitions.recent()]
    assert (kinds[0], kinds.count("suspect")) == ("lost", 100)
