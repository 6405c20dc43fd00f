"""Places for connections, against a plain list of who is there."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from l3book.access.connections import Connections
from l3book.config import Settings
from l3book.open_files import RESERVED, make_room
from l3book.repeats import INTERVAL_S, WORDINGS_MAX, Repeats

PER_ADDRESS_MAX = 3
IN_ALL_MAX = 5
STEPS = st.tuples(st.sampled_from(["enter", "leave", "busy", "idle"]), st.integers(0, 9))


@dataclass(eq=False)
class Wire:
    address: str
    is_idle: bool = True
    aborted: list[None] = field(default_factory=list)

    def abort(self) -> None:
        self.aborted.append(None)


@given(st.lists(STEPS, max_size=60))
def test_places_against_a_list(steps: list[tuple[str, int]]) -> None:
    connections = Connections(
        Settings(connections_max=IN_ALL_MAX, connections_per_address_max=PER_ADDRESS_MAX),
    )
    there: list[Wire] = []
    """Idle ones in the order in which they became idle, among busy ones."""
    displaced = 0
    for what, number in steps:
        chosen = there[number % len(there)] if there else None
        if what == "enter":
            wire = Wire(f"192.0.2.{number % 3}")
            problem = connections.enter(wire, wire.address)
            of_address = sum(other.address == wire.address for other in there)
            idle = [other for other in there if other.is_idle]
            if of_address >= PER_ADDRESS_MAX:
                assert problem is not None
                assert (problem.status, problem.code) == (429, "too_many_connections")
            elif len(there) >= IN_ALL_MAX and not idle:
                assert problem is not None
                assert (problem.status, problem.code) == (503, "too_many_connections")
            else:
                assert problem is None
                if len(there) >= IN_ALL_MAX:
                    assert idle[0].aborted, "the longest idle makes room"
                    there.remove(idle[0])
                    displaced += 1
                there.append(wire)
        elif chosen is not None and what == "leave":
            connections.leave(chosen)
            connections.leave(chosen)
            there.remove(chosen)
        elif chosen is not None:
            becomes_idle = what == "idle"
            if becomes_idle and not chosen.is_idle:
                there.remove(chosen)
                there.append(chosen)
            chosen.is_idle = becomes_idle
            (connections.set_idle if becomes_idle else connections.set_busy)(chosen)
        assert len(connections) == len(there)
        assert connections.idle == sum(wire.is_idle for wire in there)
        assert connections.counts.displaced == displaced
        assert not any(wire.aborted for wire in there)
    for wire in there:
        connections.leave(wire)
    assert not connections._per_address, "nobody who has none is kept"


def test_what_has_left_does_not_become_idle() -> None:
    connections, wire = Connections(Settings()), Wire("192.0.2.1")
    assert connections.enter(wire, wire.address) is None
    connections.leave(wire)
    connections.set_idle(wire)
    assert (len(connections), connections.idle) == (0, 0)


def test_no_more_are_let_in_than_there_are_files_for() -> None:
    connections = Connections(Settings())
    connections.room = 1
    for _ in range(3):
        assert connections.enter(Wire("192.0.2.1"), "192.0.2.1") is None
    assert (len(connections), connections.counts.displaced) == (1, 2)


def test_the_limit_of_open_files_is_raised_but_not_beyond_what_is_allowed() -> None:
    resource = __import__("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED + 10, before[1]))
        assert make_room(20) == 20
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (RESERVED + 20, before[1])
        assert make_room(5) == 20, "never lowered"
        assert make_room(before[1] + 1) == before[1] - RESERVED
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_lines_of_libraries_pass_once_a_minute_and_say_how_many_did_not() -> None:
    now_s = 0.0
    repeats = Repeats(lambda: now_s)

    def passes(name: str, text: str, *arguments: object) -> str | None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, text, arguments, None)
        return record.getMessage() if repeats.filter(record) else None

    assert passes("uvicorn.error", "no HTTP from %s", "a") == "no HTTP from a"
    assert passes("uvicorn.error", "no HTTP from %s", "b") is None
    assert passes("uvicorn.error", "something else") == "something else"
    assert [passes("l3book.engine", "lost"), passes("l3book.engine", "lost")] == ["lost", "lost"]
    now_s = INTERVAL_S - 1
    assert passes("uvicorn.error", "no HTTP from %s", "c") is None
    now_s = INTERVAL_S
    assert passes("uvicorn.error", "no HTTP from %s", "d%") == "no HTTP from d% (2 more like it before)"
    assert passes("uvicorn.error", "no HTTP from %s", "e") is None


def test_what_was_held_back_is_said_when_its_minute_is_over_and_when_there_are_too_many_wordings() -> None:
    now_s = 0.0
    repeats = Repeats(lambda: now_s)

    def send(text: str) -> bool:
        return repeats.filter(logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, text, (), None))

    assert [send("a"), send("a"), send("a"), send("b")] == [True, False, False, True]
    now_s = INTERVAL_S - 1
    assert repeats.take_due() == []
    now_s = INTERVAL_S
    assert [record.getMessage() for record in repeats.take_due()] == ["a (2 like it, said once)"]
    assert repeats.take_due() == []
    assert [send("c"), send("c")] == [True, False]
    for number in range(WORDINGS_MAX):
        assert send(f"wording {number}")
    assert [record.getMessage() for record in repeats.take_due()] == ["c (1 like it, said once)"]
    assert repeats.held_back == 3
