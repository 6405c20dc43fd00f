"""SECURITY.md names tests for what it claims; each of them is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
ENTRY_POINTS = TEXT.split("\n## Entry points\n", 1)[1].split("\n## ", 1)[0]


def rows() -> list[list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ENTRY_POINTS.splitlines() if "|" in line]
    return [row for row in cells if row[0] != "Threat" and not set(row[0]) <= {"-"}]


@cache
def functions(file: Path) -> set[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".rs":
        return set(re.findall(r"^\s*fn (\w+)\(", text, re.MULTILINE))
    tree = ast.walk(ast.parse(text))
    return {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


NAMED = sorted(set(re.findall(r"`(?:rust )?([\w/]+\.(?:py|rs))::(\w+)`", TEXT)))


def test_tests_are_named() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}::{name}" for file, name in NAMED])
def test_the_named_test_exists(file: str, name: str) -> None:
    folder = "rust/tests" if file.endswith(".rs") else "tests"
    assert name in functions(REPOSITORY / folder / file)


def test_every_threat_has_an_asset_a_remedy_and_a_test_or_says_that_it_has_none() -> None:
    assets = set(re.findall(r"^\| (A\d) \|", TEXT, re.MULTILINE))
    for threat, named, remedy, shown in rows():
        assert set(named.split(", ")) <= assets, threat
        assert remedy, threat
        assert "::" in shown or "deploy/" in shown or ".github/" in shown or "no test" in shown, threat


def test_every_file_it_names_is_there() -> None:
    for name in re.findall(r"(?<![\w*/])((?:deploy|docs|\.github)/[\w/.-]+\.\w+)", TEXT):
        assert (REPOSITORY / name).exists(), name
