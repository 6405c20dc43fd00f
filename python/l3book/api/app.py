"""The ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from l3book.api import page
from l3book.api.hosts import HostCheck
from l3book.api.problems import Problem, on_exception, on_http_exception, on_problem
from l3book.api.rest import Rest
from l3book.api.ws import endpoint
from l3book.config import Settings
from l3book.hub import Hub


def create_app(hub: Hub, settings: Settings, hosts: tuple[str, ...] | None = None) -> Starlette:
    """REST, WebSocket, health and the page, over one hub, for requests to `hosts` (None: to any)."""
    return Starlette(
        middleware=[Middleware(HostCheck, hosts=hosts)] if hosts else [],
        routes=[*Rest(hub, settings).routes(), *endpoint.routes(hub, settings), *page.routes()],
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
    )
