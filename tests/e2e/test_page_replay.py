"""The replay bar: the page goes to recorded times, and shows the books as they were there."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from page_reading import choose_levels, expected, number, shown, wait_until
from playwright.sync_api import Locator, Page, WebSocket, expect

from recorded import ends_of, recorded_server, serve_recorded, simulated, wait_until_durable
from running import RunningServer

OpenPage = Callable[..., Page]
Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

RECORDS = 60_000
LEVELS = 10
NS_PER_S = 1_000_000_000
SHOWN_S = 30
STILL_MS = 400
STILL_ATTEMPTS = 5


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("page-replay") / "sim.dbn", RECORDS, seed=31, instruments=2)


@pytest.fixture(scope="module")
def ends(file: Path) -> tuple[int, int]:
    """Between these times (ns) the books move."""
    return ends_of(file)


@pytest.fixture(scope="module")
def recorded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with recorded_server(file, tmp_path_factory.mktemp("page-history"), history_checkpoint_records=9000) as server:
        yield server


@pytest.fixture
def page(recorded: RunningServer, open_page: OpenPage) -> Page:
    page = open_page(f"{recorded.url}/#SYN0")
    wait_until(page, "text('book-state') === 'live'")
    expect(page.get_by_test_id("replay-slider")).to_be_visible()
    choose_levels(page, LEVELS)
    # A button that has the focus would take Space for itself.
    page.evaluate("document.activeElement.blur()")
    return page


def bar(page: Page, part: str) -> Locator:
    return page.get_by_test_id(f"replay-{part}")


def go(page: Page, time: object) -> None:
    """Type a time into the bar, and wait until the page is there."""
    bar(page, "field").fill(str(time))
    bar(page, "field").press("Enter")
    expect(bar(page, "field")).to_have_value("")
    wait_until_settled(page)


def wait_until_settled(page: Page) -> None:
    """Nothing is asked for any more, and there is a book."""
    expect(bar(page, "state")).to_have_text("paused")
    expect(page.get_by_test_id("replay-pane")).to_have_attribute("data-busy", "no")
    wait_until(page, "/^[0-9,]+$/.test(text('seq'))")


def stands_still(page: Page) -> bool:
    """The book does not change for a while: one that plays would, again and again.

    To a browser that does not keep up, the last of what was played may come a little later.
    """
    for _ in range(STILL_ATTEMPTS):
        held = shown(page)
        page.wait_for_timeout(STILL_MS)
        if shown(page) == held:
            return True
    return False


def venue_time(page: Page) -> int:
    """The ts_event of the book on view, in ns."""
    return int(shown(page).time.split("· ")[1].removesuffix(" ns"))


def shown_time(page: Page) -> int:
    """The recorded time that the bar shows, in ns."""
    title = bar(page, "time").get_attribute("title") or ""
    return int(title.split("· ")[1].removesuffix(" ns"))


def wait_until_time(page: Page, comparison: str) -> None:
    """Wait for a recorded time on view, such as `< 1758750420000193260n`."""
    shown = "BigInt(document.querySelector('[data-testid=replay-time]').title.split(/[· ]+/)[1])"
    wait_until(page, f"{shown} {comparison}")


def book_at(server: RunningServer, at: int) -> dict[str, Any]:
    parameters = {"level": 3, "depth": LEVELS, "at": at}
    answer: dict[str, Any] = server.get("/v1/books/SYN0", params=parameters).raise_for_status().json()
    return answer


def assert_shows(page: Page, book: dict[str, Any]) -> None:
    said = shown(page)
    assert said.bids == expected(book["bids"])
    assert said.asks == expected(book["asks"])
    assert said.time.endswith(f"· {book['ts_event']} ns")


def wait_until_shows_itself(server: RunningServer, page: Page) -> None:
    """Wait until what is shown is the book of the time that is shown: it may come after its time."""
    deadline_s = time.monotonic() + SHOWN_S
    while True:
        try:
            assert_shows(page, book_at(server, venue_time(page)))
        except (AssertionError, ValueError):
            if time.monotonic() > deadline_s:
                raise
            page.wait_for_timeout(100)
        else:
            return


def test_a_typed_time_is_shown_as_the_book_was(
    recorded: RunningServer, page: Page, ends: tuple[int, int], screenshot: Screenshot
) -> None:
    first, last = ends
    for share in (0.7, 0.2, 0.5):
        at = first + int((last - first) * share)
        go(page, at)
        book = book_at(recorded, at)
        wait_until(page, f"document.querySelector('[data-testid=ts-event]').title.endsWith('{book['ts_event']} ns')")
        assert_shows(page, book)
        assert abs(shown_time(page) - at) < NS_PER_S
        assert book == book_at(recorded, venue_time(page)), "the time shown leads to the same book"
    expect(bar(page, "distance")).to_contain_text("before the end")
    screenshot(page, "replay")


def test_a_step_is_one_event_of_the_book(recorded: RunningServer, page: Page, ends: tuple[int, int]) -> None:
    go(page, (ends[0] + ends[1]) // 2)
    seq = shown(page).seq
    for _ in range(3):
        bar(page, "event-on").click()
        seq += 1
        wait_until(page, f"text('seq').replaceAll(',', '') === '{seq}'")
        assert_shows(page, book_at(recorded, venue_time(page)))
    bar(page, "event-back").click()
    wait_until(page, f"text('seq').replaceAll(',', '') === '{seq - 1}'")
    assert_shows(page, book_at(recorded, venue_time(page)))


def test_a_step_beyond_either_end_is_told(page: Page, ends: tuple[int, int]) -> None:
    go(page, ends[1])
    bar(page, "event-on").click()
    expect(bar(page, "message")).to_have_text("This is the end of what is recorded.")
    expect(bar(page, "message")).to_have_attribute("data-tone", "info")
    bar(page, "event-back").click()
    expect(bar(page, "message")).to_have_text("")


def test_play_moves_time_and_pause_holds_it(page: Page, ends: tuple[int, int]) -> None:
    go(page, ends[0])
    bar(page, "speed").select_option("0.25")
    before = shown_time(page)
    bar(page, "play").click()
    expect(bar(page, "state")).to_have_text("playing")
    expect(bar(page, "play")).to_have_text("Pause")
    wait_until_time(page, f"> {before}n")
    bar(page, "play").click()
    wait_until_settled(page)
    assert stands_still(page), "what was played comes before the answer to Pause, and nothing after it"
    bar(page, "speed").select_option("1000")
    bar(page, "play").click()
    expect(bar(page, "state")).to_have_text("at the end")
    expect(page.get_by_test_id("notice-past")).to_contain_text("at the end of what is recorded")


def test_a_replay_that_reaches_the_newest_record_says_so_and_follows_it(
    serve: Callable[..., RunningServer], open_page: OpenPage, tmp_path: Path, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=500", "--history", str(tmp_path))
    server.wait_until_ready()
    page = open_page(server.url)
    expect(bar(page, "state")).to_have_text("live")
    expect(bar(page, "play")).to_be_enabled()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    wait_until_settled(page)
    bar(page, "speed").select_option("1000")
    bar(page, "play").click()
    expect(bar(page, "state")).to_have_text("caught up")
    expect(bar(page, "distance")).to_be_hidden()
    notice = page.get_by_test_id("notice-past")
    expect(notice).to_contain_text("caught up with the newest record; it follows what is recorded")
    before = shown(page).seq
    wait_until(page, f"Number(text('seq').replaceAll(',', '')) > {before}")
    screenshot(page, "replay-caught-up")
    expect(bar(page, "play")).to_have_text("Pause")
    bar(page, "play").click()
    wait_until_settled(page)
    assert stands_still(page)
    page.get_by_test_id("notice-live-button").click()
    expect(bar(page, "state")).to_have_text("live")
    server.kill()
    expect(bar(page, "state")).to_have_text("disconnected")


def test_a_restarted_server_that_recorded_anew_says_that_the_moment_is_gone(
    serve: Callable[..., RunningServer], open_page: OpenPage, file: Path, tmp_path: Path, screenshot: Screenshot
) -> None:
    history = tmp_path / "history"
    server = serve_recorded(serve, file, history)
    port = urlsplit(server.url).port
    last = ends_of(file)[1]
    page = open_page(f"{server.url}/#SYN0")
    expect(bar(page, "field")).to_be_enabled()
    go(page, last)
    choose_levels(page, LEVELS)
    wait_until(page, "location.hash.includes('at=2')")
    address = page.evaluate("location.hash")
    whole = server.get("/v1/books/SYN0", params={"level": 3, "depth": "all", "at": venue_time(page)}).json()
    newest = max((order for level in whole["bids"] for order in level[3]), key=order_number)
    page.get_by_test_id("inspector-field").fill(newest[0])
    page.get_by_test_id("inspector-field").press("Enter")
    expect(page.get_by_test_id("inspector-status")).to_have_text("was resting")

    server.kill()
    page.context.set_offline(True)
    expect(bar(page, "state")).to_have_text("disconnected")
    # It records from before that moment on, and is over before it: what was recorded before is in force no more.
    shorter = simulated(tmp_path / "shorter.dbn", RECORDS * 5 // 6, seed=5, instruments=2)
    other = serve("--source", f"file:{shorter}", "--history", str(history), port=port)
    other.wait_for_state("ended")
    wait_until_durable(other)
    page.context.set_offline(False)
    notice = page.get_by_test_id("notice-no-past")
    expect(notice).to_contain_text("which was on view, is no longer recorded")
    wait_until_settled(page)
    wait_until_shows_itself(other, page)
    assert page.evaluate("location.hash") == address
    expect(page.get_by_test_id("inspector-hint")).to_be_visible()
    screenshot(page, "replay-no-longer-recorded")
    bar(page, "event-back").click()
    expect(notice).to_be_hidden()
    wait_until(page, f"location.hash !== '{address}' && location.hash.includes('at=2')")


def order_number(order: list[Any]) -> int:
    return int(order[0])


def test_a_click_asks_once_and_a_held_key_switches_once(
    recorded: RunningServer, open_page: OpenPage, ends: tuple[int, int]
) -> None:
    page = open_page("about:blank")
    asked: list[dict[str, Any]] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda data: asked.append(json.loads(data)))

    page.on("websocket", listen)
    page.goto(f"{recorded.url}/#SYN0")
    slider = bar(page, "slider")
    expect(slider).to_be_visible()
    wait_until(page, "text('book-state') === 'live'")

    def moves() -> list[str]:
        return [op["op"] for op in asked if op["op"] not in {"subscribe", "unsubscribe", "ping"}]

    box = slider.bounding_box()
    assert box is not None
    for share in (0.5, 0.25):
        page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.35)
        wait_until_settled(page)
    assert moves() == ["replay", "seek"]
    assert abs(number(slider.get_attribute("aria-valuenow") or "") - 250) <= 1
    page.evaluate("document.activeElement.blur()")
    bar(page, "speed").select_option("0.1")
    page.evaluate("document.activeElement.blur()")
    for _ in range(6):
        page.keyboard.down("Space")
    page.keyboard.up("Space")
    expect(bar(page, "state")).to_have_text("playing")
    for _ in range(6):
        page.keyboard.down("Space")
    page.keyboard.up("Space")
    wait_until_settled(page)
    assert moves() == ["replay", "seek", "resume", "pause"]
    # Walking is what a key is held for: all of its steps are made.
    seq = shown(page).seq
    for _ in range(6):
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    wait_until(page, f"text('seq').replaceAll(',', '') === '{seq + 6}'")


def test_what_is_wished_for_while_a_seek_is_under_way_is_done_there(page: Page, ends: tuple[int, int]) -> None:
    go(page, ends[0])
    middle = (ends[0] + ends[1]) // 2
    bar(page, "speed").select_option("0.1")
    # One after the other, before any of them is answered.
    page.evaluate(
        """(times) => {
          const field = document.querySelector('[data-testid="replay-field"]');
          for (const time of times) {
            field.value = time;
            document.querySelector('[data-testid="replay-go"]').click();
          }
          document.querySelector('[data-testid="replay-play"]').click();
        }""",
        [str(middle - NS_PER_S // 4), str(middle - NS_PER_S // 8), str(middle)],
    )
    expect(bar(page, "state")).to_have_text("playing")
    wait_until_time(page, f">= {middle}n")
    bar(page, "play").click()
    wait_until_settled(page)
    assert shown_time(page) - middle < (ends[1] - ends[0]) // 4, "from there on, and not from before"


def test_the_keyboard_is_enough(recorded: RunningServer, page: Page, ends: tuple[int, int]) -> None:
    live = shown(page)
    page.keyboard.press("Space")
    wait_until_settled(page)
    assert shown(page).bids == live.bids, "the moment that was on view"
    before = venue_time(page)
    page.keyboard.press("ArrowLeft")
    wait_until(
        page,
        "/^[0-9,]+$/.test(text('seq')) && "
        f"!document.querySelector('[data-testid=ts-event]').title.endsWith(' {before} ns')",
    )
    assert venue_time(page) < before
    wait_until_settled(page)
    before = shown_time(page)
    page.keyboard.press("Shift+ArrowLeft")
    wait_until_time(page, f"=== {before - NS_PER_S}n")

    slider = bar(page, "slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    wait_until_settled(page)
    assert shown_time(page) == first_recorded(recorded)
    page.keyboard.press("PageUp")
    expect(slider).to_have_attribute("aria-valuenow", re.compile("^(49|50|51)$"))
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^20\d\d-.* UTC, paused$"))
    page.keyboard.press("Space")
    expect(bar(page, "state")).to_have_text("playing")
    page.keyboard.press("l")
    expect(bar(page, "state")).to_have_text("ended")
    wait_until(page, f"text('seq').replaceAll(',', '') === '{live.seq}'")
    assert shown(page) == live
    page.keyboard.press("?")
    expect(page.get_by_test_id("help")).to_contain_text("back to live")


def test_the_line_is_dragged(
    recorded: RunningServer, page: Page, ends: tuple[int, int], screenshot: Screenshot
) -> None:
    slider = bar(page, "slider")
    box = slider.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] * 0.35
    page.mouse.move(box["x"] + box["width"] * 0.9, y)
    page.mouse.down()
    for share in (0.8, 0.6, 0.5, 0.4, 0.3):
        page.mouse.move(box["x"] + box["width"] * share, y)
    tip = page.get_by_test_id("tip")
    expect(tip).to_contain_text("before the newest record")
    # Beside the pointer, wherever that was when the button went down.
    beside = tip.bounding_box()
    assert beside is not None
    assert 0 < beside["x"] - box["x"] - box["width"] * 0.3 < 40
    screenshot(page, "replay-drag")
    page.mouse.up()
    # The last of the places on the way: each is gone to in its turn.
    wait_until(
        page, "(now => 290 <= now && now <= 310)(document.querySelector('[data-testid=replay-slider]').ariaValueNow)"
    )
    wait_until_settled(page)
    wait_until_shows_itself(recorded, page)
    bar(page, "live").click()
    expect(bar(page, "state")).to_have_text("ended")
    expect(bar(page, "live")).to_be_disabled()


def test_a_time_that_is_none_or_not_recorded_is_said(page: Page, screenshot: Screenshot) -> None:
    field = bar(page, "field")
    for typed, said in (("yesterday", "is no time: expected"), ("1999-01-01", "is not recorded: there is")):
        field.fill(typed)
        field.press("Enter")
        expect(bar(page, "message")).to_contain_text(said)
        expect(field).to_have_value(typed)
        expect(field).to_have_attribute("aria-invalid", "true")
    expect(bar(page, "state")).to_have_text("ended")
    screenshot(page, "replay-refused")


def test_a_server_that_records_nothing_says_so(
    serve: Callable[..., RunningServer], open_page: OpenPage, file: Path, screenshot: Screenshot
) -> None:
    server = serve("--source", f"file:{file}")
    server.wait_for_state("ended")
    page = open_page(server.url)
    expect(bar(page, "message")).to_contain_text("Nothing is recorded")
    expect(bar(page, "message")).to_contain_text("--history FOLDER")
    expect(bar(page, "slider")).to_be_hidden()
    for part in ("play", "event-on", "second-back", "field", "speed"):
        expect(bar(page, part)).to_be_disabled()
    screenshot(page, "replay-none")


def first_recorded(server: RunningServer) -> int:
    return int(server.get("/v1/history").raise_for_status().json()["start"])
