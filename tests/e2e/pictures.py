"""The pictures of README.md, from a synthetic market alone: `make pictures` writes docs/page.png and docs/past.png."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from page_reading import heatmap, wait_for
from playwright.sync_api import Page, expect, sync_playwright

from browsing import CHROMIUM_ARGUMENTS, chromium_path
from running import RunningServer

DOCS = Path(__file__).parents[2] / "docs"
WINDOW = {"width": 1600, "height": 1000}
WAIT_MS = 60_000
SETTLE_MS = 2_000
SECONDS_BACK = 20


def choose_an_order(page: Page, server: RunningServer, at: str | None = None) -> None:
    """The first of the queue some levels below the best bid: it stays for a while."""
    symbol = page.get_by_test_id("picker").input_value()
    told = server.get(f"/v1/books/{symbol}", params={"level": 3, "depth": 6, **({"at": at} if at else {})})
    order_id = told.raise_for_status().json()["bids"][5][3][0][0]
    page.get_by_test_id("inspector-field").fill(order_id)
    page.get_by_test_id("inspector-show").click()
    expect(page.get_by_test_id("inspector-order")).to_contain_text(order_id)
    page.mouse.click(WINDOW["width"] / 2, 5)
    page.wait_for_timeout(SETTLE_MS)


def pause(page: Page) -> None:
    """Stand still, live or on the way."""
    page.keyboard.press("Space")
    expect(page.get_by_test_id("replay-state")).to_have_text("paused", timeout=WAIT_MS)


def seconds_known(page: Page) -> float:
    """How much time the heatmap has something of."""
    return (int(heatmap(page, "until") or 0) - int(heatmap(page, "from") or 0)) / 1e9


def seconds_shown(page: Page) -> float:
    """How much it has room for, as it says."""
    said = re.match(r"(?:(\d+) min )?(\d+) (m?s)", page.get_by_test_id("heatmap-window").inner_text())
    assert said is not None
    return 60 * int(said[1] or 0) + int(said[2]) / (1000 if said[3] == "ms" else 1)


def take(server: RunningServer, seconds: float, folder: Path) -> None:
    """Both pictures, of one page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport=WINDOW, color_scheme="dark")  # type: ignore[arg-type]
        page.set_default_timeout(WAIT_MS)
        page.goto(server.url)
        expect(page.get_by_test_id("book-state")).to_have_text("live", timeout=WAIT_MS)
        # The heatmap and the tape have something to tell by then.
        page.wait_for_timeout(seconds * 1000)
        choose_an_order(page, server)
        page.screenshot(path=folder / "page.png")
        page.keyboard.press("t")
        pause(page)
        for _ in range(SECONDS_BACK):
            page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Space")
        expect(page.get_by_test_id("replay-state")).to_have_text("playing", timeout=WAIT_MS)
        # The picture is whole once as much has been played as it shows.
        wait_for(page, "a heatmap from edge to edge", lambda: seconds_known(page) > seconds_shown(page))
        pause(page)
        (time,) = re.findall(r"(\d+) ns", page.get_by_test_id("ts-event").get_attribute("title") or "")
        choose_an_order(page, server, time)
        expect(page.get_by_test_id("life-row").first).to_be_visible(timeout=WAIT_MS)
        page.screenshot(path=folder / "past.png")
        browser.close()


def main() -> None:
    """Serve a market that is recorded, and look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="until the first picture")
    parser.add_argument("--folder", type=Path, default=DOCS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as history:
        server = RunningServer("--source", "synthetic:?instruments=12&rate=10000&seed=11", "--history", history)
        try:
            server.wait_until_listening()
            server.wait_until_ready()
            take(server, arguments.seconds, arguments.folder)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
