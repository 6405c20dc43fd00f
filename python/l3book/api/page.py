"""The browser page, from the package's own files."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC_FOLDER = Path(__file__).resolve().parent.parent / "static"
ASSET_MAX_AGE_S = 365 * 24 * 3600

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>l3book</title>
<h1>The page is not built</h1>
<p>The server runs, and its API answers at <a href="/v1/instruments">/v1/instruments</a>.
To build the page, run <code>make setup</code> and start the server again.</p>
</html>
"""


class Assets(StaticFiles):
    """Files whose names carry a hash of their content: a browser need never ask for them twice."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Find the file, and give the browser leave to keep it."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={ASSET_MAX_AGE_S}, immutable"
        return response


def page_is_built(folder: Path = STATIC_FOLDER) -> bool:
    """Look whether there is a page to serve."""
    return (folder / "index.html").is_file()


def routes(folder: Path = STATIC_FOLDER) -> list[BaseRoute]:
    """Serve `/`, the files beside index.html, and everything below /assets.

    No catch-all: it would swallow the router's 405 and 404 for the paths of the API.
    """
    if not page_is_built(folder):
        return [Route("/", _not_built, methods=["GET"])]
    found: list[BaseRoute] = [_file_route("/", folder / "index.html")]
    found += [_file_route(f"/{file.name}", file) for file in sorted(folder.iterdir()) if file.is_file()]
    if (folder / "assets").is_dir():
        found.append(Mount("/assets", Assets(directory=folder / "assets")))
    return found


def paths(page_routes: list[BaseRoute]) -> frozenset[str]:
    """Every path of the page that is one file's."""
    return frozenset(route.path for route in page_routes if isinstance(route, Route))


def _file_route(path: str, file: Path) -> Route:
    async def serve_file(_request: Request) -> Response:
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    return Route(path, serve_file, methods=["GET"], name=f"page:{path}")


async def _not_built(_request: Request) -> Response:
    return HTMLResponse(_NOT_BUILT, 503, {"Cache-Control": "no-store"})
