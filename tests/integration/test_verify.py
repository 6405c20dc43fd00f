"""`l3book verify` and `l3book.verify` on streams with known answers, damaged files and recorded markets."""

from __future__ import annotations

import json
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import xxhash
import zstandard

import l3book
from dbn_bytes import LAST, MAYBE_BAD_BOOK, SNAPSHOT, T0, UNIT, Mbo, metadata, other_record, parse, stream
from l3book._core import Deriver, Simulator
from oracle import OracleBook, OracleMarket
from running import error_line, run
from state_bytes import state_hash

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
STATES = ["empty", "snapshot", "live", "suspect"]
HEADER = metadata(symbols={"AB": 1})


def bid(order_id: int, price: int, size: int = 5, **fields: int) -> Mbo:
    return Mbo("A", "B", price * UNIT, size, order_id, **fields)


def ask(order_id: int, price: int, size: int = 5, **fields: int) -> Mbo:
    return Mbo("A", "A", price * UNIT, size, order_id, **fields)


def cancel(order_id: int, size: int = 5, **fields: int) -> Mbo:
    return Mbo("C", "N", 0, size, order_id, **fields)


def at(ms: int, record: Mbo) -> Mbo:
    return record._replace(ts_event=T0 + ms * MS - 7, ts_recv=T0 + ms * MS, sequence=ms)


def file_of(folder: Path, *records: Mbo, header: bytes = HEADER, name: str = "day.dbn") -> Path:
    path = folder / name
    path.write_bytes(header + stream(records))
    return path


def report_of(path: Path, **options: Any) -> dict[str, Any]:
    return l3book.verify(path, **options).to_dict()


def simulated(path: Path, records: int = 5_000, instruments: int = 3) -> Path:
    simulator = Simulator(seed=4, instruments=instruments, crossed=True, resting_max=100)
    path.write_bytes(simulator.header() + simulator.read(records))
    return path


def test_crossed_locked_and_suspect_periods_have_their_times(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        at(0, bid(1, 100)),
        at(10, ask(2, 99)),  # crossed for 20 ms
        at(20, bid(3, 90)),
        at(30, cancel(2)),
        at(40, ask(4, 100)),  # locked for 5 ms
        at(45, cancel(4)),
        at(50, ask(5, 98, flags=0)),  # crossed inside an event only: never seen
        at(51, cancel(5)),
        at(60, bid(6, 80, flags=LAST | MAYBE_BAD_BOOK)),  # suspect until the Clear
        at(100, Mbo("R", flags=LAST)),
        at(110, bid(7, 100)),
        at(120, ask(8, 99)),  # crossed to the end
        at(125, bid(9, 90)),
    )
    report = report_of(path)
    assert report["verdict"] == "good"
    assert report["crossed"] == {
        "count": 2,
        "total_ns": 25 * MS,
        "longest": {"from": str(T0 + 10 * MS), "to": str(T0 + 30 * MS)},
        "open": 1,
    }
    assert (report["locked"]["count"], report["locked"]["total_ns"], report["locked"]["open"]) == (1, 5 * MS, 0)
    assert report["suspect"]["longest"] == {"from": str(T0 + 60 * MS), "to": str(T0 + 100 * MS)}
    assert report["books"][0]["crossed"] == report["crossed"]
    assert report["oddities"]["maybe_bad_book"] == {"count": 1, "first": 8}


def fill(order_id: int, size: int, price: int = 100, **fields: int) -> Mbo:
    return Mbo("F", "A", price * UNIT, size, order_id, flags=0, **fields)


QUEUE = [ask(1, 100), ask(2, 100), ask(3, 100), ask(4, 101)]


