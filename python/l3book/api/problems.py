"""Errors as RFC 9457 problem details."""

import json
import logging
import re
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_TITLES = {
    "ambiguous_instrument": "Several books go by that name",
    "bad_handshake": "Not a WebSocket handshake",
    "bad_parameter": "A parameter has a value that it cannot have",
    "history_unavailable": "No history",
    "internal_error": "The server failed",
    "method_not_allowed": "The resource does not take that method",
    "no_instruments": "No book yet",
    "not_found": "No such resource",
    "not_ready": "Not ready",
    "too_many_sockets": "Too many sockets are open",
    "unknown_instrument": "No book goes by that name",
    "unknown_parameter": "The resource does not know that parameter",
    "unsupported_subprotocol": "The server speaks none of those subprotocols",
    "upgrade_required": "Only WebSockets are served there",
    "wrong_host": "The server does not go by that name",
}

# W3C Trace Context: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_TRACE = "0" * 32


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """An answer other than the one asked for. `members` are added to the standard ones."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members


def trace_id(request: HTTPConnection) -> str:
    """Take the caller's trace id where there is one, else a new one."""
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return match[1] if match and match[1] != _NO_TRACE else secrets.token_hex(16)


def answer(request: HTTPConnection, problem: Problem, trace: str | None = None) -> Response:
    """Make the problem a response to this request."""
    content = body(problem, request.url.path, trace or trace_id(request))
    headers = {"Cache-Control": "no-store", **(problem.headers or {})}
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


def body(problem: Problem, instance: str, trace: str | None = None) -> bytes:
    """Encode the problem, which came up at the path `instance`."""
    content = {
        "type": f"urn:l3book:problem:{problem.code}",
        "title": _TITLES[problem.code],
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "code": problem.code,
        "trace_id": trace or secrets.token_hex(16),
        **problem.members,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def on_problem(request: Request, error: Exception) -> Response:
    """Handle a Problem raised by an endpoint."""
    assert isinstance(error, Problem)  # noqa: S101  # Starlette calls each handler with its own type only
    return answer(request, error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Handle the router's own 404 and 405."""
    assert isinstance(error, HTTPException)  # noqa: S101
    headers = dict(error.headers or {})
    if error.status_code == 405:
        allowed = ", ".join(sorted(headers.pop("Allow", "GET, HEAD").split(", ")))
        detail = f"{request.method} {request.url.path}: expected {allowed}"
        return answer(request, Problem(405, "method_not_allowed", detail, headers={"Allow": allowed}))
    if error.status_code == 404:
        return answer(request, Problem(404, "not_found", f"there is no {request.url.path} here"))
    return answer(request, Problem(error.status_code, "internal_error", error.detail, headers=headers))


def on_exception(request: Request, error: Exception) -> Response:
    """Handle what nobody expected: the log gets the traceback, the caller the id to find it by."""
    trace = trace_id(request)
    log.error("%s %s failed (trace_id %s)", request.method, request.url.path, trace, exc_info=error)
    detail = "an unexpected error; the server's log has it under the trace_id"
    return answer(request, Problem(500, "internal_error", detail), trace)
