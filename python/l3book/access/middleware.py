"""Who may: every request and every handshake comes through here."""

import re

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l3book.access.guard import Guard
from l3book.access.identity import Identity, counted_address
from l3book.access.key_store import Refusal
from l3book.access.origins import is_allowed
from l3book.access.rates import Taken
from l3book.access.scopes import ALL_SCOPES, NO_SCOPES, READING_METHODS, is_open, needed
from l3book.access.scopes import Scope as KeyScope
from l3book.access.tickets import SUBPROTOCOL_PREFIX
from l3book.api.problems import Problem, answer
from l3book.logs import Logger

log = Logger(__name__)

IDENTITY = "l3book.identity"
"""Where a scope has its Identity."""

UNLIMITED_PATHS = frozenset({"/livez", "/readyz"})
"""Whoever asks whether the server lives must not be told that it is busy."""

_ANONYMOUS = "anonymous"
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_BEARER_SCHEME = re.compile(r"bearer(?:\s|$)", re.IGNORECASE)
_URL_KEY = re.compile(rb"l3b_|(?:^|&)(?:api_?key|access_token|ticket)=", re.IGNORECASE)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def owner_of(request: HTTPConnection) -> str:
    """Name whose limits a request that was let in uses, and whose what it makes is."""
    identity: Identity = request.scope[IDENTITY]
    return identity.counted_as


class Access:
    """Puts an Identity into the scope, or answers 400, 401, 403 or 429.

    Without any key configured everybody is anonymous and may do everything; the server then listens on loopback only,
    or was told to serve everybody.
    """

    def __init__(
        self, app: ASGIApp, guard: Guard, origins: tuple[str, ...] = (), page_paths: frozenset[str] = frozenset()
    ) -> None:
        """`origins` may open sockets and write, beside the server's own; `page_paths` need no key."""
        self._app = app
        self._guard = guard
        self._origins = frozenset(origins)
        self._page_paths = page_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request or handshake on, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        visitor = _Visitor(scope)
        found = self._identify(visitor)
        counted_as = f"address:{visitor.address}" if isinstance(found, Problem) else found.counted_as
        taken = None if visitor.path in UNLIMITED_PATHS else self._guard.limits.take_request(counted_as)
        if taken is not None and not taken.is_allowed:
            self._guard.counts.limited_requests += 1
            found = _too_many(taken)
        elif isinstance(found, Identity):
            found = self._check(visitor, found) or found
        send = _with_fields(send, taken)
        if isinstance(found, Problem):
            await refuse(scope, receive, send, found)
            return
        scope[IDENTITY] = found
        if visitor.ticket is not None:
            scope["subprotocols"] = [name for name in scope["subprotocols"] if not name.startswith(SUBPROTOCOL_PREFIX)]
        await self._app(scope, receive, send)

    def _identify(self, visitor: "_Visitor") -> Identity | Problem:
        guard = self._guard
        if visitor.query and _URL_KEY.search(visitor.query):
            detail = (
                "keys and tickets are never in a URL, where logs and histories keep them: "
                "expected Authorization: Bearer, or for a WebSocket the subprotocol l3book.ticket."
            )
            return Problem(400, "key_in_url", detail)
        if not guard.keys.are_needed():
            return self._anonymous(visitor, ALL_SCOPES)
        if self._is_open(visitor):
            return self._anonymous(visitor, NO_SCOPES)
        if visitor.authorizations:
            return self._by_authorization(visitor)
        if visitor.ticket is not None:
            identity = guard.tickets.redeem(visitor.ticket)
            return identity or self._failed(visitor, "the ticket is unknown, used or expired: expected a new one")
        return self._without_key(visitor, "no key was sent")

    def _by_authorization(self, visitor: "_Visitor") -> Identity | Problem:
        # Two are none: whoever puts a proxy's own beside the client's must not have one of them picked.
        if len(visitor.authorizations) > 1:
            return self._without_key(visitor, f"Authorization is given {len(visitor.authorizations)} times")
        (authorization,) = visitor.authorizations
        if not _BEARER_SCHEME.match(authorization):
            return self._without_key(visitor, "Authorization is of another scheme than Bearer")
        match = _BEARER.fullmatch(authorization)
        found = self._guard.keys.check(match[1] if match else "")
        if isinstance(found, Refusal):
            return self._failed(visitor, f"the key is {found.reason}: expected Authorization: Bearer with a valid one")
        return Identity(found.key_id, found.name, found.scopes, visitor.address, self._guard.keys.is_current)

    def _without_key(self, visitor: "_Visitor", reason: str) -> Problem:
        self._guard.counts.missing_keys += 1
        detail = f"{reason}: expected Authorization: Bearer l3b_…"
        if visitor.is_websocket:
            detail += ", or a ticket of POST /v1/tickets as subprotocol l3book.ticket.…"
        return Problem(401, "unauthenticated", detail, headers=_CHALLENGE)

    def _anonymous(self, visitor: "_Visitor", scopes: frozenset[KeyScope]) -> Identity:
        return Identity(None, _ANONYMOUS, scopes, visitor.address, self._guard.keys.is_current)

    def _failed(self, visitor: "_Visitor", detail: str) -> Problem:
        """Count a wrong key, and slow down whoever sends many.

        A right key is accepted all the same: nobody guesses 256 bits, and one forgotten client with an old key must not
        lock out all others behind its address. Whoever guesses has to connect anew for each guess.
        """
        self._guard.counts.failed_authentications += 1
        taken = self._guard.limits.take_failure(visitor.address)
        if taken.is_allowed:
            if taken.remaining == 0:
                log.warning("too many wrong keys from {address}: it is slowed down", address=visitor.address)
            return Problem(401, "invalid_key", detail, headers=_INVALID)
        headers = {"Retry-After": str(taken.retry_after_s), "Connection": "close", **_decoded(taken)}
        detail = f"too many wrong keys from {visitor.address}: expected none for {taken.retry_after_s} s"
        return Problem(429, "too_many_failed_authentications", detail, headers=headers)

    def _is_open(self, visitor: "_Visitor") -> bool:
        return not visitor.is_websocket and is_open(visitor.method, visitor.path, self._page_paths)

    def _check(self, visitor: "_Visitor", identity: Identity) -> Problem | None:
        if visitor.origins and (visitor.is_websocket or visitor.method not in READING_METHODS):
            for origin in visitor.origins:
                if not is_allowed(origin, visitor.host, visitor.scheme, self._origins):
                    self._guard.counts.wrong_origins += 1
                    detail = f"Origin is {origin!r}: expected that of this server, or one of the setting origins"
                    return Problem(403, "wrong_origin", detail)
        if identity.scopes is ALL_SCOPES or self._is_open(visitor):
            return None
        scope = needed(visitor.method, visitor.path)
        if scope in identity.scopes:
            return None
        self._guard.counts.insufficient_scopes += 1
        detail = f"{visitor.method} {visitor.path} needs the scope {scope}: key {identity.name!r} does not have it"
        challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        return Problem(403, "insufficient_scope", detail, headers=challenge)


