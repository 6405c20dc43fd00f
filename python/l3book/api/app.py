"""The ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from l3book.api import documents, page
from l3book.api.hosts import HostCheck
from l3book.api.operations import operations
from l3book.api.problems import Problem, on_http_exception, on_problem
from l3book.api.request_ids import RequestIds
from l3book.api.rest import Rest
from l3book.api.ws import endpoint
from l3book.config import Settings
from l3book.hub import Hub


def create_app(hub: Hub, settings: Settings, hosts: tuple[str, ...] | None = None) -> Starlette:
    """REST, health, the documents and the page, over one hub, for requests to `hosts` (None: to any)."""
    every = operations(settings)
    app = Starlette(
        # Ids first: whatever is answered further in has them.
        middleware=[Middleware(RequestIds), *([Middleware(HostCheck, hosts=hosts)] if hosts else [])],
        routes=[
            *Rest(hub, settings).routes(every),
            *documents.routes(every, needs_key=False),
            *endpoint.routes(hub, settings),
            *page.routes(),
        ],
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
    )
    # A redirect would be made from the Host header, to a name that the caller chose.
    app.router.redirect_slashes = False
    return app
