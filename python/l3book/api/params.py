"""What requests carry: every parameter is known, given once and in its range, or the answer says what was expected."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection, Request

from l3book.api.cursors import key_of_cursor
from l3book.api.problems import Problem
from l3book.config import DEPTH_LIMIT, Settings
from l3book.digits import whole_number
from l3book.spelling import meant
from l3book.times import parse_time_ns

Level = Literal[1, 2, 3]

INSTRUMENTS_PER_PAGE_MAX = 1000
ORDER_ID_MAX = 2**64 - 1
STATES = ("empty", "snapshot", "live", "suspect")

_LEVELS: dict[str, Level] = {"1": 1, "2": 2, "3": 3}


def check_known(request: HTTPConnection, *known: str) -> None:
    """Refuse parameters that would otherwise be ignored without a word."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            expected = " or ".join(known) if known else "no parameter"
            near = meant(name, known)
            perhaps = f": did you mean {near}?" if near else ""
            detail = f"parameter {name!r} is not known here: expected {expected}{perhaps}"
            raise Problem(400, "unknown_parameter", detail)
        if names.count(name) > 1:
            detail = f"parameter {name!r} is given {names.count(name)} times: expected once"
            raise Problem(400, "repeated_parameter", detail)


@dataclass(frozen=True, slots=True)
class BookQuery:
    """Which picture of a book was asked for: depth None for all levels; `at` (ts_event, ns) None for now."""

    level: Level
    depth: int | None
    at: int | None


def book_query(request: Request, settings: Settings) -> BookQuery:
    """Read the parameters of a book."""
    check_known(request, "level", "depth", "at")
    level_text = request.query_params.get("level", "2")
    if level_text not in _LEVELS:
        raise Problem(422, "bad_parameter", f"level is {level_text!r}: expected 1, 2 or 3")
    return BookQuery(_LEVELS[level_text], _depth(request, settings), time_of(request, "at"))


def time_of(request: Request, name: str) -> int | None:
    """Read a time in ns; None where it is not given."""
    text = request.query_params.get(name)
    return None if text is None else parsed_time(name, text)


def parsed_time(name: str, text: str) -> int:
    """Read a time in ns, wherever it stood."""
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise Problem(422, "bad_parameter", f"{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class InstrumentsQuery:
    """Which instruments were asked for: at most `limit` beyond the key `after`, of one state only."""

    limit: int | None
    after: tuple[int, int] | None
    state: str | None


def instruments_query(request: Request) -> InstrumentsQuery:
    """Read the parameters of the list of instruments."""
    check_known(request, "limit", "cursor", "state")
    limit = state = after = None
    if (text := request.query_params.get("limit")) is not None:
        limit = whole_number(text)
        if limit is None or not 1 <= limit <= INSTRUMENTS_PER_PAGE_MAX:
            expected = f"a whole number from 1 to {INSTRUMENTS_PER_PAGE_MAX}"
            raise Problem(422, "bad_parameter", f"limit is {text!r}: expected {expected}")
    if (text := request.query_params.get("cursor")) is not None:
        after = key_of_cursor(text)
        if after is None:
            raise Problem(422, "bad_parameter", f"cursor is {text!r}: expected a next_cursor of an earlier answer")
    if (state := request.query_params.get("state")) is not None and state not in STATES:
        raise Problem(422, "bad_parameter", f"state is {state!r}: expected {' or '.join(STATES)}")
    return InstrumentsQuery(limit, after, state)


def is_any_feed(request: Request) -> bool:
    """Whether readiness was asked for whatever becomes of the feed. Other parameters are those of whoever probes."""
    told = request.query_params.getlist("feed")
    for text in told:
        if text != "any":
            raise Problem(422, "bad_parameter", f"feed is {text!r}: expected any, or no such parameter")
    return bool(told)


def order_id(request: Request) -> int:
    """Read the order id of the path; one beyond 64 bits is no mistake of form, it just cannot rest."""
    text: str = request.path_params["order_id"]
    number = whole_number(text)
    if number is None:
        raise Problem(422, "bad_parameter", f"order_id is {text!r}: expected a whole number of at most 20 digits")
    return number


def _depth(request: Request, settings: Settings) -> int | None:
    text = request.query_params.get("depth")
    if text is None:
        return settings.depth_default
    takes_all = settings.depth_max >= DEPTH_LIMIT
    if text == "all" and takes_all:
        return None
    number = whole_number(text)
    if number is not None and 1 <= number <= settings.depth_max:
        return number
    expected = f"a whole number from 1 to {settings.depth_max}" + (", or all" if takes_all else " (depth_max)")
    raise Problem(422, "bad_parameter", f"depth is {text!r}: expected {expected}")


def etag_matches(request: Request, etag: str) -> bool:
    """RFC 9110, 13.1.2: If-None-Match has any of the listed tags, compared weakly, or '*'."""
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
