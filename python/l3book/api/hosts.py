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
    """Answers 421 to a Host that is none of `hosts` (None: any will do); the port in it is not looked at.

    A request without one is 400, as RFC 9112 has it; before HTTP/1.1 it is let through: plain health checks speak that.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] in {"http", "websocket"}:
            request = HTTPConnection(scope)
            problem = self._wrong(request.headers.getlist("host"), scope["http_version"])
            if problem is not None:
                await answer(request, problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wrong(self, given: list[str], http_version: str) -> Problem | None:
        if not given and http_version == "1.1":
            detail = "HTTP/1.1 without Host: expected one, as RFC 9112 has it"
            return Problem(400, "bad_request", detail, headers={"Connection": "close"})
        if self._hosts is None:
            return None
        for host in given:
            match = _HOST.fullmatch(host.lower())
            if match is None or match[1] not in self._hosts:
                expected = " or ".join(self._hosts)
                detail = f"Host is {host!r}: expected {expected}; a proxy in front has to send one of these"
                return Problem(421, "wrong_host", detail)
        return None
