"""Every operation of the API as a value: the router, the OpenAPI document and the docs page are made from these."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from l3book.api import cursors
from l3book.api.negotiation import MEDIA_TYPES, Form
from l3book.api.params import INSTRUMENTS_PER_PAGE_MAX
from l3book.api.schemas import (
    Book,
    BookRow,
    Instrument,
    Instruments,
    Live,
    Metrics,
    Order,
    QueuedBook,
    Ready,
    Ticket,
    Transition,
    Transitions,
)
from l3book.config import DEPTH_LIMIT, Settings
from l3book.wire import BookState, InstrumentName, OrderId

BOOK_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
INSTRUMENTS_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
TRANSITIONS_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack")
METRICS_FORMS: tuple[Form, ...] = ("json", "msgpack")

Owner: TypeAlias = Literal["rest", "documents", "access"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a request may carry; `kind` is the type of its value."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    path: str
    name: str
    """The method of the class that answers it, and its operationId."""
    summary: str
    answers: tuple[type, ...] = ()
    """The types of a good answer; none where it is a document."""
    text: str = ""
    method: str = "GET"
    owner: Owner = "rest"
    tag: str = "Server"
    status: int = 200
    body: type | None = None
    content_types: tuple[str, ...] = (MEDIA_TYPES["json"],)
    line: type | None = None
    """What a line of NDJSON holds."""
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[str, ...] = ("Cache-Control",)
    problems: tuple[str, ...] = ()
    is_conditional: bool = False
    """Answers 304 to a matching If-None-Match."""
    needs_key: bool = True


ANSWER_HEADERS = {
    "Allow": "the methods there are; of 405 and of OPTIONS",
    "Cache-Control": "`no-cache`: to be asked for again, with the ETag; `no-store`: not to be kept",
    "ETag": "`epoch-seq-level-depth-checksum` of the book and the representation",
    "Idempotency-Replayed": "`true`: an answer that was given before; of a POST with an Idempotency-Key",
    "Link": 'the next page, `rel="next"`; absent on the last',
    "RateLimit": "what is left of the rate, and until when",
    "RateLimit-Policy": "the rate allowed",
    "Retry-After": "seconds until it is worth another try; of 429 and 503",
    "Vary": "`Accept`: the answer depends on it",
    "WWW-Authenticate": "`Bearer`; of 401",
    "X-Request-Id": "the request's own id, or one made here; on every answer",
}

REQUEST_HEADERS = (
    Parameter("X-Request-Id", "header", str, "up to 128 of `A-Z a-z 0-9 . _ : / + = @ -`; another is replaced"),
    Parameter("traceparent", "header", str, "W3C Trace Context; its trace id is that of problems and log lines"),
)
IF_NONE_MATCH = Parameter("If-None-Match", "header", str, "an ETag: 304 if the book has not changed since")

COMMON_PROBLEMS = (
    "bad_request",
    "request_timeout",
    "body_too_slow",
    "body_too_large",
    "unsupported_media_type",
    "wrong_host",
    "headers_too_large",
    "too_many_connections",
    "internal_error",
)
"""What any request can be answered with."""

KEY_PROBLEMS = (
    "key_in_url",
    "unauthenticated",
    "invalid_key",
    "insufficient_scope",
    "too_many_requests",
    "too_many_failed_authentications",
)
"""What a request that needs a key can be answered with besides."""
POST_PROBLEMS = (
    "wrong_origin",
    "bad_idempotency_key",
    "idempotency_key_running",
    "idempotency_key_reused",
    "too_many_idempotency_keys",
)
"""What a POST can be answered with besides."""

_INSTRUMENT = Parameter(
    "instrument", "path", InstrumentName, "symbol, instrument_id or publisher_id:instrument_id; a slash in it: by id"
)
_ORDER_ID = Parameter("order_id", "path", OrderId, "as the venue gave it")
_IDEMPOTENCY_KEY: TypeAlias = Annotated[str, Meta(pattern=r'^("[!#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$')]
_NOT_KNOWN = ("unknown_parameter", "repeated_parameter")
_NO_BOOK = ("unknown_instrument", "ambiguous_instrument")
_AT = "`at=TIME` asks for a book of the past: 501 until there is history."


def _types_of(forms: tuple[Form, ...]) -> tuple[str, ...]:
    return tuple(MEDIA_TYPES[form] for form in forms)


def _book_parameters(settings: Settings) -> tuple[Parameter, ...]:
    number = Annotated[int, Meta(ge=1, le=settings.depth_max)]
    takes_all = settings.depth_max >= DEPTH_LIMIT
    depth: Any = number | Literal["all"] if takes_all else number
    depth_text = f"levels a side; {settings.depth_default} unless told"
    return (
        Parameter("level", "query", Literal[1, 2, 3], "1 the best, 2 levels, 3 with every order; 2 unless told"),
        Parameter("depth", "query", depth, depth_text),
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
    parameters=(
        Parameter("Idempotency-Key", "header", _IDEMPOTENCY_KEY, "the same key and body: the same answer, done once"),
    ),
    problems=(*POST_PROBLEMS, "unknown_parameter", "too_many_tickets"),
)


def operations(settings: Settings) -> tuple[Operation, ...]:
    """All of them, with the ranges that the settings allow."""
    return (*_market(settings), _TICKETS, *_server(), *_documents())


def _market(settings: Settings) -> tuple[Operation, ...]:
    book = {
        "answers": (Book, QueuedBook),
        "tag": "Books",
        "content_types": _types_of(BOOK_FORMS),
        "line": BookRow,
        "headers": ("Cache-Control", "ETag", "Vary"),
        "is_conditional": True,
    }
    refusals = (*_NOT_KNOWN, "not_acceptable", "bad_parameter", "history_unavailable")
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
            content_types=_types_of(INSTRUMENTS_FORMS),
            line=Instrument,
            parameters=(
                Parameter("limit", "query", limit, "at most so many; all unless told"),
                Parameter("cursor", "query", cursor, "`next_cursor` of the page before; opaque"),
                Parameter("state", "query", BookState, "only books in this state"),
            ),
            headers=("Cache-Control", "Link", "Vary"),
            problems=(*_NOT_KNOWN, "not_acceptable", "bad_parameter"),
        ),
        Operation(
            "/v1/books/{instrument}",
            "book",
            "One book",
            text=f"As NDJSON and Arrow a row a level: side, level, price, size, count, and at level 3 orders. {_AT}",
            parameters=(_INSTRUMENT, *_book_parameters(settings)),
            problems=(*_NO_BOOK, *refusals),
            **book,  # type: ignore[arg-type]
        ),
        Operation(
            "/v1/books/{instrument}/orders/{order_id}",
            "order",
            "One resting order and its place in its queue",
            (Order,),
            tag="Books",
            parameters=(_INSTRUMENT, _ORDER_ID),
            problems=(*_NO_BOOK, "unknown_order", "unknown_parameter", "bad_parameter"),
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
            content_types=_types_of(METRICS_FORMS),
            headers=("Cache-Control", "Vary"),
            problems=("unknown_parameter", "not_acceptable"),
        ),
        Operation(
            "/v1/feed/transitions",
            "transitions",
            "What happened last to a live feed and its books",
            (Transitions,),
            content_types=_types_of(TRANSITIONS_FORMS),
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
            problems=("not_ready",),
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
