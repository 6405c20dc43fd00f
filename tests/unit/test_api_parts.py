"""The API's parts that need no server: which representation, which page, which ids."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from l3book.api import negotiation
from l3book.api.codes import CODES
from l3book.api.cursors import PATTERN, cursor_of_key, key_of_cursor
from l3book.api.negotiation import MEDIA_TYPES, Form, negotiated
from l3book.api.params import InstrumentsQuery
from l3book.api.problems import Problem
from l3book.api.request_counts import RequestCounts
from l3book.api.request_ids import ids_of
from l3book.api.rest import INLINE_BOOKS_MAX, Rest, page_of
from l3book.api.schemas import Instrument
from l3book.config import Settings

FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
KEYS = st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1))


def request(*accept: str) -> Request:
    headers = [(b"accept", value.encode("latin-1")) for value in accept]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


def instrument(key: tuple[int, int], state: Any = "live") -> Instrument:
    return Instrument(
        symbol=None, publisher_id=key[0], instrument_id=key[1], state=state, seq=1, orders=0, ts_event="0"
    )


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson"),
        ("application/msgpack", "application/msgpack"),
        ("application/vnd.msgpack", "application/vnd.msgpack"),
        ("application/ndjson", "application/ndjson"),
        ("application/jsonl", "application/jsonl"),
        ("application/x-msgpack;q=0.9, application/json;q=0.8", "application/x-msgpack"),
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/json", "application/json"),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("*/*;q=0.1, application/vnd.apache.arrow.stream;q=0.2", "application/vnd.apache.arrow.stream"),
        ("text/html, */*;q=0.001", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ('text/plain;a=",application/json", application/msgpack', "application/msgpack"),
        ("nonsense, application/msgpack", "application/msgpack"),
        # Java's HttpURLConnection.
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/json"),
    ],
)
def test_accept_chooses(accept: str, content_type: str) -> None:
    form, chosen = negotiated(request(*([accept] if accept else [])), FORMS)
    assert chosen == content_type
    assert MEDIA_TYPES[form] == content_type or content_type in negotiation.OTHER_NAMES


def test_several_accept_headers_are_one() -> None:
    assert negotiated(request("text/html", "application/msgpack"), FORMS)[0] == "msgpack"


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/json;q=0", "*/*;q=0", "application/json;q=2", "application/json;q=x", "nonsense", ","],
)
def test_what_there_is_not_is_406_with_what_there_is(accept: str) -> None:
    with pytest.raises(Problem) as raised:
        negotiated(request(accept), ("json", "msgpack"))
    assert (raised.value.status, raised.value.code) == (406, "not_acceptable")
    assert raised.value.members == {"available": ["application/json", "application/msgpack"]}
    assert repr(accept) in raised.value.detail


def test_without_pyarrow_arrow_is_no_choice_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negotiation, "HAS_ARROW", False)
    arrow = "application/vnd.apache.arrow.stream"
    with pytest.raises(Problem, match=r"needs pyarrow on the server: pip install 'l3book\[arrow\]'") as raised:
        negotiated(request(arrow), FORMS)
    available = raised.value.members["available"]
    assert arrow not in available
    assert len(available) == 3
    assert negotiated(request(f"{arrow}, application/json;q=0.1"), FORMS)[0] == "json"


@example(";")
@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_accept_is_a_choice_or_a_406(accept: str) -> None:
    try:
        outcome: object = negotiated(request(accept), FORMS)[0]
    except Problem as problem:
        outcome = problem.code
    assert outcome in {*FORMS, "not_acceptable"}


WEIGHTS = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.dictionaries(st.sampled_from([MEDIA_TYPES[form] for form in FORMS]), WEIGHTS, min_size=1), st.data())
def test_the_heaviest_wins_wherever_it_stands(weights: dict[str, float], data: st.DataObject) -> None:
    elements = data.draw(st.permutations([f"{name};q={weight:.3f}" for name, weight in weights.items()]))
    heaviest = max(weights.values())
    if heaviest == 0:
        with pytest.raises(Problem):
            negotiated(request(", ".join(elements)), FORMS)
        return
    first = next(form for form in FORMS if weights.get(MEDIA_TYPES[form]) == heaviest)
    assert negotiated(request(", ".join(elements)), FORMS) == (first, MEDIA_TYPES[first])


@given(KEYS)
def test_a_cursor_is_read_as_it_was_made(key: tuple[int, int]) -> None:
    cursor = cursor_of_key(key)
    assert re.fullmatch(PATTERN, cursor)
    assert key_of_cursor(cursor) == key


@given(st.from_regex(PATTERN, fullmatch=True))
def test_whatever_the_document_allows_as_cursor_is_one(text: str) -> None:
    key = key_of_cursor(text)
    assert key is not None
    assert cursor_of_key(key) == text


@pytest.mark.parametrize("text", ["", "0" * 11, "0" * 13, "0" * 12 + "\n", "00000000000G", "00000000000A"])
def test_anything_else_is_none(text: str) -> None:
    assert key_of_cursor(text) is None


@given(st.sets(KEYS, min_size=1, max_size=20), st.lists(st.sets(KEYS, max_size=4), max_size=8), st.integers(1, 5))
def test_pages_show_each_book_once_while_others_come(
    keys: set[tuple[int, int]], coming: list[set[tuple[int, int]]], limit: int
) -> None:
    """Those that were there from the beginning are all seen, in order; none is seen twice."""
    there, seen, after = set(keys), [], None
    arrivals = iter(coming)
    while True:
        entries = [instrument(key) for key in sorted(there)]
        page, cursor = page_of(entries, InstrumentsQuery(limit, after, None))
        assert len(page) <= limit
        seen += [(entry.publisher_id, entry.instrument_id) for entry in page]
        if cursor is None:
            break
        after = key_of_cursor(cursor)
        there |= next(arrivals, set())
    assert seen == sorted(set(seen))
    assert keys <= set(seen)


def test_a_page_of_one_state_is_full() -> None:
    entries = [instrument((1, number), "live" if number % 2 else "suspect") for number in range(10)]
    page, cursor = page_of(entries, InstrumentsQuery(3, None, "suspect"))
    assert [entry.instrument_id for entry in page] == [0, 2, 4]
    assert cursor == cursor_of_key((1, 4))
    page, cursor = page_of(entries, InstrumentsQuery(3, (1, 4), "suspect"))
    assert [entry.instrument_id for entry in page] == [6, 8]
    assert cursor is None


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-a-later-version-adds"],
)
def test_a_trace_id_is_taken_over_and_stands_in_for_a_request_id(traceparent: str) -> None:
    assert ids_of([(b"traceparent", traceparent.encode())]) == (TRACE, TRACE)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_no_trace_context_is_replaced(traceparent: str) -> None:
    request_id, trace_id = ids_of([(b"traceparent", traceparent.encode())])
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert trace_id not in {TRACE, "0" * 32}
    assert request_id == trace_id


@given(st.binary(max_size=140))
def test_a_request_id_is_taken_over_if_any_log_can_carry_it(value: bytes) -> None:
    request_id, trace_id = ids_of([(b"x-request-id", value)])
    if re.fullmatch(rb"[A-Za-z0-9._:/+=@-]{1,128}", value):
        assert request_id == value.decode()
    else:
        assert request_id == trace_id
    assert re.fullmatch("[0-9a-f]{32}", trace_id)


def test_a_problem_has_the_status_of_its_code() -> None:
    with pytest.raises(ValueError, match="unknown_order"):
        Problem(500, "unknown_order", "")
    assert all(400 <= status <= 599 for code in CODES.values() for status in code.statuses)


class Listing:
    """A hub of so many books, which notes on which threads they are listed."""

    def __init__(self, books: int) -> None:
        self.books = books
        self.threads: set[str] = set()

    def instruments(self) -> list[Instrument]:
        self.threads.add(threading.current_thread().name)
        return [instrument((1, number)) for number in range(self.books)]


@pytest.mark.parametrize("more", [0, 1])
def test_long_lists_do_not_hold_up_the_event_loop(more: int) -> None:
    hub = Listing(INLINE_BOOKS_MAX + more)
    rest = Rest(cast("Any", hub), Settings(), cast("Any", None), RequestCounts())
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"limit=3"}
    answer = asyncio.run(rest.instruments(Request(scope)))
    assert [entry["instrument_id"] for entry in json.loads(bytes(answer.body))["instruments"]] == [0, 1, 2]
    assert answer.headers["link"].endswith('>; rel="next"')
    (thread,) = hub.threads
    assert thread.startswith("l3book-worker") == bool(more)