@pytest.mark.parametrize(
    ("fills", "judged", "in_order", "unjudged"),
    [
        ([fill(1, 5)], 1, 1, 0),
        ([fill(1, 2)], 1, 1, 0),
        ([fill(1, 5), fill(2, 5), fill(3, 1)], 1, 1, 0),
        ([fill(2, 1), fill(1, 5)], 1, 1, 0),
        ([fill(1, 2), fill(1, 3), fill(2, 1)], 1, 1, 0),
        ([fill(2, 5)], 1, 0, 0),
        ([fill(1, 4), fill(2, 1)], 1, 0, 0),
        ([fill(1, 5), fill(3, 5)], 1, 0, 0),
        ([fill(1, 5), fill(2, 5), fill(3, 5), fill(4, 5, price=101)], 2, 2, 0),
        ([fill(9, 5)], 0, 0, 1),
        ([fill(1, 5), fill(9, 5)], 0, 0, 1),
        ([fill(4, 5)], 0, 0, 1),
        ([fill(1, 5)._replace(side="N")], 0, 0, 1),
        ([fill(9, 5), fill(4, 2, price=101)], 1, 1, 1),
    ],
)
def test_fills_are_judged_against_the_queue_before_their_event(
    tmp_path: Path, fills: list[Mbo], judged: int, in_order: int, unjudged: int
) -> None:
    # The Cancels come before the Fills' event is complete: the queue before the event counts.
    event = [Mbo("T", "B", 100 * UNIT, 5, flags=0), *fills]
    event += [Mbo("C", "A", f.price, f.size, f.order_id, flags=0) for f in fills]
    event[-1] = event[-1]._replace(flags=LAST)
    report = report_of(file_of(tmp_path, *QUEUE, *event))
    assert report["fifo"] == {"judged": judged, "in_order": in_order, "unjudged": unjudged}
    assert report["fifo_rate"] == (in_order / judged if judged else None)


def test_an_event_that_ends_on_a_fill_is_judged_too(tmp_path: Path) -> None:
    report = report_of(file_of(tmp_path, *QUEUE, fill(2, 5)._replace(flags=LAST)))
    assert report["fifo"] == {"judged": 1, "in_order": 0, "unjudged": 0}


def test_odd_times_and_sequences_are_counted_where_they_can_be_seen(tmp_path: Path) -> None:
    told = [
        at(10, bid(1, 100)),
        at(5, bid(2, 100)),  # everything backwards
        at(20, bid(3, 100))._replace(channel_id=1, sequence=3),  # another channel counts on its own
        at(30, bid(4, 100))._replace(sequence=5),  # the same sequence: the same packet
        at(40, bid(5, 100))._replace(ts_event=T0 + 50 * MS),  # happens after its capture
        at(60, bid(6, 100))._replace(ts_event=2**64 - 1, sequence=70),
        at(61, bid(7, 100))._replace(flags=LAST | SNAPSHOT, ts_event=T0 - 10**15, sequence=1),
        at(70, bid(8, 100, instrument_id=2)),
        at(99, bid(9, 100, instrument_id=2)),  # after the stated end
    ]
    header = metadata(start=T0, end=T0 + 90 * MS)
    odd = report_of(file_of(tmp_path, *told, header=header))["oddities"]
    assert odd == {
        "sequence_backwards": {"count": 1, "first": 1},
        "ts_recv_backwards": {"count": 1, "first": 1},
        "ts_event_backwards": {"count": 1, "first": 1},
        "ts_recv_before_ts_event": {"count": 1, "first": 4},
        "without_time": {"count": 1, "first": 5},
        "outside_stated_time": {"count": 1, "first": 8},
        "maybe_bad_book": {"count": 0, "first": None},
    }


def rows_of(records: list[Mbo]) -> bytes:
    """The bytes behind the running hash, from the oracle."""
    market, content = OracleMarket(), b""
    for record in records:
        if not market.apply(record):
            continue
        book = market.books[record.key]
        assert book.newest
        state = STATES.index("suspect" if book.suspect else "live")
        content += struct.pack("<HIQQQI", *record.key, book.counted["events"], *book.newest[6:8], record.sequence)
        sides = [book.levels("B")[:10], book.levels("A")[:10]]
        content += struct.pack("<BBB", state, len(sides[0]), len(sides[1]))
        content += b"".join(struct.pack("<qQI", *level) for side in sides for level in side)
    return content


