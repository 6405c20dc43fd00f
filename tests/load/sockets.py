"""Clients that cost next to nothing, so that a thousand of them and the server fit on two cores.

Of the WebSocket protocol only what a server sends is understood: unmasked, unfragmented text frames, pings, close.
A message is only noted, with the time, when it comes, and read when all that came with it has been noted: real clients
are not one process, and do not wait for each other.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
import zlib
from collections import deque
from typing import Any

import msgspec

HANDSHAKE_TIMEOUT_S = 30
NS_PER_MS = 1e6
CRC_LEVELS = 10
READ_INTERVAL_S = 0.02
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class Delta(msgspec.Struct):
    """What is looked at of every message."""

    type: str
    epoch: str = ""
    prev: int | None = None
    seq: int = 0
    ts_recv: str = "0"
    bids: list[tuple[str, int, int]] = []
    asks: list[tuple[str, int, int]] = []
    crc: int = 0
    conflated: int = 0


class Tally:
    """What all clients of a phase saw."""

    def __init__(self) -> None:
        self.latency_ms: list[float] = []
        self.messages = 0
        self.bytes = 0
        self.snapshots = 0
        self.conflated = 0
        self.checked = 0
        self.faults: list[str] = []
        self.noted: deque[tuple[DepthClient, bytes, int]] = deque()
        """What has come and was not read yet: whose, what, when (ns)."""

    async def read(self) -> None:
        """Read what was noted, for ever, and let what comes meanwhile be noted first."""
        while True:
            await asyncio.sleep(READ_INTERVAL_S)
            for _ in range(len(self.noted)):
                client, data, at_ns = self.noted.popleft()
                client.take(data, at_ns)
                await asyncio.sleep(0)

    def fault(self, text: str) -> None:
        """Note something that must not be."""
        self.faults.append(text)


class DepthClient(asyncio.Protocol):
    """Follows the depth of one book. One that `checks` keeps the book too, and recomputes its CRC at every message."""

    def __init__(self, tally: Tally, instrument: str, interval_ms: int, *, checks: bool) -> None:
        self._tally = tally
        self._subscribe = {
            "op": "subscribe",
            "id": 1,
            "channel": "depth",
            "instrument": instrument,
            "depth": CRC_LEVELS,
            "interval_ms": interval_ms,
        }
        self._decode = msgspec.json.Decoder(Delta).decode
        self._received = bytearray()
        self._is_upgraded = False
        self._version: tuple[str, int] | None = None
        self._sides: tuple[dict[str, int], dict[str, int]] | None = ({}, {}) if checks else None
        self._conflated = 0
        self.is_measured = False
        """From when on latencies count."""
        self.has_snapshot = asyncio.get_running_loop().create_future()
        self._is_ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: l3book.v1.json\r\n\r\n".encode()
        )

    def end(self) -> None:
        """Close in order."""
        self._is_ending = True
        self._send(_CLOSE, (1000).to_bytes(2, "big"))
        self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self._is_ending:
            self._tally.fault("a client was disconnected")
        if not self.has_snapshot.done():
            self.has_snapshot.cancel()

    def data_received(self, data: bytes) -> None:
        self._tally.noted.append((self, data, time.time_ns()))

    def take(self, data: bytes, at_ns: int) -> None:
        """Read what came then."""
        self._received += data
        if not self._is_upgraded and not self._upgrade():
            return
        while (frame := self._next_frame()) is not None:
            self._take(*frame, at_ns)

    def _upgrade(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._received[:end])
        if not head.startswith(b"HTTP/1.1 101"):
            self._tally.fault(f"refused: {head.splitlines()[0]!r}")
            self._transport.close()
            return False
        del self._received[: end + 4]
        self._is_upgraded = True
        self._send(_TEXT, json.dumps(self._subscribe).encode())
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        have = self._received
        if len(have) < 2:
            return None
        length, head = have[1] & 0x7F, 2
        if length == 126:
            length, head = int.from_bytes(have[2:4], "big"), 4
        elif length == 127:
            length, head = int.from_bytes(have[2:10], "big"), 10
        if len(have) < head + length or len(have) < head:
            return None
        frame = have[0] & 0x0F, bytes(have[head : head + length])
        del have[: head + length]
        return frame

    def _take(self, opcode: int, payload: bytes, at_ns: int) -> None:
        if opcode == _TEXT:
            self._message(payload, at_ns)
        elif opcode == _PING:
            self._send(_PONG, payload)
        elif opcode == _CLOSE and not self._is_ending:
            self._tally.fault(f"closed by the server: {int.from_bytes(payload[:2], 'big')} {payload[2:]!r}")

    def _send(self, opcode: int, payload: bytes) -> None:
        # A mask of zeros is one.
        assert len(payload) < 65_536
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self._transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)

    def _message(self, payload: bytes, at_ns: int) -> None:
        message, tally = self._decode(payload), self._tally
        if message.type == "delta":
            if self._version != (message.epoch, message.prev):
                tally.fault(f"delta after {self._version} goes on from {message.epoch, message.prev}")
            self._version = message.epoch, message.seq
            self._change(message)
            if self.is_measured:
                tally.messages += 1
                tally.bytes += len(payload)
                tally.latency_ms.append((at_ns - int(message.ts_recv)) / NS_PER_MS)
        elif message.type == "snapshot":
            tally.snapshots += self.is_measured
            self._version = message.epoch, message.seq
            if self._sides is not None:
                self._sides = {}, {}
            self._change(message)
            if not self.has_snapshot.done():
                self.has_snapshot.set_result(None)
        elif message.type == "heartbeat":
            tally.conflated += message.conflated - self._conflated if self.is_measured else 0
            self._conflated = message.conflated
        elif message.type != "ack":
            tally.fault(f"unexpected: {payload[:200]!r}")

    def _change(self, message: Delta) -> None:
        if self._sides is None:
            return
        for side, levels in zip(self._sides, (message.bids, message.asks), strict=True):
            for price, size, _ in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        bids, asks = self._sides
        best = sorted(asks.items(), key=_price)[:CRC_LEVELS]
        best += sorted(bids.items(), key=_price, reverse=True)[:CRC_LEVELS]
        if zlib.crc32(",".join(f"{price}:{size}" for price, size in best).encode()) != message.crc:
            self._tally.fault(f"wrong CRC at {message.epoch}-{message.seq}")
        self._tally.checked += 1


def _price(level: tuple[str, int]) -> float:
    return float(level[0])


def percentile(samples: list[Any], share: float) -> float:
    """The sample below which a share of them lies; NaN of none."""
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")
