"""What a publisher hears of a NATS server, and where it goes on after somebody has had his hands in the stream."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dbn_bytes import split
from feeds import Fed
from l3book._core import Simulator
from l3book.jetstream import publisher as publisher_module
from l3book.jetstream.address import NatsAddress
from l3book.jetstream.publisher import Publisher
from l3book.jetstream.publishing import Publishing
from l3book.jetstream.windows import Progress, Windows
from l3book.sources import open_source
from l3book.sources.connection import ConnectionLost, Refused
from l3book.sources.uri import parse_uri
from published_nats import days, kinds, last_sequence, publish, remove, send, states, wait_until
from running import run
from running_nats import RunningNats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from l3book.jetstream.messages import Outgoing

RIGHTS = """
authorization {
  users: [
    {user: writer, password: w, permissions: {publish: {deny: ["DENIED.>"]}}}
    {user: reader, password: r, permissions: {publish: {deny: ["$JS.API.CONSUMER.MSG.NEXT.>"]}}}
    {user: owner, password: o}
  ]
}
"""


@pytest.fixture(scope="module")
def nats() -> Iterator[RunningNats]:
    server = RunningNats()
    yield server
    server.close()


def test_what_the_server_says_to_a_message_is_the_error(nats: RunningNats, tmp_path: Path) -> None:
    async def make(jetstream: Any) -> None:
        await jetstream.add_stream(name="FULL", subjects=["FULL.*.1.*"], max_msgs=2, discard="new")

    nats.ask(make)
    begun_s = time.monotonic()
    with pytest.raises(ConnectionLost, match="maximum messages exceeded"):
        publish(days(tmp_path, 1)[0], nats.uri("FULL"), budget_s=1.0)
    assert time.monotonic() - begun_s < publisher_module.ACK_TIMEOUT_S


def test_rights_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "rights.conf"
    config.write_text(RIGHTS)
    server = RunningNats("--config", str(config))

    def become(user: str) -> None:
        monkeypatch.setenv("L3BOOK_NATS_USER", user)
        monkeypatch.setenv("L3BOOK_NATS_PASSWORD", user[0])

    try:
        become("writer")
        with pytest.raises(Refused, match=r'(?i)permissions violation for publish to "DENIED\.'):
            publish(days(tmp_path, 1)[0], server.uri("DENIED"), budget_s=5.0)
        become("owner")
        publish(days(tmp_path, 1)[0], server.uri("ALLOWED"))
        become("reader")
        with Fed(server.uri("ALLOWED")) as fed:
            wait_until(lambda: fed.engine.state == "failed", "refused")
            assert "permissions violation" in str(fed.engine.error).lower()
    finally:
        server.close()


def test_the_rights_that_the_documentation_names_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "nats.md").read_text()
    told = text[text.index("**Rights.**") : text.index("## Layout")].partition("a reader to publish")
    subjects = [re.findall(r"`([^`]+)`", part) for part in (told[0], told[2])]
    # The API's own STREAM stays; what is at an end, or before a wildcard, is the stream's name.
    named = [[re.sub(r"(^|\.)STREAM(?=$|\.>$|\.alive$)", r"\1ALLOWED", each) for each in found] for found in subjects]
    writes, (*reads, alive, inbox) = named
    assert (alive, inbox) == ("ALLOWED.alive", "_INBOX.>")

    def user(name: str, publish: list[str], subscribe: list[str]) -> str:
        rights = f"publish: {json.dumps(publish)}, subscribe: {json.dumps(subscribe)}"
        return f"{{ user: {name}, password: {name[0]}, permissions: {{ {rights} }} }}"

    users = [
        user("writer", writes, [inbox]),
        user("reader", reads, [alive, inbox]),
    ]
    config = tmp_path / "rights.conf"
    config.write_text(f"authorization {{ users: [ {', '.join(users)} ] }}")
    server = RunningNats("--config", str(config))
    try:
        for name in ("writer", "reader"):
            monkeypatch.setenv("L3BOOK_NATS_USER", name)
            monkeypatch.setenv("L3BOOK_NATS_PASSWORD", name[0])
            if name == "writer":
                publish(days(tmp_path, 1)[0], server.uri("ALLOWED"))
                continue
            with Fed(server.uri("ALLOWED")) as fed:
                fed.wait_for_state("ended")
                assert fed.feed.status.losses == {}
    finally:
        server.close()


def test_a_loss_after_a_long_quiet_has_a_budget_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent for longer than the budget, since there was nothing: that is no outage."""
    budget_s = 3.0
    monkeypatch.setattr(publisher_module, "STEADY_S", 1.0)
    server = RunningNats()

    async def scenario() -> None:
        publisher = Publisher(NatsAddress.of(parse_uri(server.uri("QUIET"))), 1, budget_s)
        standing = await publisher.begin()
        windows = Windows("QUIET", standing.shards, standing.sequence, 0, Progress("0" * 16))

        async def batches() -> AsyncIterator[list[Outgoing]]:
            await asyncio.sleep(budget_s + 1)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            yield list(windows.end())

        await publisher.run(batches())
        assert publisher.counts.messages == 1
        assert publisher.counts.losses.total() >= 1

    try:
        asyncio.run(scenario())
    finally:
        server.close()


