"""What a client tells of messages that came before it went to another time: the protocol, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from l3book.client.session import Session

TIMES = {"ts_event": "1758751200123456789", "ts_recv": "1758751200123460000"}


class Wire:
    """A session with one subscription to trades, and the frames of its server."""

    def __init__(self) -> None:
        self.session = Session("json", 10.0)
        self.state = self.session.add("trades", "ABC", {})
        self.tell("ack", id=self.asked()["id"], channel="trades", instrument="ABC", publisher_id=1, instrument_id=7)

    def asked(self) -> dict[str, Any]:
        """The last request of the client."""
        request: dict[str, Any] = json.loads(self.session.outgoing()[-1])
        return request

    def tell(self, kind: str, **fields: Any) -> None:
        self.session.take(json.dumps({"type": kind, **fields}))

    def picture(self, epoch: str, seq: int, prev: int | None = None, **times: str) -> None:
        kind, more = ("snapshot", {}) if prev is None else ("delta", {"prev": prev})
        self.tell(kind, channel="trades", instrument="ABC", epoch=epoch, seq=seq, **more, **(times or TIMES))

    def updates(self) -> list[tuple[str, str, int]]:
        """All that can be read now."""
        found = []
        while update := self.state.next_update():
            found.append((update.kind, update.epoch, update.seq))
        return found

    def travel(self, op: str, replay: str | None, **options: Any) -> None:
        """Ask, with live messages on their way, and be told."""
        self.session.travel.ask(op, **options)
        request = self.asked()
        self.tell("ack", id=request["id"], replay=replay, state="playing", ts="5", speed=1.0)


@pytest.fixture
def wire() -> Wire:
    made = Wire()
    made.picture("a", 1)
    assert made.updates() == [("snapshot", "a", 1)]
    return made


def test_what_was_on_its_way_is_not_told_as_if_it_were_of_the_past(wire: Wire) -> None:
    wire.picture("a", 2, prev=1)
    wire.travel("replay", "0123456789abcdef", **{"from": "5"})
    wire.picture("b", 1)
    assert wire.updates() == [("snapshot", "b", 1)]


def test_nor_what_was_on_its_way_before_a_seek_or_the_present(wire: Wire) -> None:
    wire.travel("replay", "0123456789abcdef", **{"from": "5"})
    wire.picture("b", 1)
    wire.travel("seek", "0123456789abcdef", at="9")
    wire.picture("c", 1)
    wire.picture("c", 2, prev=1)
    wire.travel("live", None)
    wire.picture("a", 3)
    assert wire.updates() == [("snapshot", "a", 3)]


def test_a_replay_that_only_goes_on_loses_nothing(wire: Wire) -> None:
    wire.travel("replay", "0123456789abcdef", **{"from": "5"})
    wire.picture("b", 1)
    for op in ("pause", "resume", "replay"):
        wire.travel(op, "0123456789abcdef")
    wire.picture("b", 2, prev=1)
    assert wire.updates() == [("snapshot", "b", 1), ("delta", "b", 2)]
    assert wire.session.counters.resyncs == 0


def test_an_update_tells_its_time(wire: Wire) -> None:
    wire.picture("a", 2, prev=1, ts_event="17", ts_recv="18")
    wire.tell("gap", channel="trades", instrument="ABC", reason="slow_consumer", **{"from": 3, "to": 4})
    delta, gap = wire.state.next_update(), wire.state.next_update()
    assert delta is not None
    assert gap is not None
    assert [(update.ts_event, update.ts_recv) for update in (delta, gap)] == [(17, 18), (None, None)]
