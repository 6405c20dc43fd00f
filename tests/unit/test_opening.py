"""Opening a store that another process writes, while it cannot be had here, and when that is over."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest

from l3book.history import opening
from l3book.history.opening import Opening
from l3book.history.store import StoreError

if TYPE_CHECKING:
    from l3book.history.store import Store

WAIT_S = 30
FULL = "db: too many clients already"


class FullServer:
    """Lets nobody in so many times, and then whoever comes once that is allowed."""

    def __init__(self, errors: list[Exception], *, is_quick: bool = True) -> None:
        self.errors = errors
        self.may_open = Event()
        self.opened = Event()
        self.closed = 0
        self.is_open = False
        if is_quick:
            self.may_open.set()

    def open(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        assert self.may_open.wait(WAIT_S)
        self.is_open = True
        self.opened.set()

    def close(self) -> None:
        self.is_open = False
        self.closed += 1


@pytest.fixture(autouse=True)
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(opening, "SOON_S", 0.001)


def opening_of(server: FullServer) -> Opening:
    return Opening(Path("history"), cast("Store", server))


def wait_until_over(opened: Opening) -> None:
    assert opened._thread is not None
    opened._thread.join(WAIT_S)
    assert not opened._thread.is_alive()


def test_it_is_tried_again_and_what_keeps_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    server = FullServer([StoreError(FULL) for _ in range(4)])
    opened = opening_of(server)
    for _ in range(3):
        opened.begin()
    wait_until_over(opened)
    assert server.is_open
    assert [record.getMessage() for record in caplog.records] == [
        f"history history: its tables cannot be asked at the moment, tried again: {FULL}",
        "history history: its tables can be asked",
    ]


def test_one_that_opens_at_once_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    opened = opening_of(server := FullServer([]))
    opened.begin()
    wait_until_over(opened)
    assert server.is_open
    assert not caplog.records


def test_a_bug_is_told_with_where_it_is_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    opened = opening_of(server := FullServer([ZeroDivisionError("1 / 0")]))
    opened.begin()
    wait_until_over(opened)
    assert server.is_open
    assert "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_what_is_open_only_after_the_end_is_closed() -> None:
    opened = opening_of(server := FullServer([], is_quick=False))
    opened.begin()
    opened.close()
    assert server.closed == 1
    server.may_open.set()
    wait_until_over(opened)
    assert server.opened.is_set()
    assert not server.is_open


def test_nobody_tries_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "RETRY_FIRST_S", float(WAIT_S))
    opened = opening_of(server := FullServer([StoreError(FULL)]))
    opened.begin()
    until_s = time.monotonic() + WAIT_S / 2
    opened.close()
    wait_until_over(opened)
    assert time.monotonic() < until_s, "nor waits for its turn"
    opened.begin()
    assert not server.opened.is_set()
