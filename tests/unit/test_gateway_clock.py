"""When records are due, on a clock that is simulated: late wake-ups and slow readers must not add up to a drift."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3book.gateway.clock import TICK_NS, UNDEF_TS, Clock, Pace, Pacing, pacing_of, rate_position
from l3book.sources.pacing import NS_PER_S


class Records:
    """A tape of times alone."""

    def __init__(self, times: list[int]) -> None:
        self._times = times
        self.position = 0
        self.passes = 0

    @property
    def next_ts(self) -> int | None:
        return self._times[self.position] if self.position < len(self._times) else None

    def read(self, records: int, until: int | None) -> int:
        before = self.position
        while records and self.position < len(self._times):
            if until is not None and self._times[self.position] > until:
                break
            self.position += 1
            records -= 1
        return self.position - before


class Endless:
    """A tape that has no end and needs no memory."""

    next_ts = 0
    passes = 0

    def __init__(self) -> None:
        self.position = 0


def begun(pace: Pace, *, as_if_now: bool = False) -> Clock:
    clock = Clock(pace, as_if_now=as_if_now)
    clock.begin()
    return clock


@pytest.mark.parametrize("rate", [1, 7, 999, 1000, 50_000, 500_000, 5_000_000, 1_000_000_000])
def test_a_rate_is_held_to_the_tick_however_late_and_little_is_taken(rate: int) -> None:
    clock, tape = begun(Pace(None, rate)), Endless()
    pacing: Pacing = pacing_of(clock, 0)
    now_ns = start_ns = clock.started_ns
    end_ns = start_ns + 60 * NS_PER_S
    late_ns = 0
    while now_ns < end_ns:
        due = pacing.due(tape, now_ns)
        # A client that is slow for a while takes a third.
        tape.position += due.records // 3 if 20 < (now_ns - start_ns) / NS_PER_S < 30 else due.records
        late_ns = (late_ns * 31 + 12_345_678) % 20_000_000
        now_ns += pacing.wait_ns(tape, now_ns) + late_ns
    due = pacing.due(tape, end_ns)
    tick = max(1, rate * TICK_NS // NS_PER_S)
    assert 0 <= 60 * rate - tape.position - due.records <= tick
    assert rate_position(rate, start_ns, end_ns) == 60 * rate


def test_a_session_that_joins_a_shared_clock_owes_what_the_clock_has_passed() -> None:
    clock, tape = begun(Pace(None, 1000)), Endless()
    pacing = pacing_of(clock, 0)
    assert pacing.due(tape, clock.started_ns + 5 * NS_PER_S).records == 5000
    assert pacing.late_ns(tape, clock.started_ns + 5 * NS_PER_S) == 5 * NS_PER_S - NS_PER_S // 1000
    tape.position = 7000
    assert pacing.due(tape, clock.started_ns + 5 * NS_PER_S).records == 0
    assert pacing.late_ns(tape, clock.started_ns + 5 * NS_PER_S) == 0


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, NS_PER_S), min_size=1, max_size=60),
    st.sampled_from([0.5, 1.0, 2.0, 1000.0]),
    st.lists(st.integers(0, 50_000_000), min_size=1, max_size=10),
)
def test_recorded_time_is_kept_at_a_speed(gaps: list[int], speed: float, lates: list[int]) -> None:
    first_ts = 1_758_742_200_123_456_789
    times = [first_ts + sum(gaps[1 : n + 1]) for n in range(len(gaps))]
    clock, tape = begun(Pace(speed)), Records(times)
    pacing = pacing_of(clock, 0)
    now_ns = start_ns = clock.started_ns
    step = 0
    pacing.due(tape, now_ns)
    while tape.next_ts is not None:
        due = pacing.due(tape, now_ns)
        tape.read(due.records, due.until)
        reached_ts = first_ts + int((now_ns - start_ns) * speed)
        assert tape.next_ts is None or tape.next_ts > reached_ts
        assert tape.position == 0 or times[tape.position - 1] <= reached_ts
        now_ns += pacing.wait_ns(tape, now_ns) + lates[step % len(lates)]
        step += 1
    assert pacing.wait_ns(tape, now_ns) == 0


def test_records_without_a_time_take_none() -> None:
    clock, tape = begun(Pace(1.0)), Records([UNDEF_TS, UNDEF_TS, 500, 600])
    pacing = pacing_of(clock, 0)
    late_ns = clock.started_ns + NS_PER_S
    for _ in range(2):
        due = pacing.due(tape, late_ns)
        assert tape.read(due.records, due.until) == 1
    due = pacing.due(tape, late_ns)
    assert tape.read(due.records, due.until) == 1, "the first with a time belongs to now"
    assert pacing.due(tape, late_ns).records == 0
    assert pacing.due(tape, late_ns + 100).records > 0


def test_times_made_now_pass_as_the_clock_does_at_any_speed() -> None:
    clock = begun(Pace(1000.0), as_if_now=True)
    tape = Records([clock.origin_ns, clock.origin_ns + 5])
    pacing = pacing_of(clock, 0)
    due = pacing.due(tape, clock.started_ns + 4)
    assert tape.read(due.records, due.until) == 1
    assert pacing.due(tape, clock.started_ns + 4).records == 0
    assert pacing.due(tape, clock.started_ns + 5).records > 0


def test_another_pass_over_the_same_times_begins_when_it_comes() -> None:
    clock, tape = begun(Pace(1.0)), Records([100, 200, 100, 200])
    pacing = pacing_of(clock, 0)
    at_ns = clock.started_ns
    pacing.due(tape, at_ns)
    tape.position = 2
    tape.passes = 1
    at_ns += 5 * NS_PER_S
    due = pacing.due(tape, at_ns)
    assert tape.read(due.records, due.until) == 1
    assert pacing.due(tape, at_ns + 99).records == 0
    assert pacing.due(tape, at_ns + 100).records > 0


def test_without_a_pace_everything_is_due() -> None:
    clock, tape = begun(Pace(None)), Endless()
    pacing = pacing_of(clock, 0)
    assert pacing.due(tape, clock.started_ns).until is None
    assert pacing.due(tape, clock.started_ns).records > 10**9
    assert (pacing.wait_ns(tape, 0), pacing.late_ns(tape, 0)) == (0, 0)


def test_a_clock_begins_once() -> None:
    clock = begun(Pace(1.0))
    before = clock.started_ns, clock.origin_ns
    clock.begin()
    assert (clock.started_ns, clock.origin_ns) == before
