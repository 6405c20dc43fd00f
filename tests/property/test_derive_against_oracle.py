"""Every derived schema against the plain derivation, on hostile streams, through any cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbn_bytes import SNAPSHOT, metadata, parse, stream
from l3book import Deriver
from l3book._core import Simulator
from l3book.rows import SCHEMAS, fields
from rows_oracle import rows_of
from streams import cut, cuts, records

if TYPE_CHECKING:
    from dbn_bytes import Mbo

DERIVED = [schema for schema in SCHEMAS if schema != "mbo"]
# Microseconds between records become up to minutes, so that intervals come and go, empty ones too.
STRETCHES = (1, 100_000, 1_000_000, 61_000_000)


def as_dicts(rows: bytes, schema: str) -> list[dict[str, Any]]:
    table = np.frombuffer(rows, dtype=fields(schema))
    names = [name for name in table.dtype.names or () if name != "length" and not name.startswith("_")]
    columns = {name: table[name].tolist() for name in names}
    for name in {"action", "side"} & set(names):
        # numpy drops trailing zero bytes.
        columns[name] = [(text or b"\0").decode("latin-1") for text in columns[name]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def derive(pieces: list[bytes], schema: str, **options: Any) -> bytes:
    deriver = Deriver(schema, **options)
    rows = b"".join(deriver.feed(piece) for piece in pieces) + deriver.flush()
    assert deriver.stats()["rows"] * deriver.row_bytes == len(rows)
    return rows


def stretched(made: list[Mbo], factor: int) -> list[Mbo]:
    if not made:
        return made
    start = made[0].ts_recv
    return [record._replace(ts_recv=start + (record.ts_recv - start) * factor) for record in made]


@pytest.mark.parametrize("schema", DERIVED)
@given(data=st.data(), made=records(max_size=120), factor=st.sampled_from(STRETCHES))
def test_rows_are_those_of_the_plain_rules(schema: str, data: st.DataObject, made: list[Mbo], factor: int) -> None:
    made = stretched(made, factor)
    whole = metadata() + stream(made)
    pieces = cut(whole, data.draw(cuts(len(whole))))
    assert as_dicts(derive(pieces, schema), schema) == rows_of(made, schema)


@pytest.mark.parametrize("schema", DERIVED)
@given(made=records(max_size=80), factor=st.sampled_from(STRETCHES))
def test_rows_of_one_instrument_are_its_share_of_all(schema: str, made: list[Mbo], factor: int) -> None:
    made = stretched(made, factor)
    whole = metadata() + stream(made)
    every = as_dicts(derive([whole], schema), schema)
    for key in {record.key for record in made}:
        share = [row for row in every if (row["publisher_id"], row["instrument_id"]) == key]
        for name in (key, f"{key[0]}:{key[1]}"):
            assert as_dicts(derive([whole], schema, instrument=name), schema) == share


@given(made=records(max_size=60), ts_out=st.booleans())
def test_mbo_rows_are_the_records(made: list[Mbo], ts_out: bool) -> None:
    assert derive([metadata(ts_out=ts_out) + stream(made, ts_out=ts_out)], "mbo") == stream(made)


@given(made=records(max_size=120))
def test_mbp_1_is_the_first_level_of_mbp_10(made: list[Mbo]) -> None:
    """Each mbp-1 row is an mbp-10 row, less its deeper levels; what is left of mbp-10 shows the same first level."""
    # The records of a snapshot change the book and make no row.
    whole = metadata() + stream([record._replace(flags=record.flags & ~SNAPSHOT) for record in made])
    deep, top = (as_dicts(derive([whole], schema), schema) for schema in ("mbp-10", "mbp-1"))
    first = {name for name in (top or [{}])[0] if name[-2:] == "00"}
    wanted = iter(top)
    row = next(wanted, None)
    seen: dict[tuple[int, int], dict[str, int]] = {}
    for update in deep:
        key = update["publisher_id"], update["instrument_id"]
        common = {name: value for name, value in update.items() if row and name in row}
        if row and common | {"rtype": 1, "depth": 0} == row:
            row = next(wanted, None)
        else:
            assert {name: update[name] for name in first} == seen.get(key, {name: update[name] for name in first})
        seen[key] = {name: update[name] for name in first}
    assert row is None


@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1", "bbo-1s"])
def test_rows_of_a_simulated_market_are_those_of_the_plain_rules(schema: str) -> None:
    """Books of many levels, so that most of them lie behind the ten that are shown."""
    simulator = Simulator(seed=5, instruments=2, resting_max=200, crossed=True)
    whole = simulator.header() + simulator.read(6_000)
    assert as_dicts(derive([whole], schema), schema) == rows_of(parse(whole), schema)
