"""The handshake of `/v1/ws`, and what else may be asked of that path."""

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from l3book.api.problems import Problem, answer
from l3book.api.ws.formats import BY_SUBPROTOCOL, JSON, Format
from l3book.api.ws.outlet import SCOPE_KEY
from l3book.api.ws.session import Session
from l3book.api.ws.sockets import Sockets
from l3book.config import Settings
from l3book.hub import Hub

PATH = "/v1/ws"
TICKET_PREFIX = "l3book.ticket."
"""A subprotocol that names no protocol: a browser's way of saying who it is."""


class WebSocketEndpoint:
    """Accepts or refuses; a socket that was accepted is a `Session`."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings
        self._sockets = Sockets(settings, hub.streams.counters)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        try:
            form, selected = choose_format(scope["subprotocols"])
            owner = self._sockets.admit(scope)
        except Problem as problem:
            await answer(HTTPConnection(scope), problem)(scope, receive, send)
            return
        try:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": selected})
            session = Session(self._hub.streams, self._settings, form, scope[SCOPE_KEY], owner)
            self._sockets.add(session)
            try:
                await session.run(receive)
            finally:
                self._sockets.remove(session)
        finally:
            self._sockets.release(owner)


def choose_format(offered: list[str]) -> tuple[Format, str | None]:
    """Find the first subprotocol of a client's that the server speaks; JSON where none is offered. Raises Problem."""
    protocols = [protocol for protocol in offered if not protocol.startswith(TICKET_PREFIX)]
    if not protocols:
        return JSON, None
    for protocol in protocols:
        if protocol in BY_SUBPROTOCOL:
            return BY_SUBPROTOCOL[protocol], protocol
    expected = " or ".join(BY_SUBPROTOCOL)
    raise Problem(
        400, "unsupported_subprotocol", f"Sec-WebSocket-Protocol is {', '.join(protocols)!r}: expected {expected}"
    )


def routes(hub: Hub, settings: Settings) -> list[BaseRoute]:
    """List the socket, what a plain request to it gets, and what a handshake anywhere else gets."""
    return [
        WebSocketRoute(PATH, WebSocketEndpoint(hub, settings)),
        Route(PATH, _upgrade_required, methods=["GET"]),
        WebSocketRoute("/{path:path}", _nowhere),
    ]


async def _upgrade_required(_request: Request) -> Response:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise Problem(426, "upgrade_required", f"{PATH} is a WebSocket: expected a handshake (RFC 6455)", headers=headers)


class _Nowhere:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(404, "not_found", f"there is no WebSocket at {scope['path']}: expected {PATH}")
        await answer(HTTPConnection(scope), problem)(scope, receive, send)


_nowhere = _Nowhere()
