"""Sources published from this process, and what becomes of a stream meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from dbn_bytes import split
from l3book._core import Simulator
from l3book.jetstream.address import NatsAddress
from l3book.jetstream.publishing import Published, Publishing
from l3book.sources import open_source
from l3book.sources.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from feeds import Fed
    from running_nats import RunningNats

WAIT_S = 90
RECORDS = 7_000
"""Of a file; three of them have no Clear but at the beginning of the first."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.05)


def publish(path: Path, to: str, shards: int = 1, budget_s: float = 60.0) -> Published:
    """Publish a file; raises what the command says."""
    source = open_source(f"file:{path}", None)
    publishing = Publishing(NatsAddress.of(parse_uri(to)), source, shards, budget_s)
    return asyncio.run(publishing.run(lambda _: None))


def days(folder: Path, count: int, records: int = RECORDS) -> list[Path]:
    """Files that follow each other: only the first has the books' Clears."""
    simulator = Simulator(seed=20, instruments=4, resting_max=64)
    head, paths = simulator.header(), []
    for day in range(count):
        paths.append(folder / f"{day}.dbn")
        paths[-1].write_bytes(head + simulator.read(records)[: records * 56])
    assert split(paths[-1].read_bytes())[1]
    return paths


def states(fed: Fed) -> set[str]:
    return {book.state for book in fed.market.instruments()}


def reasons(fed: Fed) -> set[str]:
    return {entry["reason"] for entry in fed.feed.transitions.recent() if entry["kind"] == "suspect"}


def last_sequence(nats: RunningNats, stream: str) -> int:
    async def read(jetstream: Any) -> int:
        return int((await jetstream.stream_info(stream)).state.last_seq)

    return int(nats.ask(read))


def remove_before(nats: RunningNats, stream: str, sequence: int) -> None:
    """As a limit of a stream does with its oldest messages."""

    async def purge(jetstream: Any) -> None:
        await jetstream.purge_stream(stream, seq=sequence)

    nats.ask(purge)


def remove(nats: RunningNats, stream: str, sequence: int) -> None:
    async def delete(jetstream: Any) -> None:
        await jetstream.delete_msg(stream, sequence)

    nats.ask(delete)


def send(nats: RunningNats, subject: str, payload: bytes, headers: dict[str, str]) -> None:
    """Send a message that no publisher of ours has made."""

    async def publish_one(jetstream: Any) -> None:
        await jetstream.publish(subject, payload, headers=headers)

    nats.ask(publish_one)


def kinds(nats: RunningNats, stream: str) -> list[str]:
    """Of all messages that are in the stream, in their order."""

    async def read(jetstream: Any) -> list[str]:
        state, found, at = (await jetstream.stream_info(stream)).state, [], 1
        while at <= state.last_seq:
            try:
                message = await jetstream.get_msg(stream, at, subject=f"{stream}.>", next=True)
            except Exception:  # noqa: BLE001  # none is left
                break
            found.append((message.headers or {}).get("L3book-Kind", "foreign"))
            at = message.seq + 1
        return found

    return list(nats.ask(read))
