"""The page's order inspector, held against REST: an order's place, its life, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from page_reading import HAS_ALL_LEVELS, number, wait_for, wait_until
from playwright.sync_api import ViewportSize, expect

from dbn_bytes import Mbo, metadata, stream
from recorded import serve_recorded, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

LARGE = ViewportSize(width=1920, height=1400)
IS_LIVE = f"text('book-state') === 'live' && {HAS_ALL_LEVELS}"
TABS_MAX = 40
AHEAD_MAX = 30
# Longer than any pause between two questions about the same.
QUIET_MS = 3_500
S = 1_000_000_000
T0 = 1_758_742_200_000_000_000

# Order 1 is filled in two parts, 2 is modified and cancelled, 3 rests and grows, 4 and 5 rest beside it.
STORY = [
    Mbo("A", "B", 10 * S, 5, 1, ts_event=T0, ts_recv=T0),
    Mbo("A", "B", 10 * S, 7, 2, ts_event=T0 + 1, ts_recv=T0 + 1),
    Mbo("A", "B", 10 * S, 2, 3, ts_event=T0 + 2, ts_recv=T0 + 2),
    Mbo("A", "A", 11 * S, 3, 9, ts_event=T0 + 3, ts_recv=T0 + 3),
    Mbo("T", "A", 10 * S, 2, 77, 0, ts_event=T0 + 10, ts_recv=T0 + 10),
    Mbo("F", "B", 10 * S, 2, 1, 0, ts_event=T0 + 10, ts_recv=T0 + 10),
    Mbo("C", "B", 10 * S, 2, 1, ts_event=T0 + 10, ts_recv=T0 + 10),
    Mbo("T", "A", 10 * S, 3, 78, 0, ts_event=T0 + 20, ts_recv=T0 + 20),
    Mbo("F", "B", 10 * S, 3, 1, 0, ts_event=T0 + 20, ts_recv=T0 + 20),
    Mbo("C", "B", 10 * S, 3, 1, ts_event=T0 + 20, ts_recv=T0 + 20),
    Mbo("M", "B", 10 * S, 4, 2, ts_event=T0 + 30, ts_recv=T0 + 30),
    Mbo("C", "B", 10 * S, 4, 2, ts_event=T0 + 40, ts_recv=T0 + 40),
    Mbo("A", "B", 10 * S, 6, 4, ts_event=T0 + 50, ts_recv=T0 + 50),
    Mbo("M", "B", 10 * S, 8, 3, ts_event=T0 + 60, ts_recv=T0 + 60),
    Mbo("A", "B", 10 * S, 1, 5, ts_event=T0 + 70, ts_recv=T0 + 70),
]


@pytest.fixture
def story(serve: Serve, tmp_path: Path) -> RunningServer:
    path = tmp_path / "story.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + stream(STORY))
    return serve_recorded(serve, path, tmp_path / "history")


def fact(page: Page, name: str) -> str:
    return page.get_by_test_id(f"inspector-{name}").inner_text()


def inspect(page: Page, order_id: str) -> None:
    page.get_by_test_id("inspector-field").fill(order_id)
    page.get_by_test_id("inspector-field").press("Enter")
    expect(page.get_by_test_id("inspector-order")).to_have_text(f"Order {order_id}")


def queue_words(orders: int, size: int) -> str:
    return f"{orders:,} order{'' if orders == 1 else 's'}, size {size:,}" if orders else "nothing"


def assert_stands_as(page: Page, order: dict[str, Any], status: str = "resting") -> None:
    expect(page.get_by_test_id("inspector-status")).to_have_text(status)
    assert fact(page, "side") == {"B": "B bid", "A": "A ask"}[order["side"]]
    assert fact(page, "price") == order["price"]
    assert number(fact(page, "size")) == order["size"]
    placed = page.get_by_test_id("inspector-placed").get_attribute("title") or ""
    assert placed.endswith(f"· {order['ts_event']} ns")
    assert fact(page, "ahead") == queue_words(order["orders_ahead"], order["size_ahead"])
    assert fact(page, "behind") == queue_words(order["orders_behind"], order["size_behind"])


def life(page: Page) -> list[tuple[str, str, str, str, str]]:
    rows = page.get_by_test_id("life-row").evaluate_all(
        """(rows) => rows.map((row) => [
          row.querySelector('time').title.split('· ')[1],
          ...[...row.querySelectorAll('th > span, td')].map((cell) => cell.textContent),
        ])"""
    )
    return [tuple(row) for row in rows]


def ahead_of(page: Page) -> list[str]:
    return page.locator('[data-testid="inspector-body"] .order-button').evaluate_all(
        "(buttons) => buttons.map((button) => button.dataset.order)"
    )


def test_an_order_stands_where_rest_says_at_the_front_in_the_middle_and_at_the_back(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = simulated(tmp_path / "sim.dbn", 30_000, seed=3, instruments=1, resting_max=600)
    server = serve_recorded(serve, path, tmp_path / "history")
    page = open_page(server.url, LARGE)
    wait_until(page, IS_LIVE)
    book = server.get("/v1/books/SYN0", params={"level": 3, "depth": 100}).json()
    for side, level in (("bids", 0), ("asks", 3), ("bids", 40)):
        queue = book[side][level][3]
        for place in sorted({0, len(queue) // 2, len(queue) - 1}):
            order = server.get(f"/v1/books/SYN0/orders/{queue[place][0]}").json()
            inspect(page, order["order_id"])
            assert_stands_as(page, order)
            wanted = [entry[0] for entry in queue[:place]][:AHEAD_MAX]
            # The queue of a level far from the market is asked for when one of its orders is looked at.
            wait_for(page, f"{wanted} ahead", lambda wanted=wanted: ahead_of(page) == wanted)
            expect(page.get_by_test_id("life-row").first).to_be_attached()
            assert len(life(page)) > 0
    screenshot(page, "inspector-resting")


def test_the_life_of_orders_that_have_gone(story: RunningServer, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(story.url, LARGE)
    wait_until(page, IS_LIVE)
    inspect(page, "1")
    expect(page.get_by_test_id("inspector-status")).to_have_text("filled")
    assert story.get("/v1/books/XED/orders/1").json()["status"] == "filled"
    assert (fact(page, "size"), fact(page, "filled"), fact(page, "price")) == ("0", "5", "10.00")
    assert life(page) == [
        (f"{T0} ns", "added", "+5", "5", "10.00"),
        (f"{T0 + 10} ns", "partly filled", "−2", "3", "10.00"),  # noqa: RUF001
        (f"{T0 + 20} ns", "filled", "−3", "0", "10.00"),  # noqa: RUF001
    ]
    screenshot(page, "inspector-filled")
    inspect(page, "2")
    expect(page.get_by_test_id("inspector-status")).to_have_text("cancelled")
    assert [step[1] for step in life(page)] == ["added", "modified", "cancelled"]
    inspect(page, "3")
    order = story.get("/v1/books/XED/orders/3").json()
    assert (order["orders_ahead"], order["size_ahead"]) == (1, 6), "it has grown, and lost its place"
    assert_stands_as(page, order)
    inspect(page, "12345")
    expect(page.get_by_test_id("inspector-status")).to_have_text("not found")
    expect(page.get_by_test_id("inspector-message")).to_contain_text("no order 12345 rests")
    page.get_by_test_id("inspector-field").fill("soon")
    page.get_by_test_id("inspector-field").press("Enter")
    expect(page.get_by_test_id("inspector-field")).to_have_attribute("aria-invalid", "true")
    page.get_by_test_id("inspector-clear").click()
    expect(page.get_by_test_id("inspector-hint")).to_be_visible()


def test_an_order_in_the_past_stands_as_it_stood_and_is_followed_until_it_goes(
    story: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(story.url, LARGE)
    expect(page.get_by_test_id("replay-field")).to_be_enabled()
    page.get_by_test_id("replay-field").fill(str(T0 + 10))
    page.get_by_test_id("replay-field").press("Enter")
    wait_until(page, f"document.querySelector('[data-testid=\"ts-event\"]').title.endsWith('{T0 + 10} ns')")
    inspect(page, "1")
    order = story.get("/v1/books/XED/orders/1", params={"at": T0 + 10}).json()
    assert (order["status"], order["size"]) == ("resting", 3)
    assert_stands_as(page, order, "was resting")
    expect(page.get_by_test_id("inspector-body")).to_contain_text("Nothing: it was the front of its queue.")
    expect(page.get_by_test_id("epoch")).to_be_hidden()
    expect(page.get_by_test_id("life-row")).to_have_count(2)
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("inspector-status")).to_have_text("filled")
    expect(page.get_by_test_id("life-row")).to_have_count(3)
    expect(page.get_by_test_id("inspector-size")).to_have_text("0")
    screenshot(page, "inspector-past")
    inspect(page, "12345")
    expect(page.get_by_test_id("inspector-message")).to_contain_text("no order 12345 rested in ")


def test_another_instrument_has_no_order_chosen(still: RunningServer, open_page: OpenPage) -> None:
    page = open_page(f"{still.url}/#SYN0", LARGE)
    wait_until(page, IS_LIVE)
    inspect(page, "1")
    page.goto(f"{still.url}/#SYN1")
    expect(page.get_by_test_id("inspector-hint")).to_be_visible()
    expect(page.get_by_test_id("inspector-field")).to_have_value("")


def test_without_a_history_it_says_so(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "story.dbn"
    path.write_bytes(metadata(symbols={"XED": 1}) + stream(STORY))
    server = serve("--source", f"file:{path}")
    server.wait_for_state("ended")
    page = open_page(server.url, LARGE)
    wait_until(page, IS_LIVE)
    inspect(page, "4")
    assert_stands_as(page, server.get("/v1/books/XED/orders/4").json())
    expect(page.get_by_test_id("life-note")).to_contain_text("keeps no history")
    inspect(page, "1")
    expect(page.get_by_test_id("inspector-status")).to_have_text("not found")
    expect(page.get_by_test_id("inspector-message")).to_contain_text("no order 1 rests")


def test_an_order_that_nobody_knows_is_not_asked_for_again_and_again(
    story: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/orders/12345" in request.url else None)
    page.goto(story.url)
    wait_until(page, IS_LIVE)
    message = page.get_by_test_id("inspector-message")
    inspect(page, "12345")
    expect(message).to_contain_text("Show asks the server again")
    page.wait_for_timeout(QUIET_MS)
    assert len(asked) == 1
    page.get_by_test_id("inspector-show").click()
    wait_for(page, "another question", lambda: len(asked) == 2)
    # Another time is another question, and each only once.
    for count, at in ((3, T0 + 20), (4, T0 + 50)):
        page.get_by_test_id("replay-field").fill(str(at))
        page.get_by_test_id("replay-field").press("Enter")
        wait_for(page, "a question about that time", lambda count=count: len(asked) == count)  # type: ignore[misc]
        assert asked[-1].endswith(f"at={at}")
        expect(message).to_contain_text("asked again at another time")
        page.wait_for_timeout(QUIET_MS)
        assert len(asked) == count
    screenshot(page, "inspector-unknown")


def focused(page: Page) -> Iterator[str]:
    """What has the focus after each press of Tab."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        yield page.evaluate("document.activeElement.dataset.testid ?? ''")


