"""Routes made from operations."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from l3book.api.operation import Operation, Owner

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def routes_of(operations: Sequence[Operation], owner: Owner, resources: object) -> list[Route]:
    """Make the owner's routes: each operation by the method of `resources` that has its name.

    One route a path: the router lists what a path allows by the first of its routes.
    """
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        if operation.owner == owner:
            by_path.setdefault(operation.path, {})[operation.method] = getattr(resources, operation.name)
    return [Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in by_path.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return answer
