"""The ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from l3book.access import endpoints as access_endpoints
from l3book.access.bodies import Bodies
from l3book.access.guard import Guard
from l3book.access.idempotency import Idempotency
from l3book.access.middleware import Access
from l3book.api import page
from l3book.api.hosts import HostCheck
from l3book.api.problems import Problem, on_exception, on_http_exception, on_problem
from l3book.api.rest import Rest
from l3book.config import Settings
from l3book.hub import Hub

CORS_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
CORS_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "traceparent")
CORS_ANSWER_HEADERS = ("ETag", "Idempotency-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After")


def create_app(hub: Hub, settings: Settings, guard: Guard, hosts: tuple[str, ...] | None = None) -> Starlette:
    """REST, health and the page, over one hub, for whom the guard lets in, by the names in `hosts` (None: any)."""
    page_routes = page.routes()
    return Starlette(
        middleware=_middleware(settings, guard, hosts, page.paths(page_routes)),
        routes=[*Rest(hub, settings).routes(), *access_endpoints.routes(guard), *page_routes],
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
    )


def _middleware(
    settings: Settings, guard: Guard, hosts: tuple[str, ...] | None, page_paths: frozenset[str]
) -> list[Middleware]:
    """From the outside in: nobody's body is read before it is known who sends it."""
    layers = [Middleware(HostCheck, hosts=hosts)] if hosts else []
    if settings.cors_origins:
        # Outside of Access: a browser asks for leave before it sends the key, and must be able to read refusals.
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=CORS_METHODS,
                allow_headers=CORS_REQUEST_HEADERS,
                expose_headers=CORS_ANSWER_HEADERS,
            )
        )
    return [
        *layers,
        Middleware(Access, guard=guard, origins=tuple(settings.origins), page_paths=page_paths),
        Middleware(Bodies, limits=guard.limits),
        Middleware(Idempotency, guard=guard),
    ]
