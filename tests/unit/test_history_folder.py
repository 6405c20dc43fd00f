"""Where a source's history is kept: a folder that people recognise, the same at every start, and of no other source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.history.folder import IDENTITY_CHARACTERS_MAX, PARTS, default_folder, identity_of, what_else_it_is

STATE = Path("/state")
LIVE = "live://GLBX.MDP3?symbols=ES.FUT&stype_in=parent"


@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        ("synthetic:", "synthetic-"),
        (LIVE, "live-GLBX.MDP3-symbols-ES.FUT-stype_in-parent-"),
        ("file:/data/CLX5_mbo.dbn?speed=1", "file-CLX5_mbo.dbn-speed-1-"),
        ("tcp://[::1]:9000", "tcp-1-9000-"),
    ],
)
def test_the_name_says_what_it_is_of(uri: str, begins: str) -> None:
    folder = default_folder(STATE, uri, "")
    assert folder.parent == STATE / "history"
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{8}", folder.name), folder.name
    assert folder == default_folder(STATE, uri, "")


def test_what_could_bring_other_records_has_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(uri: str, gateway: str = "") -> Path:
        return default_folder(STATE, uri, gateway)

    monkeypatch.chdir(tmp_path)
    folders = [here(LIVE), here(LIVE, "a:1"), here(LIVE, "b:1"), here(LIVE + "&x=1"), here("file:a"), here("file:b/a")]
    same = here(f"file:{tmp_path}/a")
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert len({*folders, here("file:a")}) == len(folders), "file:b/a from above, and file:a from here, are one file"
    assert same == folders[4]


@given(uri=st.text(min_size=1, max_size=400), gateway=st.sampled_from(["", "host:1"]))
def test_any_uri_makes_a_name_that_every_file_system_takes(uri: str, gateway: str) -> None:
    name = default_folder(STATE, uri, gateway).name
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,80}", name)
    assert not name.startswith(".")
    assert len(identity_of(uri, gateway)) <= IDENTITY_CHARACTERS_MAX + 20


def test_long_names_of_sessions_differ_where_the_uris_do() -> None:
    long = LIVE + "," + "A" * 500
    assert identity_of(long + "B", "") != identity_of(long + "C", "")
    assert identity_of(LIVE, "") == LIVE


@pytest.mark.parametrize("there", [(), ("lost+found/",), (".cache/", ".gitkeep"), *((part,) for part in PARTS)])
def test_a_history_may_be_in_an_empty_folder_and_in_its_own(tmp_path: Path, there: tuple[str, ...]) -> None:
    _fill(tmp_path, there)
    assert what_else_it_is(tmp_path) is None
    assert what_else_it_is(tmp_path / "new") is None


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (("lost+found/", "day.dbn.zst"), "day.dbn.zst, and nothing of a history: expected "),
        (("c", "b/", "a.txt", "d", "e"), "a.txt, b/, c and 2 more, and nothing of a history: expected "),
        (("log/", "lock", "exports/", "spool/"), "spool/, and nothing of a history: expected "),
    ],
)
def test_a_history_may_not_be_among_somebodys_files(tmp_path: Path, there: tuple[str, ...], told: str) -> None:
    _fill(tmp_path, there)
    assert (what_else_it_is(tmp_path) or "").startswith(told)


@pytest.mark.parametrize(
    "own", ["history.sqlite", "backfill.json", "checkpoints/7.l3ck", "log/GLBX.MDP3/2026-01-05/0.dbn.zst"]
)
def test_what_only_a_history_has_may_have_others_beside_it(tmp_path: Path, own: str) -> None:
    (tmp_path / own).parent.mkdir(parents=True, exist_ok=True)
    _fill(tmp_path, (own, "notes.txt"))
    assert what_else_it_is(tmp_path) is None


def _fill(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).mkdir() if name.endswith("/") else (folder / name).write_text("mine")
