"""Bodies: of a size, a type and a speed that the server takes."""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.access.limits import Limits
from l3book.access.middleware import refuse
from l3book.api.problems import Problem

MEDIA_TYPES = frozenset({"application/json", "application/msgpack", "application/x-msgpack", "application/vnd.msgpack"})
DRAINED_BYTES_MAX = 16 * 1024 * 1024
"""What is too large is answered at once, and still read up to here before the connection is closed: most clients read
no answer while they write, and would lose it."""

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
        coming = _Coming(receive)
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await self._read(head, coming)
        except TimeoutError:
            detail = f"the body did not come whole within {self._limits.body_timeout_s} s (request_body_timeout_s)"
            body = Problem(408, "body_too_slow", detail, headers=_CLOSE)
        if body is None:
            # The client is gone.
            return
        if isinstance(body, bytes) and body and (wrong := head.wrong_type()):
            body = Problem(415, "unsupported_media_type", wrong, headers=_ACCEPT)
        if isinstance(body, Problem):
            is_drained = body.code == "body_too_large" and not head.is_asking and head.length <= DRAINED_BYTES_MAX
            await refuse(scope, receive, self._draining(coming, send) if is_drained else send, body)
            return
        await self._app(scope, replayed(body, receive), send)

    async def _read(self, head: "_Head", coming: "_Coming") -> bytes | Problem | None:
        bytes_max = self._limits.body_bytes_max
        chunks: list[bytes] = []
        while max(head.length, coming.count) <= bytes_max:
            if coming.is_over:
                return b"".join(chunks)
            chunk = await coming.next()
            if chunk is None:
                return None
            chunks.append(chunk)
        return self._too_large()

    def _draining(self, coming: "_Coming", send: Send) -> Send:
        """Make a `send` that holds back an answer's end, with which the connection is closed, while a body comes."""

        async def send_and_drain(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.body_timeout_s):
                    while not coming.is_over and coming.count <= DRAINED_BYTES_MAX:
                        await coming.next()
            await send({"type": "http.response.body"})

        return send_and_drain

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


class _Coming:
    """A body on its way."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.count = 0
        """Bytes so far."""
        self.is_over = False

    async def next(self) -> bytes | None:
        """Wait for more of it; None: the client is gone."""
        message = await self._receive()
        is_gone = message["type"] == "http.disconnect"
        chunk: bytes = message.get("body", b"")
        self.count += len(chunk)
        self.is_over = is_gone or not message.get("more_body", False)
        return None if is_gone else chunk


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
