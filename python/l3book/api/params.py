"""Query parameters: every one is known, given once and in its range, or the answer says what was expected."""

from typing import Literal

from starlette.requests import Request

from l3book.api.problems import Problem
from l3book.config import DEPTH_LIMIT, Settings
from l3book.digits import whole_number

Level = Literal[1, 2, 3]

_LEVELS: dict[str, Level] = {"1": 1, "2": 2, "3": 3}


def check_known(request: Request, *known: str) -> None:
    """Refuse parameters that would otherwise be ignored without a word."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            expected = " or ".join(known) if known else "no parameter"
            raise Problem(400, "unknown_parameter", f"parameter {name!r} is not known here: expected {expected}")
        if names.count(name) > 1:
            raise Problem(400, "bad_parameter", f"parameter {name!r} is given {names.count(name)} times: expected once")


def level_and_depth(request: Request, settings: Settings) -> tuple[Level, int | None]:
    """Read the parameters of a book: level (2 unless told) and depth (None for all levels)."""
    check_known(request, "level", "depth", "at")
    if (at := request.query_params.get("at")) is not None:
        detail = f"history is not in this version: leave at={at} away for the book as it is now"
        raise Problem(501, "history_unavailable", detail)
    level_text = request.query_params.get("level", "2")
    if level_text not in _LEVELS:
        raise Problem(422, "bad_parameter", f"level is {level_text!r}: expected 1, 2 or 3")
    return _LEVELS[level_text], _depth(request, settings)


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
