"""`l3book reconstruct` on files made by hand and on the recording whose final book is known."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dbn_bytes import LAST, T0, UNIT, metadata, record
from running import error_line, run

CLX5_BIDS = (
    "65.40x1(1) 64.90x10(1) 64.79x1(1) 64.76x1(1) 64.75x9(1) 64.71x5(3) 64.70x8(3) 64.62x7(2) 64.61x10(1) 64.60x1(1)"
)
CLX5_ASKS = (
    "64.78x3(1) 64.79x5(3) 64.80x7(2) 64.81x1(1) 64.82x20(3) 64.83x3(2) 64.84x5(3) 64.85x3(2) 64.86x3(1) 64.87x4(2)"
)

MID_EVENT = 0


def book_of(path: Path, *arguments: object) -> Any:
    done = run("reconstruct", path, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert b"l3book: " not in done.stderr
    return json.loads(done.stdout)


def as_text(levels: list[list[Any]]) -> str:
    return " ".join(f"{price}x{size}({count})" for price, size, count in levels)


@pytest.fixture
def two_books(tmp_path: Path) -> Path:
    """AB (1:7) with three events a microsecond apart, and CD (2:8) with one."""
    path = tmp_path / "two.dbn"
    path.write_bytes(
        metadata(symbols={"AB": 7, "CD": 8})
        + record("A", "B", 100 * UNIT, size=5, order_id=1, instrument_id=7, ts_event=T0)
        + record("A", "B", 100 * UNIT, size=6, order_id=2, instrument_id=7, ts_event=T0 + 1000)
        + record("A", "A", 101 * UNIT, size=7, order_id=3, instrument_id=8, publisher_id=2, ts_event=T0 + 1500)
        + record("A", "B", 99 * UNIT, size=8, order_id=4, instrument_id=7, ts_event=T0 + 2000)
    )
    return path


def test_clx5_ends_in_the_known_book(clx5: Path) -> None:
    done = run("reconstruct", clx5)
    assert done.returncode == 0
    book = json.loads(done.stdout)
    assert as_text(book["bids"][:10]) == CLX5_BIDS
    assert as_text(book["asks"][:10]) == CLX5_ASKS
    assert (len(book["bids"]), len(book["asks"]), book["orders"], book["seq"]) == (61, 52, 147, 32_053)
    assert book["crossed"] is True
    assert book["symbol"] == "CLX5"
    counters = done.stderr.decode()
    assert "38,212 records" in counters
    assert "A 14,959, C 16,252, M 2,701, T 1,599, F 2,701" in counters
    assert "unknown cancels: 1,224, unknown modifies: 216, duplicate adds: 0, rejected: 0" in counters


def test_a_compressed_copy_gives_the_same_book(clx5: Path, tmp_path: Path) -> None:
    path = tmp_path / "CLX5.dbn.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(clx5.read_bytes()))
    plain, compressed = book_of(clx5), book_of(path)
    # An epoch is made for every run, so that clients notice a restart.
    assert {**plain, "epoch": None} == {**compressed, "epoch": None}


def test_one_instrument_is_an_object_and_several_are_a_list(two_books: Path) -> None:
    books = book_of(two_books)
    assert [(book["publisher_id"], book["instrument_id"], book["symbol"]) for book in books] == [
        (1, 7, "AB"),
        (2, 8, "CD"),
    ]
    assert books[0]["bids"] == [["100.00", 11, 2], ["99.00", 8, 1]]


@pytest.mark.parametrize("name", ["7", "1:7", "AB"])
def test_an_instrument_is_chosen_by_id_key_or_symbol(two_books: Path, name: str) -> None:
    assert book_of(two_books, "--instrument", name)["instrument_id"] == 7


@pytest.mark.parametrize("name", ["9", "2:7", "ab", "", "99999999999", "1:7:1", "-1"])
def test_an_unknown_instrument_is_misuse_and_the_choices_are_named(two_books: Path, name: str) -> None:
    done = run("reconstruct", two_books, f"--instrument={name}")
    assert done.returncode == 2
    assert done.stdout == b""
    line = error_line(done)
    assert f"no book goes by {name!r}: expected 1:7 (AB) or 2:8 (CD)" in line
    assert str(two_books) in line


def test_an_ambiguous_instrument_names_only_the_books_it_can_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    keys = [(1, 7), (2, 7), (2, 8)]
    records = [record("A", "B", UNIT, size=1, order_id=1, publisher_id=p, instrument_id=i) for p, i in keys]
    path.write_bytes(metadata() + b"".join(records))
    done = run("reconstruct", path, "--instrument", "7")
    assert done.returncode == 2
    assert error_line(done).endswith("several books go by '7': expected 1:7 or 2:7")


@pytest.mark.parametrize(
    ("at", "bids"),
    [
        (str(T0 + 999), [["100.00", 5, 1]]),
        (str(T0 + 1000), [["100.00", 11, 2]]),
        (str(T0 + 1999), [["100.00", 11, 2]]),
        (str(T0 + 2000), [["100.00", 11, 2], ["99.00", 8, 1]]),
        # T0 is 19:30:00.123456789: one nanosecond decides.
        ("2025-09-24T19:30:00.123457788Z", [["100.00", 5, 1]]),
        ("2025-09-24T19:30:00.123457789Z", [["100.00", 11, 2]]),
        ("2025-09-24T21:30:00.123457789+02:00", [["100.00", 11, 2]]),
        ("2025-09-25", [["100.00", 11, 2], ["99.00", 8, 1]]),
    ],
)
def test_at_a_time_counts_the_events_of_exactly_that_time(two_books: Path, at: str, bids: list[Any]) -> None:
    assert book_of(two_books, "--instrument", "7", "--at", at)["bids"] == bids


def test_at_does_not_show_half_an_event(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(
        metadata()
        + record("A", "B", 100 * UNIT, size=5, order_id=1, instrument_id=7, ts_event=T0)
        + record("C", "B", 100 * UNIT, size=5, order_id=1, instrument_id=7, ts_event=T0 + 10, flags=MID_EVENT)
        + record("A", "B", 98 * UNIT, size=5, order_id=2, instrument_id=7, ts_event=T0 + 20, flags=LAST)
    )
    assert book_of(path, "--at", T0 + 10)["bids"] == [["100.00", 5, 1]]
    assert book_of(path, "--at", T0 + 20)["bids"] == [["98.00", 5, 1]]


def test_at_counts_nothing_of_what_came_after(tmp_path: Path) -> None:
    path = tmp_path / "snapshots.dbn"
    made = run("simulate", "-o", path, "--messages", 20_000, "--instruments", 2, "--seed", 9, "--crossed")
    assert made.returncode == 0, made.stderr.decode()
    before = run("reconstruct", path, "--at", "2020-01-01")
    counters = before.stderr.decode().splitlines()
    assert counters[0].startswith("snapshots.dbn: 0 records in ")
    assert counters[1:3] == ["  actions: none", "  books: 2, events: 0, resting orders: 0"]


def test_level_3_adds_the_queues_in_priority_order(two_books: Path) -> None:
    book = book_of(two_books, "--instrument", "7", "--level", "3", "--depth", "1")
    assert book["bids"] == [["100.00", 11, 2, [["1", 5, str(T0)], ["2", 6, str(T0 + 1000)]]]]


def test_output_goes_to_a_file_and_not_to_standard_output(two_books: Path, tmp_path: Path) -> None:
    output = tmp_path / "book.json"
    done = run("reconstruct", two_books, "-o", output)
    assert (done.returncode, done.stdout) == (0, b"")
    assert len(json.loads(output.read_bytes())) == 2
    assert sorted(tmp_path.iterdir()) == sorted([two_books, output])


def test_output_to_a_place_that_takes_no_file_is_misuse(two_books: Path, tmp_path: Path) -> None:
    done = run("reconstruct", two_books, "-o", tmp_path / "none" / "book.json")
    assert done.returncode == 2
    assert str(tmp_path / "none" / "book.json") in error_line(done)


def test_a_file_without_records_has_no_books(tmp_path: Path) -> None:
    path = tmp_path / "none.dbn"
    path.write_bytes(metadata())
    assert book_of(path) == []


def test_an_unfinished_event_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(
        metadata()
        + record("A", "B", 100 * UNIT, size=5, order_id=1, instrument_id=7)
        + record("A", "B", 99 * UNIT, size=5, order_id=2, instrument_id=7, flags=MID_EVENT)
    )
    done = run("reconstruct", path)
    assert json.loads(done.stdout)["bids"] == [["100.00", 5, 1]]
    assert "held back, of events without their last record: 1" in done.stderr.decode()


def test_a_symbol_spelled_like_a_key_hides_no_book(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    records = [record("A", "B", i * UNIT, size=1, order_id=1, instrument_id=i) for i in (7, 8)]
    path.write_bytes(metadata(symbols={"1:8": 7, "1:7": 8}) + b"".join(records))
    assert [(book["instrument_id"], book["bids"]) for book in book_of(path)] == [
        (7, [["7.00", 1, 1]]),
        (8, [["8.00", 1, 1]]),
    ]


def test_all_books_are_looked_up_by_key(two_books: Path) -> None:
    """By text, each look-up would go through all books: a file of a million would take twenty minutes."""
    from l3book import Market
    from l3book.cli.reconstruct import _books_json

    class Watched:
        def __init__(self) -> None:
            self.market = Market()
            self.market.feed_file(two_books)
            self.looked_up: list[Any] = []

        def instruments(self) -> Any:
            return self.market.instruments()

        def book_json(self, instrument: Any, **options: Any) -> bytes:
            self.looked_up.append(instrument)
            return self.market.book_json(instrument, **options)

    market: Any = Watched()
    arguments = argparse.Namespace(file=two_books, instrument=None, level=2, depth=None)
    assert len(json.loads(_books_json(market, arguments))) == 2
    assert market.looked_up == [(1, 7), (2, 8)]


def test_damage_is_told_even_when_the_instrument_is_not_there(two_books: Path) -> None:
    """It may be why."""
    content = two_books.read_bytes()
    two_books.write_bytes(content + b"cut")
    done = run("reconstruct", two_books, "--instrument", "NOSUCH")
    line = error_line(done)
    assert line.startswith(f"l3book: {two_books}: byte {len(content) + 3}: ")
    assert line.endswith("; no book goes by 'NOSUCH': expected 1:7 (AB) or 2:8 (CD)")
    assert (done.returncode, done.stdout) == (1, b"")


def test_rejected_records_are_told_even_when_the_instrument_is_not_there(two_books: Path) -> None:
    two_books.write_bytes(two_books.read_bytes() + record("x", instrument_id=9))
    done = run("reconstruct", two_books, "--instrument", "NOSUCH")
    assert "1 records rejected, the first: record 4 at byte" in error_line(done)
    assert done.returncode == 1


def test_the_input_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    run("simulate", "-o", path, "--messages", 1000)
    before = path.read_bytes()
    done = run("reconstruct", path, "-o", path)
    assert (done.returncode, path.read_bytes()) == (2, before)
    assert done.stderr.decode() == f"l3book: {path}: the input is also the output: expected another file\n"


def test_a_file_of_two_streams_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    run("simulate", "-o", path, "--messages", 1000)
    path.write_bytes(path.read_bytes() * 2)
    done = run("reconstruct", path)
    assert done.returncode == 0
    assert "streams in one file: 2" in done.stderr.decode()
