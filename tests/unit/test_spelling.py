"""What may have been meant by a name that is none: slips of the finger, and nothing else."""

from __future__ import annotations

import pytest

from l3book.config.settings import SETTING_NAMES
from l3book.spelling import meant

OPTIONS = ("--source", "--history", "--to", "--depth", "--level", "--json", "--instrument", "--host", "--port")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("--depht", "--depth"),
        ("--sorce", "--source"),
        ("--jason", "--json"),
        ("--instr", "--instrument"),
        ("--prot", "--port"),
        ("--hsitory", "--history"),
        ("--LEVEL", "--level"),
        ("--foo", None),
        ("--colour", None),
        ("--zzz", None),
        ("--x", None),
        ("--hist-tree", None),
        ("-", None),
        ("", None),
    ],
)
def test_only_a_slip_is_taken_for_a_name(name: str, expected: str | None) -> None:
    assert meant(name, OPTIONS) == expected


@pytest.mark.parametrize("name", ["colour", "zzz", "foo", "database", "verbose", "threads", "timeout"])
def test_nonsense_is_no_setting(name: str) -> None:
    assert meant(name, SETTING_NAMES) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Depth-Max", "depth_max"), ("max_depth", "depth_max"), ("histroy_store", "history_store"), ("prot", "port")],
)
def test_settings_are_found_by_their_words(name: str, expected: str) -> None:
    assert meant(name, SETTING_NAMES) == expected
