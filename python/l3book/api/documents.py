"""The API's own documents: OpenAPI, AsyncAPI, and a page made from both that needs nothing from elsewhere."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from l3book.api.asyncapi import asyncapi
from l3book.api.docs_page import STYLE_PATH, docs_page
from l3book.api.openapi import openapi
from l3book.api.operations import Operation
from l3book.api.params import etag_matches

STYLE_FILE = Path(__file__).with_name("docs.css")


def routes(operations: Sequence[Operation], *, needs_key: bool) -> list[Route]:
    """Serve the documents, made once; and the page's style, since the server's CSP allows none inside a page."""
    rest, stream = openapi(operations, needs_key=needs_key), asyncapi()
    content = {
        "openapi": msgspec.json.encode(rest),
        "asyncapi": msgspec.json.encode(stream),
        "docs": docs_page(rest, stream).encode(),
    }
    found = [
        Route(operation.path, _document(content[operation.name], operation.content_types[0]), name=operation.name)
        for operation in operations
        if operation.owner == "documents"
    ]
    style = _document(STYLE_FILE.read_bytes(), "text/css; charset=utf-8")
    return [*found, Route(STYLE_PATH, style, name="docs_style", include_in_schema=False)]


def _document(body: bytes, content_type: str) -> Callable[[Request], Awaitable[Response]]:
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag}

    async def serve(request: Request) -> Response:
        if etag_matches(request, etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=content_type)

    return serve