class _Visitor:
    """What counts of a request or handshake, read off its scope in one go."""

    __slots__ = (
        "address",
        "authorizations",
        "host",
        "is_websocket",
        "method",
        "origins",
        "path",
        "query",
        "scheme",
        "ticket",
    )

    def __init__(self, scope: Scope) -> None:
        self.is_websocket = scope["type"] == "websocket"
        self.method: str = "GET" if self.is_websocket else scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.scheme: str = scope["scheme"]
        client = scope.get("client")
        self.address = counted_address(client[0]) if client else ""
        self.authorizations: list[str] = []
        self.host = ""
        self.origins: list[str] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                self.authorizations.append(value.decode("latin-1"))
            elif name == b"host":
                self.host = value.decode("latin-1")
            elif name == b"origin":
                self.origins.append(value.decode("latin-1"))
        self.ticket: str | None = None
        if self.is_websocket:
            names = (name for name in scope.get("subprotocols", ()) if name.startswith(SUBPROTOCOL_PREFIX))
            self.ticket = next((name.removeprefix(SUBPROTOCOL_PREFIX) for name in names), None)


async def refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """Answer a request, or refuse a handshake, with a problem.

    A server without the extension for such answers (websocket.http.response) can only say 403.
    """
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
            return
    await answer(HTTPConnection(scope), problem)(scope, receive, send)


def _too_many(taken: Taken) -> Problem:
    headers = {"Retry-After": str(taken.retry_after_s)}
    return Problem(429, "too_many_requests", "expected fewer requests: see RateLimit-Policy", headers=headers)


def _decoded(taken: Taken) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in taken.fields}


def _with_fields(send: Send, taken: Taken | None) -> Send:
    if taken is None:
        return send
    fields = taken.fields

    async def send_with_fields(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            message["headers"] = [*message.get("headers", ()), *fields]
        await send(message)

    return send_with_fields
