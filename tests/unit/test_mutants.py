"""The list of deliberate bugs fits the core: a text that is gone would otherwise be noticed by `make mutants` alone."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_text_stands_once_in_its_file() -> None:
    mutants = tomllib.loads((ROOT / "tests" / "mutants" / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
    edits = [(mutant["name"], edit["file"], edit["old"]) for mutant in mutants for edit in mutant["edit"]]
    counts = {
        (name, file): (ROOT / "rust" / "src" / file).read_text(encoding="utf-8").count(old) for name, file, old in edits
    }
    assert len(mutants) >= 10
    assert {at: count for at, count in counts.items() if count != 1} == {}
