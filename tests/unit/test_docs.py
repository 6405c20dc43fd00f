"""The README names every verb, route, setting and counter there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from l3book import Market
from l3book.api.operations import operations
from l3book.cli import _VERBS
from l3book.config import SETTING_NAMES, Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows))


def test_every_verb() -> None:
    documented = {cell.split()[1] for cell in first_cells(section("Command line"))}
    assert documented == {verb.__name__.rpartition(".")[2] for verb in _VERBS}


def test_every_route() -> None:
    documented = {cell.split()[1].partition("?")[0] for cell in first_cells(section("HTTP"))}
    assert documented == {operation.path for operation in operations(Settings())}


def test_every_setting() -> None:
    assert set(first_cells(section("Settings"))) - {"synthetic:"} == set(SETTING_NAMES)


def test_every_counter() -> None:
    counted = section("What is right").split("count:", 1)[1]
    assert set(re.findall(r"`(\w+)`", counted)) == set(Market().stats())
