"""What --fault says, and when it happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.gateway.faults import (
    LASTING_KINDS,
    ONE_OFF_KINDS,
    FaultError,
    FaultPlan,
    FaultRule,
    OnceFaults,
    parse_fault,
)
from l3book.sources.pacing import NS_PER_S


@pytest.mark.parametrize("kind", ONE_OFF_KINDS)
def test_every_kind_once_and_again(kind: str) -> None:
    once = FaultRule(f"{kind}@1000", kind, number=1000, amount=2 * NS_PER_S if kind == "stall" else 1)
    assert parse_fault(once.text) == once
    assert parse_fault(f"{kind}~1_000").repeated
    timed = parse_fault(f"{kind}~5s")
    assert (timed.timed, timed.number) == (True, 5 * NS_PER_S)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("gap@1:7", 7),
        ("gap@1:7:silent", 7),
        ("duplicate~9:3", 3),
        ("reorder@1:5", 5),
        ("flip@1:8", 8),
        ("stall@1:500ms", NS_PER_S // 2),
        ("stall@1:0.25s", NS_PER_S // 4),
        ("throttle:1MB", 10**6),
        ("throttle:4KiB", 4096),
        ("throttle:77", 77),
        ("latency:20ms", 20_000_000),
        ("latency:1.5ms:300us", 1_500_000),
    ],
)
def test_arguments(text: str, amount: int) -> None:
    rule = parse_fault(text)
    assert (rule.amount, rule.silent) == (amount, text.endswith("silent"))
    assert rule.jitter_ns == (300_000 if "300us" in text else 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gap",
        "gap@",
        "gap@0",
        "gap~0s",
        "gap@-1",
        "gap@x",
        "gap@1:0",
        "gap@1:2:loud",
        "gap@1:",
        "flip@1:99999",
        "close@1:2",
        "stall@1:2",
        "stall@1:99999s",
        "latency",
        "latency:20",
        "latency@5:20ms",
        "latency:1ms:2ms:3ms",
        "throttle:0",
        "throttle:1TB",
        "throttle~1:1MB",
        "earthquake@7",
        "gap@" + "9" * 5000,
        "gap@1\n",
    ],
)
def test_what_is_no_fault_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(FaultError, match="expected") as refused:
        parse_fault(text)
    assert "\n" not in str(refused.value)


def fired(
    rules: list[FaultRule], records: int, *, seed: int = 1, session: int = 1, steps: int = 1
) -> list[tuple[int, str, int]]:
    """(at record, rule, what its generator gives) of a session that sends `records`, at most `steps` at a time."""
    plan, at, found = FaultPlan(rules, seed, session, OnceFaults()), 0, []
    plan.begin(0)
    while at < records:
        left = plan.records_left(at)
        at += min(steps, left or steps)
        found += [(at, fault.rule.text, fault.rng.getrandbits(32)) for fault in plan.due(at, 0)]
    return found


@given(st.integers(1, 400), st.integers(1, 500), st.integers(0, 2**64 - 1))
def test_faults_do_not_depend_on_how_records_are_cut(number: int, steps: int, seed: int) -> None:
    rules = [parse_fault(text) for text in (f"gap~{number}", f"flip@{number}", "duplicate~77", "close@500")]
    expected = fired(rules, 1000, seed=seed)
    assert fired(rules, 1000, seed=seed, steps=steps)[: len(expected)] == expected
    assert [at for at, text, _ in expected if text == f"flip@{number}"] == [number]


def test_another_seed_or_session_has_other_faults() -> None:
    rules = [parse_fault("gap~50")]
    first = fired(rules, 100_000)
    assert fired(rules, 100_000) == first
    assert fired(rules, 100_000, seed=2) != first
    assert fired(rules, 100_000, session=2) != first
    assert 1900 < len(first) < 2100, "50 on average"


def test_one_rule_does_not_move_another() -> None:
    alone = fired([parse_fault("gap~50")], 10_000)
    both = fired([parse_fault("gap~50"), parse_fault("duplicate~9")], 10_000)
    assert [fault for fault in both if fault[1] == "gap~50"] == alone


def test_once_is_once_in_all_sessions() -> None:
    rules, once = [parse_fault("close@5")], OnceFaults()
    plans = [FaultPlan(rules, 1, session, once) for session in (1, 2, 3)]
    assert [len(list(plan.due(records, 0))) for plan, records in zip(plans, (4, 5, 5), strict=True)] == [0, 1, 0]
    assert [len(list(plan.due(100, 0))) for plan in plans] == [0, 0, 0]


def test_seconds_count_from_the_beginning_of_the_stream() -> None:
    plan = FaultPlan([parse_fault("stall@5s"), parse_fault("close~3s")], 1, 1, OnceFaults())
    plan.begin(7 * NS_PER_S)
    assert plan.records_left(0) is None
    now_ns, found = 7 * NS_PER_S, []
    while (wait_ns := plan.wait_ns(now_ns)) is not None and now_ns < 1000 * NS_PER_S:
        assert list(plan.due(10**9, now_ns + wait_ns - 1)) == []
        now_ns += wait_ns
        found += [(fault.rule.kind, now_ns) for fault in plan.due(0, now_ns)]
    assert [at for kind, at in found if kind == "stall"] == [12 * NS_PER_S]
    assert 250 < len(found) < 420, "3 s on average"


def test_lasting_faults_are_found_by_kind() -> None:
    plan = FaultPlan(
        [parse_fault("throttle:1MB"), parse_fault("throttle:2MB"), parse_fault("gap@1")], 1, 1, OnceFaults()
    )
    found = plan.lasting("throttle")
    assert found is not None
    assert found[0].amount == 2_000_000
    assert plan.lasting("latency") is None
    assert set(LASTING_KINDS) == {"latency", "throttle"}
