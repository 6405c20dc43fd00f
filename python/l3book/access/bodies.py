"""Bodies: of a size, a type and a speed that the server takes."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.access.limits import Limits
from l3book.access.middleware import refuse
from l3book.api.problems import Problem

MEDIA_TYPES = frozenset({"application/json", "application/msgpack", "application/x-msgpack", "application/vnd.msgpack"})
DRAINED_BYTES_MAX = 16 * 1024 * 1024
"""What is too large is still read up to here before it is answered: most clients read no answer while they write."""

_EXPECTED = "expected application/json or application/msgpack, not encoded"
_ACCEPT = {"Accept": "application/json, application/msgpack"}
_CLOSE = {"Connection": "close"}


class Bodies:
    """Reads each body whole before the request is passed on, or answers 408, 413 or 415."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or answer it."""
        if scope["type"] != "http" or not (head := _Head(scope)).has_body:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await self._read(head, receive)
        except TimeoutError:
            detail = f"the body did not come whole within {self._limits.body_timeout_s} s (request_body_timeout_s)"
            body = Problem(408, "body_too_slow", detail, headers=_CLOSE)
        if body is None:
            # The client is gone.
            return
        if isinstance(body, bytes) and body and (wrong := head.wrong_type()):
            body = Problem(415, "unsupported_media_type", wrong, headers=_ACCEPT)
        if isinstance(body, Problem):
            await refuse(scope, receive, send, body)
            return
        await self._app(scope, replayed(body, receive), send)

    async def _read(self, head: "_Head", receive: Receive) -> bytes | Problem | None:
        bytes_max = self._limits.body_bytes_max
        if head.length > DRAINED_BYTES_MAX or (head.is_asking and head.length > bytes_max):
            return self._too_large()
        chunks: list[bytes] = []
        count = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk: bytes = message.get("body", b"")
            count += len(chunk)
            if count <= bytes_max:
                chunks.append(chunk)
            if count > DRAINED_BYTES_MAX or not message.get("more_body", False):
                return b"".join(chunks) if count <= bytes_max else self._too_large()

    def _too_large(self) -> Problem:
        detail = f"expected a body of at most {self._limits.body_bytes_max} bytes (body_bytes_max)"
        return Problem(413, "body_too_large", detail, headers=_CLOSE)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Make a `receive` that tells the body once more, and after that what comes."""
    is_told = False

    async def receive_again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


class _Head:
    """What the headers say of a body."""

    def __init__(self, scope: Scope) -> None:
        self.length = 0
        self.is_asking = False
        """The client waits for leave to send (Expect: 100-continue)."""
        self._type = ""
        self._encoding = ""
        is_chunked = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                is_chunked = True
            elif name == b"expect":
                self.is_asking = True
            elif name == b"content-type":
                self._type = value.decode("latin-1")
            elif name == b"content-encoding":
                self._encoding = value.decode("latin-1").strip().lower()
        self.has_body = self.length > 0 or is_chunked

    def wrong_type(self) -> str | None:
        """Say what is wrong with the type; None where it is one that is read here."""
        if self._type.partition(";")[0].strip().lower() not in MEDIA_TYPES:
            return f"Content-Type is {self._type!r}: {_EXPECTED}"
        if self._encoding not in {"", "identity"}:
            return f"Content-Encoding is {self._encoding!r}: {_EXPECTED}"
        return None
