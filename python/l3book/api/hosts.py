"""The names a server on loopback goes by.

A web page anywhere can point a host name of its own at 127.0.0.1, and then read a server there as if it were its
own (DNS rebinding). The browser still sends that name as Host, so a server that only this machine can reach
answers to the names of this machine alone.
"""

import re
import socket

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from l3book.api.problems import Problem, answer

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::[0-9]*)?")


def own_hosts(listener: socket.socket, host: str) -> tuple[str, ...]:
    """Every name a server on loopback is asked by: this machine's, the address it has, and `host`, as it was told."""
    named = (listener.getsockname()[0], host.lower())
    return tuple(dict.fromkeys((*LOOPBACK_HOSTS, *(f"[{name}]" if ":" in name else name for name in named))))


class HostCheck:
    """Answers 421 to a Host that is none of `hosts`; the port in it is not looked at.

    A request without one is let through: every browser sends it, and plain health checks may not.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] in {"http", "websocket"}:
            request = HTTPConnection(scope)
            for host in request.headers.getlist("host"):
                match = _HOST.fullmatch(host.lower())
                if match is None or match[1] not in self._hosts:
                    expected = " or ".join(self._hosts)
                    detail = f"Host is {host!r}: expected {expected}; a proxy in front has to send one of these"
                    await answer(request, Problem(421, "wrong_host", detail))(scope, receive, send)
                    return
        await self._app(scope, receive, send)
