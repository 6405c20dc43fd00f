"""Every operation of the API as a value: the router, the OpenAPI document and the docs page are made from these."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta

from l3book.api import cursors
from l3book.api.history_operations import AT, history_operations
from l3book.api.negotiation import Form
from l3book.api.operation import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    INSTRUMENT,
    NO_BOOK,
    NOT_KNOWN,
    PAST_PROBLEMS,
    POST_PROBLEMS,
    Operation,
    Parameter,
    types_of,
)
from l3book.api.params import INSTRUMENTS_PER_PAGE_MAX
from l3book.api.schemas import (
    Book,
    BookRow,
    Instrument,
    Instruments,
    Live,
    Metrics,
    QueuedBook,
    Ready,
    Ticket,
    Transition,
    Transitions,
)
from l3book.config import DEPTH_LIMIT, Settings
from l3book.wire import BookState

BOOK_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
INSTRUMENTS_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
TRANSITIONS_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack")
METRICS_FORMS: tuple[Form, ...] = ("json", "msgpack")
PROMETHEUS_TYPES = ("text/plain", "application/openmetrics-text")


def _book_parameters(settings: Settings) -> tuple[Parameter, ...]:
    number = Annotated[int, Meta(ge=1, le=settings.depth_max)]
    takes_all = settings.depth_max >= DEPTH_LIMIT
    depth: Any = number | Literal["all"] if takes_all else number
    depth_text = f"levels a side; {settings.depth_default} unless told"
    return (
        Parameter("level", "query", Literal[1, 2, 3], "1 the best, 2 levels, 3 with every order; 2 unless told"),
        Parameter("depth", "query", depth, depth_text),
        AT,
        IF_NONE_MATCH,
    )


_TICKETS = Operation(
    "/v1/tickets",
    "tickets",
    "Exchange a key for a ticket that opens one WebSocket",
    (Ticket,),
    "For browsers, which cannot send a key with a handshake: the subprotocol `l3book.ticket.TICKET` does.",
    method="POST",
    owner="access",
    status=201,
    headers=("Cache-Control", "Idempotency-Replayed"),
    parameters=(IDEMPOTENCY_KEY,),
    problems=(*POST_PROBLEMS, "unknown_parameter", "too_many_tickets"),
)


def operations(settings: Settings) -> tuple[Operation, ...]:
    """All of them, with the ranges that the settings allow."""
    return (*_market(settings), *history_operations(), _TICKETS, *_server(), *_documents())


def without_history(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Leave out what a server that keeps no history answers by 501 only."""
    return tuple(
        replace(operation, parameters=tuple(entry for entry in operation.parameters if not entry.needs_history))
        for operation in operations
        if not operation.needs_history
    )


def _market(settings: Settings) -> tuple[Operation, ...]:
    book = {
        "answers": (Book, QueuedBook),
        "tag": "Books",
        "content_types": types_of(BOOK_FORMS),
        "line": BookRow,
        "headers": ("Cache-Control", "ETag", "Vary"),
        "is_conditional": True,
    }
    refusals = (*NOT_KNOWN, "not_acceptable", "bad_parameter", "not_recorded", *PAST_PROBLEMS)
    limit = Annotated[int, Meta(ge=1, le=INSTRUMENTS_PER_PAGE_MAX)]
    cursor = Annotated[str, Meta(pattern=cursors.PATTERN)]
    return (
        Operation(
            "/v1/instruments",
            "instruments",
            "Every book there is",
            (Instruments,),
            "In order of publisher_id and instrument_id. Books that come while pages are read move nothing.",
            tag="Books",
            content_types=types_of(INSTRUMENTS_FORMS),
            line=Instrument,
            parameters=(
                Parameter("limit", "query", limit, "at most so many; all unless told"),
                Parameter("cursor", "query", cursor, "`next_cursor` of the page before; opaque"),
                Parameter("state", "query", BookState, "only books in this state"),
            ),
            headers=("Cache-Control", "Link", "Vary"),
            problems=(*NOT_KNOWN, "not_acceptable", "bad_parameter"),
        ),
        Operation(
            "/v1/books/{instrument}",
            "book",
            "One book",
            text="As NDJSON and Arrow a row a level: side, level, price, size, count, and at level 3 orders.",
            parameters=(INSTRUMENT, *_book_parameters(settings)),
            problems=(*NO_BOOK, *refusals),
            **book,  # type: ignore[arg-type]
        ),
        Operation(
            "/get_snapshot",
            "get_snapshot",
            "The book, where there is only one",
            text="For clients that know no other address.",
            parameters=_book_parameters(settings),
            problems=("ambiguous_instrument", "no_instruments", *refusals),
            **book,  # type: ignore[arg-type]
        ),
    )


def _server() -> tuple[Operation, ...]:
    return (
        Operation(
            "/v1/metrics",
            "metrics",
            "Throughput, latency and counters",
            (Metrics,),
            content_types=types_of(METRICS_FORMS),
            headers=("Cache-Control", "Vary"),
            problems=("unknown_parameter", "not_acceptable"),
        ),
        Operation(
            "/metrics",
            "prometheus",
            "The same and more, for Prometheus",
            text="In Prometheus' text format, or OpenMetrics where it is asked for; docs/metrics.md explains each.",
            content_types=PROMETHEUS_TYPES,
            headers=("Cache-Control", "Vary"),
            problems=("unknown_parameter",),
        ),
        Operation(
            "/v1/feed/transitions",
            "transitions",
            "What happened last to the source and its books",
            (Transitions,),
            content_types=types_of(TRANSITIONS_FORMS),
            line=Transition,
            headers=("Cache-Control", "Vary"),
            problems=("unknown_parameter", "not_acceptable"),
        ),
        Operation("/livez", "livez", "The process runs", (Live,), needs_key=False),
        Operation(
            "/readyz",
            "readyz",
            "There is a book, and the source has not failed",
            (Ready,),
            "With `feed=any` books that are there are enough: that the source reconnects or lags is a `warning` then.",
            parameters=(Parameter("feed", "query", Literal["any"], "ready also while the source reconnects or lags"),),
            problems=("bad_parameter",),
            needs_key=False,
        ),
    )


def _documents() -> tuple[Operation, ...]:
    json_document = {"owner": "documents", "tag": "Documents", "needs_key": False, "is_conditional": True}
    headers = ("Cache-Control", "ETag")
    return (
        Operation(
            "/openapi.json",
            "openapi",
            "This document: OpenAPI 3.1",
            headers=headers,
            parameters=(IF_NONE_MATCH,),
            **json_document,  # type: ignore[arg-type]
        ),
        Operation(
            "/asyncapi.json",
            "asyncapi",
            "The WebSocket /v1/ws: AsyncAPI 3.0",
            headers=headers,
            parameters=(IF_NONE_MATCH,),
            **json_document,  # type: ignore[arg-type]
        ),
        Operation(
            "/docs",
            "docs",
            "Both documents, to be read",
            content_types=("text/html; charset=utf-8",),
            headers=headers,
            parameters=(IF_NONE_MATCH,),
            **json_document,  # type: ignore[arg-type]
        ),
    )
