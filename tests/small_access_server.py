"""A server that is nothing but the access layers before one endpoint, which does something that can be counted.

`python small_access_server.py FOLDER [BODY_TIMEOUT_S]`: state.db is in FOLDER; every POST /v1/exports that is done adds
a line to FOLDER/done, and one with {"wait": true} ends when FOLDER/go exists. Writes its port into FOLDER/port.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from l3book.access.bodies import Bodies
from l3book.access.guard import Guard
from l3book.access.idempotency import Idempotency
from l3book.access.middleware import Access
from l3book.api.problems import Problem, on_problem
from l3book.config import Settings

BODY_BYTES_MAX = 4096
LARGE_ANSWER_BYTES = 100_000


class Ids:
    """What the server's own app gives each request before anything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["l3book.trace_id"] = scope["l3book.request_id"] = os.urandom(16).hex()
        await self._app(scope, receive, send)


def main(folder: Path, body_timeout_s: int) -> None:
    settings = Settings(state_dir=folder, body_bytes_max=BODY_BYTES_MAX, request_body_timeout_s=body_timeout_s)
    guard = Guard(settings)

    async def export(request: Request) -> Response:
        body = await request.body()
        wish = json.loads(body) if body.startswith(b"{") else {}
        with (folder / "done").open("a") as done:
            done.write("x\n")
        while wish.get("wait") and not (folder / "go").exists():  # noqa: ASYNC110  # another process makes it
            await asyncio.sleep(0.01)
        if wish.get("fail"):
            raise RuntimeError("as asked")
        if wish.get("refuse"):
            raise Problem(422, "bad_parameter", "as asked")
        if wish.get("busy"):
            raise Problem(429, "too_many_requests", "as asked", headers={"Retry-After": "1"})
        if wish.get("large"):
            return StreamingResponse(iter([b"x" * LARGE_ANSWER_BYTES, b"y"]))
        count = len((folder / "done").read_text().splitlines())
        return JSONResponse({"count": count, "wish": wish}, 201, {"Location": f"/v1/exports/{count}", "X-Other": "1"})

    app = Starlette(
        routes=[Route("/v1/exports", export, methods=["POST", "GET"])],
        middleware=[
            Middleware(Ids),
            Middleware(Access, guard=guard),
            Middleware(Bodies, limits=guard.limits),
            Middleware(Idempotency, guard=guard),
        ],
        exception_handlers={Problem: on_problem},
    )
    listener = socket.create_server(("127.0.0.1", 0))
    part = folder / "port.part"
    part.write_text(str(listener.getsockname()[1]))
    part.rename(folder / "port")
    uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off")).run([listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
