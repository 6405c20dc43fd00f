"""The page's heatmap and tape in a real Chromium: what they say is what the server says."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from page_reading import TRADE_ROWS, heatmap, number, pointed, wait_for, wait_until
from playwright.sync_api import ViewportSize, expect

from dbn_bytes import T0, UNIT, Mbo, metadata, stream
from l3book.client import Client
from l3book.prices import parse_price
from l3book.times import parse_time_ns
from recorded import serve_recorded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from l3book.client import Subscription, Trade
    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

LEVELS = 100
ROWS_MIN = 50
# How often the colour changes along a row of pixels near the top.
EDGES = """(canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 2, canvas.width, 1);
  const pixels = new Uint32Array(data.buffer);
  return pixels.reduce((edges, pixel, at) => edges + (at > 0 && pixel !== pixels[at - 1] ? 1 : 0), 0);
}"""
HATCH_EDGES_MIN = 24
NS_PER_S = 1_000_000_000
# The last second before a minute in which nothing happens.
QUIET_S = 60
# Near the right edge of the picture: right of it stand the bars of the book of now, and the prices.
NEWEST = 0.76
SIZE = re.compile(r"^([\d.]+) · (?:(bid|ask) size ([\d,]+)|nothing rests)$")


def wait_for_columns(page: Page, least: int) -> None:
    expect(page.get_by_test_id("heatmap-pane")).to_be_visible()
    wait_for(page, f"{least} columns", lambda: int(heatmap(page, "columns") or 0) >= least)


def is_still(page: Page) -> bool:
    until = heatmap(page, "until")
    # The page writes twice a second when nothing comes, and a moving time would have gone on.
    page.wait_for_timeout(1_000)
    return until == heatmap(page, "until")


def test_the_heatmap_says_what_rest_says_of_a_settled_book(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, simulated: Callable[..., Path]
) -> None:
    server = serve("--source", f"file:{simulated('--instruments', '1')}")
    server.wait_for_state("ended")
    page = open_page(server.url)
    wait_for_columns(page, 1)
    # A few levels come first.
    wait_for(page, "all levels", lambda: heatmap(page, "levels") == str(LEVELS))
    wait_for(page, "columns at the pointer", lambda: all(len(tip) > 2 for tip in pointed(page, NEWEST, 40)))
    book: dict[str, Any] = server.get("/v1/books/SYN0", params={"level": 2, "depth": LEVELS}).raise_for_status().json()
    theirs = {("bid", price): size for price, size, _ in book["bids"]}
    theirs |= {("ask", price): size for price, size, _ in book["asks"]}

    ours: dict[tuple[str, str], int] = {}
    empty: set[str] = set()
    said = pointed(page, NEWEST, 3)
    for first, second, *_, last in said:
        told = SIZE.match(first)
        assert told is not None, first
        price, side, size = told.groups()
        if side is None:
            empty.add(price)
        else:
            ours[side, price] = number(size)
        assert second == f"best bid {book['bids'][0][0]} · best ask {book['asks'][0][0]}"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", last)
    assert len(ours) >= 40
    assert ours == {key: theirs.get(key) for key in ours}
    assert not empty & {price for _, price in theirs}, "what rests is not said to be empty"
    assert {side for side, _ in ours} == {"bid", "ask"}

    rows = page.get_by_test_id("heatmap-summary").locator("tbody tr").all_text_contents()
    price, size, _ = book["bids"][0]
    assert f"Best bid{price}{size:,}" in rows
    largest = max(size for (side, _), size in theirs.items() if side == "ask")
    assert any(row.startswith("Largest ask 1") and row.endswith(f"{largest:,}") for row in rows), rows
    screenshot(page, "heatmap-ended")
    wait_for(page, "time that stands still with the source", lambda: is_still(page))


def test_prices_beyond_the_levels_asked_for_do_not_look_empty(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=500")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_for_columns(page, 120)
    wait_for(page, "all levels", lambda: heatmap(page, "levels") == str(LEVELS))
    canvas = page.get_by_test_id("heatmap-canvas")
    page.get_by_test_id("heatmap-view").focus()
    for _ in range(40):
        page.keyboard.press("PageDown")
    wait_for(page, "a hatch above what is known", lambda: canvas.evaluate(EDGES) > HATCH_EDGES_MIN)
    assert any("beyond the 100 levels received" in lines[0] for lines in pointed(page, NEWEST, 8))
    screenshot(page, "heatmap-beyond")


def test_a_killed_server_leaves_a_gap(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=2000")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_for_columns(page, 60)
    assert any("size" in lines[0] for lines in pointed(page, NEWEST, 40))
    server.kill()
    expect(page.get_by_test_id("notice-disconnected")).to_be_visible()
    until = int(heatmap(page, "until"))
    wait_for(page, "a gap that grows", lambda: int(heatmap(page, "until")) > until)

    def newest() -> list[list[str]]:
        """What is said at several heights; nothing while the tip is hidden."""
        said: list[list[str]] = pointed(page, NEWEST, 40)
        return said

    def is_gap() -> bool:
        said = newest()
        return len(said) > 0 and all(lines[0].startswith("no data") for lines in said)

    wait_for(page, "a gap under the pointer", is_gap)
    assert newest()[0][1].startswith("last known 20")
    screenshot(page, "heatmap-gap")

    seen = int(heatmap(page, "columns"))
    again = serve("--source", "synthetic:?instruments=1&rate=2000", port=urlsplit(server.url).port)
    # The new process's market begins at the first moment of its time again.
    wait_for(page, "a new beginning", lambda: int(heatmap(page, "columns")) < seen)
    again.wait_until_ready()
    expect(page.get_by_test_id("notice-disconnected")).to_be_hidden()
    wait_for(page, "sizes again", lambda: any("size" in lines[0] for lines in newest()))


def test_no_scale_moves_the_heatmap(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_for_columns(page, 1)
    heights = page.locator(".heatmap-pane .panel-head").evaluate(
        """(head) => ['', '1 or more', '7.5k or more', '750M or more'].map((text) => {
          head.querySelector('.heatmap-ramp-end').textContent = text;
          return head.offsetHeight;
        })"""
    )
    assert len(set(heights)) == 1, heights


def test_the_heatmap_scrolls_and_zooms_and_follows_again(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=5000")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_for_columns(page, 100)
    assert heatmap(page, "follows") == "yes"
    view = page.get_by_test_id("heatmap-view")
    view.focus()
    before = page.get_by_test_id("heatmap-window").text_content()
    page.keyboard.press("-")
    expect(page.get_by_test_id("heatmap-window")).not_to_have_text(before or "")
    page.keyboard.press("ArrowUp")
    expect(view).to_have_attribute("data-follows", "no")
    expect(page.get_by_test_id("heatmap-follow")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("End")
    expect(view).to_have_attribute("data-follows", "yes")
    box = view.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 160, steps=4)
    page.mouse.up()
    expect(view).to_have_attribute("data-follows", "no")
    page.get_by_test_id("heatmap-follow").click()
    expect(view).to_have_attribute("data-follows", "yes")
    page.mouse.move(box["x"] + 200, box["y"] + 80)
    zoomed = page.get_by_test_id("heatmap-window").text_content()
    page.mouse.wheel(0, 300)
    expect(page.get_by_test_id("heatmap-window")).not_to_have_text(zoomed or "")
    screenshot(page, "heatmap-dark")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    screenshot(page, "heatmap-light")


def test_a_click_leaves_the_keys_to_the_page_and_tab_gives_the_heatmap_its_own(
    serve: Serve, open_page: OpenPage, tmp_path: Path
) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=5000", "--history", str(tmp_path / "history"))
    server.wait_until_ready()
    page = open_page(server.url)
    wait_for_columns(page, 20)
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    view, window = page.get_by_test_id("heatmap-view"), page.get_by_test_id("heatmap-window")
    seconds = window.text_content() or ""
    page.get_by_test_id("heatmap-further").click()
    expect(window).not_to_have_text(seconds)
    seconds = window.text_content() or ""
    # The focus that the keyboard had there is given back by a click, too.
    view.focus()
    view.click()
    rows = page.get_by_test_id("ladder-grouping").text_content() or ""
    page.keyboard.press("+")
    expect(page.get_by_test_id("ladder-grouping")).not_to_have_text(rows)
    expect(window).to_have_text(seconds)
    page.keyboard.press("Space")
    expect(page.get_by_test_id("replay-state")).to_have_text("paused")
    # The event before may have come at the same time.
    seq = page.get_by_test_id("seq")
    before = seq.text_content() or ""
    page.keyboard.press("ArrowLeft")
    expect(seq).not_to_have_text(before)
    expect(view).to_have_attribute("data-follows", "yes")

    page.get_by_test_id("heatmap-follow").focus()
    page.keyboard.press("Tab")
    assert view.evaluate("(view) => view.matches(':focus-visible')")
    page.keyboard.press("ArrowUp")
    expect(view).to_have_attribute("data-follows", "no")
    page.keyboard.press("-")
    expect(window).not_to_have_text(seconds)
    # What both could mean, the page means.
    page.keyboard.press("Space")
    expect(page.get_by_test_id("replay-state")).to_have_text("playing")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    expect(view).to_have_attribute("data-follows", "no")


def test_time_is_the_markets_and_even_at_any_speed(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    # A book of ten events a second, and a minute in which nothing happens.
    times = [T0 + tenth * NS_PER_S // 10 for tenth in range(1800) if tenth <= 10 * QUIET_S or tenth >= 1200]
    records = [
        Mbo("A", "B", 11 * UNIT, 1, 1_000 + count, ts_event=at, ts_recv=at, sequence=count)
        for count, at in enumerate(times)
    ]
    path = tmp_path / "slow.dbn"
    ask = Mbo("A", "A", 12 * UNIT, 9, 5, ts_event=T0, ts_recv=T0)
    path.write_bytes(metadata(symbols={"XED": 1}) + stream([ask, *records]))
    server = serve_recorded(serve, path, tmp_path / "history")
    page = open_page(f"{server.url}/#instrument=XED&at={T0 + 5 * NS_PER_S}")
    expect(page.get_by_test_id("replay-state")).to_have_text("paused")

    def play(speed: str, until_s: int) -> None:
        page.get_by_test_id("replay-speed").select_option(speed)
        page.get_by_test_id("replay-play").click()
        end = T0 + until_s * NS_PER_S
        wait_for(page, f"the second {until_s}", lambda: int(heatmap(page, "until")) >= end)
        page.get_by_test_id("replay-play").click()
        expect(page.get_by_test_id("replay-state")).to_have_text("paused")

    # Five times as fast through the first part: as many books of it come as of a fifth of the second.
    play("50", 90)
    play("10", 160)
    screenshot(page, "heatmap-speeds")

    def second(share: float) -> float:
        """Of the book under the pointer, its own time."""
        (lines,) = pointed(page, share, 10_000)
        return (int(parse_time_ns(lines[-1])) - T0) / NS_PER_S

    told = {share: second(share) for share in (at / 100 for at in range(20, 80))}
    assert len(set(told.values())) > 8
    first, last = min(told), max(told)
    per_share = (told[last] - told[first]) / (last - first)
    # A book stands until the next one, however long a busy machine takes for it; the quiet minute's is looked at apart.
    gaps_s = [after - before for before, after in pairwise(told.values()) if before != QUIET_S]
    late_s = max(gaps_s)
    for share, at_s in told.items():
        even_s = told[first] + (share - first) * per_share
        if at_s == QUIET_S:
            assert QUIET_S - late_s <= even_s <= 2 * QUIET_S + late_s, (told, share)
        else:
            assert abs(at_s - even_s) <= late_s, (told, share)
    assert QUIET_S in told.values()


def test_only_new_columns_are_painted(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=100")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_for_columns(page, 60)
    # The opening's window widens, and what has been seen is painted anew, until a reader chooses one.
    page.get_by_test_id("heatmap-nearer").click()
    page.wait_for_timeout(500)
    painted, columns = int(heatmap(page, "painted")), int(heatmap(page, "columns"))
    wait_for(page, "more columns", lambda: int(heatmap(page, "columns")) >= columns + 100)
    canvas = page.get_by_test_id("heatmap-canvas").bounding_box()
    assert canvas is not None
    more = int(heatmap(page, "columns")) - columns
    # A pixel or more for each column, its newest one again in the next frame; and once or twice the whole picture, as
    # the market moves out of it or sizes change. Painting all of it in each frame would be fifty times that.
    assert int(heatmap(page, "painted")) - painted < 4 * more + 3 * canvas["width"]


def trades_until(server: RunningServer, subscription: Subscription) -> list[Trade]:
    """All trades until the source has ended and no more come."""
    trades: list[Trade] = []
    while True:
        ended = server.get("/v1/metrics").json()["source"]["state"] == "ended"
        try:
            update = subscription.next(timeout_s=1)
        except TimeoutError:
            if ended:
                return trades
            continue
        assert update.kind == "delta" or not trades, "the client kept up"
        trades += update.trades


def test_the_tape_has_the_trades_of_the_socket(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, simulated: Callable[..., Path]
) -> None:
    server = serve("--source", f"file:{simulated('--instruments', '1')}?rate=10000")
    server.wait_until_ready()
    with Client(server.url) as client:
        subscription = client.subscribe("trades", "SYN0", interval_ms=50)
        page = open_page(server.url)
        page.get_by_test_id("tape-aggregate").uncheck()
        theirs = trades_until(server, subscription)[::-1]
    rows = page.get_by_test_id("tape-row")
    wait_for(page, "the last trade", lambda: rows.evaluate_all(TRADE_ROWS)[0][3].endswith(f"{theirs[0].ts_event} ns"))
    # In a rush there are no more rows than are in view.
    wait_for(page, "the rows below", lambda: rows.count() >= ROWS_MIN)
    ours = rows.evaluate_all(TRADE_ROWS)
    for (price, size, side, title), trade in zip(ours, theirs, strict=False):
        assert (parse_price(price), number(size), side) == (trade.price, trade.size, trade.side)
        assert f"· {trade.ts_recv} ns · matched" in title
        assert title.endswith(f"· {trade.ts_event} ns")
    screenshot(page, "tape")

    shown = theirs[: len(ours)]
    least = max(trade.size for trade in shown)
    page.get_by_test_id("tape-size-min").fill(str(least))
    expect(rows.first).to_contain_text(f"{least:,}")
    assert all(number(size) >= least for _, size, _, _ in rows.evaluate_all(TRADE_ROWS))
    page.get_by_test_id("tape-size-min").fill("1000000")
    expect(page.get_by_test_id("tape-empty")).to_have_text("None so large")


def test_a_held_tape_stands_still_and_says_how_much_has_come(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=5000")
    server.wait_until_ready()
    page = open_page(server.url)
    rows = page.get_by_test_id("tape-row")
    expect(rows.first).to_be_visible()
    page.get_by_test_id("tape-pause").click()
    expect(page.get_by_test_id("tape-resume")).to_be_visible()
    before = rows.evaluate_all(TRADE_ROWS)
    wait_until(page, "/Held · [1-9]/.test(text('tape-resume'))")
    assert rows.evaluate_all(TRADE_ROWS) == before
    page.get_by_test_id("tape-resume").click()
    expect(page.get_by_test_id("tape-resume")).to_be_hidden()
    wait_for(page, "newer trades", lambda: rows.evaluate_all(TRADE_ROWS)[0] != before[0])
    assert rows.count() <= 60, "rows are used again, not piled up"


def test_the_focus_in_the_tape_holds_it(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    # Trades that tell whose order took; each is an event of the book's.
    trades = [
        Mbo("T", "B", 11 * UNIT, 1, 1_000 + count, ts_event=T0 + count, ts_recv=T0 + count) for count in range(3000)
    ]
    path = tmp_path / "trades.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + stream([Mbo("A", "A", 11 * UNIT, 9, 5), *trades]))
    server = serve("--source", f"file:{path}?rate=30")
    server.wait_until_ready()
    # Where the tape has room for the orders.
    page = open_page(server.url, ViewportSize(width=3840, height=1200))
    page.get_by_test_id("tape-aggregate").uncheck()
    order = page.get_by_test_id("tape-row").locator("button:visible").first
    expect(order).to_be_visible()
    page.mouse.move(1, 1)
    order.focus()
    held = page.evaluate("document.activeElement.textContent")
    wait_until(page, "/Held · [1-9]/.test(text('tape-resume'))")
    assert page.evaluate("document.activeElement.textContent") == held, "the focus stays on its order"
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("inspector-order")).to_contain_text(held)
    assert page.evaluate("document.activeElement.textContent") == held
    page.evaluate("document.activeElement.blur()")
    expect(page.get_by_test_id("tape-resume")).to_be_hidden()


def test_two_fingers_zoom(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=5000")
    server.wait_until_ready()
    page = open_page(server.url, has_touch=True)
    wait_for_columns(page, 60)
    view = page.get_by_test_id("heatmap-view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
    session = page.context.new_cdp_session(page)

    def pinch(dx: float, dy: float, begin: float, end: float) -> None:
        """Two fingers beside or above each other, first so many pixels from the middle, then so many."""

        def touch(kind: str, apart: float) -> None:
            points = [{"x": x + sign * apart * dx, "y": y + sign * apart * dy, "id": sign + 1} for sign in (-1, 1)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", begin)
        for share in (0.25, 0.5, 0.75, 1.0):
            touch("touchMove", begin + (end - begin) * share)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def seconds() -> str:
        return page.get_by_test_id("heatmap-window").text_content() or ""

    # Once a reader has chosen, the window no longer widens with what has been seen.
    for _ in range(40):
        page.get_by_test_id("heatmap-nearer").click()
    wait_for(page, "the shortest window", lambda: seconds() == "10 ms")
    pinch(1, 0, 100, 40)
    wait_for(page, "a longer one", lambda: seconds() != "10 ms")
    wide = seconds()
    pinch(1, 0, 100, 40)
    wait_for(page, "more time", lambda: seconds() != wide)
    pinch(1, 0, 40, 100)
    wait_for(page, "less time again", lambda: seconds() == wide)
    prices = {line.split(" · ")[0] for line, *_ in pointed(page, 0.4, 8)}
    pinch(0, 1, 60, 20)
    more = {line.split(" · ")[0] for line, *_ in pointed(page, 0.4, 8)}
    assert more != prices, "fingers above each other zoom the prices"
    assert seconds() == wide
