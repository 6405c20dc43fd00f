"""Which representation to answer with (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal, TypeAlias

from starlette.requests import Request

from l3book.api.problems import Problem

Form: TypeAlias = Literal["json", "ndjson", "msgpack", "arrow"]

MEDIA_TYPES: dict[Form, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "msgpack": "application/msgpack",
    "arrow": "application/vnd.apache.arrow.stream",
}
OTHER_NAMES: dict[str, Form] = {
    "application/jsonl": "ndjson",
    "application/ndjson": "ndjson",
    "application/vnd.msgpack": "msgpack",
    "application/x-msgpack": "msgpack",
}
"""Answered under the name by which they were asked for."""

HAS_ARROW = find_spec("pyarrow") is not None
_NO_ARROW = "; Arrow needs pyarrow on the server: pip install 'l3book[arrow]'"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})|\*")
_QUALITY = re.compile(r"0?\.[0-9]{1,3}|0\.?|1(?:\.0{0,3})?")
# Commas and semicolons inside a quoted string separate nothing.
_ELEMENTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PIECES = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')
_CACHED_HEADERS = 256


def negotiated(request: Request, forms: Sequence[Form]) -> tuple[Form, str]:
    """Choose of `forms`, the preferred one first; -> it and the content type to answer with. Raises a 406 Problem."""
    accept = ", ".join(request.headers.getlist("accept"))
    if not accept:
        return forms[0], MEDIA_TYPES[forms[0]]
    there_are = tuple(form for form in forms if form != "arrow" or HAS_ARROW)
    chosen = _chosen(accept, there_are)
    if chosen is not None:
        return chosen
    available = [MEDIA_TYPES[form] for form in there_are]
    missing = _NO_ARROW if len(there_are) < len(forms) else ""
    detail = f"Accept is {accept!r}: expected {' or '.join(available)}{missing}"
    raise Problem(406, "not_acceptable", detail, headers={"Vary": "Accept"}, available=available)


@lru_cache(_CACHED_HEADERS)
def _chosen(accept: str, forms: tuple[Form, ...]) -> tuple[Form, str] | None:
    ranges = _ranges(accept)
    names: list[tuple[str, Form]] = [(MEDIA_TYPES[form], form) for form in forms]
    names += [(name, form) for name, form in OTHER_NAMES.items() if form in forms]
    # max() keeps the first of equals: of what the caller likes equally well, the server's order decides.
    name, form = max(names, key=lambda pair: _quality(ranges, pair[0]))
    return (form, name) if _quality(ranges, name) > 0 else None


def _ranges(accept: str) -> dict[str, float]:
    """Media ranges and their weights. What is no media range is passed over: other servers forgive it too."""
    ranges: dict[str, float] = {}
    for element in _ELEMENTS.findall(accept):
        pieces = [piece.strip() for piece in _PIECES.findall(element)]
        if not pieces or not _RANGE.fullmatch(pieces[0]):
            continue
        name, *parameters = pieces
        weight = weight_of(parameters)
        # Java's oldest client sends a bare "*".
        key = "*/*" if name == "*" else name.lower()
        ranges[key] = max(weight, ranges.get(key, 0.0))
    return ranges


def weight_of(parameters: Iterable[str]) -> float:
    """Read how much something is liked: "q=0.5" is a half; what cannot be read is 0."""
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            weight = float(value) if _QUALITY.fullmatch(value := value.strip()) else 0.0
    return weight


def _quality(ranges: Mapping[str, float], name: str) -> float:
    """Look up the weight of the most specific range that the name is in."""
    for pattern in (name, f"{name.partition('/')[0]}/*", "*/*"):
        if pattern in ranges:
            return ranges[pattern]
    return 0.0
