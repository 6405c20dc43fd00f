"""The one resource of this room: a ticket in exchange for a key."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from l3book.access.guard import Guard
from l3book.access.middleware import IDENTITY
from l3book.api.problems import Problem


def routes(guard: Guard) -> list[Route]:
    """All of them."""

    async def make_ticket(request: Request) -> Response:
        """Make a ticket for the key that asks: it opens one WebSocket within its time."""
        if request.query_params:
            raise Problem(400, "unknown_parameter", "POST /v1/tickets: expected no parameter")
        ticket = guard.tickets.make(request.scope[IDENTITY])
        if isinstance(ticket, Problem):
            raise ticket
        content = {"ticket": ticket, "expires_in_s": guard.tickets.kept_s}
        return JSONResponse(content, 201, {"Cache-Control": "no-store"})

    return [Route("/v1/tickets", make_ticket, methods=["POST"])]
