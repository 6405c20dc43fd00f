"""The gate on instruction counts and the table of goals say what they are there to say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import goals
import instructions
import table

if TYPE_CHECKING:
    from collections.abc import Callable

BASELINE = {"apply": 1_000_000, "json": 50_000}


def test_counts_within_three_percent_pass() -> None:
    assert instructions.compare({"apply": 1_030_000, "json": 48_500}, BASELINE) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"apply": 1_030_001, "json": 50_000}, "apply: 3.0 % more"),
        ({"apply": 900_000, "json": 50_000}, "apply: 10.0 % fewer: good, but the baseline is stale"),
        ({"apply": 1_000_000}, "json: in the baseline, but no case any more"),
        ({**BASELINE, "new": 1}, "new: not in the baseline"),
    ],
)
def test_any_other_count_is_a_fault(found: dict[str, int], fault: str) -> None:
    assert instructions.compare(found, BASELINE) == [fault]


@pytest.fixture
def no_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda _: None)
    monkeypatch.delenv("UPDATE", raising=False)
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(("ci", "exit_code"), [("", 0), ("true", 1)])
def test_without_valgrind_nothing_is_compared_and_that_is_said(
    no_valgrind: None, monkeypatch: pytest.MonkeyPatch, capsys: Any, ci: str, exit_code: int
) -> None:
    monkeypatch.setenv("CI", ci)
    assert instructions.main() == exit_code
    assert capsys.readouterr().err == "instructions: NOT COMPARED: valgrind is not installed\n"


def test_counts_of_another_compiler_are_not_compared(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda name: name)
    monkeypatch.setattr(instructions, "compiler", lambda: {"rustc": "1.0.0 (abc)", "target": "any"})
    monkeypatch.delenv("UPDATE", raising=False)
    assert instructions.main() == 0
    assert "NOT COMPARED: this rustc is 1.0.0 (abc), the baseline's is" in capsys.readouterr().err


def cases(**ns: list[float]) -> list[dict[str, Any]]:
    return [{"name": name.replace("_", " "), "units": 1, "ns": samples} for name, samples in ns.items()]


def results(**groups: list[dict[str, Any]]) -> goals.Results:
    ratios = {name.replace("_", " "): {"what": "", "cases": group} for name, group in groups.items()}
    return goals.Results(ratios, {}, {}, {})


def test_a_ratio_is_the_median_of_the_ratios_within_rounds() -> None:
    # The machine slowed down tenfold in the second round, for both: that must not show.
    found = results(apply_b=cases(ours=[10.0, 100.0, 12.0], theirs=[20.0, 200.0, 20.0]))
    assert found.ratio("apply b", "ours", "theirs") == 0.5


def test_of_two_floors_the_faster_counts() -> None:
    found = results(apply_b=cases(ours=[10.0], slow=[20.0], fast=[5.0]))
    assert found.ratio("apply b", "ours", "slow", "fast") == 2.0


@pytest.mark.parametrize(("at_most", "verdict"), [(2.0, "yes"), (1.99, "**no**")])
def test_a_goal_is_met_or_not(monkeypatch: pytest.MonkeyPatch, at_most: float, verdict: str) -> None:
    measure: Callable[[goals.Results], float] = lambda _: 2.0  # noqa: E731
    monkeypatch.setattr(table, "GOALS", [goals.Goal("it", at_most, "×", measure)])
    (row, *elsewhere) = table.goal_rows(results())
    assert row == ["it", f"≤ {at_most:.2f} ×", "2.00 ×", verdict]
    assert [row[3] for row in elsewhere] == ["–"] * len(goals.ELSEWHERE)


def test_a_goal_without_a_result_says_why() -> None:
    found = goals.Results(
        {"apply b": {"missing": "no data"}}, {}, {}, {"test_hftbacktest": "hftbacktest is not installed"}
    )
    rows = {row[0]: row for row in table.goal_rows(found)}
    assert rows["apply, one core, against the id-map-only floor, (b)"][2:] == ["no data", "–"]
    assert rows["decode and apply from Python against hftbacktest L3 (with its queues), (b)"][2:] == [
        "hftbacktest is not installed",
        "–",
    ]
    assert all(row[3] == "–" for row in rows.values())


def test_numbers_are_short() -> None:
    written = [table.number(*pair) for pair in ((0.08123, "×"), (1.8, "×"), (1_500, "ns"), (87.71, "bytes"))]
    assert written == ["0.081 ×", "1.80 ×", "1,500 ns", "87.7 bytes"]
