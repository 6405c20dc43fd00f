"""The types of the WebSocket's messages are what the core encodes, field by field."""

import json
from typing import Any

import msgspec
import pytest

from l3book import Market
from l3book._core import Simulator
from l3book.wire import (
    COMMANDS,
    MESSAGES,
    BookSnapshotMessage,
    LevelsDelta,
    Message,
    OrdersDelta,
    TradesDelta,
    TradesSnapshot,
)

KINDS: dict[tuple[str, str], type[Message]] = {
    **{("snapshot", channel): BookSnapshotMessage for channel in ("bbo", "depth", "orders")},
    ("snapshot", "trades"): TradesSnapshot,
    ("delta", "bbo"): LevelsDelta,
    ("delta", "depth"): LevelsDelta,
    ("delta", "orders"): OrdersDelta,
    ("delta", "trades"): TradesDelta,
}


@pytest.mark.parametrize(
    ("channel", "options"),
    [
        ("bbo", {}),
        ("depth", {}),
        ("depth", {"level": 3, "depth": 3}),
        ("depth", {"level": 3, "depth": 9, "queues": 2}),
        ("orders", {}),
        ("trades", {}),
    ],
)
def test_what_the_core_tells_is_read_strictly_and_written_the_same(channel: Any, options: dict[str, Any]) -> None:
    simulator, market = Simulator(seed=3), Market()
    market.feed(simulator.header() + simulator.read(2000))
    stream = market.stream(channel, "SYN0", **options)
    seen = set()
    for _ in range(50):
        market.feed(simulator.read(200))
        for message in (stream.poll(), stream.snapshot()):
            if message is None:
                continue
            kind = KINDS[message.kind, channel]
            told = json.loads(message.text)
            assert msgspec.msgpack.decode(message.msgpack) == told
            read = msgspec.convert(told, kind)
            assert msgspec.to_builtins(read) == told
            assert msgspec.json.decode(message.text, type=kind) == read
            seen.add(message.kind)
    assert seen == {"snapshot", "delta"}


def test_every_type_of_message_is_in_the_document() -> None:
    assert set(KINDS.values()) <= set(MESSAGES)


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_with_an_unknown_field_is_none(kind: type[msgspec.Struct]) -> None:
    command: dict[str, Any] = {"op": kind.__name__.lower(), "channel": "depth", "instrument": "AB", "at": "5"}
    known = {name: command[name] for name in ("op", *kind.__struct_fields__) if name in command}
    assert isinstance(msgspec.convert(known, kind), kind)
    with pytest.raises(msgspec.ValidationError, match="more"):
        msgspec.convert({**known, "more": 1}, kind)
