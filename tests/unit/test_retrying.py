"""Work on a server that is tried again, and what is said of it meanwhile."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from l3book.history import retrying

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES = 3


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Fail some times, then work."""
    monkeypatch.setattr(retrying, "RETRY_DELAY_S_MIN", 0.001)
    monkeypatch.setattr(retrying, "RETRY_DELAY_S_MAX", 0.002)
    calls = iter(range(100))

    def work() -> str:
        if (number := next(calls)) < FAILURES:
            raise ConnectionRefusedError(f"failure {number}\nwith more")
        return "done"

    return work


def test_the_first_failure_is_told_at_once_and_only_that(
    failing: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert retrying.tried_again(failing, lambda _: True, 60, threading.Event(), "db://here") == "done"
    assert [record.getMessage() for record in caplog.records] == ["db://here: tried again for 60 s at most: failure 0"]


def test_what_would_fail_again_is_raised_as_it_is(failing: Callable[[], str], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConnectionRefusedError, match="failure 0"):
        retrying.tried_again(failing, lambda _: False, 60, threading.Event(), "db://here")
    assert caplog.records == []
