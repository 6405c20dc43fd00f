"""Every text that is logged names only facts that are given with it: an error must not fail while it is told."""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

PACKAGE = Path(__file__).parents[2] / "python/l3book"
METHODS = {"debug", "info", "warning", "error", "exception", "log"}
# Of every line.
TAKEN = {"time", "level", "logger", "event", "exception", "exc_info"}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            owner = ast.unparse(node.func.value)
            if owner in {"log", "session"} or (owner == "self" and node.func.attr == "log"):
                yield node


def texts_of(tree: ast.AST, call: ast.Call) -> list[str] | None:
    """The literals that the text can be; None where it is put together when it is logged."""
    argument = call.args[-1]
    if isinstance(argument, ast.IfExp):
        found = [argument.body, argument.orelse]
    elif isinstance(argument, ast.Name):
        found = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == argument.id for target in node.targets)
            and node.lineno in range(call.lineno - 3, call.lineno)
        ]
    else:
        found = [argument]
    texts = [node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return texts if texts and len(texts) == len(found) else None


def test_texts_and_facts_fit() -> None:
    checked, made = 0, []
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        for call in calls(tree):
            where = f"{file.relative_to(PACKAGE)}:{call.lineno}"
            given = {keyword.arg for keyword in call.keywords}
            assert len(call.args) == (2 if call.func.attr == "log" else 1), f"{where}: facts go by name"
            assert not given - {"exc_info"} & TAKEN, where
            texts = texts_of(tree, call)
            if texts is None or None in given:
                made.append(where.partition(":")[0])
                continue
            for text in texts:
                named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
                assert named <= given, f"{where}: {named - given} in the text and not among the facts"
                assert not text.count("%s"), where
            checked += 1
    assert checked > 50
    # Those are run by tests of their own.
    assert set(made) == {"feed/transitions.py", "gateway/session.py", "history/beginning.py", "reloading.py"}


def test_a_text_that_does_not_fit_is_noticed() -> None:
    (call,) = calls(ast.parse('log.info("source {source} ended", sauce=1)'))
    with pytest.raises(KeyError):
        call.args[0].value.format_map({keyword.arg: 1 for keyword in call.keywords})
