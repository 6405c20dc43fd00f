"""Idempotency-Key: a POST that is sent again with its key is answered again, and done once."""

import hashlib
import re

from starlette.requests import Request as HTTPRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.access.answers import ANSWER_BYTES_MAX, Answer, AnswerStore, Found, Request
from l3book.access.bodies import replayed
from l3book.access.guard import Guard
from l3book.access.middleware import IDENTITY, refuse
from l3book.api.problems import Problem
from l3book.logs import Logger

log = Logger(__name__)

KEY_LENGTH_MAX = 255
RETRY_AFTER_S = 1
FULL_RETRY_AFTER_S = 3600
SECRET_PATHS = frozenset({"/v1/tickets"})
"""Their answers hold a secret, and are kept in memory only."""

_KEY = re.compile(rf'(")?([\x21\x23-\x5b\x5d-\x7e]{{1,{KEY_LENGTH_MAX}}})(?(1)")', re.ASCII)
# What belongs to the answer. All else, such as the trace and the limits, belongs to the request that is answered.
_KEPT_HEADERS = frozenset({"content-type", "location", "cache-control", "etag", "link", "allow"})
# Not the last word: who is told to come again, or that the server failed, must be able to come again.
_PASSING_STATUSES = frozenset({408, 425, 429})


class Idempotency:
    """Inside of `Access` and `Bodies`: it needs the identity, and bodies that have an end."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is new; answer what is not."""
        keys = _keys(scope) if scope["type"] == "http" and scope["method"] == "POST" else []
        if not keys:
            await self._app(scope, receive, send)
            return
        match = _KEY.fullmatch(keys[0]) if len(keys) == 1 else None
        if match is None:
            detail = f"Idempotency-Key: expected one, of 1 to {KEY_LENGTH_MAX} visible ASCII characters"
            await refuse(scope, receive, send, Problem(400, "bad_idempotency_key", detail))
            return
        body = await HTTPRequest(scope, receive).body()
        request = Request(scope[IDENTITY].counted_as, scope["path"], match[2], _fingerprint(scope, body))
        store = self._guard.secret_answers if scope["path"] in SECRET_PATHS else self._guard.answers
        found = await store.begin(request)
        if isinstance(found, Answer):
            await _send_again(send, found)
        elif isinstance(found, str):
            await refuse(scope, receive, send, _problem(found))
        else:
            await self._do(scope, replayed(body, receive), send, Doing(store, request, found.attempt))

    async def _do(self, scope: Scope, receive: Receive, send: Send, doing: "Doing") -> None:
        async def record(message: Message) -> None:
            for ready in await doing.take(message):
                await send(ready)

        try:
            await self._app(scope, receive, record)
        finally:
            doing.end()


class Doing:
    """A request while it is done the first time: its answer is held back until it is kept."""

    def __init__(self, store: AnswerStore, request: Request, attempt: bytes) -> None:
        self._store = store
        self._request = request
        self._attempt = attempt
        self._held: list[Message] = []
        self._is_holding = True
        self._is_settled = False

    async def take(self, message: Message) -> list[Message]:
        """Take the next message of the answer; -> those that may be sent now.

        Kept first, sent then: whoever has seen the answer will never see another.
        """
        if not self._is_holding:
            return [message]
        self._held.append(message)
        body = b"".join(held.get("body", b"") for held in self._held)
        is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not is_whole and len(body) <= ANSWER_BYTES_MAX:
            return []
        self._is_holding = False
        status: int = self._held[0]["status"]
        if len(body) > ANSWER_BYTES_MAX:
            text = "the answer to POST {path} is too large to be kept: it can be done twice"
            log.warning(text, path=self._request.path)
        elif status < 500 and status not in _PASSING_STATUSES:
            # Whether that works or not, it has been done: it must not be done anew at once.
            self._is_settled = True
            await self._store.keep(self._request, self._attempt, Answer(status, _kept_headers(self._held[0]), body))
        return self._held

    def end(self) -> None:
        """Say that it is no longer being done: where no answer is kept, it may be done anew."""
        if not self._is_settled:
            self._store.release(self._request, self._attempt)


def _keys(scope: Scope) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"]


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    digest = hashlib.sha256()
    for part in (scope["query_string"], content_type, body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _kept_headers(start: Message) -> str:
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    return "\n".join(f"{name}: {value}" for name, value in pairs if name.lower() in _KEPT_HEADERS)


async def _send_again(send: Send, answer: Answer) -> None:
    lines = (line.partition(": ") for line in answer.headers.splitlines())
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, _, value in lines]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _problem(found: Found) -> Problem:
    if found == "reused":
        detail = "another request had this Idempotency-Key: expected the same query and body, or a new key"
        return Problem(422, "idempotency_key_reused", detail)
    if found == "running":
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Problem(409, "idempotency_key_running", "expected this request again when it has ended", headers=headers)
    detail = "too many Idempotency-Keys are kept: expected fewer in the time for which they are (idempotency_hours)"
    return Problem(429, "too_many_idempotency_keys", detail, headers={"Retry-After": str(FULL_RETRY_AFTER_S)})
