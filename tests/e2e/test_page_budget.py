"""What the page weighs on the wire with all its panes, and how soon it shows a ladder, as Chromium tells it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from page_reading import PAGE_TIMEOUT_MS, POLL_INTERVAL_MS, wait_for_panes

from http_contract import raw_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from running import RunningServer

pytestmark = pytest.mark.e2e

PROBE = Path(__file__).parents[1] / "bench" / "ui_probe.js"
PAGE_BYTES_MAX = 100_000
# Ten times the goal, which `make bench-ui` measures: a machine that builds and tests has its own pace.
FIRST_LADDER_MS_MAX = 10_000


class Wire:
    """What has come over the network, without the API's answers."""

    def __init__(self, page: Page) -> None:
        self.bytes: dict[str, int] = {}
        self.codings: dict[str, str] = {}
        self.cached: set[str] = set()
        self._paths: dict[str, str] = {}
        self._page = page
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", self._on_response)
        session.on("Network.requestServedFromCache", lambda told: self.cached.add(told["requestId"]))
        session.on("Network.loadingFinished", self._on_end)
        session.send("Network.enable")

    def wait_for(self, prefix: str) -> None:
        """What the page has got may be told here a little later."""
        deadline_s = time.monotonic() + PAGE_TIMEOUT_MS / 1000
        while not any(path.startswith(prefix) and path.endswith(".js") for path in self.bytes):
            assert time.monotonic() < deadline_s, f"{prefix} has not come"
            self._page.wait_for_timeout(POLL_INTERVAL_MS)

    def _on_response(self, told: dict[str, Any]) -> None:
        response = told["response"]
        path = urlsplit(response["url"]).path
        if path.startswith("/v1/"):
            return
        self._paths[told["requestId"]] = path
        headers = {name.lower(): value for name, value in response["headers"].items()}
        self.codings[path] = headers.get("content-encoding", "identity")

    def _on_end(self, told: dict[str, Any]) -> None:
        if path := self._paths.get(told["requestId"]):
            self.bytes[path] = 0 if told["requestId"] in self.cached else int(told["encodedDataLength"])


def wait_for_ladder(page: Page) -> float:
    """-> ms from the beginning of the navigation until the first ladder was painted."""
    while (at_ms := page.evaluate("probe.loaded().firstLadderMs")) is None:
        page.wait_for_timeout(POLL_INTERVAL_MS)
    return float(at_ms)


def in_gzip(server: RunningServer, path: str) -> int:
    """Bytes of the whole answer to whoever takes gzip at most."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n"
    status, headers, body = raw_answer(server, request.encode())
    assert status == 200
    return len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items())


def test_the_page_is_small_and_soon_there(
    serve: Callable[..., RunningServer], open_page: Callable[..., Page], capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve("--source", "synthetic:?instruments=3")
    server.wait_until_ready()
    page = open_page("about:blank")
    page.context.add_init_script(path=PROBE)
    wire = Wire(page)
    page.goto(server.url)
    ladder_ms = wait_for_ladder(page)
    wait_for_panes(page)
    wire.wait_for("/assets/tape")
    gzipped = {path: in_gzip(server, path) for path in wire.bytes}
    with capsys.disabled():
        weight = f"{sum(wire.bytes.values()):,} bytes as Chromium got them, {sum(gzipped.values()):,} in gzip"
        sys.stdout.write(f"\nfirst ladder after {ladder_ms:.0f} ms; {len(gzipped)} files: {weight}\n")
    assert {"/", *(path for path in gzipped if path.endswith((".js", ".css")))} <= set(wire.codings)
    assert {wire.codings[path] for path in wire.bytes if path.endswith((".js", ".css", "/"))} == {"br"}
    assert sum(wire.bytes.values()) < PAGE_BYTES_MAX
    assert sum(gzipped.values()) < PAGE_BYTES_MAX
    assert ladder_ms < FIRST_LADDER_MS_MAX

    again = Wire(page)
    page.reload()
    wait_for_panes(page)
    assets = [path for path in again.bytes if path.startswith("/assets/")]
    assert not [path for path in assets if again.bytes[path] > 0], "what is kept for ever is not fetched again"
    assert again.bytes["/"] < 2_000, "the document has not changed: 304"
