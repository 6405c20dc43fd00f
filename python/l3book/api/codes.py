"""Every problem there is: code, status, title, and when it comes. Answers and documents are made from this table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem, and the HTTP statuses it can have."""

    name: str
    statuses: tuple[int, ...]
    title: str
    when: str


def _code(name: str, status: int | tuple[int, ...], title: str, when: str) -> Code:
    return Code(name, status if isinstance(status, tuple) else (status,), title, when)


_OF_REQUESTS = (
    _code(
        "bad_request",
        400,
        "Not an HTTP request",
        "the bytes sent are no HTTP/1.1 request, or there is no `Host`; the connection is closed",
    ),
    _code("not_found", 404, "No such resource", "no resource has that path"),
    _code(
        "method_not_allowed", 405, "The resource does not take that method", "the method is none of those in `Allow`"
    ),
    _code(
        "not_acceptable",
        406,
        "No such representation",
        "`Accept` names none of the content types there are; `available` lists them",
    ),
    _code("request_timeout", 408, "The request came too slowly", "it was not whole after `request_header_timeout_s`"),
    _code("body_too_slow", 408, "The body took too long to come", "it was not whole after `request_body_timeout_s`"),
    _code("body_too_large", 413, "The body is too large", "it is larger than `body_bytes_max`"),
    _code(
        "unsupported_media_type",
        415,
        "The body is of a type that is not read here",
        "the body is neither JSON nor MessagePack, or is compressed",
    ),
    _code(
        "wrong_host",
        421,
        "The server does not go by that name",
        "`Host` is none of the names of a server that only this machine can reach",
    ),
    _code(
        "headers_too_large",
        431,
        "The headers are too large",
        "address and headers together, or trailers, are longer than 65,536 bytes",
    ),
    _code(
        "too_many_connections",
        (429, 503),
        "Too many connections",
        "429: `connections_per_address_max` of this address are open; 503: `connections_max` are, and none is idle",
    ),
    _code("internal_error", 500, "The server failed", "a fault of the server; its log has it under the `trace_id`"),
)
_OF_BOOKS = (
    _code("unknown_parameter", 400, "The resource does not know that parameter", "a parameter it does not have"),
    _code("repeated_parameter", 400, "A parameter is given more than once", "a parameter appears twice"),
    _code("unknown_instrument", 404, "No book goes by that name", "{instrument} names no book"),
    _code(
        "unknown_order",
        404,
        "No such order is known",
        "{order_id} does not rest in the book, and no history tells what became of it",
    ),
    _code(
        "ambiguous_instrument",
        409,
        "Several books go by that name",
        "{instrument} names several books; `choices` lists them",
    ),
    _code(
        "bad_parameter",
        422,
        "A parameter has a value that it cannot have",
        "a parameter is no number, out of its range, none of its values, or a start after its end",
    ),
    _code("no_instruments", 503, "No book yet", "the source has not delivered a book yet"),
    _code(
        "not_ready",
        503,
        "Not ready",
        "the server is shutting down, and what was asked was not done in time; of `/readyz`: that, no book, no feed",
    ),
)
_OF_HISTORY = (
    _code("bad_body", (400, 422), "The body is not what is expected", "400: no JSON or MessagePack; 422: its fields"),
    _code(
        "not_recorded", 404, "Nothing is recorded of that time", "the time is before all that is recorded, or in a hole"
    ),
    _code("unknown_replay", 404, "No such replay runs", "{replay} is none of the caller's, or has ended"),
    _code("unknown_export", 404, "No such export", "{export} was never made, or has made way for newer ones"),
    _code("export_too_large", 422, "The export is too large", "the file would be longer than `export_bytes_max`"),
    _code(
        "too_many_replays", 429, "Too many replays", "`replays_per_key_max` of this key run, or `replays_max` in all"
    ),
    _code("history_damaged", 500, "The history cannot be read", "what is recorded of that time is damaged or gone"),
    _code("history_unavailable", 501, "No history", "the past is asked for, and this server keeps none"),
    _code("export_failed", 503, "The export could not be written", "the disk is full, or cannot be written to"),
    _code("store_unavailable", 503, "Rows cannot be asked for now", "the store of rows cannot be read at the moment"),
    _code("history_busy", 503, "The past is busy", "more is asked of the past than it can answer at a time"),
)

_OF_KEYS = (
    _code("key_in_url", 400, "A key was sent in the URL", "the query holds a key or a ticket"),
    _code(
        "unauthenticated",
        401,
        "A key is needed",
        "keys are configured, and none was sent, or not as one `Authorization: Bearer`",
    ),
    _code("invalid_key", 401, "The key is not valid", "the key or ticket is unknown, revoked, expired or used"),
    _code("insufficient_scope", 403, "The key is not for that", "the key lacks the scope, which `scope` names"),
    _code("too_many_requests", 429, "Too many requests", "more than `requests_per_s_max`"),
    _code(
        "too_many_failed_authentications", 429, "Too many wrong keys", "one address sends wrong keys again and again"
    ),
)
_OF_POSTS = (
    _code("bad_idempotency_key", 400, "No Idempotency-Key looks like that", "it is not 1 to 255 visible characters"),
    _code(
        "wrong_origin",
        403,
        "Pages of that origin may not do that",
        "`Origin` is neither the server's own nor one of `origins`",
    ),
    _code(
        "idempotency_key_running",
        409,
        "The first request with that Idempotency-Key is still running",
        "the same request came before, and has not ended",
    ),
    _code(
        "idempotency_key_reused",
        422,
        "The Idempotency-Key belongs to another request",
        "another query or body came with it within `idempotency_hours`",
    ),
    _code(
        "too_many_idempotency_keys",
        429,
        "Too many Idempotency-Keys are kept",
        "5,000 of one key or address, or 20,000 in all",
    ),
    _code("too_many_tickets", 429, "Too many unused tickets", "tickets are made faster than they are used"),
)
_OF_SOCKETS = (
    _code(
        "bad_handshake", (400, 403, 426), "Not a WebSocket handshake", "`/v1/ws` was asked for by a broken handshake"
    ),
    _code(
        "unsupported_subprotocol",
        400,
        "The server speaks none of those subprotocols",
        "`Sec-WebSocket-Protocol` has neither l3book.v1.json nor l3book.v1.msgpack",
    ),
    _code("upgrade_required", 426, "Only WebSockets are served there", "`/v1/ws` was asked for without a handshake"),
    _code(
        "too_many_sockets",
        (429, 503),
        "Too many sockets",
        "429: `sockets_per_key_max` are open; 503: `sockets_max` are, in all",
    ),
    _code(
        "too_many_subscriptions",
        429,
        "Too many subscriptions",
        "there are `subscriptions_per_key_max` of this key, or `whole_books_per_key_max` of whole books",
    ),
    _code("shutting_down", 503, "The server is shutting down", "a handshake came while the server ends"),
)

CODES = {code.name: code for code in (*_OF_REQUESTS, *_OF_BOOKS, *_OF_HISTORY, *_OF_KEYS, *_OF_POSTS, *_OF_SOCKETS)}

BY_STATUS = {400: "bad_request", 413: "body_too_large"}
"""What an HTTP error of the framework with that status is called."""
