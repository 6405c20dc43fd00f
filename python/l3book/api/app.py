"""The ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from l3book import tracing
from l3book.access import endpoints as access_endpoints
from l3book.access.bodies import Bodies
from l3book.access.guard import Guard
from l3book.access.idempotency import Idempotency
from l3book.access.middleware import Access
from l3book.api import documents, page
from l3book.api.exports import ExportResources
from l3book.api.hosts import HostCheck
from l3book.api.operations import operations, without_history
from l3book.api.past import Past
from l3book.api.problems import Problem, on_http_exception, on_problem
from l3book.api.replays import ReplayResources
from l3book.api.request_counts import CountRequests, RequestCounts
from l3book.api.request_ids import RequestIds
from l3book.api.rest import Rest
from l3book.api.routes import routes_of
from l3book.api.ws import endpoint
from l3book.config import InForce, Settings
from l3book.hub import Hub

CORS_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "traceparent",
    "X-Request-Id",
)
CORS_ANSWER_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)


def create_app(hub: Hub, in_force: InForce, guard: Guard, hosts: tuple[str, ...] | None = None) -> Starlette:
    """Everything over one hub, for whom the guard lets in, by the names in `hosts` (None: any)."""
    settings = in_force.settings
    every = operations(settings)
    described = every if hub.history is not None else without_history(every)
    page_routes = page.routes()
    counts = RequestCounts()
    app = Starlette(
        middleware=[
            Middleware(CountRequests, counts=counts, in_force=in_force),
            *_traced(),
            *_middleware(settings, guard, hosts, page.paths(page_routes)),
        ],
        routes=[
            *routes_of(every, "rest", Rest(hub, settings, guard, counts)),
            *routes_of(every, "past", Past(hub)),
            *routes_of(every, "replays", ReplayResources(hub)),
            *routes_of(every, "exports", ExportResources(hub)),
            *endpoint.routes(hub, in_force, guard),
            *access_endpoints.routes(guard),
            *documents.routes(described, needs_key=guard.keys.are_needed),
            *page_routes,
        ],
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
    )
    # A redirect would be made from the Host header, to a name that the caller chose.
    app.router.redirect_slashes = False
    return app


def _traced() -> list[Middleware]:
    if tracing.active is None:
        return []
    from l3book.api.traced_requests import TraceRequests

    return [Middleware(TraceRequests, tracing=tracing.active)]


def _middleware(
    settings: Settings, guard: Guard, hosts: tuple[str, ...] | None, page_paths: frozenset[str]
) -> list[Middleware]:
    """From the outside in: first ids, which every answer has. Nobody's body is read before it is known who sends it."""
    layers = [Middleware(RequestIds), Middleware(HostCheck, hosts=hosts)]
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
