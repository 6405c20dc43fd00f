"""The handshake of `/v1/ws`, and what else may be asked of that path."""

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from l3book.access.guard import Guard
from l3book.access.identity import Identity
from l3book.access.limits import SocketPlace
from l3book.access.middleware import IDENTITY
from l3book.api.params import check_known
from l3book.api.problems import Problem, answer
from l3book.api.ws.formats import BY_SUBPROTOCOL, JSON, Format
from l3book.api.ws.outlet import SCOPE_KEY
from l3book.api.ws.pulse import Pulse
from l3book.api.ws.session import Session
from l3book.config import InForce
from l3book.hub import Hub

PATH = "/v1/ws"


class WebSocketEndpoint:
    """Accepts or refuses; a socket that was accepted is a `Session`."""

    def __init__(self, hub: Hub, in_force: InForce, guard: Guard) -> None:
        self._hub = hub
        self._in_force = in_force
        self._limits = guard.limits
        self._pulse = Pulse(hub.streams.counters)
        guard.keys.on_change(self._pulse.check)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        identity: Identity = scope[IDENTITY]
        try:
            check_known(HTTPConnection(scope))
            form, selected = choose_format(scope["subprotocols"])
            place = self._take_place(identity)
        except Problem as problem:
            await answer(HTTPConnection(scope), problem)(scope, receive, send)
            return
        with place:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": selected})
            subscribed, ops = self._limits.sockets.subscriptions(identity), self._limits.ops(identity)
            streams, history = self._hub.streams, self._hub.history
            session = Session(streams, history, self._in_force, form, scope[SCOPE_KEY], subscribed, ops)
            self._pulse.add(session)
            try:
                await session.run(receive)
            finally:
                self._pulse.remove(session)

    def _take_place(self, identity: Identity) -> SocketPlace:
        place = self._limits.sockets.acquire(identity)
        if isinstance(place, Problem):
            raise place
        return place


def choose_format(offered: list[str]) -> tuple[Format, str | None]:
    """Find the first subprotocol of a client's that the server speaks; JSON where none is offered. Raises Problem."""
    if not offered:
        return JSON, None
    for protocol in offered:
        if protocol in BY_SUBPROTOCOL:
            return BY_SUBPROTOCOL[protocol], protocol
    expected = " or ".join(BY_SUBPROTOCOL)
    raise Problem(
        400, "unsupported_subprotocol", f"Sec-WebSocket-Protocol is {', '.join(offered)!r}: expected {expected}"
    )


def routes(hub: Hub, in_force: InForce, guard: Guard) -> list[BaseRoute]:
    """List the socket, what a plain request to it gets, and what a handshake anywhere else gets."""
    return [
        WebSocketRoute(PATH, WebSocketEndpoint(hub, in_force, guard)),
        Route(PATH, _upgrade_required, methods=["GET"]),
        WebSocketRoute("/{path:path}", _nowhere),
    ]


async def _upgrade_required(request: Request) -> Response:
    check_known(request)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise Problem(426, "upgrade_required", f"{PATH} is a WebSocket: expected a handshake (RFC 6455)", headers=headers)


class _Nowhere:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(404, "not_found", f"there is no WebSocket at {scope['path']}: expected {PATH}")
        await answer(HTTPConnection(scope), problem)(scope, receive, send)


_nowhere = _Nowhere()