def test_a_feed_is_gone_on_with_and_says_so_although_the_last_message_was_removed(
    nats: RunningNats, tmp_path: Path
) -> None:
    publish(days(tmp_path, 1)[0], nats.uri("ORIGIN"))
    to = NatsAddress.of(parse_uri(nats.uri("COPY")))

    def copy() -> None:
        asyncio.run(Publishing(to, open_source(nats.uri("ORIGIN"), None)).run(lambda _: None))

    copy()
    assert "doubt" not in kinds(nats, "COPY")
    send(nats, "COPY.x.1.0", b"hello", {})
    with pytest.raises(Refused, match="is not of l3book"):
        copy()
    remove(nats, "COPY", last_sequence(nats, "COPY"))
    before = len(kinds(nats, "COPY"))
    copy()
    assert kinds(nats, "COPY")[before] == "doubt"


@pytest.mark.parametrize("shards", [1, 2])
def test_a_file_is_not_published_twice_although_the_last_message_was_removed(
    nats: RunningNats, tmp_path: Path, shards: int
) -> None:
    stream, file = f"ONCE{shards}", days(tmp_path, 1)[0]
    publish(file, nats.uri(stream), shards)
    send(nats, f"{stream}.x.{shards}.0", b"hello", {})
    remove(nats, stream, last_sequence(nats, stream))
    before = kinds(nats, stream)
    assert publish(file, nats.uri(stream), shards).is_there
    assert kinds(nats, stream) == before


def test_a_shard_that_was_emptied_does_not_begin_anew(nats: RunningNats, tmp_path: Path) -> None:
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("HALF"), 2)

    async def purge(jetstream: Any) -> None:
        await jetstream.purge_stream("HALF", subject="HALF.*.2.1")

    nats.ask(purge)
    publish(second, nats.uri("HALF"), 2)
    with Fed(nats.uri("HALF") + "?shard=1") as fed:
        fed.wait_for_state("ended")
        assert states(fed) == {"suspect"}


def test_a_stream_that_was_emptied_says_that_books_may_lack_something(nats: RunningNats, tmp_path: Path) -> None:
    first, second = days(tmp_path, 2)
    publish(first, nats.uri("EMPTIED"))

    async def purge(jetstream: Any) -> None:
        await jetstream.purge_stream("EMPTIED")

    nats.ask(purge)
    publish(second, nats.uri("EMPTIED"))
    assert kinds(nats, "EMPTIED")[0] == "doubt"
    with Fed(nats.uri("EMPTIED")) as fed:
        fed.wait_for_state("ended")
        assert states(fed) == {"suspect"}


def test_a_publisher_does_not_go_on_in_a_stream_that_was_made_anew(nats: RunningNats) -> None:
    async def scenario() -> None:
        publisher = Publisher(NatsAddress.of(parse_uri(nats.uri("FRESH"))), 1, 30.0)
        standing = await publisher.begin()
        windows = Windows("FRESH", standing.shards, standing.sequence, 0, Progress("0" * 16))

        async def drop(jetstream: Any) -> None:
            await jetstream.delete_stream("FRESH")

        async def batches() -> AsyncIterator[list[Outgoing]]:
            yield list(windows.end())

        await asyncio.to_thread(nats.ask, drop)
        await publisher.run(batches())

    with pytest.raises(Refused, match="made anew"):
        asyncio.run(scenario())
    assert last_sequence(nats, "FRESH") == 0


DAMAGES = {
    "zeros": (bytes(56), "a record of 0 bytes"),
    "a longer MBO record": (bytes([15, 0xA0]) + bytes(58), "an MBO record of 60 bytes"),
    "an unknown type": (bytes([14, 0x77]) + bytes(54), "record type 0x77"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_file_everything_before_the_damage_is_published(
    nats: RunningNats, tmp_path: Path, damage: str
) -> None:
    """And nothing that would cost its readers their connection."""
    head, body = split(days(tmp_path, 1)[0].read_bytes())
    data, text = DAMAGES[damage]
    broken = tmp_path / "broken.dbn"
    broken.write_bytes(head + body[: 3000 * 56] + data + body[3000 * 56 : 3100 * 56])
    published = publish(broken, nats.uri(f"BROKEN{len(damage)}"))
    assert published.counts.records == 3000
    assert text in str(published.error)


def test_a_publisher_that_is_refused_names_the_reason_and_blames_no_source(
    nats: RunningNats, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the source has more than is waited for."""
    simulator = Simulator(seed=3, instruments=2, resting_max=64)
    path = tmp_path / "long.dbn"
    path.write_bytes(simulator.header() + simulator.read(200_000))

    async def make(jetstream: Any) -> None:
        await jetstream.add_stream(name="SMALL", subjects=["SMALL.*.1.*"], max_msgs=2, discard="new")

    nats.ask(make)
    with pytest.raises(ConnectionLost, match="maximum messages exceeded"):
        publish(path, nats.uri("SMALL"), budget_s=0.5)
    time.sleep(1)
    assert not [record for record in caplog.records if record.exc_info or "failed" in record.getMessage()]


def test_a_stream_is_made_with_its_limits_and_keeps_them(nats: RunningNats, tmp_path: Path) -> None:
    file, to = f"file:{days(tmp_path, 1)[0]}", nats.uri("LIMITED")
    arguments = ("--source", file, "--to", to, "--max-bytes", "2,000,000", "--max-age-s", "3600")
    assert run("publish", *arguments).returncode == 0

    async def config(jetstream: Any) -> Any:
        return (await jetstream.stream_info("LIMITED")).config

    made = nats.ask(config)
    assert (made.max_bytes, made.max_age, made.discard) == (2_000_000, 3600.0, "old")
    assert run("publish", "--source", file, "--to", to).returncode == 0, "what is not asked for is not compared"
    other = run("publish", "--source", file, "--to", to, "--max-bytes", "3,000,000")
    assert "was made with --max-bytes 2000000 --max-age-s 3600, and keeps them" in other.stderr.decode()
    assert nats.ask(config).max_bytes == 2_000_000
