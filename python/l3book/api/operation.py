"""What an operation of the API is, and what many of them have in common."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from l3book.api.negotiation import MEDIA_TYPES, Form
from l3book.wire import InstrumentName, OrderId

Owner: TypeAlias = Literal["rest", "past", "replays", "exports", "documents", "access"]
"""The class whose method answers it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a request may carry; `kind` is the type of its value."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any
    text: str
    needs_history: bool = False
    """Of no use on a server that keeps none, and not in its document."""


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
    needs_history: bool = False
    """Answers 501 on a server that keeps none, and is not in its document."""


ANSWER_HEADERS = {
    "Allow": "the methods there are; of 405 and of OPTIONS",
    "Cache-Control": "`no-cache`: to be asked for again, with the ETag; `no-store`: not to be kept; "
    "`private, max-age=…`: of the past, which does not change",
    "Content-Disposition": "the file's name, of an export",
    "ETag": "`epoch-seq-level-depth-checksum` of the book and the representation",
    "Idempotency-Replayed": "`true`: an answer that was given before; of a POST with an Idempotency-Key",
    "Link": 'the next page, `rel="next"`; absent on the last',
    "Location": "where what was made is found; of 201",
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
    "not_ready",
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

INSTRUMENT = Parameter(
    "instrument", "path", InstrumentName, "symbol, instrument_id or publisher_id:instrument_id; a slash in it: by id"
)
ORDER_ID = Parameter("order_id", "path", OrderId, "as the venue gave it")
_IdempotencyKey: TypeAlias = Annotated[str, Meta(pattern=r'^("[!#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$')]
NOT_KNOWN = ("unknown_parameter", "repeated_parameter")
NO_BOOK = ("unknown_instrument", "ambiguous_instrument")
PAST_PROBLEMS = ("history_unavailable", "history_busy", "history_damaged")
"""What anything that is asked of the past can be answered with besides."""
ROWS_PROBLEMS = (*PAST_PROBLEMS, "store_unavailable")
"""What is asked of derived rows can be answered with besides."""
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key", "header", _IdempotencyKey, "the same key and body: the same answer, done once"
)


def types_of(forms: tuple[Form, ...]) -> tuple[str, ...]:
    """Name the content types of forms."""
    return tuple(MEDIA_TYPES[form] for form in forms)
