"""The checks of deploy/supply, imported as modules, with what their tests have in common."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "deploy/supply"))

from checking import CannotRunError, CheckError, tool

__all__ = ["CannotRunError", "CheckError", "check"]


def check(name: str, *tools: str) -> ModuleType:
    """-> a check of deploy/supply; the test skips where a tool of the check is not there."""
    for needed in tools:
        try:
            tool(needed)
        except CannotRunError as reason:
            pytest.skip(str(reason))
    return importlib.import_module(name)
