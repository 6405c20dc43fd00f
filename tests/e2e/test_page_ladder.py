"""The page's ladder: prices that stay, rows that are sums, and what was done at each price."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from page_reading import (
    FLOWS,
    HAS_ALL_LEVELS,
    HAS_QUEUES,
    LEVELS_CARRIED,
    QUEUE_WORDS_MAX,
    Shown,
    choose_levels,
    expected,
    number,
    shown,
    wait_for,
    wait_until,
    wait_until_trades_before,
)
from playwright.sync_api import ViewportSize, expect

from dbn_bytes import T0, Mbo, metadata, stream
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
IS_LIVE = f"text('book-state') === 'live' && {HAS_ALL_LEVELS} && {HAS_QUEUES}"

# The pointer goes along a row's queue, px by px; which order the tip tells at each, once a frame.
ORDERS_AT = """async (cell) => {
  const tip = document.querySelector('[data-testid="tip"]');
  const box = cell.getBoundingClientRect();
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const told = [];
  for (let x = 0; x < box.width; x += 1) {
    const place = { clientX: box.left + x, clientY: box.top + box.height / 2, bubbles: true };
    cell.dispatchEvent(new PointerEvent('pointermove', place));
    await frame();
    await frame();
    const line = tip.hidden ? undefined : [...tip.children].find((each) => each.textContent.startsWith('order '));
    told.push(line?.textContent.replace('order ', '') ?? null);
  }
  return told;
}"""
# Whether anything is painted behind a cell, on the canvas under the table.
PAINTED = """(cell) => {
  const canvas = document.querySelector('[data-testid="ladder-canvas"]');
  const [box, sheet, ratio] = [cell.getBoundingClientRect(), canvas.getBoundingClientRect(), devicePixelRatio];
  const [x, y] = [(box.left - sheet.left + 1) * ratio, (box.top - sheet.top) * ratio];
  const { data } = canvas.getContext('2d').getImageData(x, y, (box.width - 2) * ratio, box.height * ratio);
  return data.some((value) => value !== 0);
}"""
# Headings that are cut off or stand elsewhere than the column, and numbers of another size than their neighbours.
MISALIGNED = """(table) => {
  const found = [];
  const row = table.querySelector('[data-kind="level"]');
  const sizes = new Set();
  table.querySelectorAll('thead th').forEach((heading, index) => {
    const cell = row.cells[index];
    const [above, below] = [heading.getBoundingClientRect(), cell.getBoundingClientRect()];
    if (above.width === 0) return;
    sizes.add(getComputedStyle(cell).fontSize);
    const words = document.createRange();
    words.selectNodeContents(heading.firstChild);
    const text = words.getBoundingClientRect();
    const isBeside = Math.abs(above.left - below.left) > 0.5 || Math.abs(above.right - below.right) > 0.5;
    if (isBeside) found.push(heading.className);
    if (text.left < above.left - 0.5 || text.right > above.right + 0.5) found.push(`${heading.className} is cut`);
  });
  if (sizes.size > 1) found.push([...sizes].join(' and '));
  return found;
}"""


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
    wait_until(page, HAS_QUEUES)


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
        wait_until(page, HAS_QUEUES)
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
    wait_until(page, HAS_QUEUES)
    assert_rows_are_those_of(shown(page), book)


def test_prices_that_the_levels_do_not_reach_are_not_told_as_empty(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    book = book_of(still, only_key(still), LEVELS_CARRIED)
    assert len(book["bids"]) == len(book["asks"]) == LEVELS_CARRIED
    rows = page.get_by_test_id("ladder-row")
    assert page.locator('tr:is([data-cut="B"], [data-cut="A"])').count() == 0, "a row of one tick is never cut"
    beyond = {side: page.locator(f'tr[data-beyond="{side}"]') for side in "BA"}
    for _ in range(4):
        page.keyboard.press("+")
    wait_for(page, "rows beyond the levels", lambda: all(found.count() > 0 for found in beyond.values()))
    prices = shown(page).prices
    step = parse_price(prices[0]) - parse_price(prices[1])
    lowest, highest = parse_price(book["bids"][-1][0]), parse_price(book["asks"][-1][0])
    bid, ask = lowest // step * step, -(-highest // step) * step
    told = [
        (parse_price(price), row.get_attribute("data-beyond")) for price, row in zip(prices, rows.all(), strict=True)
    ]
    assert [side for _, side in told] == ["B" if price < bid else "A" if price > ask else "" for price, _ in told]
    for side, row, last in (("B", bid, lowest), ("A", ask, highest)):
        cut = page.locator(f'tr[data-cut="{side}"] .price-text').all_text_contents()
        assert cut == ([price_text(row)] if row != last else [])
    words = beyond["B"].last.locator('[data-col="bid-queue"] [role="img"]')
    expect(words).to_have_attribute("aria-label", "not known: beyond the levels that the page follows")
    screenshot(page, "ladder-beyond")
    beyond["B"].last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("queue-list")).to_contain_text("not known")


def test_the_wheel_and_the_keys_show_other_prices_in_the_same_rows(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    book = book_of(still, only_key(still), LEVELS_CARRIED)
    rows = page.get_by_test_id("ladder-row")
    centred, count = shown(page).prices, rows.count()
    page.get_by_test_id("ladder-scroll").hover()
    page.mouse.wheel(0, -4000)
    below = page.get_by_test_id("ladder-below")
    expect(below).to_contain_text("market at")
    sign, price = below.bounding_box(), rows.last.locator(".price-text").bounding_box()
    assert sign is not None
    assert price is not None
    assert sign["x"] + sign["width"] < price["x"], "the sign is beside the prices"
    wait_until(page, HAS_QUEUES)
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
    wait_until_trades_before(page)
    page.keyboard.press("Escape")
    for _ in range(STEPS):
        page.keyboard.press("ArrowRight")
    wait_until(page, f"text('seq').replaceAll(',', '') === '{seq + STEPS}'")
    at = page.get_by_test_id("ts-event").get_attribute("title").split("· ")[1].removesuffix(" ns")  # type: ignore[union-attr]
    after = book_of(server, key, LEVELS_CARRIED, int(at))
    trades = server.get(
        f"/v1/books/{key}/history/trades",
        params={"end": int(after["ts_recv"]) + 1, "limit": 10_000},
    ).json()["trades"]
    # What was traded before the time gone to is told with the rest, and has changed none of the sizes since.
    traded, since = ({side: Counter[str]() for side in "BAN"} for _ in range(2))
    for trade in trades:
        traded[trade["side"]][trade["price"]] += trade["size"]
        if int(trade["ts_recv"]) > int(before["ts_recv"]):
            since[trade["side"]][trade["price"]] += trade["size"]
    assert sum(map(len, since.values())) > 2
    sizes = {name: [{level[0]: level[1] for level in book[name]} for book in (before, after)] for name in SIDES}
    screenshot(page, "ladder-flow")
    checked = 0
    for row in page.get_by_test_id("ladder-row").evaluate_all(FLOWS):
        price = row["price"]
        if price in traded["N"]:
            continue
        assert row["bought"] == traded["B"][price], price
        assert row["sold"] == traded["A"][price], price
        for name, net, taken in (("bids", "bidNet", "A"), ("asks", "askNet", "B")):
            was, now = (size.get(price, 0) for size in sizes[name])
            assert row[net] == now - was + since[taken][price], (name, price)
            checked += row[net] != 0
    assert checked > 5

    tip = page.get_by_test_id("tip")
    page.locator('[data-testid="ladder-row"] [data-col="sold"]:not(:empty)').first.hover()
    expect(tip).to_contain_text("traded since")
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_test_id("queue-list")).to_be_visible()
    expect(tip).to_be_hidden()
    page.get_by_test_id("queue-close").click()
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
    # Not under a pointer: a click there is meant for the price that it was aimed at.
    page.get_by_test_id("ladder-row").nth(2).hover()
    page.wait_for_timeout(2_000)  # what was on its way arrives
    first = shown(page)
    expect(page.locator(".ladder-away:not([hidden])").first).to_be_visible()
    assert shown(page).prices == first.prices
    page.mouse.move(1, 1)
    deadline_s = time.monotonic() + FOLLOWED_S
    while (said := shown(page)).prices[0] == first.prices[0] or not has_market_inside(said):
        assert time.monotonic() < deadline_s, "the market has not left the first prices, or was not followed"
        wait_until(page, f"Number(text('seq').replaceAll(',', '')) > {said.seq}")


def crossed(bid: int, ask: int, trade: int | None) -> list[Mbo]:
    """A book of which the best bid is above the best ask, by prices in cents; perhaps with a trade between them."""
    records = [
        Mbo("A", side, (best + step * level) * CENT, 5, order_id)
        for order_id, (side, best, step, level) in enumerate(
            ((side, best, step, level) for side, best, step in (("B", bid, -1), ("A", ask, 1)) for level in range(8)), 1
        )
    ]
    if trade is not None:
        records.append(Mbo("T", "B", trade * CENT, 2, 99))
    return [each._replace(ts_event=T0 + at, ts_recv=T0 + at + 1) for at, each in enumerate(records)]


def test_of_a_book_crossed_so_far_that_no_window_holds_it_both_best_prices_can_be_seen(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = tmp_path / "crossed.dbn"
    path.write_bytes(metadata(symbols={"CRO": 1}) + stream(crossed(10_500, 9_500, 9_980)))
    server = serve("--source", f"file:{path}", "--history", str(tmp_path / "history"))
    server.wait_for_state("ended")
    wait_until_durable(server)
    page = open_page(server.url)
    wait_until(page, "text('crossed') === 'crossed' && text('centre-button') === 'Centre: bid'")

    def assert_looks_at(place: str, price: str) -> None:
        expect(page.get_by_test_id("centre-button")).to_have_text(f"Centre: {place}")
        wait_for(page, f"{place} in view", lambda: price in shown(page).prices)

    above, below = page.get_by_test_id("ladder-above"), page.get_by_test_id("ladder-below")
    assert_looks_at("bid", "105.00")
    expect(above).to_be_hidden()
    expect(below).to_have_text("▼ best ask 95.00")
    screenshot(page, "ladder-crossed-far")
    page.keyboard.press("c")
    assert_looks_at("ask", "95.00")
    above.click()
    assert_looks_at("bid", "105.00")
    # A trade says where the market is.
    before = T0 + len(crossed(0, 0, None)) - 1
    go_to(page, before, str(before))
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    stands_at(page, str(before + 1))
    for place, price in (("ask", "95.00"), ("trade", "99.80"), ("bid", "105.00")):
        page.keyboard.press("c")
        assert_looks_at(place, price)


def test_of_a_book_crossed_by_less_both_best_prices_are_in_view(
    serve: Serve, open_page: OpenPage, tmp_path: Path
) -> None:
    path = tmp_path / "crossed.dbn"
    path.write_bytes(metadata(symbols={"CRO": 1}) + stream(crossed(10_014, 9_998, None)))
    page = open_page(serve("--source", f"file:{path}").url)
    wait_until(page, "/^[0-9,]+$/.test(text('seq')) && text('centre-button') === 'Centre'")
    wait_for(page, "both best prices", lambda: {"100.14", "99.98"} <= set(shown(page).prices))


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
    row.locator('[data-col="price"]').click()
    expect(page.get_by_test_id("queue-list")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("queue-list")).to_be_hidden()


def test_a_queue_shows_many_orders_and_each_of_its_pixels_is_one_of_them(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    wait_until(page, HAS_QUEUES)
    book = book_of(still, only_key(still), LEVELS_CARRIED)
    screenshot(page, "ladder-blocks")
    # From the price outward, which is to the left of bids.
    for column, outward, names in (("bid-queue", -1, "bids"), ("ask-queue", 1, "asks")):
        for price, _, count, queue in book[names][1:3]:
            row = page.get_by_test_id("ladder-row").filter(has=page.get_by_text(price, exact=True))
            cell = row.locator(f'[data-col="{column}"]')
            told = cell.evaluate(ORDERS_AT)[::outward]
            seen = [order for order, before in pairwise([*told, None]) if order is not None and order != before]
            assert seen == [entry[0] for entry in queue][: len(seen)], price
            assert len(seen) >= min(count, 12), f"{price}: {len(seen)} blocks of {count} orders"
            # A click picks what the tip tells: the third order, on its first pixel.
            at = told.index(seen[min(2, len(seen) - 1)])
            cell.click(position={"x": at if outward > 0 else len(told) - 1 - at, "y": 8})
            expect(page.get_by_test_id("inspector-order")).to_have_text(f"Order {told[at]}")


@pytest.mark.parametrize("width", [320, 768, 1440, 1920])
def test_headings_stand_over_their_columns_and_numbers_are_of_one_size(
    still: RunningServer, open_page: OpenPage, screenshot: Screenshot, width: int
) -> None:
    page = open_page(still.url, ViewportSize(width=width, height=900))
    wait_until(page, IS_LIVE)
    screenshot(page, f"ladder-columns-{width}")
    assert page.get_by_test_id("ladder").evaluate(MISALIGNED) == []


def test_the_bar_of_a_size_is_behind_the_size(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url)
    wait_until(page, IS_LIVE)
    for side, letter in (("bid", "B"), ("ask", "A")):
        row = page.locator(f'tr[data-side="{letter}"]').first
        assert row.locator(f'[data-col="{side}-size"]').evaluate(PAINTED)
        assert not row.locator(f'[data-col="{side}-orders"]').evaluate(PAINTED)


def test_columns_without_room_are_named(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(still.url, ViewportSize(width=1920, height=1080))
    wait_until(page, IS_LIVE)
    told, net = page.get_by_test_id("ladder-left-out"), page.locator("thead .bid-net")
    expect(net).to_be_visible()
    expect(told).to_have_text("")
    page.set_viewport_size(ViewportSize(width=1440, height=900))
    expect(net).to_be_hidden()
    expect(told).to_contain_text("no ±")
    page.set_viewport_size(ViewportSize(width=320, height=700))
    expect(told).to_have_text("no ±, sold, bought: open a row for them")
    expect(page.locator("thead .bid-queue")).to_be_visible()
    expect(page.locator("thead .sold")).to_be_hidden()


def test_the_list_of_a_row_leaves_the_ladder_its_room_and_says_what_has_become_of_its_price(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = tmp_path / "apart.dbn"
    path.write_bytes(metadata(symbols={"APT": 1}) + stream(crossed(9_996, 10_004, None)))
    page = open_page(serve("--source", f"file:{path}").url)
    wait_until(page, "/^[0-9,]+$/.test(text('seq')) && text('centre-button') === 'Centre'")
    wait_for(page, "prices between the best", lambda: "100.00" in shown(page).prices)
    rows, listed = page.get_by_test_id("ladder-row"), page.get_by_test_id("queue-list")
    count = rows.count()

    def open_list(price: str) -> None:
        rows.filter(has=page.get_by_text(price, exact=True)).locator('[data-col="price"]').click()
        expect(listed.get_by_role("heading")).to_contain_text(price)

    open_list("100.00")
    expect(listed).to_contain_text("No orders at this price.")
    expect(page.locator('tr[data-listed="yes"] .price-text')).to_have_text("100.00")
    screenshot(page, "ladder-list-empty")
    page.get_by_test_id("queue-close").click()
    wait_for(page, "all rows again", lambda: rows.count() == count)
    open_list("99.96")
    expect(listed.locator(".order-button")).to_have_count(1)
    wait_for(page, "fewer rows", lambda: rows.count() < count)
    assert rows.count() > count * 0.6
    page.get_by_test_id("ladder-scroll").hover()
    page.mouse.wheel(0, -400)
    expect(listed.get_by_role("heading")).to_have_text("99.96 ▼ below the rows · B 5 in 1 order")
    screenshot(page, "ladder-list-away")
