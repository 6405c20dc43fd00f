"""Every kind of bad input, through the real command: one line, the right exit code, the good records kept."""

import json
import os
import socket
from pathlib import Path

import pytest
import zstandard

from dbn_bytes import RECORD_BYTES, UNDEF_PRICE, UNIT, metadata, record
from running import error_line, run

EXIT_ANSWER_IS_NO = 1
EXIT_MISUSE = 2
GOOD_RECORDS = 3
SCHEMA_MBP_10 = 2

HEAD = metadata(symbols={"AB": 7})
GOOD = [record("A", "B", (100 - i) * UNIT, size=i + 1, order_id=i, instrument_id=7) for i in range(GOOD_RECORDS)]
GOOD_BIDS = [["100.00", 1, 1], ["99.00", 2, 1], ["98.00", 3, 1]]
WHOLE = HEAD + b"".join(GOOD)


def frames(*parts: bytes) -> bytes:
    """Each part as a zstd frame of its own."""
    return b"".join(zstandard.ZstdCompressor().compress(part) for part in parts)


NOTHING_GOOD = {
    "empty": (b"", "byte 0", "expected"),
    "text": (b"ts_recv,ts_event,rtype\n1,2,3\n", "byte 0", "expected"),
    "one byte": (b"D", "byte 1", ""),
    "truncated header": (HEAD[:50], "byte 50", f"{len(HEAD)} bytes"),
    "truncated prelude": (HEAD[:5], "byte 5", ""),
    "dbz": (b"\x51\x2a\x4d\x18\x40\x00\x00\x00DBZ\x01" + bytes(60), "byte 0", "DBZ"),
    "another schema": (metadata(schema=SCHEMA_MBP_10), "byte 0", "expected mbo"),
    "a symbol that is no text": (
        HEAD.replace(b"AB\0", b"A\xff\0"),
        "byte 0",
        "utf-8 sequence of 1 bytes from index 1 while",
    ),
    "a schema that is none": (metadata(schema=99), "byte 0", "invalid metadata: [99, 0], expected a Schema"),
    "a version of the future": (b"DBN\x09" + HEAD[4:], "byte 3", "expected 1, 2 or 3"),
    "truncated zstd, no record whole": (frames(WHOLE)[:20], "byte 20", "zstd"),
    "damaged zstd": (b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "zstd", ""),
    "empty zstd frame": (frames(b""), "byte 0", "expected"),
}

AFTER_GOOD_RECORDS = {
    "truncated record": (WHOLE + GOOD[0][:30], f"byte {len(WHOLE) + 30}", "record 3"),
    "truncated zstd": (frames(WHOLE, GOOD[0])[:-5], "zstd", ""),
    "record of no length": (WHOLE + bytes(RECORD_BYTES), f"byte {len(WHOLE)}", "record 3"),
    "text behind the records": (WHOLE + b"ts_recv,ts_event\n" * 4, f"byte {len(WHOLE)}", "record 3"),
    "mbo record of a wrong length": (
        WHOLE + b"\x0f" + GOOD[0][1:] + bytes(4),
        f"byte {len(WHOLE)}",
        "expected 56",
    ),
    "bad action": (
        WHOLE + record("x", "B", UNIT, instrument_id=7),
        f"byte {len(WHOLE)}",
        "expected one of A C M R T F N",
    ),
    "bad side": (
        WHOLE + record("A", "N", UNIT, size=1, instrument_id=7),
        f"byte {len(WHOLE)}",
        "expected B or A",
    ),
    "bad price": (
        WHOLE + record("A", "B", UNDEF_PRICE, size=1, instrument_id=7),
        f"byte {len(WHOLE)}",
        "expected a price",
    ),
}


@pytest.mark.parametrize(("content", "where", "what"), NOTHING_GOOD.values(), ids=NOTHING_GOOD)
def test_nothing_good_gives_one_line_and_no_book(tmp_path: Path, content: bytes, where: str, what: str) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(content)
    done = run("reconstruct", path)
    line = error_line(done)
    assert line.startswith(f"l3book: {path}: "), line
    assert where in line
    assert what in line
    assert done.stderr.decode() == line + "\n"
    assert (done.returncode, done.stdout) == (EXIT_ANSWER_IS_NO, b"")


@pytest.mark.parametrize(("content", "where", "what"), AFTER_GOOD_RECORDS.values(), ids=AFTER_GOOD_RECORDS)
def test_the_books_of_the_good_records_survive(tmp_path: Path, content: bytes, where: str, what: str) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(content)
    done = run("reconstruct", path)
    line = error_line(done)
    assert line.startswith(f"l3book: {path}: "), line
    assert where in line
    assert what in line
    assert done.returncode == EXIT_ANSWER_IS_NO
    assert json.loads(done.stdout)["bids"] == GOOD_BIDS


