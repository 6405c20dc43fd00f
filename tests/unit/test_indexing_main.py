"""How the process that indexes gives way to all others, where systems differ in what they let it."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from l3book.history import indexing_main


def given_way(monkeypatch: pytest.MonkeyPatch, **system: object) -> list[tuple]:
    """What is asked of a system that has this of `os`."""
    asked: list[tuple] = []

    def nice(increment: int) -> None:
        asked.append(("nice", increment))

    def sched_setscheduler(pid: int, policy: int, parameter: int) -> None:
        asked.append(("scheduler", pid, policy, parameter))
        if system.get("refuses"):
            raise OSError(system["refuses"], "")

    monkeypatch.setattr(
        indexing_main,
        "os",
        SimpleNamespace(
            nice=nice, sched_setscheduler=sched_setscheduler, sched_param=lambda priority: priority, **system
        ),
    )
    indexing_main._give_way()
    return asked


def test_it_is_idle_where_there_is_such_a_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_way(monkeypatch, SCHED_IDLE=5) == [("scheduler", 0, 5, 0)]


@pytest.mark.parametrize("refuses", [errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_it_is_nice_where_the_system_will_not_have_it(monkeypatch: pytest.MonkeyPatch, refuses: int) -> None:
    """As with musl, and in sandboxes."""
    asked = given_way(monkeypatch, SCHED_IDLE=5, refuses=refuses)
    assert asked[1:] == [("nice", indexing_main.NICENESS)]


def test_it_is_nice_where_nothing_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_way(monkeypatch) == [("nice", indexing_main.NICENESS)]
