"""The documents name every verb, route, setting and counter there is, and none that there is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args

from l3book import Market
from l3book.access.connections import Connections
from l3book.access.guard import Counts
from l3book.api.operations import operations
from l3book.cli import _VERBS
from l3book.config import RELOADABLE, SETTING_NAMES, Settings
from l3book.config.safety import PROD_RULES
from l3book.config.settings import expected_of
from l3book.secret import SECRET_VARIABLES
from l3book.wire import CLOSE_CODES, ErrorCode

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (REPOSITORY / "docs/configuration.md").read_text(encoding="utf-8")
ACCESS = (REPOSITORY / "docs/access.md").read_text(encoding="utf-8")
WEBSOCKET = (REPOSITORY / "docs/websocket.md").read_text(encoding="utf-8")


def section(title: str, text: str = README) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row whose first one is a name."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]


def first_cells(text: str) -> list[str]:
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows))


def test_every_verb() -> None:
    documented = {cell.split()[1] for cell in first_cells(section("Command line"))}
    assert documented == {verb.__name__.rpartition(".")[2] for verb in _VERBS}


def test_every_route() -> None:
    documented = {cell.split()[1].partition("?")[0] for cell in first_cells(section("HTTP"))}
    assert documented == {operation.path for operation in operations(Settings())}


def default_of(name: str) -> str:
    """As the documents have it."""
    value = getattr(Settings(), name)
    if name == "state_dir":
        return "the platform's"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value in ("", None, ()) else f"`{value}`"


def test_every_setting_with_its_default_its_range_and_whether_it_can_be_reloaded() -> None:
    documented = [row for row in rows(CONFIGURATION) if len(row) == 5]
    expected = [
        [f"`{name}`", default_of(name), expected_of(name).removeprefix("a whole number from "), reloads]
        for name in SETTING_NAMES
        for reloads in ["yes" if name in RELOADABLE else ""]
    ]
    assert sorted(row[:4] for row in documented) == sorted(expected)
    assert all(row[4] for row in documented), "a setting without a meaning"


def test_the_settings_that_matter_first_have_their_defaults() -> None:
    chosen = rows(section("Settings"))
    assert len(chosen) > 5
    for name, default, meaning in chosen:
        assert name.strip("`") in SETTING_NAMES
        assert default == default_of(name.strip("`"))
        assert meaning


def test_every_secret() -> None:
    assert {row[0].strip("`") for row in rows(section("Secrets", CONFIGURATION))} == set(SECRET_VARIABLES)


def test_every_rule_of_prod_with_its_reason() -> None:
    documented = [(name.strip("`"), because) for name, _, because in rows(section("What prod refuses", CONFIGURATION))]
    assert documented == [(rule.setting, rule.reason) for rule in PROD_RULES]


def test_every_counter() -> None:
    counted = section("What is right").split("count:", 1)[1]
    assert set(re.findall(r"`(\w+)`", counted)) == set(Market().stats())


def test_every_error_of_the_websocket() -> None:
    documented = [row[0].strip("`") for row in rows(section("What the server answers", WEBSOCKET))]
    assert sorted(documented) == sorted(get_args(get_args(ErrorCode)[0]))


def test_every_close_code_of_the_websocket() -> None:
    documented = re.findall(r"^\| (\d{4}) \|", section("Closing", WEBSOCKET), re.MULTILINE)
    assert documented == [str(code) for code in CLOSE_CODES]


def test_every_count_of_refusals() -> None:
    counted = section("Limits", ACCESS).split("under `access`:", 1)[1]
    assert re.findall(r"`(\w+)`", counted) == [field.name for field in dataclasses.fields(Counts)]


def test_every_count_of_connections() -> None:
    (counted,) = re.findall(r"under `connections`: ([^.]*)\.", CONFIGURATION.replace("\n", " "))
    assert re.findall(r"`(\w+)`", counted) == list(Connections(Settings()).metrics())
