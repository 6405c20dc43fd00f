"""How far a store is behind its log, in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l3book.history.lag import LOOKS_MAX, Lag

STEPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=60)
"""What the log grows by, and what is written of it then, each second."""


def true_lag(looks: list[tuple[int, int]], written: int, now_s: int) -> float:
    return now_s - next((when for when, end in looks if end > written), now_s)


@given(STEPS)
def test_it_is_the_age_of_the_first_look_that_saw_more_than_is_written(steps: list[tuple[int, int]]) -> None:
    lag, looks, end, written = Lag(), [], 0, 0
    for now_s, (grown, wrote) in enumerate(steps):
        end += grown
        looks.append((now_s, end))
        lag.look(end, now_s)
        assert lag.seconds(now_s) == true_lag(looks, written, now_s)
        written = min(end, written + wrote)
        lag.wrote(written)
        assert lag.seconds(now_s + 0.5) - lag.seconds(now_s) in {0.0, 0.5}
        assert lag.seconds(now_s) == true_lag(looks, written, now_s)


def test_steadily_a_little_behind_stays_a_little() -> None:
    lag = Lag()
    for now_s in range(10_000):
        lag.look(100 * now_s + 100, now_s)
        lag.wrote(100 * now_s)
    assert lag.seconds(10_000) == 1.0


def test_a_store_that_is_away_for_long_is_known_by_few_looks_and_never_taken_for_nearer() -> None:
    lag, seconds = Lag(), 50 * LOOKS_MAX
    for now_s in range(seconds):
        lag.look(now_s + 1, now_s)
        assert len(lag._looks) <= LOOKS_MAX
    assert lag.seconds(seconds) == seconds
    for written in range(0, seconds, 997):
        lag.wrote(written)
        assert lag.seconds(seconds) >= seconds - written
    lag.wrote(seconds)
    assert lag.seconds(seconds) == 0.0


def test_what_was_written_and_is_written_anew_is_not_old_for_that() -> None:
    """A new indexer begins with the unfinished second again."""
    lag = Lag()
    lag.look(100, 1.0)
    lag.wrote(100)
    lag.wrote(60)
    lag.look(100, 9.0)
    assert lag.seconds(9.5) == 0.5
