"""Percentiles of durations: what they are, and that a look begins anew."""

from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from l3book.durations import KEPT_MAX, Durations


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_percentiles_are_durations_that_were_added(added: list[int]) -> None:
    durations = Durations()
    for duration_ns in added:
        durations.add(duration_ns)
    found = durations.take()
    ordered = sorted(added)
    assert found["count"] == len(added)
    assert found["max_ns"] == ordered[-1]
    for percent in (50, 90, 99):
        value_ns = found[f"p{percent}_ns"]
        assert value_ns in ordered
        # So many are not above it, but for the one that it is itself.
        assert sum(other <= value_ns for other in ordered) >= len(ordered) * percent // 100
    assert durations.take() == {"count": 0, "p50_ns": 0, "p90_ns": 0, "p99_ns": 0, "max_ns": 0}


def test_nobody_has_to_look() -> None:
    durations = Durations()
    for duration_ns in range(KEPT_MAX + 10):
        durations.add(duration_ns)
    found = durations.take()
    assert (found["count"], found["max_ns"]) == (KEPT_MAX, KEPT_MAX + 9)


def test_a_look_while_another_thread_adds_is_no_trouble() -> None:
    durations = Durations()
    adding = Thread(target=lambda: [durations.add(n) for n in range(300_000)])
    adding.start()
    while adding.is_alive():
        found = durations.take()
        assert found["p50_ns"] <= found["p99_ns"] <= found["max_ns"]
    adding.join()
