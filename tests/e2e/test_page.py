"""The page in a real Chromium, against a real server."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_reading import HAS_QUEUES, choose_levels, expected, number, shown, wait_for_panes, wait_until
from playwright.sync_api import Page, ViewportSize, expect

from dbn_bytes import metadata, record
from running import RunningServer

pytestmark = pytest.mark.e2e

Serve = Callable[..., RunningServer]
OpenPage = Callable[..., Page]
Screenshot = Callable[[Page, str], None]

DURATION = re.compile(r"^[\d.]+ (ns|µs|ms)$")
CLIPPED = "(all) => all.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"

CROSSED_ORDERS = [
    record("A", "B", 101_000_000_000, size=4, order_id=1),
    record("A", "B", 99_500_000_000, size=2, order_id=2),
    record("A", "A", 100_250_000_000, size=3, order_id=3),
    record("A", "A", 102_000_000_000, size=1, order_id=4),
]
LONG_PRICES = [
    record("A", "B", 143_117_187_500, size=1_250, order_id=1),
    record("A", "B", 143_109_375_000, size=2, order_id=2),
    record("A", "A", 143_125_000_000, size=3, order_id=3),
    record("A", "A", 143_132_812_500, size=1, order_id=4),
]
OVERLAPS = """(rows) => rows.flatMap((row) => {
  const box = (selector) => row.querySelector(selector).getBoundingClientRect();
  const price = box('.price-text');
  const cell = box('[data-col="price"]');
  const over = box('.tag-bid').right > price.left || price.right > box('.tag-ask').left
    || price.left < cell.left || price.right > cell.right;
  return over ? [row.textContent] : [];
})"""
LINES = "(all) => all.map((each) => each.offsetHeight / parseFloat(getComputedStyle(each).fontSize))"


def ended(serve: Serve, path: Path) -> RunningServer:
    """A server whose file is finished: its books no longer change."""
    server = serve("--source", f"file:{path}")
    server.wait_for_state("ended")
    return server


def book_of(server: RunningServer, key: str, depth: int) -> dict:
    return server.get(f"/v1/books/{key}", params={"level": 3, "depth": depth}).raise_for_status().json()


def assert_same_book(page: Page, book: dict) -> None:
    wait_until(page, f"text('seq').replaceAll(',', '') === '{book['seq']}' && {HAS_QUEUES}")
    said = shown(page)
    assert said.bids == expected(book["bids"])
    assert said.asks == expected(book["asks"])
    assert (said.seq, said.epoch, said.orders) == (book["seq"], book["epoch"], book["orders"])
    assert said.state == book["state"]
    assert said.time.endswith(f"· {book['ts_event']} ns")


def test_the_ladder_shows_what_rest_says(still: RunningServer, open_page: OpenPage, screenshot: Screenshot) -> None:
    first, second = still.get("/v1/instruments").json()["instruments"]
    key = f"{first['publisher_id']}:{first['instrument_id']}"
    page = open_page(still.url)
    choose_levels(page)
    expect(page.get_by_test_id("notice-source-ended")).to_contain_text("The file is finished")
    assert_same_book(page, book_of(still, key, 10))
    expect(page.get_by_test_id("ended")).to_be_visible()
    screenshot(page, "ended")

    for depth in (50, 5):
        page.locator(f'[data-depth="{depth}"]').click()
        book = book_of(still, key, depth)
        levels = len(book["bids"]) + len(book["asks"])
        expect(page.locator('[data-testid="ladder-row"][data-kind="level"]')).to_have_count(levels)
        assert_same_book(page, book)

    page.keyboard.press("/")
    page.keyboard.type(second["symbol"])
    page.keyboard.press("Enter")
    assert_same_book(page, book_of(still, f"{second['publisher_id']}:{second['instrument_id']}", 5))
    expect(page.get_by_test_id("picker")).to_have_value(second["symbol"])


def test_the_ladder_shows_a_real_recording(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, clx5: Path
) -> None:
    server = ended(serve, clx5)
    (only,) = server.get("/v1/instruments").json()["instruments"]
    page = open_page(server.url)
    choose_levels(page)
    assert_same_book(page, book_of(server, f"{only['publisher_id']}:{only['instrument_id']}", 10))
    assert shown(page).orders == 147
    expect(page.get_by_test_id("crossed")).to_be_visible()
    page.get_by_test_id("counters").click()
    expect(page.locator('[data-counter="unknown_cancels"]')).to_have_text("1,224")
    expect(page.locator('[data-counter="unknown_modifies"]')).to_have_text("216")
    screenshot(page, "recording")


def test_a_crossed_book_is_shown_as_it_is(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = tmp_path / "crossed.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + b"".join(CROSSED_ORDERS))
    page = open_page(ended(serve, path).url)
    expect(page.get_by_test_id("crossed")).to_be_visible()
    expect(page.get_by_test_id("notice-crossed")).to_be_visible()
    expect(page.get_by_test_id("spread-label")).to_have_text("crossed by")
    expect(page.get_by_test_id("spread")).to_have_text("0.75")
    said = shown(page)
    assert [level[:3] for level in said.bids] == [["101.00", 4, 1], ["99.50", 2, 1]]
    assert [level[:3] for level in said.asks] == [["100.25", 3, 1], ["102.00", 1, 1]]
    assert said.overlapping == ["101.00", "100.25"]
    screenshot(page, "crossed")


def test_updates_arrive(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:?instruments=3")
    server.wait_until_ready()
    # Books come by the socket, and so nothing else makes the snapshots whose latency the page shows.
    server.get("/v1/books/SYN0").raise_for_status()
    requests: list[str] = []
    sockets: list[str] = []
    complaints: list[str] = []
    page = open_page("about:blank")
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(server.url)
    wait_until(page, "/^[0-9,]+$/.test(text('seq'))")
    for _ in range(3):
        seq = shown(page).seq
        wait_until(page, f"Number(text('seq').replaceAll(',', '')) > {seq}")
    wait_until(page, "/^[0-9.]+k?$/.test(text('messages-per-s')) && text('messages-per-s') !== '0'")
    for latency in ("apply", "snapshot"):
        for percentile in ("p50", "p90", "p99"):
            expect(page.get_by_test_id(f"{latency}-{percentile}")).to_have_text(DURATION)
    expect(page.get_by_test_id("source-state")).to_have_text("running")
    expect(page.get_by_test_id("link")).to_have_text("connected")
    screenshot(page, "live-dark")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    screenshot(page, "live-light")

    assert sockets == [server.url.replace("http", "ws") + "/v1/ws"]
    # How many orders rest is not told on the stream.
    asked = [url for url in requests if "/v1/books/" in url and not url.endswith("?level=1&depth=1")]
    assert not asked, "levels come by the socket alone"
    elsewhere = [url for url in requests if urlsplit(url).netloc != urlsplit(server.url).netloc]
    assert not elsewhere, "the page asks its own server only"
    assert not complaints, "among these would be violations of the content security policy"


def test_a_killed_server_and_its_return(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_until(page, "/^[0-9,]+$/.test(text('seq'))")
    before = shown(page)
    server.kill()
    notice = page.get_by_test_id("notice-disconnected")
    expect(notice).to_contain_text(re.compile(r"cannot be reached; (next try in \d+ s|trying now)"))
    expect(page.get_by_test_id("link")).to_have_text("disconnected")
    # It may have moved on before the end.
    last = shown(page)
    assert last.bids
    assert last.seq >= before.seq, "the last book stays on view"
    expect(page.get_by_test_id("book-state")).to_have_text("last known")
    expect(page.locator("body")).to_have_attribute("data-standing", "last-known")
    screenshot(page, "disconnected")

    port = urlsplit(server.url).port
    again = serve("--source", "synthetic:", port=port)
    again.wait_until_ready()
    expect(page.get_by_test_id("notice-restarted")).to_contain_text("server was restarted")
    expect(notice).to_be_hidden()
    wait_until(page, f"text('epoch') !== '{before.epoch}' && text('link') === 'connected'")


def test_a_source_that_fails_gives_its_reason(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + b"".join(CROSSED_ORDERS) + b"\1not a record")
    server = serve("--source", f"file:{path}")
    error = server.wait_for_state("failed")["source"]["error"]
    page = open_page(server.url)
    expect(page.get_by_test_id("notice-source-failed")).to_contain_text(error)
    expect(page.get_by_test_id("notice-suspect")).to_contain_text("Suspect (source failed): it may be wrong")
    wait_until(page, "text('book-state') === 'last known'")
    assert shown(page).orders == 4, "the good records before the damage are served"
    screenshot(page, "source-failed")


def test_a_missing_instrument_offers_the_others(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(f"{still.url}/#9:9")
    gone = page.get_by_test_id("notice-gone")
    expect(gone).to_contain_text("no book for 9:9")
    screenshot(page, "instrument-gone")
    gone.get_by_role("button").first.click()
    expect(gone).to_be_hidden()
    first = still.get("/v1/instruments").json()["instruments"][0]
    expect(page.get_by_test_id("picker")).to_have_value(first["symbol"])
    wait_until(page, "text('book-state') === 'live'")


def test_an_instrument_that_a_restart_takes_away(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_until(page, "text('book-state') === 'live'")
    server.kill()
    path = tmp_path / "other.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + b"".join(CROSSED_ORDERS))
    serve("--source", f"file:{path}", port=urlsplit(server.url).port)
    gone = page.get_by_test_id("notice-gone")
    expect(gone).to_contain_text("The book below is the last one received")
    expect(page.get_by_test_id("book-state")).to_have_text("last known")
    screenshot(page, "last-known")
    gone.get_by_role("button", name="XED").click()
    wait_until(page, "text('book-state') === 'live'")


def test_a_file_without_messages(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "header.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}))
    page = open_page(ended(serve, path).url)
    expect(page.get_by_test_id("status")).to_have_text("The file is finished; there were no messages in it.")
    expect(page.get_by_test_id("book-state")).to_have_text("no book")


def test_the_theme_is_the_systems_until_one_is_chosen(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url, color_scheme="light")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    wait_until(page, "text('book-state') === 'live'")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.get_by_test_id("theme-button")).to_have_attribute("aria-label", "Switch to the dark theme")
    expect(root).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_long_prices_have_room(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "long.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + b"".join(LONG_PRICES))
    page = open_page(ended(serve, path).url, ViewportSize(width=width, height=800))
    wait_until(page, "text('best-bid') === '143.1171875'")
    assert page.locator(".quote-price").all_text_contents() == ["143.1171875", "143.1250000"], "the same decimals"
    screenshot(page, f"long-prices-{width}")
    rows = page.locator('[data-testid="ladder-row"][data-kind="level"]')
    expect(rows).to_have_count(4)
    # A row with one side has an empty letter, whose box lies where the letter would stand.
    assert not rows.evaluate_all(OVERLAPS)
    assert not page.locator('[data-testid="ladder-row"] :is(.bid-size, .ask-size)').evaluate_all(CLIPPED)
    assert not page.locator(".quote-price").evaluate_all(CLIPPED)
    assert max(page.locator(".quote-price").evaluate_all(LINES)) < 1.5, "one line each"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"


def test_an_ambiguous_name_asks_which_book_is_meant(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "two.dbn"
    orders = [record("A", "B", 1_000_000_000, size=1, order_id=1, publisher_id=each) for each in (1, 2)]
    path.write_bytes(metadata() + b"".join(orders))
    page = open_page(f"{ended(serve, path).url}/#1")
    choices = page.get_by_test_id("notice-ambiguous").get_by_role("button")
    expect(choices).to_have_text(["1:1", "2:1"])
    choices.nth(1).click()
    wait_until(page, "text('best-bid') === '1.00'")
    assert urlsplit(page.url).fragment == "2:1"


@pytest.mark.parametrize(("width", "height"), [(320, 700), (820, 1180), (1440, 900), (3840, 2160)])
def test_the_page_fits_the_window(
    still: RunningServer,
    open_page: OpenPage,
    screenshot: Screenshot,
    width: int,
    height: int,
) -> None:
    page = open_page(still.url, ViewportSize(width=width, height=height))
    wait_until(page, "text('book-state') === 'live'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
    best = page.locator('[data-testid="ladder-row"][data-best="yes"]')
    expect(best).to_have_count(2)
    for column in ("price", "bid-size", "ask-size"):
        cells = page.locator(f'[data-testid="ladder-row"] [data-col="{column}"]')
        clipped = cells.evaluate_all(CLIPPED)
        assert not clipped, f"{column} at {width} px"
    screenshot(page, f"window-{width}")


def test_keys(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, "text('book-state') === 'live'")
    page.keyboard.press("?")
    help_overlay = page.get_by_test_id("help")
    expect(help_overlay).to_be_visible()
    expect(page.locator("#help-title")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(help_overlay).to_be_hidden()

    page.keyboard.press("/")
    expect(page.get_by_test_id("picker")).to_be_focused()
    expect(page.get_by_test_id("picker-list").get_by_role("option")).to_have_count(2)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    choose_levels(page, 50)
    scroll = page.get_by_test_id("ladder-scroll")
    expect(page.get_by_test_id("ladder-row")).to_have_count(101)
    scroll.evaluate("(element) => { element.scrollTop = 0; }")
    page.keyboard.press("c")
    expect(page.locator('[data-testid="ladder-row"][data-kind="spread"]')).to_be_in_viewport()
    assert scroll.evaluate("(element) => element.scrollTop") > 0

    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator('[data-depth="50"]')).to_have_attribute("aria-pressed", "true")


def test_the_book_is_also_a_table_and_a_sentence(still: RunningServer, open_page: OpenPage) -> None:
    """For those who hear the page: header cells that name the columns, and a polite summary."""
    first = still.get("/v1/instruments").json()["instruments"][0]
    book = book_of(still, f"{first['publisher_id']}:{first['instrument_id']}", 1)
    page = open_page(still.url)
    wait_until(page, "text('book-state') === 'live'")
    ladder = page.get_by_test_id("ladder")
    expect(ladder.get_by_role("columnheader", name="Price", exact=True)).to_be_visible()
    expect(ladder.get_by_role("rowheader", name=book["bids"][0][0])).to_have_count(1)
    spoken = page.get_by_test_id("spoken")
    expect(spoken).to_have_attribute("aria-live", "polite")
    expect(spoken).to_contain_text(f"best bid {book['bids'][0][0]}, size {book['bids'][0][1]} in ")
    assert number(page.get_by_test_id("resting-orders").text_content() or "") == still.metrics()["orders"]


def test_a_part_that_cannot_be_loaded_takes_no_other_with_it(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page("about:blank")
    page.route("**/assets/tape-*.js", lambda route: route.abort())
    page.goto(still.url)
    expect(page.get_by_test_id("inspector-pane")).to_be_visible()
    expect(page.get_by_test_id("notice-missing")).to_contain_text("could not be loaded: tape.")
    expect(page.get_by_test_id("tape-pane")).to_be_hidden()
    screenshot(page, "part-missing")
    page.unroute("**/assets/tape-*.js")
    page.get_by_test_id("reload").click()
    wait_for_panes(page)
    expect(page.get_by_test_id("notice-missing")).to_be_hidden()