def test_rejected_records_are_counted_and_the_first_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.dbn"
    bad = record("A", "N", UNIT, size=1, order_id=77, instrument_id=7)
    path.write_bytes(WHOLE + bad * 40 + record("A", "B", 97 * UNIT, size=4, order_id=9, instrument_id=7))
    done = run("reconstruct", path)
    assert f"40 records rejected, the first: record 3 at byte {len(WHOLE)}: " in error_line(done)
    assert done.returncode == EXIT_ANSWER_IS_NO
    assert json.loads(done.stdout)["bids"] == [*GOOD_BIDS, ["97.00", 4, 1]]


def test_a_failed_output_still_leaves_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(WHOLE + b"x")
    output = tmp_path / "book.json"
    done = run("reconstruct", path, "-o", output)
    assert done.returncode == EXIT_ANSWER_IS_NO
    error_line(done)
    assert json.loads(output.read_bytes())["bids"] == GOOD_BIDS


@pytest.mark.parametrize("name", ["none.dbn", "line\nbreak.dbn", "tab\there.dbn"])
def test_a_missing_file_is_misuse(tmp_path: Path, name: str) -> None:
    done = run("reconstruct", tmp_path / name)
    assert "no such file" in error_line(done)
    assert done.returncode == EXIT_MISUSE


def test_a_directory_without_a_history_is_misuse(tmp_path: Path) -> None:
    done = run("reconstruct", tmp_path)
    expected = "expected the folder of `l3book serve --history`, with log/ in it"
    assert error_line(done) == f"l3book: {tmp_path}: no history in it: {expected}"
    assert done.returncode == EXIT_MISUSE


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="file permissions do not bind this user")
def test_an_unreadable_file_is_misuse(tmp_path: Path) -> None:
    path = tmp_path / "secret.dbn"
    path.write_bytes(WHOLE)
    path.chmod(0)
    done = run("reconstruct", path)
    assert "permission denied" in error_line(done)
    assert done.returncode == EXIT_MISUSE


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    assert f"127.0.0.1:{port}: the port is in use" in error_line(done)
    assert done.returncode == EXIT_MISUSE


def test_an_address_others_can_reach_needs_to_be_asked_for() -> None:
    done = run("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104
    line = error_line(done)
    assert "0.0.0.0:0: not a loopback address" in line
    assert "L3BOOK_ALLOW_UNAUTHENTICATED=1" in line
    assert done.returncode == EXIT_MISUSE


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", EXIT_ANSWER_IS_NO), (b"text, not DBN at all", EXIT_ANSWER_IS_NO)],
    ids=["empty", "text"],
)
def test_serving_a_file_that_is_no_dbn(tmp_path: Path, content: bytes, code: int) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(content)
    done = run("serve", "--port", "0", "--source", f"file:{path}")
    line = error_line(done)
    assert "bad.dbn" in line
    assert "byte 0" in line
    assert done.returncode == code


@pytest.mark.parametrize("folder", ["databento-tests"])
def test_databentos_own_files_of_other_schemas_are_told_apart(test_data: Path, folder: str) -> None:
    paths = sorted((test_data / folder).glob("*"))
    others = [path for path in paths if ".mbo." not in path.name]
    assert others, f"no files of other schemas in {folder}"
    for path in others:
        done = run("reconstruct", path)
        assert done.returncode == EXIT_ANSWER_IS_NO, path.name
        assert str(path) in error_line(done)
        assert done.stdout == b"", path.name


@pytest.mark.parametrize("suffix", [".dbn", ".dbn.zst"])
def test_databentos_own_mbo_files_are_read(test_data: Path, suffix: str) -> None:
    paths = [path for path in (test_data / "databento-tests").glob(f"*.mbo*{suffix}") if path.name.endswith(suffix)]
    assert paths
    for path in paths:
        done = run("reconstruct", path)
        assert done.returncode == 0, done.stderr.decode()
        json.loads(done.stdout)


def test_a_cut_at_any_byte_neither_hangs_nor_lies(tmp_path: Path) -> None:
    """Every shorter file is refused, except where the cut falls between two records."""
    from l3book import DecodeError, Market

    path = tmp_path / "cut.dbn"
    boundaries = {len(HEAD) + RECORD_BYTES * n for n in range(GOOD_RECORDS + 1)}
    for cut in range(len(WHOLE) + 1):
        path.write_bytes(WHOLE[:cut])
        if cut in boundaries:
            assert Market().feed_file(path) == (cut - len(HEAD)) // RECORD_BYTES
        else:
            with pytest.raises(DecodeError):
                Market().feed_file(path)