def test_both_hashes_can_be_recomputed(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn", 3_000)
    records = parse(path.read_bytes())
    found = l3book.verify(path, hash_every=500)
    assert found.state_hash == state_hash(OracleMarket().feed(records))
    assert found.running_hash == xxhash.xxh3_128_hexdigest(rows_of(records))
    points = found.to_dict()["hashes"]["points"]
    assert [point["event"] for point in points] == [500 * (n + 1) for n in range(len(points))]
    for point in points[::2]:
        upto = records[: point["record"] + 1]
        assert point["state"] == state_hash(OracleMarket().feed(upto))
        assert point["running"] == xxhash.xxh3_128_hexdigest(rows_of(upto))
    market = l3book.Market()
    market.feed_file(path)
    assert market.state_hash() == found.state_hash


def test_compression_changes_nothing_but_the_time(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    packed = tmp_path / "day.dbn.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    raw, zst = report_of(path), report_of(packed)
    for name in ("took_s", "records_per_s", "file"):
        del raw[name], zst[name]
    assert raw == zst


def test_one_instrument_of_several(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    every = report_of(path)
    for name in ("SYN1", every["books"][1]["instrument_id"], (1, every["books"][1]["instrument_id"])):
        one = report_of(path, instrument=name)
        assert [book["state_hash"] for book in one["books"]] == [every["books"][1]["state_hash"]]
        assert one["skipped"] + one["counters"]["records"] == every["counters"]["records"]
    nobody = run("verify", path, "--instrument", "NOBODY")
    assert nobody.returncode == 2
    assert "no book of instrument NOBODY; 3 books are known" in error_line(nobody)


def test_a_cut_file_is_verified_up_to_the_cut(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    done = run("verify", path)
    assert done.returncode == 1
    assert "ends inside record" in error_line(done)
    text = done.stdout.decode()
    assert text.startswith("day.dbn: DAMAGED\n")
    assert "ends inside record" in text
    report = report_of(path)
    assert report["verdict"] == "damaged"
    assert report["counters"]["records"] == len(parse(content)) - 1
    whole = tmp_path / "whole.dbn"
    whole.write_bytes(content[:-56])
    assert report["hashes"] == report_of(whole)["hashes"]


def test_rejected_records_are_no_good_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, bid(1, 100), Mbo("A", "N", 5, 5, 2), bid(3, 99))
    done = run("verify", path)
    assert done.returncode == 1
    assert "1 records rejected, the first: record 1 at byte" in error_line(done)
    assert report_of(path)["first_rejected"].endswith("side 'N' on action A, expected B or A")


def test_a_file_without_mbo_records(tmp_path: Path) -> None:
    path = tmp_path / "trades.dbn"
    path.write_bytes(metadata(schema=0xFFFF) + other_record())
    done = run("verify", path)
    assert done.returncode == 1
    assert "expected schema mbo" in error_line(done)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["missing.dbn"], "no such file"),
        (["."], "directory"),
        (["day.dbn", "--against", "missing.csv"], "no such file"),
        (["day.dbn", "--against", "day.dbn"], "schema mbo, expected mbp-10"),
        (["day.dbn", "--against", "notes.txt"], "expected DBN or CSV of schema mbp-10"),
        (["day.dbn", "--check-every", "0"], "expected a whole number above 0"),
        (["day.dbn", "--hash-every", "x"], "expected a whole number above 0"),
    ],
)
def test_misuse_is_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    simulated(tmp_path / "day.dbn", 100)
    (tmp_path / "notes.txt").write_text("buy, sell\n")
    done = run("verify", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert line in error_line(done)
    assert done.stdout == b""


def test_the_text_and_the_json_say_the_same(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    text, data = run("verify", path), run("verify", path, "--json", "--hash-every", "1000")
    assert (text.returncode, data.returncode, text.stderr, data.stderr) == (0, 0, b"", b"")
    report = json.loads(data.stdout)
    assert report["hashes"]["state"] in text.stdout.decode()
    assert report["hashes"]["running"] in text.stdout.decode()
    assert (
        f"{report['counters']['records']:,} in {report['counters']['events']:,} events of 3 books"
        in text.stdout.decode()
    )
    assert all(len(line) <= 120 for line in text.stdout.decode().splitlines())
    assert repr(l3book.verify(path)).splitlines()[0] == "day.dbn: good"


def test_progress_is_told(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    seen: list[tuple[int, int]] = []
    l3book.verify(path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    with pytest.raises(ZeroDivisionError):
        l3book.verify(path, progress=lambda _done, _total: 1 // 0)


def test_arguments_are_checked(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn", 100)
    with pytest.raises(ValueError, match="check_every 0"):
        l3book.verify(path, check_every=0)
    with pytest.raises(ValueError, match="keeps_place"):
        l3book.verify(path, same_size_modify="sideways")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        l3book.verify(tmp_path / "missing.dbn")


KEYS = {
    "": "format file verdict difference damage first_rejected skipped books_skipped counters other_records "
    "metadata_headers span "
    "oddities crossed locked suspect fifo fifo_rate oracle invariant_checks against hashes books took_s records_per_s",
    "span": "first_ts_recv last_ts_recv first_ts_event last_ts_event",
    "crossed": "count total_ns longest open",
    "fifo": "judged in_order unjudged",
    "oracle": "events levels whole",
    "hashes": "state running points",
    "books": "publisher_id instrument_id symbol state events orders crossed locked suspect fifo state_hash",
}


def test_the_json_has_the_documented_keys(tmp_path: Path) -> None:
    report = report_of(simulated(tmp_path / "day.dbn"))
    assert report["format"] == "l3book.verify.1"
    for name, keys in KEYS.items():
        part = report[name] if name else report
        assert list(part[0] if isinstance(part, list) else part) == keys.split(), name


# MBP-10 as DBN.


def mbp10_of(path: Path, target: Path) -> bytes:
    """Rows derived from a file, written as a file; -> the rows alone."""
    deriver = Deriver("mbp-10")
    rows = deriver.feed(path.read_bytes()) + deriver.flush()
    header = deriver.header()
    assert header is not None
    content = header + rows
    target.write_bytes(zstandard.ZstdCompressor().compress(content) if target.suffix == ".zst" else content)
    return rows


MBP10_ROW_BYTES = 368


@pytest.mark.parametrize("name", ["rows.dbn", "rows.dbn.zst"])
def test_dbn_rows_of_several_books(tmp_path: Path, name: str) -> None:
    path, rows = simulated(tmp_path / "day.dbn"), tmp_path / name
    count = len(mbp10_of(path, rows)) // MBP10_ROW_BYTES
    report = report_of(path, against=rows)
    assert report["verdict"] == "good"
    against = {key: value for key, value in report["against"].items() if value}
    assert against == {"file": str(rows), "rows": count}
    one = report_of(path, against=rows, instrument="SYN1")
    assert one["verdict"] == "good"
    assert 0 < one["against"]["rows"] < count
    assert one["against"]["theirs_after"] == 0


def test_a_missing_row_is_a_difference(tmp_path: Path) -> None:
    path, rows = simulated(tmp_path / "day.dbn", instruments=1), tmp_path / "rows.dbn"
    mbp10_of(path, rows)
    content = rows.read_bytes()
    header = len(content) - len(content) // MBP10_ROW_BYTES * MBP10_ROW_BYTES
    cut = header + 100 * MBP10_ROW_BYTES
    rows.write_bytes(content[:cut] + content[cut + MBP10_ROW_BYTES :])
    report = report_of(path, against=rows)
    assert report["verdict"] == "different"
    assert report["difference"]["judge"] == "mbp10"
    assert report["against"]["rows"] >= 98


def test_rows_that_nobody_made_are_a_difference(tmp_path: Path) -> None:
    path = simulated(tmp_path / "day.dbn")
    rows = tmp_path / "rows.dbn"
    made = mbp10_of(path, rows)
    row_bytes = made[0] * 4
    last = made[-row_bytes:]
    rows.write_bytes(rows.read_bytes() + last)
    report = report_of(path, against=rows)
    assert report["verdict"] == "different"
    assert report["difference"]["got"] == "no row"
    assert f"row {len(made) // row_bytes} " in report["difference"]["what"]


def test_rows_of_ours_from_after_the_end_are_passed_over(tmp_path: Path) -> None:
    path = file_of(tmp_path, *[at(i, bid(i + 1, 100 - i)) for i in range(5)])
    rows = tmp_path / "rows.dbn"
    made = mbp10_of(path, rows)
    row_bytes = made[0] * 4
    rows.write_bytes(rows.read_bytes()[: -2 * row_bytes])
    report = report_of(path, against=rows)
    assert (report["verdict"], report["against"]["ours_after"]) == ("good", 2)


@pytest.mark.parametrize("cut_bytes", [1, 200, 367])
def test_a_cut_mbp10_file_is_damaged(tmp_path: Path, cut_bytes: int) -> None:
    path = simulated(tmp_path / "day.dbn")
    rows = tmp_path / "rows.dbn"
    mbp10_of(path, rows)
    rows.write_bytes(rows.read_bytes()[:-cut_bytes])
    report = report_of(path, against=rows)
    assert report["verdict"] == "damaged"
    assert "bytes into it" in report["against"]["fault"]


def test_rows_of_another_day_do_not_overlap(tmp_path: Path) -> None:
    path, rows = file_of(tmp_path, at(10, bid(1, 100)), at(20, bid(2, 101))), tmp_path / "rows.dbn"
    mbp10_of(path, rows)
    later = file_of(tmp_path, at(1_000, bid(1, 100)), name="later.dbn")
    done = run("verify", later, "--against", rows)
    assert done.returncode == 1
    assert "no row falls into the time of the MBO records" in error_line(done)


# Recorded markets.


def test_clx5_fills_take_the_front_of_our_queues(clx5: Path) -> None:
    report = report_of(clx5)
    assert report["verdict"] == "good"
    assert report["fifo"] == {"judged": 1_446, "in_order": 1_426, "unjudged": 174}
    assert f"{100 * report['fifo_rate']:.2f}" == "98.62"
    assert report["oracle"]["events"] == report["counters"]["events"] == 32_053
    assert (report["counters"]["unknown_cancels"], report["counters"]["unknown_modifies"]) == (1_224, 216)
    assert (report["crossed"]["count"], report["crossed"]["open"]) == (1, 1)
    assert report_of(clx5, same_size_modify="to_back")["fifo"] == report["fifo"]


class OtherRules(OracleBook):
    """The oracle with another rule for a Modify at the same price: what grows or shrinks, and where it goes."""

    growing_to_back, shrinking_to_back = True, False

    def modify(self, record: Mbo) -> None:
        order = self.resting.get(record.order_id)
        is_here = order is not None and (order.side, order.price) == (record.side, record.price)
        if order is None or not is_here or record.size in (0, order.size):
            super().modify(record)
        elif self.growing_to_back if record.size > order.size else self.shrinking_to_back:
            del self.resting[record.order_id]
            self.join_back(record)
        else:
            self.resting[record.order_id] = order._replace(size=record.size)


def groups_in_order(book: OracleBook, event: list[Mbo]) -> list[bool]:
    """Of the Fills of an event, by side and price: did they take the front of the queue? A second implementation."""
    groups: dict[tuple[str, int], Counter[int]] = {}
    for record in event:
        if record.action == "F":
            groups.setdefault((record.side, record.price), Counter())[record.order_id] += record.size
    found = []
    for (side, price), filled in groups.items():
        queue = book.queue(side, price)
        if filled.keys() <= {order.order_id for order in queue}:
            front = queue[: len(filled)]
            whole = all(filled[order.order_id] >= order.size for order in front[:-1])
            found.append(whole and {order.order_id for order in front} == filled.keys())
    return found


@pytest.mark.parametrize(
    ("growing_to_back", "shrinking_to_back", "in_order", "percent"),
    [(True, False, 1_426, "98.62"), (False, False, 1_412, "97.65"), (True, True, 1_234, "85.34")],
    ids=["ours", "growing keeps its place", "shrinking goes to the back too"],
)
def test_our_rule_explains_most_fills_of_clx5(
    clx5: Path, growing_to_back: bool, shrinking_to_back: bool, in_order: int, percent: str
) -> None:
    book = OtherRules()
    book.growing_to_back, book.shrinking_to_back = growing_to_back, shrinking_to_back
    judged: list[bool] = []
    event: list[Mbo] = []
    for record in parse(clx5.read_bytes()):
        event.append(record)
        if record.flags & LAST:
            judged += groups_in_order(book, event)
            event.clear()
        book.apply(record)
    assert (len(judged), sum(judged)) == (1_446, in_order)
    assert f"{100 * sum(judged) / len(judged):.2f}" == percent


def test_the_other_recordings_are_good(test_data: Path) -> None:
    for name in ("es/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst", "arl/ARL_mbo_head.dbn"):
        report = report_of(test_data / name, check_every=100)
        assert report["verdict"] == "good"
        assert report["oracle"]["events"] == report["counters"]["events"]
        if name.startswith("es"):
            assert report["fifo"] == {"judged": 5, "in_order": 4, "unjudged": 0}


def against_arl(test_data: Path, rows: Path) -> dict[str, Any]:
    return report_of(test_data / "arl" / "ARL_mbo_head.dbn", against=rows)


def test_arl_is_the_official_mbp10_in_every_row(test_data: Path) -> None:
    report = against_arl(test_data, test_data / "arl" / "ARL_mbp10_head.csv")
    assert report["verdict"] == "good"
    against = report["against"]
    assert (against["rows"], against["theirs_after"], against["ours_before"]) == (1_370, 0, 0)
    assert (against["rows_without_ts_recv"], against["rows_beyond"], against["rows_merged"]) == (1_370, 76, 1)


def test_one_wrong_value_is_found(test_data: Path, tmp_path: Path) -> None:
    lines = (test_data / "arl" / "ARL_mbp10_head.csv").read_text().splitlines()
    names = lines[0].split(",")
    cells = lines[701].split(",")
    column = names.index("bid_sz_03")
    right = cells[column]
    cells[column] = str(int(right) + 1)
    lines[701] = ",".join(cells)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("\n".join(lines) + "\n")
    difference = against_arl(test_data, wrong)["difference"]
    assert (difference["judge"], difference["what"]) == ("mbp10", "bid_sz_03 in row 700 of the MBP-10")
    assert (difference["expected"], difference["got"]) == (cells[column], right)
    done = run("verify", test_data / "arl" / "ARL_mbo_head.dbn", "--against", wrong)
    assert done.returncode == 1
    assert f"expected {cells[column]}, got {right}" in error_line(done)


def test_heads_of_different_length_are_compared_where_they_overlap(test_data: Path, tmp_path: Path) -> None:
    lines = (test_data / "arl" / "ARL_mbp10_head.csv").read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:101]) + "\n")
    report = against_arl(test_data, short)
    assert report["verdict"] == "good"
    assert report["against"]["rows"] == 100
    assert report["against"]["ours_after"] > 1_100
    late = tmp_path / "late.csv"
    late.write_text("\n".join([lines[0], *lines[401:]]) + "\n")
    report = against_arl(test_data, late)
    assert report["verdict"] == "good"
    assert report["against"]["rows"] == 970
    assert report["against"]["ours_before"] > 300


def test_a_damaged_mbp10_file_is_said(test_data: Path, tmp_path: Path) -> None:
    lines = (test_data / "arl" / "ARL_mbp10_head.csv").read_text().splitlines()
    lines[50] = lines[50].replace("ARL", "ARL,1,2,3")
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(lines) + "\n")
    report = against_arl(test_data, broken)
    assert report["verdict"] == "damaged"
    assert report["against"]["rows"] == 49
    assert "row 49" in report["against"]["fault"]
