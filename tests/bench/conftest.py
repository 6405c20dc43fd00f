"""Benchmarks run when they are asked for (`make bench`), not with the tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

# `make bench` leaves tests/conftest.py out: the opponents' environment lacks what the other tests need.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from streams_made import RESULTS, Stream, streams

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--benchmark-only", default=False):
        return
    skip = pytest.mark.skip(reason="a benchmark: run `make bench`")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def made() -> dict[str, Stream]:
    if not (RESULTS / "ratios.json").is_file():
        pytest.skip("no streams: `make bench` makes them first (cargo bench --bench ratios)")
    return streams(json.loads((RESULTS / "ratios.json").read_text()))


@pytest.fixture(scope="session")
def b(made: dict[str, Stream]) -> Stream:
    """One synthetic instrument."""
    return made["b"]


@pytest.fixture(scope="session", params=["a", "b"])
def a_or_b(request: Any, made: dict[str, Stream]) -> Stream:
    if request.param not in made:
        pytest.skip(f"stream ({request.param}) is missing: L3BOOK_TEST_DATA does not lead to it")
    return made[request.param]
