"""The API's own documents: OpenAPI, AsyncAPI, and a page made from both that needs nothing from elsewhere."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from l3book.api.asyncapi import asyncapi
from l3book.api.docs_page import ICON_PATH, STYLE_PATH, docs_page
from l3book.api.openapi import openapi
from l3book.api.operation import Operation
from l3book.api.params import etag_matches

STYLE_FILE = Path(__file__).with_name("docs.css")
ICON_FILE = Path(__file__).with_name("docs.svg")


def routes(operations: Sequence[Operation], *, needs_key: Callable[[], bool]) -> list[Route]:
    """Serve the documents, as they are for a server that does or does not ask for keys now; each is made once.

    And the page's style and icon: the server's CSP allows none inside a page.
    """

    @cache
    def contents(*, with_keys: bool) -> dict[str, bytes]:
        rest, stream = openapi(operations, needs_key=with_keys), asyncapi()
        return {
            "openapi": msgspec.json.encode(rest),
            "asyncapi": msgspec.json.encode(stream),
            "docs": docs_page(rest, stream).encode(),
        }

    def route(operation: Operation) -> Route:
        def content() -> bytes:
            return contents(with_keys=needs_key())[operation.name]

        return Route(operation.path, _document(content, operation.content_types[0]), name=operation.name)

    style = _document(STYLE_FILE.read_bytes, "text/css; charset=utf-8")
    icon = _document(ICON_FILE.read_bytes, "image/svg+xml")
    found = [route(operation) for operation in operations if operation.owner == "documents"]
    return [
        *found,
        Route(STYLE_PATH, style, name="docs_style", include_in_schema=False),
        Route(ICON_PATH, icon, name="docs_icon", include_in_schema=False),
    ]


def _document(content: Callable[[], bytes], content_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        body = content()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"Cache-Control": "no-cache", "ETag": etag}
        if etag_matches(request, etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=content_type)

    return serve
