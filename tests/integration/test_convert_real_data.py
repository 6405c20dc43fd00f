"""Derived rows of recorded markets against rows that others published; see docs/convert.md for what differs and why.

The recordings belong to their owners and are not part of the project: `L3BOOK_TEST_DATA` names the folder
that holds them, and without it these tests are skipped.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import databento
import numpy as np
import pytest

from dbn_bytes import UNDEF_PRICE, UNIT
from l3book import Deriver, mbp10
from l3book.rows import derived, fields
from rows_oracle import rows_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:The inplace keyword"
)
ARL_ROWS = 1_370
ARL_SAME = 1_293
ARL_BEHIND_TEN_LEVELS = 76
LEVELS = [name for name, _ in fields("mbp-10") if name[:4] in {"bid_", "ask_"}]
FROM_THE_RECORD = [
    "rtype",
    "publisher_id",
    "instrument_id",
    "action",
    "side",
    "depth",
    "price",
    "size",
    "flags",
    "ts_in_delta",
    "sequence",
]


def rows(source: Path, schema: str) -> np.ndarray:
    return np.frombuffer(b"".join(derived(source, Deriver(schema))), dtype=fields(schema))


def published(path: Path) -> list[dict[str, Any]]:
    def price(text: str) -> int:
        return int(Decimal(text) * UNIT) if text else UNDEF_PRICE

    def value(name: str, text: str) -> Any:
        if name in {"action", "side"}:
            return text.encode()
        return price(text) if name == "price" or "_px_" in name else int(text)

    with path.open(newline="") as file:
        wanted = [*FROM_THE_RECORD, *LEVELS]
        return [{name: value(name, row[name]) for name in wanted} for row in csv.DictReader(file)]


def test_arl_all_1370_published_rows(test_data: Path) -> None:
    """In order: the same in every column; or behind the ten levels, which then are ours as they stood; or the one
    row that says in one what Databento's schema says in two, a trade and the Cancel of its resting order."""
    ours = mbp10(test_data / "arl" / "ARL_mbo_head.dbn")
    expected = published(test_data / "arl" / "ARL_mbp10_head.csv")
    assert len(expected) == ARL_ROWS
    at = same = behind = merged = 0
    for row in expected:
        if row["depth"] >= 10:
            assert [int(ours[at - 1][name]) for name in LEVELS] == [row[name] for name in LEVELS]
            behind += 1
            continue
        mine = {name: ours[at][name] for name in row}
        if row["action"] == b"T" and row["side"] != b"N":
            assert (mine["action"], mine["side"], mine["price"], mine["size"]) == (b"T", b"B", row["price"], 1)
            at += 1
            assert (ours[at]["action"], ours[at]["side"], ours[at]["sequence"]) == (b"C", row["side"], row["sequence"])
            assert [int(ours[at][name]) for name in LEVELS] == [row[name] for name in LEVELS]
            merged += 1
        else:
            assert mine == row
            same += 1
        at += 1
    assert (same, behind, merged, at) == (ARL_SAME, ARL_BEHIND_TEN_LEVELS, 1, len(ours))


@pytest.fixture
def samples(test_data: Path) -> Path:
    folder = test_data / "databento-tests"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: it holds Databento's own test files")
    return folder


def official(samples: Path, name: str) -> np.ndarray:
    return databento.DBNStore.from_file(samples / name).to_ndarray()


@pytest.mark.parametrize("dataset", ["XNAS.ITCH", "IFEU.IMPACT"])
@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1"])
def test_official_rows_of_the_same_records(samples: Path, dataset: str, schema: str) -> None:
    """Where both files begin with the session. Of XNAS rows Databento gives no side."""
    ours = rows(samples / f"databento-python__{dataset}_test_data.mbo.dbn.zst", schema).copy()
    theirs = official(samples, f"databento-python__{dataset}_test_data.{schema}.dbn.zst")
    if dataset == "XNAS.ITCH":
        assert set(theirs["side"]) == {b"N"}
        ours["side"] = b"N"
    # The MBO file has four records, and the fourth of XNAS is behind the best level.
    overlap = 3 if (dataset, schema) == ("XNAS.ITCH", "mbp-1") else 4
    assert len(ours) == overlap
    assert np.array_equal(ours, theirs[:overlap])


def test_an_official_snapshot_makes_no_rows(samples: Path) -> None:
    """The MBO file holds the first Adds of a snapshot; the official rows begin with the first record after it."""
    path = samples / "databento-python__GLBX.MDP3_test_data.mbo.dbn.zst"
    assert len(rows(path, "mbo")) == 4
    for schema in ("mbp-10", "mbp-1"):
        assert len(rows(path, schema)) == 0
        theirs = official(samples, f"databento-python__GLBX.MDP3_test_data.{schema}.dbn.zst")
        assert theirs["ts_recv"][0] > rows(path, "mbo")["ts_recv"][-1]


def test_an_official_update_behind_ten_levels_makes_no_row(samples: Path) -> None:
    """Of two Cancels in a row, Databento's MBP-10 has the one at depth 9, and not the one a tick behind it."""
    orders = databento.DBNStore.from_file(samples / "dbn__test_data.mbo.v3.dbn.zst").to_ndarray()
    theirs = official(samples, "dbn__test_data.mbp-10.v3.dbn.zst")
    assert theirs["depth"][0] == 9
    assert orders["price"][0] == theirs["price"][0] == theirs["ask_px_09"][0]
    assert orders["price"][1] > theirs["ask_px_09"][0]
    assert orders["sequence"][0] == theirs["sequence"][0]
    assert orders["sequence"][1] not in theirs["sequence"]


@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1", "tbbo", "bbo-1s", "bbo-1m", "trades", "ohlcv-1s", "ohlcv-1h"])
def test_clx5_rows_are_those_of_the_plain_rules(clx5: Path, schema: str) -> None:
    from dbn_bytes import parse

    records = parse(clx5.read_bytes())[:6_000]
    deriver = Deriver(schema)
    made = deriver.feed(b"".join(record.to_bytes() for record in records)) + deriver.flush()
    table = np.frombuffer(made, dtype=fields(schema))
    expected = rows_of(records, schema)
    assert len(table) == len(expected) > 0
    for name in expected[0]:
        column = [row[name].encode() if isinstance(row[name], str) else row[name] for row in expected]
        assert table[name].tolist() == column, name
