"""`l3book history` and `l3book reconstruct DIR`, run as users run them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from histories import record
from l3book import Market
from l3book._core import Log, Simulator
from l3book.history.indexing import Indexing
from l3book.history.sqlite import SqliteStore
from running import error_line, run
from store_batches import RandomBatches

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

WAIT_S = 60
CHECKPOINT_RECORDS = 5_000


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A session of 32,000 records or so, with everything that is derived from it."""
    folder = tmp_path / "history"
    end = record(folder)
    indexing = Indexing(folder, SqliteStore(folder), checkpoint_records=CHECKPOINT_RECORDS)
    indexing.start()
    until_s = time.monotonic() + WAIT_S
    while indexing.stats()["position"] < end - CHECKPOINT_RECORDS:
        assert time.monotonic() < until_s, indexing.stats()
        time.sleep(0.02)
    assert indexing.stop(WAIT_S), indexing.stats()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The same records, as the file that they could have come from."""
    simulator = Simulator(seed=1, instruments=2, resting_max=500)
    path = tmp_path / "source.dbn"
    path.write_bytes(simulator.header() + b"".join(simulator.read(4_000) for _ in range(8)))
    return path


def good(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done


def bad(*arguments: object, code: int = 1) -> str:
    done = run(*arguments)
    assert done.returncode == code, (done.returncode, done.stderr.decode())
    return error_line(done)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_info_tells_what_is_there(history: Path) -> None:
    log = Log(history)
    found = json.loads(good("history", "info", history, "--json").stdout)
    assert (found["first_ordinal"], found["end_ordinal"], found["records"]) == (0, log.end_ordinal, log.end_ordinal)
    assert found["log"]["segments"] == len(log.segments())
    assert found["log"]["bytes"] == sum(path.stat().st_size for path in history.glob("log/*/*/*.dbn.zst"))
    assert found["ts_recv_max"] == max(one["ts_recv_max"] for one in log.segments())
    assert [one["uri"] for one in found["sessions"]] == ["synthetic:"]
    assert found["holes"] == []
    assert found["checkpoints"]["count"] == len(list((history / "checkpoints").iterdir())) > 1
    assert found["tables"]["books"] == 2
    text = good("history", "info", history).stdout.decode()
    assert f"{log.end_ordinal:,}, ordinals 0 to {log.end_ordinal:,}" in text
    assert "GLBX.MDP3" in text


@pytest.mark.parametrize("how", ["zeros", "cut", "emptied"])
def test_info_tells_what_the_log_has_where_the_tables_are_damaged(history: Path, how: str) -> None:
    path = history / "history.sqlite"
    before = json.loads(good("history", "info", history, "--json").stdout)
    if how == "emptied":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM position")
            connection.commit()
    else:
        path.write_bytes(bytes(8192) if how == "zeros" else path.read_bytes()[:5000])
    done = run("history", "info", history, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["tables_damage"].startswith(f"{path}: ")
    assert found == {**before, "tables": None, "tables_damage": found["tables_damage"]}
    done = run("history", "info", history)
    assert re.search(r"^records +\d\d,\d+, .*^log .*^tables +damaged$", done.stdout.decode(), re.MULTILINE | re.DOTALL)
    assert re.fullmatch(
        f"l3book: {re.escape(str(path))}: .*: expected to be deleted, it is made anew from the log", error_line(done)
    )


def test_info_counts_what_sqlite_has_not_moved_into_its_file_yet(history: Path) -> None:
    with closing(sqlite3.connect(history / "history.sqlite")) as writer:
        writer.execute("CREATE TABLE more (rows BLOB)")
        writer.execute("INSERT INTO more VALUES (zeroblob(300000))")
        writer.commit()
        wal_bytes = (history / "history.sqlite-wal").stat().st_size
        assert wal_bytes > 300_000
        size = sum(path.stat().st_size for path in history.glob("history.sqlite*"))
        found = json.loads(good("history", "info", history, "--json").stdout)
    assert found["tables"]["bytes"] == size


def test_verify_finds_whatever_is_damaged_and_says_where(history: Path) -> None:
    assert b"all good" in good("history", "verify", history).stdout
    segments = Log(history).segments()
    path = segments[2]["path"]
    flip(path, path.stat().st_size - 10)
    line = bad("history", "verify", history)
    assert str(path) in line
    assert "offset" in line
    assert f"ordinal {segments[2]['first_ordinal']:,}" in line
    flip(path, path.stat().st_size - 10)

    checkpoint = sorted((history / "checkpoints").iterdir())[1]
    flip(checkpoint, checkpoint.stat().st_size - 10)
    line = bad("history", "verify", history)
    assert f"{checkpoint}: ordinal {int(checkpoint.stem):,}" in line
    flip(checkpoint, checkpoint.stat().st_size - 10)

    last = segments[-1]["path"]
    index = last.with_suffix("").with_suffix(".index")
    kept = [(file, file.read_bytes()) for file in (last, index)]
    for file, _ in kept:
        file.unlink()
    for file in sorted((history / "checkpoints").iterdir()):
        if int(file.stem) > segments[-1]["first_ordinal"]:
            kept.append((file, file.read_bytes()))
            file.unlink()
    with closing(sqlite3.connect(history / "history.sqlite")) as connection:
        # Even where the tables have come no further than what is left.
        before = connection.execute("SELECT ordinal FROM position").fetchone()
        connection.execute("UPDATE position SET ordinal = 0")
        connection.commit()
        line = bad("history", "verify", history)
        assert f"{last}: offset 0, ordinal {segments[-1]['first_ordinal']:,}: missing" in line
        connection.execute("UPDATE position SET ordinal = ?", before)
        connection.commit()
    for file, content in kept:
        file.write_bytes(content)
    found = json.loads(good("history", "verify", history, "--json").stdout)
    assert (found["good"], found["damage"], found["records"]) == (True, None, segments[-1]["end_ordinal"])

    (history / "history.sqlite").write_bytes(bytes(8192))
    assert "history.sqlite" in bad("history", "verify", history)


def test_verify_goes_on_behind_a_fault_and_names_each(history: Path) -> None:
    segments, saved = Log(history).segments(), sorted((history / "checkpoints").iterdir())
    lost = [segments[at] for at in (1, 3)]
    for one in lost:
        one["path"].unlink()
        one["path"].with_suffix("").with_suffix(".index").unlink()
    damaged = segments[5]["path"]
    flip(damaged, damaged.stat().st_size - 10)
    flip(saved[0], saved[0].stat().st_size - 10)
    done = run("history", "verify", history)
    assert done.returncode == 1
    missing = [
        f"{one['path']}: offset 0, ordinal {one['first_ordinal']:,}: "
        f"missing: records {one['first_ordinal']} to {one['end_ordinal']} were in it"
        for one in lost
    ]
    lines = done.stdout.decode().splitlines()
    assert re.match(rf"good: [0-9,]+ records in {len(segments) - 3} segments, {len(saved) - 1} checkpoints, ", lines[0])
    assert lines[1].startswith(f"{damaged}: offset ")
    assert lines[2].startswith(f"{saved[0]}: ordinal ")
    assert lines[3:] == missing
    assert error_line(done) == f"l3book: {lines[1]} (the first of 4 faults)"
    found = json.loads(run("history", "verify", history, "--json").stdout)
    assert [one["ordinal"] for one in found["damages"][2:]] == [one["first_ordinal"] for one in lost]
    assert found["damage"] == found["damages"][0]
    # Where nothing lists the files, it is said which records are missing.
    (history / "history.sqlite").unlink()
    found = json.loads(run("history", "verify", history, "--json").stdout)
    gaps = [(one["ordinal"], one["end_ordinal"]) for one in found["damages"][:2]]
    assert gaps == [(one["first_ordinal"], one["end_ordinal"]) for one in lost]
    assert found["damages"][0]["what"].endswith("are missing before this segment: one or more are lost")


def test_info_and_verify_write_nothing(history: Path) -> None:
    for name in ("history.sqlite", "history.sqlite-wal", "history.sqlite-shm"):
        (history / name).unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in history.rglob("*")}
    assert b"none in history.sqlite" in good("history", "info", history).stdout
    good("history", "verify", history)
    assert {path: path.stat().st_mtime_ns for path in history.rglob("*")} == before


def test_a_folder_without_a_history_is_misuse(tmp_path: Path) -> None:
    for action in (("info",), ("verify",), ("compact",), ("export", "-o", tmp_path / "x.csv")):
        assert "no history in it: expected the folder" in bad("history", action[0], tmp_path, *action[1:], code=2)
    assert "no such folder" in bad("history", "info", tmp_path / "nowhere", code=2)
    assert list(tmp_path.iterdir()) == []


def test_compact_moves_closed_days(history: Path) -> None:
    pytest.importorskip("duckdb", reason="duckdb reads compacted days")
    done = good("history", "compact", history)
    assert b"nothing to compact" in done.stderr
    store = SqliteStore(history)
    store.open()
    for made in RandomBatches(3, 30, steps_s=(1, 30_000)).batches:
        store.write(made)
    store.close()
    done = good("history", "compact", history)
    assert b"2025-09-24: " in done.stderr
    assert (history / "parquet" / "trades" / "day=2025-09-24" / "rows.parquet").is_file()
    flip(history / "parquet" / "trades" / "day=2025-09-24" / "rows.parquet", 40)
    with closing(sqlite3.connect(history / "history.sqlite")) as connection:
        # They are not made of this log.
        connection.execute("UPDATE position SET ordinal = 0, end_ordinal = 0")
        connection.execute("DELETE FROM session_starts")
        connection.commit()
    assert "day=2025-09-24" in bad("history", "verify", history)


def test_an_export_is_what_convert_makes_of_the_source(history: Path, source: Path, tmp_path: Path) -> None:
    for schema, ending in (("mbo", "csv"), ("mbp-1", "csv"), ("ohlcv-1s", "parquet")):
        exported, converted = tmp_path / f"exported.{ending}", tmp_path / f"converted.{ending}"
        good("history", "export", history, "--schema", schema, "-o", exported)
        good("convert", source, "--schema", schema, "-o", converted)
        assert exported.read_bytes() == converted.read_bytes()
    good("history", "export", history, "-o", tmp_path / "exported.dbn.zst")
    market, expected = Market(), Market()
    market.feed_file(tmp_path / "exported.dbn.zst")
    expected.feed_file(source)
    assert market.state_hash() == expected.state_hash()


def test_stretches_that_follow_each_other_make_the_whole(history: Path, tmp_path: Path) -> None:
    times = Log(history).segments()
    middle = times[len(times) // 2]["ts_event_min"] + 1
    bounds = {"whole": ("--start", "2001-01-01"), "first": ("--end", middle), "second": ("--start", middle)}
    lines = {}
    for name, options in bounds.items():
        path = tmp_path / f"{name}.csv"
        good("history", "export", history, "--schema", "mbp-1", "--instrument", "SYN1", *options, "-o", path)
        lines[name] = path.read_text().splitlines()
    assert lines["first"] + lines["second"][1:] == lines["whole"]
    assert min(len(lines["first"]), len(lines["second"])) > 10


def test_an_export_of_nobody_makes_no_file(history: Path, tmp_path: Path) -> None:
    path = tmp_path / "nobody.csv"
    line = bad("history", "export", history, "--instrument", "NOBODY", "-o", path, code=2)
    assert "no instrument goes by 'NOBODY'" in line
    assert "no format" in bad("history", "export", history, "-o", tmp_path / "nobody", code=2)
    line = bad("history", "export", history, "--start", "20", "--end", "10", "-o", path, code=2)
    assert "--start 1970-01-01T00:00:00.000000020Z (20 ns) is after --end 1970-01-01T00:00:00.000000010Z" in line
    assert not path.exists()


def test_books_of_a_recorded_folder_are_those_of_the_source(history: Path, source: Path) -> None:
    def books(path: Path, *options: object) -> list[dict]:
        found = json.loads(good("reconstruct", path, "--level", "3", *options).stdout)
        made = found if isinstance(found, list) else [found]
        # A server's epochs are its own.
        return [{name: value for name, value in book.items() if name != "epoch"} for book in made]

    segments = Log(history).segments()
    middle = (segments[3]["ts_event_min"] + segments[3]["ts_event_max"]) // 2
    for options in ((), ("--at", middle), ("--at", middle, "--instrument", "SYN1", "--depth", 3)):
        assert books(history, *options) == books(source, *options)
    line = bad("reconstruct", history, "--instrument", "NOBODY", "--at", middle, code=2)
    assert "expected 1:" in line
    assert "the history begins at" in bad("reconstruct", history, "--at", "2001-01-01")
