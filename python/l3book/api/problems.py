"""Errors as RFC 9457 problem details."""

import secrets
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from l3book.api.codes import BY_STATUS, CODES
from l3book.api.schemas import ProblemDetails
from l3book.logs import REQUEST_ID, TRACE_ID, Logger
from l3book.masking import masked

log = Logger(__name__)

MEDIA_TYPE = "application/problem+json"

_ENCODER = msgspec.json.Encoder()


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """An answer other than the one asked for. `members` are added to the standard ones.

    `status` is said where it is raised, so that the place can be read alone; it must be one of the code's.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        if status not in CODES[code].statuses:
            raise ValueError(f"problem {code} has status {CODES[code].statuses}, not {status}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members


def new_id() -> str:
    """Make an id as W3C Trace Context has them."""
    return secrets.token_hex(16)


def body(problem: Problem, instance: str, trace_id: str | None = None, request_id: str | None = None) -> bytes:
    """Encode the problem, which came up at the path `instance`; without ids of the request it gets one of its own.

    A problem repeats what was sent, and what was sent may hold a key in the wrong place: its secret is left out.
    """
    trace_id = trace_id or new_id()
    details = ProblemDetails(
        type=f"urn:l3book:problem:{problem.code}",
        title=CODES[problem.code].title,
        status=problem.status,
        detail=problem.detail,
        instance=instance,
        code=problem.code,
        trace_id=trace_id,
        request_id=request_id or trace_id,
        **problem.members,
    )
    return masked(_ENCODER.encode(details))


def answer(request: HTTPConnection, problem: Problem) -> Response:
    """Make the problem a response to this request, or to the handshake of a WebSocket."""
    scope = request.scope
    content = body(problem, instance(scope), scope[TRACE_ID], scope[REQUEST_ID])
    headers = {"Cache-Control": "no-store", **(problem.headers or {})}
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


def instance(scope: Scope) -> str:
    """Name the resource by the path as it was sent: percent-encoded, so that it is a URI reference."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return masked(raw).decode("ascii", "backslashreplace")


async def on_problem(request: Request, error: Exception) -> Response:
    """Handle a Problem raised by an endpoint."""
    assert isinstance(error, Problem)  # noqa: S101  # Starlette calls each handler with its own type only
    return answer(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handle the router's own 404 and 405, and OPTIONS, which it takes for a method that is not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101
    path = instance(request.scope)
    if error.status_code == 405:
        given = (error.headers or {}).get("Allow", "GET, HEAD")
        allowed = ", ".join(sorted({*given.split(", "), "OPTIONS"}))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        detail = f"{request.method} {path}: expected {allowed}"
        return answer(request, Problem(405, "method_not_allowed", detail, headers={"Allow": allowed}))
    if request.method == "OPTIONS" and path == "*":
        return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS"})
    if code := BY_STATUS.get(error.status_code):
        return answer(request, Problem(error.status_code, code, error.detail))
    return answer(request, Problem(404, "not_found", f"there is no {path} here"))


def on_failure(request: Request, error: Exception) -> Response:
    """Answer what nobody expected: the log gets the traceback, the caller the ids to find it by."""
    log_failure(request.scope, f"{request.method} {instance(request.scope)}", error)
    detail = "an unexpected error; the server's log has it under the trace_id"
    return answer(request, Problem(500, "internal_error", detail))


def log_failure(scope: Scope, what: str, error: Exception) -> None:
    """Write the traceback with the ids."""
    log.exception(
        "{what} failed (trace_id {trace_id}, request_id {request_id})",
        exc_info=error,
        what=what,
        trace_id=scope[TRACE_ID],
        request_id=scope[REQUEST_ID],
    )
