"""Connections of tcp: and live: sources, over real sockets: what is asked, what comes in, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from l3book.sources import open_source
from l3book.sources.connection import Ask, ConnectionLost, Connector, Refused
from l3book.sources.live import KEY_VARIABLE
from small_gateway import KEY, Session, SmallGateway

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S = 30


def opened(uri: str, gateway: str | None = None) -> Connector:
    source = open_source(uri, gateway)
    assert hasattr(source, "connect")
    return source


def received(connector: Connector, ask: Ask | None = None) -> bytes:
    """All that one connection brings until its orderly end; raises what it ends by otherwise."""

    async def read() -> bytes:
        data = bytearray()
        async with asyncio.timeout(TIMEOUT_S):
            connection = await connector.connect(ask or Ask("first"), data.extend)
            await connection.ended
        return bytes(data)

    with asyncio.Runner() as runner:
        return runner.run(read())


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return KEY


def sends(data: bytes) -> Callable[[Session], None]:
    def script(session: Session) -> None:
        assert session.authenticate()
        session.subscriptions()
        session.send(data)

    return script


BODY = bytes(range(256)) * 10_000


def test_tcp_brings_every_byte() -> None:
    with SmallGateway([lambda session: session.send(BODY)]) as gateway:
        assert received(opened(f"tcp://{gateway.address}")) == BODY


def test_live_brings_every_byte_after_the_handshake(key: str) -> None:
    with SmallGateway([sends(BODY)]) as gateway:
        assert received(opened("live://GLBX.MDP3?symbols=ESZ5", gateway.address)) == BODY


@pytest.mark.parametrize(
    ("query", "ask", "expected"),
    [
        ("symbols=ESZ5,NQZ5", Ask("first"), {"symbols": "ESZ5,NQZ5", "snapshot": "0", "stype_in": "raw_symbol"}),
        ("", Ask("first"), {"symbols": "ALL_SYMBOLS", "schema": "mbo", "is_last": "1"}),
        ("symbols=ES.FUT&stype_in=parent&snapshot=1", Ask("first"), {"stype_in": "parent", "snapshot": "1"}),
        ("symbols=ESZ5&start=0", Ask("first"), {"start": "0"}),
        ("symbols=ESZ5&start=17", Ask("resume", 99), {"start": "99", "snapshot": "0"}),
        ("symbols=ESZ5&start=17", Ask("snapshot"), {"snapshot": "1"}),
        ("symbols=1,2&stype_in=instrument_id", Ask("first"), {"symbols": "1,2", "stype_in": "instrument_id"}),
    ],
)
def test_what_is_asked_for(key: str, query: str, ask: Ask, expected: dict[str, str]) -> None:
    with SmallGateway([sends(b"")]) as gateway:
        received(opened(f"live://GLBX.MDP3?{query}", gateway.address), ask)
    (session,) = gateway.sessions
    authentication, *subscriptions, start = session.lines
    assert authentication["dataset"] == "GLBX.MDP3"
    assert authentication["heartbeat_interval_s"] == "30"
    assert "start_session" in start
    (subscription,) = subscriptions
    assert {name: subscription.get(name) for name in expected} == expected
    assert ("start" in subscription) == ("start" in expected)


def test_compression_and_heartbeats_are_asked_for(key: str) -> None:
    with SmallGateway([sends(b"")]) as gateway:
        received(opened("live://GLBX.MDP3?compression=zstd&heartbeat_s=5", gateway.address))
    authentication = gateway.sessions[0].lines[0]
    assert (authentication["compression"], authentication["heartbeat_interval_s"]) == ("zstd", "5")


def test_more_symbols_than_one_line_holds(key: str) -> None:
    symbols = [f"S{n}" for n in range(1_201)]
    with SmallGateway([sends(b"")]) as gateway:
        received(opened(f"live://GLBX.MDP3?symbols={','.join(symbols)}", gateway.address))
    lines = gateway.sessions[0].lines[1:-1]
    assert [line["is_last"] for line in lines] == ["0", "0", "1"]
    assert ",".join(line["symbols"] for line in lines).split(",") == symbols


def test_snapshots_are_asked_for_while_data_comes(key: str) -> None:
    asked: list[dict[str, str]] = []

    def script(session: Session) -> None:
        session.authenticate()
        session.subscriptions()
        session.send(BODY)
        asked.append(session.line())

    async def read(connector: Connector) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            connection = await connector.connect(Ask("first"), lambda _data: None)
            assert connection.ask_snapshot([3, 5])
            await connection.ended

    with SmallGateway([script]) as gateway:
        asyncio.run(read(opened("live://GLBX.MDP3?symbols=A", gateway.address)))
    assert [(line["symbols"], line["stype_in"], line["snapshot"]) for line in asked] == [("3,5", "instrument_id", "1")]


def test_a_wrong_key_is_refused_with_the_gateways_words_and_without_the_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "db-wrongwrongwrongwrongwrongSECRT"
    monkeypatch.setenv(KEY_VARIABLE, wrong)

    def script(session: Session) -> None:
        assert not session.authenticate()

    with (
        caplog.at_level(logging.DEBUG),
        SmallGateway([script]) as gateway,
        pytest.raises(Refused, match="User authentication failed: no such key") as refused,
    ):
        received(opened("live://GLBX.MDP3", gateway.address))
    for text in (str(refused.value), repr(refused.value), caplog.text):
        assert wrong not in text
        assert "SECRT" not in text


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"lsg_version=0.0.0\nsurprise=1|with=2\n",
        b"\xff\xfe\x00" * 100 + b"\n",
        b"x" * 200_000,
        b"success=1|session_id=1|nonsense=1\n",
        b"",
        b"lsg_version=0.0.0\n",
        b"lsg_version=0.0.0\ncram=abc",
    ],
    ids=["http", "unknown", "binary", "endless line", "unknown field", "nothing", "half", "cut"],
)
def test_what_is_no_gateway_is_a_failed_handshake(key: str, answer: bytes) -> None:
    def script(session: Session) -> None:
        session.send(answer)

    with SmallGateway([script]) as gateway, pytest.raises(ConnectionLost) as lost:
        received(opened("live://GLBX.MDP3", gateway.address))
    assert lost.value.kind in {"handshake", "reset"}
    assert "\n" not in str(lost.value)
    assert len(str(lost.value)) < 500


def test_a_silent_server_is_given_up_in_time(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l3book.sources.live.HANDSHAKE_TIMEOUT_S", 0.05)
    with (
        SmallGateway([lambda session: session.wait_for_close()]) as gateway,
        pytest.raises(ConnectionLost, match=r"no answer to the handshake within 0\.05 s"),
    ):
        received(opened("live://GLBX.MDP3", gateway.address))


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:{port}", "live://GLBX.MDP3?gateway=127.0.0.1:{port}"])
def test_nobody_listening(key: str, uri: str) -> None:
    gateway = SmallGateway([lambda _session: None])
    gateway.close()
    with pytest.raises(ConnectionLost) as lost:
        received(opened(uri.format(port=gateway.port)))
    assert lost.value.kind == "refused"
    assert f"127.0.0.1:{gateway.port}: Connection refused" in str(lost.value)


@pytest.mark.parametrize("scheme", ["tcp", "live"])
def test_a_reset_is_a_loss_and_no_end(key: str, scheme: str) -> None:
    def script(session: Session) -> None:
        if scheme == "live":
            session.authenticate()
            session.subscriptions()
        session.reset()

    with SmallGateway([script]) as gateway, pytest.raises(ConnectionLost) as lost:
        received(opened(f"tcp://{gateway.address}" if scheme == "tcp" else f"live://A.B?gateway={gateway.address}"))
    assert lost.value.kind == "reset"


@pytest.mark.parametrize("scheme", ["tcp", "live"])
def test_an_error_of_the_receiver_ends_the_connection(key: str, scheme: str) -> None:
    class Panic(BaseException):
        pass

    def refuse(_data: memoryview) -> None:
        raise Panic("a bug below")

    async def read(connector: Connector) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            connection = await connector.connect(Ask("first"), refuse)
            await connection.ended

    script = sends(BODY) if scheme == "live" else lambda session: session.send(BODY)

    def sending(session: Session) -> None:
        with contextlib.suppress(OSError):
            script(session)

    with SmallGateway([sending]) as gateway:
        uri = f"tcp://{gateway.address}" if scheme == "tcp" else f"live://A.B?gateway={gateway.address}"
        with pytest.raises(Panic):
            asyncio.run(read(opened(uri)))


def test_a_receiver_that_is_slow_holds_up_the_sender() -> None:
    """What is not read stays with the kernel and then with the sender: it is waiting, and nothing is lost."""
    sent = bytearray()

    def script(session: Session) -> None:
        for _ in range(40):
            session.send(BODY)
            sent.extend(b"x")

    async def read(connector: Connector) -> tuple[int, int]:
        read_bytes = waiting_bytes = 0
        connection = None

        def receive(data: memoryview) -> None:
            nonlocal read_bytes, waiting_bytes
            read_bytes += len(data)
            if connection is not None:
                waiting_bytes = max(waiting_bytes, connection.bytes_waiting())

        async with asyncio.timeout(TIMEOUT_S):
            connection = await connector.connect(Ask("first"), receive)
            await connection.ended
        return read_bytes, waiting_bytes

    with SmallGateway([script]) as gateway:
        read_bytes, waiting_bytes = asyncio.run(read(opened(f"tcp://{gateway.address}")))
    assert read_bytes == 40 * len(BODY)
    assert waiting_bytes > 0
