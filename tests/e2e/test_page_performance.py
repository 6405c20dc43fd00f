"""The health strip and the performance page: what they say is what the server measures."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from drawn import crowded, drawn, watch_canvases
from page_reading import MISSING, PAGE_TIMEOUT_MS, POLL_INTERVAL_MS, number, wait_for, wait_until
from playwright.sync_api import Page, ViewportSize, expect

from running import RunningServer

Serve = Callable[..., RunningServer]
OpenPage = Callable[..., Page]
Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

# What the strip says, read in one step of its script.
_STRIP = """() => Object.fromEntries([...document.querySelectorAll('.health-pane .value')]
  .map((value) => [value.dataset.testid, [value.textContent, value.title]]))"""

COLUMNS = {
    "throughput": ("messagesPerS", "eventsPerS"),
    "data": ("bytesPerS",),
    "apply": ("applyP99Ns", "applyP90Ns", "applyP50Ns"),
    "lag": ("loopP99Ms",),
    "levels": ("bidLevels", "askLevels"),
    "spread": ("spread",),
    "clients": ("clients", "subscriptions"),
    "sent": ("sentPerS",),
    "frames": ("framesPerS", "updatesPerS"),
    "paint": ("paintMaxMs", "paintMeanMs"),
}


def disagreements(said: dict[str, list[str]], metrics: dict[str, Any]) -> list[str]:
    """What the strip says otherwise than the server."""
    expected = {
        "books": (0, f"{metrics['books']:,}"),
        "resting-orders": (0, f"{metrics['orders']:,}"),
        "source-uri": (1, metrics["source"]["uri"]),
        "recording": (0, metrics["history"]["state"]),
        "conflated": (0, f"{metrics['websocket']['conflated']:,}"),
    }
    for name in ("apply", "snapshot"):
        latency = metrics["latency"][name]
        for percentile in ("p50", "p90", "p99"):
            timed = f"{latency[f'{percentile}_ns']} ns" if latency["count"] else "nothing was timed"
            expected[f"{name}-{percentile}"] = (1, timed)
    return [
        f"{name}: {said[name][part]}, not {wanted}"
        for name, (part, wanted) in expected.items()
        if said[name][part] != wanted
    ]


def test_the_strip_says_what_the_server_measures(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, simulated: Callable[..., Any]
) -> None:
    server = serve("--source", f"file:{simulated('--instruments', '2')}")
    server.wait_for_state("ended")
    server.get("/v1/books/SYN0").raise_for_status()
    page = open_page(server.url)
    wait_until(page, "text('source-state') === 'ended' && text('checksum') === 'matches'")
    # Percentiles are of a window that moves on, and the page has asked a little before or after.
    deadline_s = time.monotonic() + PAGE_TIMEOUT_MS / 1000
    while faults := disagreements(said := page.evaluate(_STRIP), metrics := server.metrics()):
        assert time.monotonic() < deadline_s, faults
        page.wait_for_timeout(POLL_INTERVAL_MS)
    assert metrics["books"] == 2
    assert metrics["history"]["state"] == "off"
    assert metrics["totals"]["messages"] > 0
    assert said["records-lost"][0] == said["reconnects"][0] == said["source-lag"][0] == MISSING
    assert number(said["checked"][0]) >= 1
    assert number(said["resyncs"][0]) == 0
    page.get_by_test_id("counters").click()
    for name, count in metrics["counters"].items():
        expect(page.locator(f'[data-counter="{name}"]')).to_have_text(f"{count:,}")
    expect(page.locator('[data-counter="total_messages"]')).to_have_text(f"{metrics['totals']['messages']:,}")
    screenshot(page, "health")


def test_charts_have_data(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:?instruments=3")
    server.wait_until_ready()
    requests: list[str] = []
    page = open_page("about:blank")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(server.url)
    wait_until(page, "/^[0-9.]+k$/.test(text('messages-per-s'))")
    assert not [url for url in requests if "performance" in url], "the book's page does not load the charts"
    page.goto(f"{server.url}/#instrument=SYN0&view=performance")
    pane = page.get_by_test_id("performance-pane")
    expect(pane).to_be_visible()
    for chart, columns in COLUMNS.items():
        expect(page.get_by_test_id(f"chart-{chart}").locator("canvas")).to_be_visible()
        for column in columns:
            cell = page.locator(f'[data-testid="chart-{chart}"] [data-column="{column}"] td').first
            expect(cell).to_have_text(re.compile("[0-9]"))
    page.wait_for_timeout(4_000)
    newest = page.locator('[data-column="messagesPerS"] td').first
    assert number((newest.text_content() or "").removesuffix(" /s").split(".")[0]) > 0
    inked = page.locator(".time-plot canvas").evaluate_all(
        """(canvases) => canvases.map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value) => value > 0);
        })"""
    )
    assert len(inked) > len(COLUMNS)
    assert all(inked)
    screenshot(page, "performance-dark")
    page.keyboard.press("t")
    page.wait_for_timeout(500)
    screenshot(page, "performance-light")
    assert not complaints, "among these would be violations of the content security policy"


def test_cursors_of_all_charts_stand_at_one_time(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    # As everywhere on the page, times are UTC, wherever the reader is.
    page = open_page(f"{server.url}/#view=performance", timezone_id="Asia/Kolkata")
    cell = page.locator('[data-column="messagesPerS"] td').first
    expect(cell).to_have_text(re.compile("[0-9]"))
    page.wait_for_timeout(3_000)
    over = page.locator('[data-testid="chart-throughput"] .u-over')
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    expect(page.get_by_test_id("tip")).to_contain_text("messages")
    expect(page.get_by_test_id("tip")).to_contain_text("/s")
    expect(page.get_by_test_id("tip")).to_contain_text("UTC")
    heads = page.locator(".time-chart thead th:nth-child(2)")
    expect(heads.first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    # A new sample is drawn a few charts at a time.
    wait_for(page, "one time at all cursors", lambda: len(set(heads.all_text_contents())) == 1)
    hours, minutes = map(int, heads.first.inner_text().split(":")[:2])
    now = datetime.now(UTC)
    assert (now.hour * 60 + now.minute - hours * 60 - minutes) % (24 * 60) < 10
    screenshot(page, "performance-cursor")
    page.mouse.move(1, 1)
    expect(heads.first).to_have_text("now")


def test_the_performance_page_fits_a_phone(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    page = open_page(f"{server.url}/#view=performance", ViewportSize(width=320, height=800))
    expect(page.locator('[data-column="messagesPerS"] td').first).to_have_text(re.compile("[0-9]"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "no sideways scrolling"
    screenshot(page, "performance-320")


@pytest.mark.parametrize("density", [1, 2])
def test_charts_grow_with_the_window_and_cut_no_number(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, density: int
) -> None:
    server = serve("--source", "synthetic:?instruments=3")
    server.wait_until_ready()
    page = open_page("about:blank", device_scale_factor=density)
    watch_canvases(page)
    page.goto(f"{server.url}/#view=performance")
    expect(page.locator('[data-column="paintMeanMs"] td').first).to_have_text(re.compile("[0-9]"))
    for width, height in ((1440, 900), (3840, 2160), (320, 700)):
        page.set_viewport_size(ViewportSize(width=width, height=height))
        size = f"{density} * Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.74)"
        wait_until(page, f"drawnTexts('chart-throughput')[0]?.font === {size}")
        faults = {chart: crowded(drawn(page, f"chart-{chart}")) for chart in COLUMNS}
        assert not {chart: found for chart, found in faults.items() if found}
        cut = "cells => cells.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
        assert page.locator(".time-chart :is(th, td)").evaluate_all(cut) == []
        screenshot(page, f"performance-{width}")
    page.set_viewport_size(ViewportSize(width=3840, height=2160))
    wait_until(page, "document.documentElement.scrollHeight <= 2160")
    bottom = page.locator(".time-chart").last.bounding_box()
    assert bottom is not None
    assert bottom["y"] + bottom["height"] > 2_000, "the charts fill the window"
