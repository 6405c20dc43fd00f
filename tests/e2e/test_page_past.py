"""The past beyond the ladder: heatmap and tape in it, what was recorded before the page came, and what is missing."""

from __future__ import annotations

import json
import operator
import random
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from page_reading import (
    FLOWS,
    TRADE_ROWS,
    WAIT_S,
    heatmap,
    number,
    pointed,
    wait_for,
    wait_until,
    wait_until_trades_before,
)
from playwright.sync_api import ViewportSize, expect

from dbn_bytes import T0, Mbo, metadata, stream
from histories import record
from l3book._core import Log
from l3book.times import parse_time_ns
from recorded import ends_of, recorded_server, serve_recorded, simulated, wait_until_durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

RECORDS = 60_000
LARGE = ViewportSize(width=1920, height=1080)
NS_PER_S = 1_000_000_000
# Shares of the heatmap's width: the bars of the newest book, and some columns before it.
NEWEST = 0.87
EARLIER = (0.2, 0.45, 0.7)
RECORDED = re.compile(r"recorded (?:each second|every (\d+) s): as it was at the end")
SIZE = re.compile(r"^([\d.]+) · (bid|ask) size ([\d,]+)$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
CENT = 10_000_000
SLOW_S = 200


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("page-past") / "sim.dbn", RECORDS, seed=17, instruments=1)


@pytest.fixture(scope="module")
def recorded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with recorded_server(file, tmp_path_factory.mktemp("page-past-history")) as server:
        yield server


@pytest.fixture
def page(recorded: RunningServer, open_page: OpenPage) -> Page:
    page = open_page(f"{recorded.url}/#SYN0", LARGE)
    wait_until(page, "text('book-state') === 'live'")
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    return page


def go(page: Page, at: object) -> None:
    field = page.get_by_test_id("replay-field")
    field.fill(str(at))
    field.press("Enter")
    expect(field).to_have_value("")
    wait_until_paused(page)


def wait_until_paused(page: Page) -> None:
    expect(page.get_by_test_id("replay-state")).to_have_text("paused")
    expect(page.get_by_test_id("replay-pane")).to_have_attribute("data-busy", "no")
    wait_until(page, "/^[0-9,]+$/.test(text('seq'))")


def venue_time(page: Page) -> int:
    title = page.get_by_test_id("ts-event").get_attribute("title") or ""
    return int(title.split("· ")[1].removesuffix(" ns"))


def wait_for_best(page: Page, book: dict[str, Any]) -> None:
    """Wait until the heatmap's newest column has the best prices of this book."""
    wanted = {f"best bid {book['bids'][0][0]} · best ask {book['asks'][0][0]}"}
    deadline_s = time.monotonic() + WAIT_S
    while (said := {lines[-2] for lines in pointed(page, NEWEST, 40)}) != wanted:
        assert time.monotonic() < deadline_s, (said, wanted)


def test_heatmap_and_tape_go_to_the_past_and_play(
    recorded: RunningServer, page: Page, file: Path, screenshot: Screenshot
) -> None:
    first, last = ends_of(file)
    page.get_by_test_id("tape-aggregate").uncheck()
    middle = (first + last) // 2
    go(page, middle)

    def assert_shows_then() -> None:
        at = venue_time(page)
        book = recorded.get("/v1/books/SYN0", params={"level": 2, "depth": 1, "at": at}).raise_for_status().json()
        wait_for_best(page, book)

    assert_shows_then()
    page.get_by_test_id("replay-play").click()
    expect(page.get_by_test_id("replay-state")).to_have_text("playing")
    rows = page.get_by_test_id("tape-row")
    wait_for(page, "some trades", lambda: rows.count() >= 5)
    page.get_by_test_id("replay-play").click()
    wait_until_paused(page)
    assert_shows_then()

    def theirs() -> list[tuple[str, int, str]]:
        query = {"start": middle, "limit": 10_000}
        told = recorded.get("/v1/books/SYN0/history/trades", params=query).raise_for_status().json()["trades"]
        until = venue_time(page)
        return [(each["price"], each["size"], each["side"]) for each in told if int(each["ts_event"]) <= until][::-1]

    def ours() -> list[tuple[str, int, str]]:
        return [(price, number(size), side) for price, size, side, _ in rows.evaluate_all(TRADE_ROWS)]

    wait_for(page, "the trades until then", lambda: ours()[:5] == theirs()[:5])
    compared = min(len(ours()), len(theirs()))
    assert ours()[:compared] == theirs()[:compared]
    screenshot(page, "past-playing")
    page.keyboard.press("l")
    expect(page.get_by_test_id("replay-state")).to_have_text("ended")
    live = recorded.get("/v1/books/SYN0", params={"level": 2, "depth": 1}).raise_for_status().json()
    wait_for_best(page, live)


