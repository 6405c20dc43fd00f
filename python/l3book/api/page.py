"""The browser page, from the package's own files."""

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from l3book.api.encodings import IDENTITY, coding_for
from l3book.api.params import etag_matches

STATIC_FOLDER = Path(__file__).resolve().parent.parent / "static"
ASSET_MAX_AGE_S = 365 * 24 * 3600
CODINGS = {"br": ".br", "gzip": ".gz"}
"""Content codings in which the build leaves files beside its own, and how those end; the preferred one first."""

# The platform's tables differ, and under another type than these a browser runs nothing (X-Content-Type-Options).
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>l3book</title>
<h1>The page is not built</h1>
<p>The server runs, and its API answers at <a href="/v1/instruments">/v1/instruments</a>.
To build the page, run <code>make setup</code> and start the server again.</p>
</html>
"""


class PageFile:
    """One file in every coding it was built in, read once: all that is served is of the same build."""

    def __init__(self, file: Path, *, is_immutable: bool) -> None:
        """`is_immutable`: its name carries a hash of its content, so that a browser need never ask for it twice."""
        kept = f"public, max-age={ASSET_MAX_AGE_S}, immutable" if is_immutable else "no-cache"
        guessed = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._content_type = _CONTENT_TYPES.get(file.suffix, guessed)
        self._contents = {IDENTITY: file.read_bytes()}
        for coding, ending in CODINGS.items():
            coded = file.with_name(file.name + ending)
            if coded.is_file():
                self._contents[coding] = coded.read_bytes()
        self._codings = tuple(coding for coding in self._contents if coding != IDENTITY)
        self._headers = {coding: self._headers_of(coding, kept) for coding in self._contents}

    def _headers_of(self, coding: str, kept: str) -> dict[str, str]:
        digest = hashlib.sha256(self._contents[coding]).hexdigest()[:16]
        headers = {"Cache-Control": kept, "ETag": f'"{digest}"'}
        if self._codings:
            headers["Vary"] = "Accept-Encoding"
        if coding != IDENTITY:
            headers["Content-Encoding"] = coding
        return headers

    def answer(self, request: Request) -> Response:
        """Answer in the coding that the request prefers, or 304 if it has that."""
        accept = request.headers.getlist("accept-encoding")
        coding = coding_for(", ".join(accept) if accept else None, self._codings)
        headers = self._headers[coding]
        if etag_matches(request, headers["ETag"]):
            told = {name: value for name, value in headers.items() if name != "Content-Encoding"}
            return Response(status_code=304, headers=told)
        return Response(self._contents[coding], headers=headers, media_type=self._content_type)


def page_is_built(folder: Path = STATIC_FOLDER) -> bool:
    """Look whether there is a page to serve."""
    return (folder / "index.html").is_file()


def routes(folder: Path = STATIC_FOLDER) -> list[BaseRoute]:
    """Serve every file of the folder by its own path, and index.html at `/`.

    No catch-all: it would swallow the router's 405 and 404 for the paths of the API. And no path is ever looked up in
    the file system.
    """
    if not page_is_built(folder):
        return [Route("/", _not_built, methods=["GET"])]
    found = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or _is_coded(file):
            continue
        path = f"/{file.relative_to(folder).as_posix()}"
        found[path] = PageFile(file, is_immutable=path.startswith("/assets/"))
    found["/"] = found["/index.html"]
    return [Route(path, _serving(file), methods=["GET"], name=f"page:{path}") for path, file in found.items()]


def paths(page_routes: list[BaseRoute]) -> frozenset[str]:
    """Every path of the page."""
    return frozenset(route.path for route in page_routes if isinstance(route, Route))


def _is_coded(file: Path) -> bool:
    """Whether it is another file in a coding, which is no resource of its own."""
    return file.suffix in CODINGS.values() and file.with_suffix("").is_file()


def _serving(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    async def serve_file(request: Request) -> Response:
        return file.answer(request)

    return serve_file


async def _not_built(_request: Request) -> Response:
    return HTMLResponse(_NOT_BUILT, 503, {"Cache-Control": "no-store"})