def test_an_order_is_found_and_inspected_with_the_keyboard_alone(
    story: RunningServer, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(story.url, LARGE)
    wait_until(page, IS_LIVE)
    assert "ladder-row" in focused(page), "a row is reached by Tab"
    best = page.locator('[data-testid="ladder-row"][data-side="B"][data-best="yes"]')
    for _ in range(TABS_MAX):
        if best.evaluate("(row) => row === document.activeElement"):
            break
        ahead = best.evaluate("(row) => row.rowIndex - document.activeElement.rowIndex")
        page.keyboard.press("ArrowDown" if ahead > 0 else "ArrowUp")
    expect(best).to_be_focused()
    page.keyboard.press("Enter")
    orders = page.get_by_test_id("queue-list").locator(".order-button")
    expect(orders).to_have_count(3)
    expect(orders.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("inspector-order")).to_have_text("Order 3")
    expect(orders.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(best).to_have_attribute("data-selected", "yes")
    assert_stands_as(page, story.get("/v1/books/XED/orders/3").json())
    screenshot(page, "inspector-keyboard")
    page.keyboard.press("Escape")
    expect(best).to_be_focused()
    page.keyboard.press("o")
    expect(page.get_by_test_id("inspector-field")).to_be_focused()
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("inspector-order")).to_have_text("Order 5")


def test_an_answer_of_another_shape_is_told_and_the_next_one_is_read(story: RunningServer, open_page: OpenPage) -> None:
    page = open_page(story.url, LARGE)
    wait_until(page, IS_LIVE)
    expect(page.get_by_test_id("inspector-pane")).to_be_visible()
    page.route("**/orders/1", lambda route: route.fulfill(json={"order_id": "1", "status": "elsewhere"}))
    page.keyboard.press("o")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("inspector-message")).to_contain_text("No answer about it: order.status")
    page.unroute("**/orders/1")
    page.get_by_test_id("inspector-show").click()
    expect(page.get_by_test_id("inspector-status")).to_have_text("filled")
