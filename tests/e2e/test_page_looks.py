"""The page for everybody: axe, keys alone, any window, both themes, any eyes, little motion, a slow line."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from drawn import crowded, drawn, watch_canvases
from looks import DICHROMATS, called, contrast, distance, grave_faults, overflowing, rgb, tabbed
from page_reading import POLL_INTERVAL_MS, wait_for_panes, wait_until
from playwright.sync_api import ViewportSize, expect

from documented import names, tables
from recorded import serve_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

WINDOWS = [(320, 700), (820, 1180), (1440, 900), (1920, 1080), (3840, 2160)]
# Wide enough for the desk, in which everything is on view at once.
DESKS = [(1280, 800), (1366, 768), (1440, 900), (1920, 1080), (3840, 2160)]
THEMES = ("dark", "light")
SIDES = ("blue-orange", "green-red")
HAS_BOOK = "/^[0-9,]+$/.test(text('seq'))"
IS_LIVE = "text('book-state') === 'live'"
# WCAG 2.2: 1.4.3 for text, 1.4.11 for what is no text.
TEXT_CONTRAST_MIN = 4.5
SHAPE_CONTRAST_MIN = 3.0
# Well above what can just be told (about 2), for blocks a few pixels wide.
SIDES_APART_MIN = 30.0
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 250_000, "uploadThroughput": 50_000}
BOOK_BYTES_MIN = 50_000
SLOW_BOOKS = 5
CALM_S = 4.0
WAIT_S = 60
# Once a second, and one more for where the counting begins.
CALM_CHANGES_MAX = 6


def states(page: Page) -> Iterator[str]:
    """Brings the page from state to state, and names each."""
    yield "book"
    page.keyboard.press("?")
    expect(page.get_by_test_id("help")).to_be_visible()
    yield "help"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_test_id("picker-list")).to_be_visible()
    yield "picker"
    page.keyboard.press("Escape")
    page.get_by_test_id("counters").locator("summary").click()
    yield "counters"


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_grave_in_any_state(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, theme: str
) -> None:
    page = open_page(still.url, color_scheme=theme)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    faults = {}
    for state in states(page):
        screenshot(page, f"state-{state}-{theme}")
        faults[state] = grave_faults(page)
    for sides in SIDES[::-1]:
        page.get_by_test_id("sides-button").click()
        expect(page.locator("html")).to_have_attribute("data-sides", sides)
        faults[sides] = grave_faults(page)
    assert not {state: found for state, found in faults.items() if found}


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_grave_where_more_is_opened(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, theme: str
) -> None:
    page = open_page(still.url, color_scheme=theme)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    book = still.get("/v1/books/SYN0", params={"level": 3, "depth": 1}).raise_for_status().json()
    faults = {}

    def look(state: str) -> None:
        screenshot(page, f"open-{state}-{theme}")
        faults[state] = grave_faults(page) + overflowing(page)

    page.get_by_test_id("inspector-field").fill(book["bids"][0][3][0][0])
    page.get_by_test_id("inspector-field").press("Enter")
    expect(page.get_by_test_id("inspector-status")).to_have_text("resting")
    look("inspector")
    page.get_by_test_id("ladder-row").and_(page.locator('[data-best="yes"]')).first.locator(
        '[data-col="price"]'
    ).click()
    expect(page.get_by_test_id("queue-list")).to_be_visible()
    look("queue")
    page.get_by_test_id("queue-close").click()
    page.keyboard.press(",")
    expect(page.get_by_test_id("settings")).to_be_visible()
    look("settings")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator('[data-column="messagesPerS"] td').first).to_have_text(re.compile("[0-9]"))
    look("performance")
    assert not {state: found for state, found in faults.items() if found}


@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_nothing_sticks_out_of_any_window_in_any_state(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, width: int, height: int
) -> None:
    page = open_page(still.url, ViewportSize(width=width, height=height))
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    found = {}
    for state in states(page):
        found[state] = overflowing(page)
        screenshot(page, f"window-{width}-{state}")
    assert not {state: each for state, each in found.items() if each}
    if width == WINDOWS[0][0]:
        assert not grave_faults(page)


def test_a_desk_shows_everything_without_scrolling(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    server = serve("--source", "synthetic:?instruments=3&rate=3000", "--history", str(tmp_path))
    server.wait_until_ready()
    page = open_page("about:blank")
    watch_canvases(page)
    page.goto(server.url)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    wait_until(page, "/[0-9]/.test(text('apply-p50') + text('checksum'))")
    for width, height in DESKS:
        page.set_viewport_size(ViewportSize(width=width, height=height))
        # Panes take their new size, and what they show, in a frame that follows.
        wait_until(page, f"document.documentElement.scrollHeight <= {height}")
        figures = "[...document.querySelectorAll('.health-strip dd')]"
        wait_until(page, f"new Set({figures}.map((each) => each.offsetTop)).size === 1")
        room = "document.querySelector('[data-testid=depth-canvas]').width"
        wait_until(page, f"drawnTexts('depth-canvas').length > 0 && drawnTexts('depth-canvas')[0].room === {room}")
        texts = drawn(page, "depth-canvas")
        assert not crowded(texts), width
        prices = [each.text for each in texts if re.fullmatch(r"\d+\.\d+", each.text)]
        assert len(prices) > 1, "the axis has prices"
        assert {len(price.partition(".")[2]) for price in prices} == {2}, "as many decimals as the tick has"
        screenshot(page, f"desk-{width}")


def test_prices_of_the_tape_stand_point_below_point(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:?instruments=3&rate=3000")
    server.wait_until_ready()
    # A tick of 1/64: 167.875 and 167.890625 are neighbours.
    page = open_page(f"{server.url}/#SYN2")
    prices = page.locator('[data-testid="tape-row"] .tape-price')
    expect(prices.nth(12)).to_be_visible()
    decimals = {len(price.partition(".")[2]) for price in prices.all_text_contents()}
    assert decimals == {6}
    screenshot(page, "tape-decimals")


@pytest.mark.parametrize(
    ("canvas", "says"),
    [("depth-canvas", "all of it on average at"), ("heatmap-canvas", "best bid ")],
)
def test_a_finger_has_the_numbers_of_the_charts_too_and_keeps_them_when_it_is_lifted(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, canvas: str, says: str
) -> None:
    page = open_page(still.url, ViewportSize(width=390, height=844), has_touch=True, is_mobile=True)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    chart = page.get_by_test_id(canvas)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.6)
    expect(page.get_by_test_id("tip")).to_contain_text(says)
    screenshot(page, f"finger-{canvas}")
    page.touchscreen.tap(box["x"] + 20, box["y"] - 20)
    expect(page.get_by_test_id("tip")).to_be_hidden()


def test_a_finger_scrolls_the_instruments_and_chooses_none(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=40&rate=500")
    server.wait_until_ready()
    page = open_page(server.url, ViewportSize(width=390, height=844), has_touch=True, is_mobile=True)
    wait_until(page, f"{IS_LIVE} && text('books') === '40'")
    page.get_by_test_id("picker").tap()
    options = page.get_by_test_id("picker-list").get_by_role("option")
    expect(options).to_have_count(40)
    box = options.nth(9).bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    for kind, dy in [("touchStart", 0), *(("touchMove", 20 * step) for step in range(10))]:
        points = [{"x": box["x"] + 60, "y": box["y"] + 10 - dy}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_until(page, "document.querySelector('[data-testid=picker-list]').scrollTop > 100")
    expect(page.get_by_test_id("picker-list")).to_be_visible()
    expect(page.get_by_test_id("picker")).to_have_value("SYN0")
    options.nth(12).tap()
    expect(page.get_by_test_id("picker")).to_have_value("SYN12")
    expect(page.get_by_test_id("picker-list")).to_be_hidden()


def test_a_window_that_goes_to_a_denser_screen_is_drawn_for_that(
    serve: Serve, simulated: Callable[..., Path], open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    server = serve_recorded(serve, simulated("--instruments", "2"), tmp_path / "history")
    page = open_page(server.url)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    # The line of the recording is as high and as wide in both windows: nothing else tells of it.
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    shown = "[...document.querySelectorAll('canvas:not(.heatmap-ramp)')].filter((canvas) => canvas.clientWidth > 0)"
    wait_until(page, f"{shown}.every((canvas) => canvas.width === canvas.clientWidth)")
    session = page.context.new_cdp_session(page)
    screen = {"width": 1440, "height": 901, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", screen)
    wait_until(page, f"{shown}.every((canvas) => canvas.width === 2 * canvas.clientWidth)")
    # In a market that stands still, too: a canvas of another size is empty at first.
    painted = "getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)"
    wait_until(page, f"{shown}.every((canvas) => canvas.{painted})")
    screenshot(page, "denser-screen")


def test_the_box_beside_the_pointer_goes_with_what_it_is_about(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    for pane in ("heatmap-canvas", "depth-canvas"):
        page.get_by_test_id(pane).hover()
        expect(page.get_by_test_id("tip")).to_be_visible()
        page.keyboard.press("p")
        expect(page.get_by_test_id("performance-pane")).to_be_visible()
        expect(page.get_by_test_id("tip")).to_be_hidden()
        page.keyboard.press("p")


@pytest.mark.parametrize("width", [320, 1440])
def test_tab_reaches_everything_and_shows_where_it_is(still: RunningServer, open_page: OpenPage, width: int) -> None:
    page = open_page(still.url, ViewportSize(width=width, height=900))
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    expected = called(page, "stops")
    seen = list(tabbed(page))
    reached = [stop["name"] for stop in seen]
    assert len(reached) == len(set(reached)), f"the focus goes in circles: {reached}"
    assert not set(expected) - set(reached), "not to be reached by keys"
    complaints = {"isSeen": "is not shown", "isOnView": "is out of the window", "isNamed": "has no name"}
    for key, complaint in complaints.items():
        assert not [stop["name"] for stop in seen if not stop[key]], f"where the focus is {complaint}"


@pytest.mark.parametrize("theme", THEMES)
def test_the_live_page_and_the_past_are_for_everybody_too(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path, theme: str
) -> None:
    server = serve("--source", "synthetic:?instruments=3&rate=3000", "--history", str(tmp_path))
    server.wait_until_ready()
    page = open_page(server.url, color_scheme=theme)
    wait_until(page, f"{HAS_BOOK} && text('link') === 'connected'")
    expect(page.get_by_test_id("tape-row").first).to_be_visible()
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    faults = {}

    def look(state: str) -> None:
        screenshot(page, f"state-{state}-{theme}")
        faults[state] = grave_faults(page) + overflowing(page)

    look("live")
    page.keyboard.press("Space")
    expect(page.get_by_test_id("replay-state")).to_have_text("paused")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.get_by_test_id("book-state")).to_have_text("past")
    look("past")
    page.keyboard.press("l")
    expect(page.get_by_test_id("replay-state")).to_have_text("live")
    for width in (320, 1920):
        page.set_viewport_size(ViewportSize(width=width, height=1080))
        look(f"live-{width}")
    assert not {state: found for state, found in faults.items() if found}


def test_the_help_and_the_document_list_the_same_keys(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    page.keyboard.press("?")
    listed = page.get_by_test_id("help-keys").locator("kbd").all_text_contents()
    (table,) = tables("page", "Keys")
    assert sorted(key for row in table for key in names(row[0])) == sorted(listed)


def test_the_page_can_be_used_by_keys_alone(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    second = still.get("/v1/instruments").json()["instruments"][1]["symbol"]
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("picker")).to_have_value(second)
    page.keyboard.press("Escape")
    page.locator("body").press("Tab")

    def go_to(name: str) -> None:
        assert any(stop["name"] == name for stop in tabbed(page)), f"{name} is not reached"

    page.reload()
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    go_to("theme-button")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    go_to("help-button")
    page.keyboard.press("Space")
    expect(page.get_by_test_id("help")).to_be_visible()
    expect(page.get_by_test_id("help-close")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("help")).to_be_hidden()
    expect(page.get_by_test_id("help-button")).to_be_focused()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sides", SIDES)
def test_the_sides_are_told_apart_by_any_eyes(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, theme: str, sides: str
) -> None:
    page = open_page(still.url, color_scheme=theme)
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    if sides != SIDES[0]:
        page.get_by_test_id("sides-button").click()
    session = page.context.new_cdp_session(page)
    for vision in (*DICHROMATS, "achromatopsia", "none"):
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": vision})
        if theme == "dark":
            screenshot(page, f"eyes-{sides}-{vision}")
    used = ("page", "panel", "raised", "text", "muted", "bid", "ask", "focus", "good", "warn", "bad")
    colours = {name: rgb(value) for name, value in called(page, "colours", used).items()}
    for ground in ("page", "panel", "raised"):
        for name in ("text", "muted", "bid", "ask"):
            assert contrast(colours[name], colours[ground]) >= TEXT_CONTRAST_MIN, f"{name} on {ground}"
        for name in ("focus", "good", "warn", "bad"):
            assert contrast(colours[name], colours[ground]) >= SHAPE_CONTRAST_MIN, f"{name} on {ground}"
    apart = {vision: distance(colours["bid"], colours["ask"], vision) for vision in (None, *DICHROMATS)}
    if sides == "blue-orange":
        assert min(apart.values()) >= SIDES_APART_MIN, apart
    # Never by colour alone: letters and places say it too.
    expect(page.locator(".quote.bid .tag")).to_have_text("B")
    expect(page.locator(".quote.ask .tag")).to_have_text("A")


def test_reduced_motion_is_a_page_that_changes_once_a_second(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1")
    server.wait_until_ready()
    page = open_page(server.url, reduced_motion="reduce")
    wait_until(page, HAS_BOOK)
    wait_for_panes(page)
    counted = called(page, "changes", CALM_S * 1000)
    assert 1 <= counted["changes"] <= CALM_CHANGES_MAX, counted
    assert counted["animations"] == 0
    screenshot(page, "reduced-motion")


@pytest.mark.parametrize("theme", THEMES)
def test_forced_colours_leave_everything_to_be_read(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, theme: str
) -> None:
    page = open_page(still.url, color_scheme=theme, forced_colors="active")
    wait_until(page, IS_LIVE)
    wait_for_panes(page)
    screenshot(page, f"forced-colours-{theme}")
    assert not grave_faults(page)
    first = next(tabbed(page))
    assert first["isSeen"]


def test_a_slow_line_has_its_book_and_is_not_given_up(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    """0.15 s on the way and 2 Mbit/s, for the socket too: less than a book with its queues 20 times a second."""
    server = serve("--source", "synthetic:?instruments=3")
    server.wait_until_ready()
    page = open_page("about:blank")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW)
    frames: list[tuple[float, int]] = []

    def on_frame(told: dict[str, Any]) -> None:
        frames.append((told["timestamp"], len(told["response"]["payloadData"])))

    session.on("Network.webSocketFrameReceived", on_frame)
    page.goto(server.url)
    wait_until(page, f"{HAS_BOOK} && text('link') === 'connected'")
    deadline_s = time.monotonic() + WAIT_S
    while sum(size > BOOK_BYTES_MIN for _, size in frames) < SLOW_BOOKS:
        assert time.monotonic() < deadline_s, f"only {frames} have come"
        page.wait_for_timeout(POLL_INTERVAL_MS)
    (asked_s, _), (come_s, size) = next(pair for pair in pairwise(frames) if pair[1][1] > BOOK_BYTES_MIN)
    assert come_s - asked_s > 0.8 * size / SLOW["downloadThroughput"], "the socket was not slow"
    screenshot(page, "slow-line")
    expect(page.get_by_test_id("link")).to_have_text("connected")
    expect(page.get_by_test_id("notice-disconnected")).to_have_count(0)
