"""What clients are told of bodies that are not what is expected."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from l3book.api.faults import sentence
from l3book.api.history_params import CHOICES
from l3book.api.history_schemas import ChangeReplay, MakeExport, MakeReplay

EXPORT = {"start": "1", "end": "2", "schema": "mbo", "to": "csv"}
SCHEMAS = "mbo, mbp-10, mbp-1, tbbo, bbo-1s, bbo-1m, trades, ohlcv-1s, ohlcv-1m, ohlcv-1h, ohlcv-1d"


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (MakeReplay, {}, "the body: from is missing"),
        (MakeReplay, {"from": 5}, "from is a whole number: expected text"),
        (
            MakeReplay,
            {"from": "5", "spede": 2},
            "the body: nothing is called 'spede' there: expected only what is documented",
        ),
        (MakeReplay, {"from": "5", "speed": "fast"}, "speed is text: expected a number"),
        (MakeReplay, {"from": "5", "speed": 0}, "speed: expected a number >= 0.001"),
        (MakeReplay, [], "the body is an array: expected an object"),
        (MakeExport, {**EXPORT, "schema": "mbp10"}, f"schema is 'mbp10': expected {SCHEMAS}"),
        (MakeExport, {**EXPORT, "to": None}, "to is null: expected dbn, csv, parquet"),
        (MakeExport, {**EXPORT, "snapshot": "yes"}, "snapshot is text: expected true or false"),
        (ChangeReplay, {"step": {"events": 1}}, "step: instrument is missing"),
        (ChangeReplay, {"step": 5}, "step is a whole number: expected an object or null"),
    ],
)
def test_a_fault_is_a_sentence(kind: type[Any], body: object, told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(json.dumps(body), type=kind)
    assert sentence(str(caught.value), "the body", CHOICES) == told
