"""What clients are told of bodies that are not what is expected."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from l3book.api.faults import fields_of, sentence
from l3book.api.history_params import CHOICES
from l3book.api.history_schemas import ChangeReplay, MakeExport, MakeReplay
from l3book.api.ws.formats import JSON, MSGPACK, BadOpError, Format

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
            "the body: nothing is called 'spede' there: expected from, speed, paused: did you mean speed?",
        ),
        (MakeReplay, {"from": "5", "speed": "fast"}, "speed is text: expected a number"),
        (MakeReplay, {"from": "5", "speed": 0}, "speed: expected a number >= 0.001"),
        (MakeReplay, [], "the body is an array: expected an object"),
        (MakeExport, {**EXPORT, "schema": "mbp10"}, f"schema is 'mbp10': expected {SCHEMAS}"),
        (MakeExport, {**EXPORT, "to": None}, "to is null: expected dbn, csv, parquet"),
        (MakeExport, {**EXPORT, "snapshot": "yes"}, "snapshot is text: expected true or false"),
        (ChangeReplay, {"step": {"events": 1}}, "step: instrument is missing"),
        (
            ChangeReplay,
            {"step": {"instrument": "1", "event": 1}},
            "step: nothing is called 'event' there: expected instrument, events: did you mean events?",
        ),
        (ChangeReplay, {"step": 5}, "step is a whole number: expected an object or null"),
    ],
)
def test_a_fault_is_a_sentence(kind: type[Any], body: object, told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(json.dumps(body), type=kind)
    assert sentence(str(caught.value), "the body", CHOICES, fields_of(kind, "the body")) == told


@pytest.mark.parametrize("form", [JSON, MSGPACK], ids=lambda form: form.name)
@pytest.mark.parametrize(
    ("op", "told"),
    [
        (
            {"op": "subscribe", "id": 5, "channel": "depth", "instrument": "X", "dept": 5},
            "the message: nothing is called 'dept' there: "
            "expected op, id, channel, instrument, depth, level, queues, interval_ms: did you mean depth?",
        ),
        (
            {"op": "step", "id": 5, "colour": 1},
            "the message: nothing is called 'colour' there: expected op, id, events, instrument",
        ),
        ({"op": "ping", "id": 5, "from": 1}, "the message: nothing is called 'from' there: expected op, id"),
    ],
)
def test_an_unknown_field_of_an_op_is_told_with_those_there_are(form: Format, op: dict[str, Any], told: str) -> None:
    data = json.dumps(op) if form.is_text else msgspec.msgpack.encode(op)
    with pytest.raises(BadOpError) as caught:
        form.op(data)
    assert (str(caught.value), caught.value.id) == (told, 5)
