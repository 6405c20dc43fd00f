"""Our feed on our gateway, through faults: books are exact, or they say that they are not, and they recover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from feeds import Fed, Truth, simulated
from l3book.sources.live import KEY_VARIABLE
from running_gateway import KEY, RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = 30_000
RATE = 20_000
"""Slow enough for a snapshot of a book in doubt to arrive before the recording is over."""

LATE_RECORDS_MAX = 500
"""An event that comes late is noticed when it comes, where sequence numbers skip: two events later here, with what was
sent at once."""

# Those with '~' come again and again, perhaps also in the last moment, when no snapshot can come any more.
FAULTS = {
    "none": [],
    "drop-connection": ["drop-connection@9000"],
    "many drops": ["drop-connection~4000"],
    "close": ["close@9000"],
    "truncate": ["truncate@9000"],
    "gap": ["gap@9000:7"],
    "many gaps": ["gap~5000:3"],
    "duplicate": ["duplicate@9000:2"],
    "reorder": ["reorder@9000:3"],
    "stall": ["stall@9000:1s"],
    "latency": ["latency:20ms:10ms"],
    "throttle": ["throttle:1MB"],
    "all at once": ["drop-connection~9000", "gap~6000:2", "duplicate~7000", "reorder~8000:2", "truncate~15000"],
}
ONLY_DENSE = {"silent gap": ["gap@15000:20:silent"]}
"""Seen by sequence numbers that are dense; where a feed's are not, nobody can tell. Nor can anybody where a gap begins
and ends within one number."""
ONLY_CHECKSUMMED = {"flip": ["flip@9000:3"], "many flips": ["flip~6000:1"]}


@pytest.fixture(scope="module")
def key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        yield


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("feed") / "simulated.dbn"
    simulated(path, seed=7, instruments=3, records=RECORDS, span_s=120)
    return path, Truth(path)


@pytest.fixture(scope="module")
def clx5_truth(test_data: Path) -> tuple[Path, Truth]:
    path = test_data / "clx5" / "CLX5_mbo.dbn"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path, Truth(path)


def faults(*names: str) -> list[object]:
    return [part for name in names for part in ("--fault", name)]


def through(path: Path, truth: Truth, arguments: list[object], query: str, rate: int = RATE) -> Fed:
    """Feed it through the faults, looking at the books all the while; -> the feed after its end."""
    with (
        RunningGateway(path, "--rate", rate, *arguments) as gateway,
        Fed(f"live://GLBX.MDP3?{query}", gateway=gateway.address) as fed,
    ):
        is_late = any("reorder" in str(argument) for argument in arguments)
        fed.wait_for_state("ended", truth=truth, late_records_max=LATE_RECORDS_MAX if is_late else 0)
        fed.assert_final(truth, all_live=not any("~" in str(argument) for argument in arguments))
    assert fed.live_looks > 0
    return fed


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", [*FAULTS, *ONLY_DENSE, *ONLY_CHECKSUMMED])
def test_simulated_books_are_exact_or_not_live(name: str, simulation: tuple[Path, Truth]) -> None:
    listed = (FAULTS | ONLY_DENSE | ONLY_CHECKSUMMED)[name]
    query = "compression=zstd" if name in ONLY_CHECKSUMMED else ""
    fed = through(*simulation, faults(*listed), query)
    assert fed.feed.watch_stats()["alerts_dropped"] == 0


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", [*FAULTS, *ONLY_CHECKSUMMED])
def test_recorded_books_are_exact_or_not_live(name: str, clx5_truth: tuple[Path, Truth]) -> None:
    query = "symbols=CLX5" + ("&compression=zstd" if name in ONLY_CHECKSUMMED else "")
    through(*clx5_truth, faults(*(FAULTS | ONLY_CHECKSUMMED)[name]), query)
