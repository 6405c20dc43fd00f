"""The REST resources."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from l3book._core import AmbiguousInstrumentError, UnknownInstrumentError
from l3book.api.params import Level, check_known, level_and_depth
from l3book.api.problems import Problem
from l3book.config import Settings
from l3book.hub import Hub

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

RETRY_AFTER_S = 1
INLINE_DEPTH_MAX = 100
"""Books up to this depth are encoded on the event loop, in microseconds; deeper ones, and those with queues,
in a thread, so that one large answer does not hold up all others."""

_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_STORE = {"Cache-Control": "no-store"}


class Rest:
    """Endpoints over the hub."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    def routes(self) -> list[Route]:
        """All of them."""
        endpoints: dict[str, Endpoint] = {
            "/v1/instruments": self.instruments,
            "/v1/books/{instrument}": self.book,
            "/v1/metrics": self.metrics,
            "/v1/feed/transitions": self.transitions,
            "/get_snapshot": self.get_snapshot,
            "/livez": self.livez,
            "/readyz": self.readyz,
        }
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]

    async def instruments(self, request: Request) -> Response:
        """Every book there is, with its state."""
        check_known(request)
        return JSONResponse({"instruments": self._hub.instruments()}, headers=_NO_STORE)

    async def book(self, request: Request) -> Response:
        """One book: `level` 1, 2 or 3, `depth` levels a side."""
        level, depth = level_and_depth(request, self._settings)
        return await self._book(request, request.path_params["instrument"], level, depth)

    async def get_snapshot(self, request: Request) -> Response:
        """Answer with the book of the only instrument, for clients that know no other."""
        level, depth = level_and_depth(request, self._settings)
        keys = self._hub.keys()
        if not keys:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            reason = self._hub.not_ready() or "the source has delivered its first book this moment"
            raise Problem(503, "no_instruments", reason, headers=headers)
        if len(keys) > 1:
            detail = f"there are {len(keys)} books: expected /v1/books/ with one of the choices"
            raise Problem(409, "ambiguous_instrument", detail, choices=_names(keys))
        return await self._book(request, keys[0], level, depth)

    async def _book(
        self, request: Request, instrument: str | tuple[int, int], level: Level, depth: int | None
    ) -> Response:
        try:
            if level < 3 and depth is not None and depth <= INLINE_DEPTH_MAX:
                body, etag = self._hub.book_json(instrument, level, depth)
            else:
                body, etag = await run_in_threadpool(self._hub.book_json, instrument, level, depth)
        except UnknownInstrumentError:
            detail = f"no book goes by {instrument!r}: see /v1/instruments"
            raise Problem(404, "unknown_instrument", detail) from None
        except AmbiguousInstrumentError as error:
            detail = f"{instrument!r} is the name of {len(error.choices)} books: expected one of the choices"
            raise Problem(409, "ambiguous_instrument", detail, choices=_names(error.choices)) from None
        headers = {**_NO_CACHE, "ETag": etag}
        if _matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Throughput, latency and counters."""
        check_known(request)
        return JSONResponse(self._hub.metrics(), headers=_NO_STORE)

    async def transitions(self, request: Request) -> Response:
        """List the last connections, losses and changes of books' states of a live feed."""
        check_known(request)
        return JSONResponse({"transitions": self._hub.transitions()}, headers=_NO_STORE)

    async def livez(self, _request: Request) -> Response:
        """Say that the process runs."""
        return JSONResponse({"status": "live"}, headers=_NO_STORE)

    async def readyz(self, _request: Request) -> Response:
        """There are books to be served, and the source has not failed."""
        if reason := self._hub.not_ready():
            raise Problem(503, "not_ready", reason, headers={"Retry-After": str(RETRY_AFTER_S)})
        return JSONResponse({"status": "ready"}, headers=_NO_STORE)


def _names(keys: list[tuple[int, int]]) -> list[str]:
    return [f"{publisher_id}:{instrument_id}" for publisher_id, instrument_id in keys]


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110, 13.1.2: any of the listed tags, compared weakly, or '*'."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