def test_the_trades_of_the_minute_before_are_shown_once(
    recorded: RunningServer, page: Page, file: Path, screenshot: Screenshot
) -> None:
    first, last = ends_of(file)
    page.get_by_test_id("tape-aggregate").uncheck()
    rows = page.get_by_test_id("tape-row")
    recorded_rows = page.locator('[data-testid="tape-row"][data-recorded="yes"]')

    def theirs() -> list[dict[str, Any]]:
        told = recorded.get("/v1/books/SYN0/history/trades", params={"limit": 10_000}).raise_for_status().json()
        assert "next_cursor" not in told
        until = venue_time(page)
        return [each for each in told["trades"] if int(each["ts_event"]) <= until]

    def assert_shown() -> None:
        wanted = theirs()

        def ours() -> list[tuple[str, int, str]]:
            return [(price, number(size), side) for price, size, side, _ in rows.evaluate_all(TRADE_ROWS)]

        newest = [(each["price"], each["size"], each["side"]) for each in wanted[::-1]]
        wait_for(page, "the trades until then", lambda: ours() == newest[: len(ours())] and len(ours()) > 30)
        sizes = {side: Counter[str]() for side in "BAN"}
        for each in wanted:
            sizes[each["side"]][each["price"]] += each["size"]

        def at_prices() -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
            told = page.get_by_test_id("ladder-row").evaluate_all(FLOWS)
            # Where the side is not told, the page asks the quotes of then, as far as it knows them.
            flows = {
                row["price"]: (row["sold"], row["bought"]) for row in told if row["price"] not in {"", *sizes["N"]}
            }
            return flows, {price: (sizes["A"][price], sizes["B"][price]) for price in flows}

        wait_for(page, "what was traded at each price", lambda: operator.eq(*at_prices()))
        assert sum(map(sum, at_prices()[1].values())) > 0
        wait_until(page, f"text('tape-volume').replace(/[≥, ]/g, '') === '{sum(each['size'] for each in wanted)}'")

    # All that is recorded before a moment is of the minute before it.
    assert last - first < 60 * NS_PER_S
    go(page, first + (last - first) // 3)
    wait_until_trades_before(page)
    assert_shown()
    assert recorded_rows.count() == rows.count()
    screenshot(page, "past-trades-before")
    # On over the moment: those that come are told by the stream, and none is told twice.
    page.get_by_test_id("replay-play").click()
    wait_for(page, "trades since", lambda: rows.count() > recorded_rows.count())
    page.get_by_test_id("replay-play").click()
    wait_until_paused(page)
    assert_shown()
    screenshot(page, "past-trades-after")
    # Back by an event, which is another place.
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    expect(page.locator('[data-testid="tape-row"][data-recorded="no"]')).to_have_count(0)
    wait_until_paused(page)
    wait_until_trades_before(page)
    assert_shown()
    page.keyboard.press("l")
    expect(page.get_by_test_id("replay-state")).to_have_text("ended")
    expect(recorded_rows).to_have_count(0)


def test_the_minute_of_a_quiet_market_ends_where_the_page_stands(
    serve: Serve, open_page: OpenPage, tmp_path: Path
) -> None:
    def times(seconds: int) -> dict[str, int]:
        return {"ts_event": T0 + seconds * NS_PER_S, "ts_recv": T0 + seconds * NS_PER_S}

    path = tmp_path / "quiet.dbn"
    records = [
        Mbo("A", "B", 50 * NS_PER_S, 9, 1, **times(0)),
        Mbo("A", "A", 51 * NS_PER_S, 9, 2, **times(70)),
        Mbo("T", "A", 50 * NS_PER_S, 5, 77, 0, **times(90)),
        Mbo("C", "B", 50 * NS_PER_S, 5, 1, **times(90)),
        Mbo("A", "A", 51 * NS_PER_S, 3, 3, **times(400)),
    ]
    path.write_bytes(metadata(symbols={"SLO": 1}) + stream(records))
    server = serve_recorded(serve, path, tmp_path / "history")
    page = open_page(f"{server.url}/#SLO", LARGE)
    wait_until(page, "text('book-state') === 'live'")
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    volume, delta = page.get_by_test_id("tape-volume"), page.get_by_test_id("tape-delta")
    # Live, the page has come after all that was traded.
    expect(volume).to_have_text("–")  # noqa: RUF001
    go(page, T0 + 100 * NS_PER_S)
    expect(volume).to_have_text("5")
    expect(delta).to_have_text("−5")  # noqa: RUF001
    # The book is the same, and what was traded longer ago.
    go(page, T0 + 300 * NS_PER_S)
    expect(volume).to_have_text("0")
    expect(delta).to_have_text("0")


def test_a_minute_of_which_the_page_has_seen_a_part_has_at_least_so_much(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    page = open_page(server.url)
    expect(page.get_by_test_id("tape-volume")).to_have_text(re.compile(r"^≥ [\d,]+$"))


def slow_market(start: int = T0, seconds: int = SLOW_S) -> list[Mbo]:
    """Ten orders a second that come and go near a market of one tick's spread."""
    chance = random.Random(5)
    resting: list[tuple[int, str, int]] = []
    records: list[Mbo] = []
    for count in range(seconds * 10):
        ts_event = start + count * NS_PER_S // 10
        times = {"ts_event": ts_event, "ts_recv": ts_event + 1000, "sequence": count}
        if len(resting) > 60 and chance.random() < 0.5:
            order_id, side, price = resting.pop(chance.randrange(len(resting)))
            records.append(Mbo("C", side, price, 100, order_id, **times))
            continue
        side = chance.choice("BA")
        price = 50 * NS_PER_S + (-1 if side == "B" else 1) * chance.randint(1, 25) * CENT
        resting.append((count + 1, side, price))
        records.append(Mbo("A", side, price, chance.randint(1, 100), count + 1, **times))
    # The tables are known to be whole by a last record at the best price.
    records.append(Mbo("A", "B", 50 * NS_PER_S, 7, 10**6, ts_event=ts_event + 1, ts_recv=ts_event + 2))
    return records


def test_the_heatmap_begins_with_what_was_recorded(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    path = tmp_path / "slow.dbn"
    path.write_bytes(metadata(symbols={"SLO": 1}) + stream(slow_market()))
    server = serve_recorded(serve, path, tmp_path / "history")
    page = open_page(server.url, LARGE)

    def wait_until_filled(least_s: int) -> None:
        wait_for(page, "recorded columns", lambda: int(heatmap(page, "recorded") or 0) >= least_s)

    wait_until_filled(SLOW_S - 10)
    assert_says_what_the_tables_have(server, page, "recorded each second")
    screenshot(page, "heatmap-recorded")
    page.get_by_test_id("heatmap-view").focus()
    for _ in range(8):
        page.keyboard.press("-")
    assert_says_what_the_tables_have(server, page, "recorded every 10 s")
    screenshot(page, "heatmap-recorded-far")
    # After a seek it is what was before that.
    page.evaluate("document.activeElement.blur()")
    go(page, T0 + 100 * NS_PER_S)
    wait_until_filled(90)
    page.get_by_test_id("heatmap-view").focus()
    page.keyboard.press("0")
    assert_says_what_the_tables_have(server, page, "recorded each second")
    screenshot(page, "heatmap-recorded-past")


def assert_says_what_the_tables_have(server: RunningServer, page: Page, mark: str) -> None:
    """What is said under the pointer is what the rows say of the end of that second, or of the ten."""
    sizes = 0
    for share in EARLIER:
        for lines in pointed(page, share, 24):
            if (told := next(filter(None, map(RECORDED.fullmatch, lines)), None)) is None or mark not in told[0]:
                continue
            step = int(told[1] or 1)
            (at,) = [int(parse_time_ns(line)) for line in lines if TIME.fullmatch(line)]
            begin = at // NS_PER_S // step * step * NS_PER_S
            query: dict[str, Any] = {"start": begin, "interval": f"{step}s", "limit": 1}
            (row,) = server.get("/v1/books/SLO/history/bbo", params=query).raise_for_status().json()["bbo"]
            assert f"best bid {row['bid_price']} · best ask {row['ask_price']}" in lines
            if (size := SIZE.match(lines[0])) is None:
                continue
            query |= {"price": size[1], "side": {"bid": "B", "ask": "A"}[size[2]]}
            (level,) = server.get("/v1/books/SLO/history/levels", params=query).raise_for_status().json()["levels"]
            assert level["size"] == number(size[3]), (lines, level)
            sizes += 1
    assert sizes > 5


def test_a_hole_in_the_recording_is_shown_and_gone_around(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    record(tmp_path)
    gone = Log(tmp_path).segments()[2]
    for path in (tmp_path / "log").rglob(f"{gone['first_ordinal']:020d}*"):
        path.unlink()
    # A session that begins later leaves what was recorded before in force.
    path = tmp_path / "later.dbn"
    later = Log(tmp_path).segments()[-1]["ts_recv_max"] + 5 * NS_PER_S
    path.write_bytes(metadata(symbols={"SLO": 1}) + stream(slow_market(later, 2)))
    server = serve("--source", f"file:{path}", "--history", str(tmp_path))
    server.wait_for_state("ended")
    wait_until_durable(server)
    (hole,) = server.get("/v1/history").raise_for_status().json()["holes"]
    page = open_page(f"{server.url}/#SYN0", LARGE)
    slider = page.get_by_test_id("replay-slider")
    expect(slider).to_be_visible()
    start, end = int(hole["start"]), int(hole["end"])
    go(page, start + (end - start) // 4)
    expect(page.get_by_test_id("replay-message")).to_have_text("Records are missing there: this is before them.")
    assert start - NS_PER_S < venue_time(page) < start
    box = slider.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] * int(slider.get_attribute("aria-valuenow") or "") / 1000
    said = set()
    for dx in range(-4, 12):
        page.mouse.move(x + dx, box["y"] + box["height"] * 0.35)
        said.add(page.get_by_test_id("tip").inner_text())
    wanted = f"{hole['records']} records are missing here: {hole['reason']}"
    assert any(wanted in text for text in said), json.dumps(sorted(said))
    screenshot(page, "replay-hole")
