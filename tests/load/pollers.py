"""Clients of REST in a process of their own: `pollers.py PORT SECONDS CLIENTS INSTRUMENT…` prints latencies (ms)."""

from __future__ import annotations

import asyncio
import json
import sys
import time

INTERVAL_S = 0.1


async def poll_book(port: int, instrument: str, begin_s: float, end_s: float, latencies_ms: list[float]) -> None:
    """Ask for a book again and again on one connection, as a page that polls does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /v1/books/{instrument}?depth=10 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    due_s = begin_s
    while due_s < end_s:
        await asyncio.sleep(due_s - time.monotonic())
        begun_s = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(content_length(head))
        latencies_ms.append((time.perf_counter() - begun_s) * 1000)
        due_s = max(due_s + INTERVAL_S, time.monotonic())
    writer.close()
    await writer.wait_closed()


def content_length(head: bytes) -> int:
    """Of a good answer."""
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {head.splitlines()[0]!r}")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError("an answer without Content-Length")


async def main(port: int, seconds: float, clients: int, instruments: list[str]) -> list[float]:
    """All of them, each at its own moments."""
    latencies_ms: list[float] = []
    now_s = time.monotonic()
    polls = (
        poll_book(
            port,
            instruments[number % len(instruments)],
            now_s + number * INTERVAL_S / clients,
            now_s + seconds,
            latencies_ms,
        )
        for number in range(clients)
    )
    await asyncio.gather(*polls)
    return latencies_ms


if __name__ == "__main__":
    found = asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
    sys.stdout.write(json.dumps(found))
