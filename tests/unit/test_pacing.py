import pytest

from l3book.sources.pacing import NS_PER_S, SLEEP_MAX_NS, TICK_NS, RatePacer, ReplayPacer

START_NS = 987_654_321_012_345


@pytest.mark.parametrize("rate", [1, 3, 199, 200, 201, 20_000, 999_983, 1_000_000_000])
def test_rate_is_kept_exactly_over_an_hour_of_late_wake_ups(rate: int) -> None:
    pacer = RatePacer(rate, START_NS)
    now_ns = START_NS
    end_ns = START_NS + 3600 * NS_PER_S
    sent = 0
    late_ns = 0
    while now_ns < end_ns:
        due = pacer.due(now_ns)
        if due:
            pacer.take(due)
            sent += due
        # Wake-ups that are late by up to 100 ms, by a different amount each time: they must not add up.
        late_ns = (late_ns * 31 + 12_345_678) % 100_000_000
        now_ns += pacer.wait_ns(now_ns) + late_ns
    missing = pacer.due(end_ns) or 0
    tick = max(1, rate * TICK_NS // NS_PER_S)
    assert 0 <= 3600 * rate - sent - missing <= tick


@pytest.mark.parametrize("rate", [1, 7, 20_000, 1_000_000_000])
def test_after_its_wait_the_pacer_has_something_due(rate: int) -> None:
    pacer = RatePacer(rate, START_NS)
    now_ns = START_NS
    for _ in range(1000):
        assert pacer.due(now_ns) == 0
        wait_ns = pacer.wait_ns(now_ns)
        assert wait_ns > 0
        now_ns += wait_ns
        due = pacer.due(now_ns)
        assert due > 0
        pacer.take(due)


def test_taking_more_than_was_due_is_paid_back() -> None:
    pacer = RatePacer(1000, START_NS)
    pacer.take(1500)
    assert pacer.due(START_NS + NS_PER_S) == 0
    assert pacer.due(START_NS + 2 * NS_PER_S) == 500


def test_a_rate_below_one_tick_is_slept_in_one_piece() -> None:
    assert RatePacer(1, START_NS).wait_ns(START_NS) == NS_PER_S


def test_replay_reaches_recorded_time_at_its_speed() -> None:
    first_ts = 1_758_742_200_123_456_789
    pacer = ReplayPacer(2.0, first_ts, START_NS)
    assert pacer.reached_ts_ns(START_NS) == first_ts
    assert pacer.reached_ts_ns(START_NS + 1) == first_ts + 2
    assert pacer.reached_ts_ns(START_NS + NS_PER_S) == first_ts + 2 * NS_PER_S
    assert pacer.wait_ns(START_NS, first_ts + NS_PER_S) == NS_PER_S // 2


def test_replay_waits_a_tick_at_least_and_an_hour_at_most() -> None:
    pacer = ReplayPacer(1e-6, 0, START_NS)
    assert pacer.wait_ns(START_NS, 0) == TICK_NS
    assert pacer.wait_ns(START_NS, 10**18) == SLEEP_MAX_NS
