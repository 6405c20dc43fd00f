"""The page's ladder: prices that stay, rows that are sums, and what was done at each price."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from page_reading import (
    HAS_ALL_LEVELS,
    LEVELS_CARRIED,
    QUEUE_WORDS_MAX,
    Shown,
    choose_levels,
    expected,
    number,
    shown,
    wait_until,
)
from playwright.sync_api import ViewportSize, expect

from l3book.prices import parse_price, price_text
from recorded import serve_recorded, simulated, times_of, wait_until_durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

# Of this height are all the levels near the market in view.
TALL = ViewportSize(width=1440, height=3000)
LOW = ViewportSize(width=1440, height=700)
TOP = 20
FOLLOWED_S = 60
INSTANTS = 20
STATIC_INSTANTS = 5
STEPS = 300
CENT = 10_000_000
SIDES = ("bids", "asks")
IS_LIVE = f"text('book-state') === 'live' && {HAS_ALL_LEVELS}"

FLOWS = """(rows) => rows.map((row) => {
  const sum = (column) => {
    const text = row.querySelector(`[data-col="${column}"]`).textContent;
    return Number(text.replace('\\u2212', '-').replaceAll(',', '') || 0);
  };
  return {
    price: row.querySelector('.price-text').textContent,
    sold: sum('sold'), bought: sum('bought'), bidNet: sum('bid-net'), askNet: sum('ask-net'),
  };
})"""


def book_of(server: RunningServer, key: str, depth: int, at: int | None = None) -> dict[str, Any]:
    query = {"level": 3, "depth": depth} | ({} if at is None else {"at": at})
    return server.get(f"/v1/books/{key}", params=query).raise_for_status().json()


def only_key(server: RunningServer) -> str:
    first = server.get("/v1/instruments").json()["instruments"][0]
    return f"{first['publisher_id']}:{first['instrument_id']}"


def go_to(page: Page, at: int, ts_event: str) -> None:
    """Stand still at a recorded time, whose book ends with the event of `ts_event`."""
    page.get_by_test_id("replay-field").fill(str(at))
    page.get_by_test_id("replay-field").press("Enter")
    stands_at(page, ts_event)


def stands_at(page: Page, ts_event: str) -> None:
    wait_until(page, f"document.querySelector('[data-testid=\"ts-event\"]').title.endsWith('· {ts_event} ns')")


def assert_rows_are_those_of(said: Shown, book: dict[str, Any]) -> int:
    """Every level within the prices in view is shown as REST has it, and no other; -> how many these were."""
    highest, lowest = parse_price(said.prices[0]), parse_price(said.prices[-1])
    seen = {side: [level for level in book[side] if lowest <= parse_price(level[0]) <= highest] for side in SIDES}
    assert said.bids == expected(seen["bids"])
    assert said.asks == expected(seen["asks"])
    prices = [parse_price(price) for price in said.prices]
    steps = {above - below for above, below in pairwise(prices)}
    assert len(steps) == 1, "every tick has its row"
    return len(seen["bids"]) + len(seen["asks"])


@pytest.mark.timeout(300)
def test_the_ladder_of_a_replayed_recording_is_that_of_rest_at_many_instants(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, clx5: Path, tmp_path: Path
) -> None:
    server = serve("--source", f"file:{clx5}", "--history", str(tmp_path / "history"))
    server.wait_for_state("ended")
    wait_until_durable(server)
    key = only_key(server)
    page = open_page(server.url, TALL)
    expect(page.get_by_test_id("replay-field")).to_be_enabled()
    choose_levels(page, TOP)
    instants = sorted(random.Random(20).sample(times_of(clx5), INSTANTS))
    for instant in instants:
        book = book_of(server, key, TOP, instant)
        go_to(page, instant, book["ts_event"])
        top = shown(page)
        assert (top.bids, top.asks) == (expected(book["bids"]), expected(book["asks"])), instant
    page.get_by_test_id("ladder-every").click()
    compared = 0
    for instant in instants[:: INSTANTS // STATIC_INSTANTS]:
        book = book_of(server, key, LEVELS_CARRIED, instant)
        go_to(page, instant, book["ts_event"])
        compared += assert_rows_are_those_of(shown(page), book)
    assert compared > STATIC_INSTANTS * TOP
    screenshot(page, "ladder-clx5")


def sums_of(levels: list[list[Any]], step: int, *, upward: bool) -> dict[str, list[Any]]:
    """Levels by row: bids in the row at or below them, asks in the one at or above, each a sum."""
    rows: dict[int, list[Any]] = {}
    for price, size, count, queue in levels:
        row = parse_price(price) // step * step if not upward else -(-parse_price(price) // step) * step
        total = rows.setdefault(row, [0, 0, []])
        total[0] += size
        total[1] += count
        total[2].extend(entry[1] for entry in queue)
    return {
        price_text(row): [price_text(row), size, count, queue[:QUEUE_WORDS_MAX]]
        for row, (size, count, queue) in rows.items()
    }


def test_grouped_rows_are_the_sums_of_their_levels(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    book = book_of(still, only_key(still), LEVELS_CARRIED)
    for ticks in (2, 5, 10):
        page.keyboard.press("+")
        expect(page.get_by_test_id("ladder-grouping")).to_have_text(f"{ticks} ticks")
        said = shown(page)
        assert parse_price(said.prices[0]) - parse_price(said.prices[1]) == ticks * CENT
        bids = sums_of(book["bids"], ticks * CENT, upward=False)
        asks = sums_of(book["asks"], ticks * CENT, upward=True)
        assert said.bids == [bids[price] for price in said.prices if price in bids]
        assert said.asks == [asks[price] for price in reversed(said.prices) if price in asks]
        assert len(said.bids) > 2
        assert len(said.asks) > 2
    screenshot(page, "ladder-grouped")
    page.reload()
    wait_until(page, IS_LIVE)
    expect(page.get_by_test_id("ladder-grouping")).to_have_text("10 ticks")
    for _ in range(3):
        page.keyboard.press("-")
    expect(page.get_by_test_id("ladder-grouping")).to_have_text("1 tick")
    assert_rows_are_those_of(shown(page), book)


def test_the_wheel_and_the_keys_show_other_prices_in_the_same_rows(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    book = book_of(still, only_key(still), LEVELS_CARRIED)
    rows = page.get_by_test_id("ladder-row")
    centred, count = shown(page).prices, rows.count()
    page.get_by_test_id("ladder-scroll").hover()
    page.mouse.wheel(0, -4000)
    expect(page.get_by_test_id("ladder-below")).to_contain_text("market at")
    scrolled = shown(page)
    assert parse_price(scrolled.prices[0]) > parse_price(centred[0])
    assert_rows_are_those_of(scrolled, book)
    assert rows.count() == count, "rows are recycled"
    page.keyboard.press("c")
    expect(page.get_by_test_id("ladder-below")).to_be_hidden()
    wait_until(page, f"document.querySelector('.price-text').textContent === '{centred[0]}'")

    rows.nth(3).focus()
    for key, first in (("PageDown", count - 2), ("ArrowUp", count - 2)):
        page.keyboard.press(key)
        highest = price_text(parse_price(centred[0]) - first * CENT)
        wait_until(page, f"document.querySelector('.price-text').textContent === '{highest}'")
    expect(rows.nth(2)).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_test_id("ladder-above")).to_be_visible()
    # The last of the levels carried.
    last_level = page.locator('[data-testid="ladder-row"][data-kind="level"]').last.locator(".price-text")
    expect(last_level).to_have_text(book["bids"][-1][0])
    assert rows.count() == count


def test_what_was_traded_pulled_and_stacked_is_what_the_recording_says(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = simulated(tmp_path / "sim.dbn", 20_000, seed=4, instruments=1, resting_max=300)
    server = serve_recorded(serve, path, tmp_path / "history")
    key = only_key(server)
    times = times_of(path)
    before = book_of(server, key, LEVELS_CARRIED, times[len(times) // 2])
    page = open_page(server.url, ViewportSize(width=2560, height=1800))
    expect(page.get_by_test_id("replay-field")).to_be_enabled()
    go_to(page, times[len(times) // 2], before["ts_event"])
    seq = shown(page).seq
    page.keyboard.press("Escape")
    for _ in range(STEPS):
        page.keyboard.press("ArrowRight")
    wait_until(page, f"text('seq').replaceAll(',', '') === '{seq + STEPS}'")
    at = page.get_by_test_id("ts-event").get_attribute("title").split("· ")[1].removesuffix(" ns")  # type: ignore[union-attr]
    after = book_of(server, key, LEVELS_CARRIED, int(at))
    trades = server.get(
        f"/v1/books/{key}/history/trades",
        params={"start": int(before["ts_recv"]) + 1, "end": int(after["ts_recv"]) + 1, "limit": 10_000},
    ).json()["trades"]
    assert len(trades) > 2
    traded = {side: Counter[str]() for side in "BA"}
    for trade in trades:
        traded[trade["side"]][trade["price"]] += trade["size"]
    sizes = {name: [{level[0]: level[1] for level in book[name]} for book in (before, after)] for name in SIDES}
    screenshot(page, "ladder-flow")
    checked = 0
    for row in page.get_by_test_id("ladder-row").evaluate_all(FLOWS):
        price = row["price"]
        assert row["bought"] == traded["B"][price], price
        assert row["sold"] == traded["A"][price], price
        for name, net, taken in (("bids", "bidNet", "A"), ("asks", "askNet", "B")):
            was, now = (size.get(price, 0) for size in sizes[name])
            assert row[net] == now - was + traded[taken][price], (name, price)
            checked += row[net] != 0
    assert checked > 5

    page.get_by_test_id("flow-clear").click()
    wait_until(
        page, "[...document.querySelectorAll('.bought, .sold')].slice(2).every((cell) => cell.textContent === '')"
    )


def test_a_market_that_leaves_the_middle_is_followed(serve: Serve, open_page: OpenPage) -> None:
    """Until the rows have moved: in a low window and at this pace the market soon leaves the prices first in view."""
    server = serve("--source", "synthetic:?instruments=1&rate=50000")
    server.wait_until_ready()
    page = open_page(server.url, LOW)
    wait_until(page, IS_LIVE)
    first = shown(page)
    deadline_s = time.monotonic() + FOLLOWED_S
    while (said := shown(page)).prices[0] == first.prices[0] or not has_market_inside(said):
        assert time.monotonic() < deadline_s, "the market has not left the first prices, or was not followed"
        wait_until(page, f"Number(text('seq').replaceAll(',', '')) > {said.seq}")


def has_market_inside(said: Shown) -> bool:
    """Both best prices are in view, and not at its edges."""
    return bool(said.bids and said.asks) and 2 < said.prices.index(said.bids[0][0]) < len(said.prices) - 2


def test_a_block_is_an_order_and_a_row_lists_its_orders(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    best = book_of(still, only_key(still), 1)["asks"][0]
    row = page.locator('[data-testid="ladder-row"][data-side="A"][data-best="yes"]')
    # The front of the queue is at the edge that is nearer to the price.
    row.locator('[data-col="ask-queue"]').click(position={"x": 7, "y": 10})
    expect(page.get_by_test_id("inspector-order")).to_have_text(f"Order {best[3][0][0]}")
    expect(row).to_have_attribute("data-selected", "yes")
    row.locator('[data-col="price"]').click()
    orders = page.get_by_test_id("queue-list").locator(".order-button")
    expect(orders).to_have_count(min(best[2], 100))
    told = [(order.get_attribute("data-order")) for order in orders.all()]
    assert told == [entry[0] for entry in best[3]][:100]
    expect(orders.first).to_have_attribute("aria-pressed", "true")
    assert number(page.get_by_test_id("inspector-size").inner_text()) == best[3][0][1]
    screenshot(page, "ladder-list")
    page.get_by_test_id("queue-close").click()
    expect(page.get_by_test_id("queue-list")).to_be_hidden()
