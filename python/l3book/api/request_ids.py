"""Ids by which an answer, a log line and a caller's own trace are found again."""

import asyncio
import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.api.problems import Problem, answer, instance, log_failure, new_id, on_failure
from l3book.logs import CAUSE, REQUEST_ID, TRACE_ID, Logger
from l3book.masking import masked

REQUEST_ID_CHARS_MAX = 128
RETRY_AFTER_S = 1

# What any log, header and shell can carry.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,%d}" % REQUEST_ID_CHARS_MAX)
# W3C Trace Context: version, trace id, parent id, flags; a later version may add more.
_TRACEPARENT = re.compile(rb"(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-.*)")
_NO_TRACE = b"0" * 32
_NO_PARENT = b"0" * 16

log = Logger(__name__)

_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


def ids_of(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """(request id, trace id): the caller's own where they are well formed, else new ones.

    An id that holds a key is replaced: it would be repeated in answers and logs. A request that brings no id of its own
    goes by its trace id, so that one id is enough to look for.
    """
    request_id = trace_id = None
    for name, value in headers:
        if name == b"x-request-id" and request_id is None and _REQUEST_ID.fullmatch(value) and masked(value) == value:
            request_id = value.decode()
        elif name == b"traceparent" and trace_id is None:
            match = _TRACEPARENT.fullmatch(value)
            found = (match[1] or match[3]) if match else _NO_TRACE
            if match and found != _NO_TRACE and match[2] != _NO_PARENT:
                trace_id = found.decode()
    trace_id = trace_id or new_id()
    return request_id or trace_id, trace_id


class RequestIds:
    """Puts `l3book.request_id` and `l3book.trace_id` into the scope, and X-Request-Id on every answer.

    Log lines have both, whoever writes them.

    What the application did not catch becomes a 500 here, and not in Starlette's outermost layer: its answer would
    have no id. An answer that has begun is broken off instead, which the caller notices. So is what takes longer than
    the server that is to end waits for it: that is no fault, and a 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer for it if it fails."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id, trace_id = ids_of(scope["headers"])
        scope[REQUEST_ID] = request_id
        scope[TRACE_ID] = trace_id
        token = CAUSE.set(scope)
        header = (b"x-request-id", request_id.encode())
        has_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_started
            if message["type"] in _STARTS:
                has_started = True
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            # By the server alone, which ends: whoever goes away himself is told by a message.
            log.warning("{what}: given up, the server is shutting down", what=f"{scope['method']} {instance(scope)}")
            if not has_started:
                await _given_up(Request(scope))(scope, receive, send_with_id)
        except Exception as error:
            if scope["type"] == "http" and not has_started:
                await on_failure(Request(scope), error)(scope, receive, send_with_id)
                return
            log_failure(scope, f"{scope['type']} {instance(scope)}", error)
            raise
        finally:
            CAUSE.reset(token)


def _given_up(request: Request) -> Response:
    detail = "the server is shutting down, and this was not done in time"
    return answer(request, Problem(503, "not_ready", detail, headers={"Retry-After": str(RETRY_AFTER_S)}))
