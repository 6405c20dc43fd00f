"""What requests about the past carry."""

import re
from dataclasses import dataclass
from typing import TypeVar, get_args

import msgspec
from starlette.requests import Request

from l3book.api.faults import fields_of, sentence
from l3book.api.params import check_known, time_of
from l3book.api.problems import Problem
from l3book.digits import whole_number
from l3book.history.exports import ExportFormat, ExportSchema
from l3book.prices import parse_price
from l3book.times import NS_PER_S

Body = TypeVar("Body", bound=msgspec.Struct)

ROWS_PER_PAGE_DEFAULT = 1000
ROWS_PER_PAGE_MAX = 10_000
TS_MAX = 2**63 - 1
"""Stores keep signed numbers; nothing is recorded of later times."""
INTERVAL_PATTERN = "^[1-9][0-9]{0,4}[smhd]$"
PRICE_PATTERN = r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$"

_INTERVAL = re.compile(INTERVAL_PATTERN)
_PRICE = re.compile(PRICE_PATTERN)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_JSON_TYPE = "application/json"
CHOICES = {"schema": get_args(ExportSchema), "to": get_args(ExportFormat)}
"""Fields of bodies that have few values."""


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """Which rows were asked for: of [start, end) in ns, at most `limit`, behind the cursor."""

    start: int
    end: int
    limit: int
    cursor: str | None


def rows_query(request: Request, *known: str) -> RowsQuery:
    """Read what all histories take; `known` is what this one takes besides."""
    check_known(request, "start", "end", *known, "limit", "cursor")
    start, end = time_of(request, "start"), time_of(request, "end")
    text = request.query_params.get("limit")
    limit = ROWS_PER_PAGE_DEFAULT if text is None else whole_number(text)
    if limit is None or not 1 <= limit <= ROWS_PER_PAGE_MAX:
        expected = f"a whole number from 1 to {ROWS_PER_PAGE_MAX}"
        raise Problem(422, "bad_parameter", f"limit is {text!r}: expected {expected}")
    check_order(start, end)
    return RowsQuery(
        min(start or 0, TS_MAX), min(TS_MAX if end is None else end, TS_MAX), limit, request.query_params.get("cursor")
    )


def check_order(start: int | None, end: int | None) -> None:
    """Raise a 422 Problem where a range ends before it begins."""
    if start is not None and end is not None and start > end:
        raise Problem(422, "bad_parameter", f"start {start} is after end {end} (ns): expected a time before it")


def interval_ns(request: Request) -> int | None:
    """Read the length of an interval; None where it is not given."""
    text = request.query_params.get("interval")
    if text is None:
        return None
    if not _INTERVAL.fullmatch(text):
        raise Problem(422, "bad_parameter", f"interval is {text!r}: expected one such as 1s, 10s, 1m, 1h or 1d")
    return int(text[:-1]) * _UNITS_S[text[-1]] * NS_PER_S


def side(request: Request) -> str | None:
    """Read a side; None where it is not given."""
    text = request.query_params.get("side")
    if text not in {None, "B", "A"}:
        raise Problem(422, "bad_parameter", f"side is {text!r}: expected B or A")
    return text


def price(request: Request) -> int | None:
    """Read a price in units of 1e-9; None where it is not given."""
    text = request.query_params.get("price")
    if text is None:
        return None
    if not _PRICE.fullmatch(text):
        raise Problem(422, "bad_parameter", f"price is {text!r}: expected a decimal such as 64.21")
    return parse_price(text)


def wants_life(request: Request) -> bool:
    """Tell whether an order's life is asked for."""
    text = request.query_params.get("life", "true")
    if text not in {"true", "false"}:
        raise Problem(422, "bad_parameter", f"life is {text!r}: expected true or false")
    return text == "true"


def bad_cursor(text: str) -> Problem:
    """Make the problem of a cursor that is none."""
    return Problem(422, "bad_parameter", f"cursor is {text!r}: expected a next_cursor of an earlier answer")


async def body_of(request: Request, kind: type[Body]) -> Body:
    """Read the body, as JSON or as MessagePack, strictly."""
    data = await request.body()
    is_json = request.headers.get("content-type", _JSON_TYPE).partition(";")[0].strip().lower() == _JSON_TYPE
    try:
        return msgspec.json.decode(data, type=kind) if is_json else msgspec.msgpack.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_body", sentence(str(error), "the body", CHOICES, fields_of(kind, "the body"))) from None
    except (msgspec.DecodeError, RecursionError):
        said = "JSON" if is_json else "MessagePack"
        raise Problem(400, "bad_body", f"the body is no {said}: expected what Content-Type says") from None
