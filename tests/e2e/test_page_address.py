"""The page's address, its search and its settings, in a real Chromium, against a real server that records."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from page_reading import HAS_ALL_LEVELS, LEVELS_CARRIED, MISSING, wait_for, wait_until
from playwright.sync_api import ViewportSize, expect

from dbn_bytes import T0, Mbo, metadata, stream
from recorded import wait_until_durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page, WebSocket

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

HAS_BOOK = "/^[0-9,]+$/.test(text('seq'))"
CENT = 10_000_000
SILENT_EVENTS = 5
PHONE = ViewportSize(width=320, height=700)


def recording(serve: Serve, folder: Path, instruments: int = 2) -> RunningServer:
    """A server that has recorded a little, and goes on."""
    server = serve("--source", f"synthetic:?instruments={instruments}&rate=500", "--history", folder)
    server.wait_until_ready()
    return server


def seq(page: Page) -> int:
    return int((page.get_by_test_id("seq").text_content() or "").replace(",", ""))


def moved_on(page: Page) -> None:
    wait_until(page, f"Number(text('seq').replaceAll(',', '')) > {seq(page)}")


def deep_market() -> list[Mbo]:
    """A book of more levels than the page follows, and events beyond those: the stream has nothing to tell of them."""
    records = [Mbo("A", "A", 500 * CENT, 5, 1)]
    records += [Mbo("A", "B", (400 - level) * CENT, 5, 2 + level) for level in range(LEVELS_CARRIED + 20)]
    records += [Mbo("A", "B", (400 - LEVELS_CARRIED - 10) * CENT, 1, 1_000 + event) for event in range(SILENT_EVENTS)]
    times = (T0 + number * 10_000_000 for number in range(len(records)))
    return [
        record._replace(ts_event=at, ts_recv=at + 1_000, sequence=at % 1_000)
        for record, at in zip(records, times, strict=True)
    ]


def test_the_address_follows_steps_over_events_that_change_nothing_shown(
    serve: Serve, open_page: OpenPage, tmp_path: Path
) -> None:
    path = tmp_path / "deep.dbn"
    records = deep_market()
    path.write_bytes(metadata(symbols={"DEEP": 1}) + stream(records))
    server = serve("--source", f"file:{path}", "--history", str(tmp_path / "history"))
    server.wait_for_state("ended")
    wait_until_durable(server)
    first = len(records) - SILENT_EVENTS
    page = open_page("about:blank")
    told: list[dict[str, Any]] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: told.append(json.loads(data)))

    page.on("websocket", listen)
    page.goto(f"{server.url}/#instrument=DEEP&at={records[first - 1].ts_event}")
    wait_until(page, f"text('seq') === '{first}' && text('orders') === '{first}'")
    wait_until(page, HAS_ALL_LEVELS)
    page.evaluate("document.activeElement.blur()")
    told.clear()
    for seq in range(first + 1, len(records) + 1):
        page.keyboard.press("ArrowRight")
        wait_until(page, f"text('seq') === '{seq}'")
        at = records[seq - 1].ts_event
        wait_until(page, f"document.querySelector('[data-testid=ts-event]').title.endsWith('{at} ns')")
        wait_until(page, f"text('orders') === '{seq}' && text('sequence') === '{records[seq - 1].sequence}'")
    kinds = [message["type"] for message in told]
    # Once it may ask for the queues of other rows; what a step brought would come with each.
    assert ("delta" in kinds, kinds.count("snapshot") <= 1) == (False, True), "nothing shown has changed"
    wait_until(page, f"location.hash.includes('at={iso(records[-1].ts_event)}')")


def iso(ns: int) -> str:
    """As the page writes it."""
    whole = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % 10**9:09d}".rstrip("0") + "Z"


def test_a_link_leads_to_the_moment_it_was_made_at(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    server = recording(serve, tmp_path / "history")
    page = open_page(server.url)
    wait_until(page, f"{HAS_BOOK} && text('recording') === 'recording'")
    moved_on(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("copy-link").click()
    expect(page.get_by_test_id("told")).to_have_text("Link copied")
    link = page.evaluate("() => navigator.clipboard.readText()")
    named = parse_qs(urlsplit(link).fragment)
    moved_on(page)

    other = page.context.new_page()
    other.goto(link)
    past = other.get_by_test_id("notice-past")
    expect(past).to_contain_text("The past: ")
    expect(past).to_contain_text("paused")
    expect(other.locator("body")).to_have_attribute("data-standing", "past")
    wait_until(other, HAS_BOOK)
    shown = seq(other)
    key = named["instrument"][0]
    then = server.get(f"/v1/books/{key}", params={"at": named["at"][0]}).raise_for_status().json()
    assert shown == then["seq"], "just the book that was on view"

    def led_to() -> int:
        """The book that the address leads to now."""
        (at,) = parse_qs(urlsplit(other.url).fragment)["at"]
        told = server.get(f"/v1/books/{key}", params={"at": at}).raise_for_status().json()
        return int(told["seq"])

    # Also while the page brings its address to where it is: at any moment somebody may load it again.
    for _ in range(20):
        assert led_to() == shown
        other.wait_for_timeout(50)
    screenshot(other, "past")
    other.set_viewport_size(PHONE)
    assert other.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "no sideways scrolling"
    screenshot(other, "past-phone")

    other.reload()
    expect(past).to_be_visible()
    wait_until(other, HAS_BOOK)
    assert seq(other) == shown, "a page loaded again is where it was"
    other.get_by_test_id("notice-live-button").click()
    expect(past).to_be_hidden()
    wait_until(other, f"{HAS_BOOK} && Number(text('seq').replaceAll(',', '')) > {shown}")
    assert "at=" not in urlsplit(other.url).fragment


def test_a_moment_that_was_not_recorded_is_said_to_be_none(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    server = recording(serve, tmp_path / "history")
    page = open_page("about:blank")
    wait_for(page, "a beginning of what is recorded", lambda: bool(server.get("/v1/history").json()["start"]))
    page.goto(f"{server.url}/#instrument=SYN1&at=1999-01-01T00:00:00Z")
    notice = page.get_by_test_id("notice-no-past")
    expect(notice).to_contain_text("That moment cannot be shown: time 1999-01-01T00:00:00Z: the history begins at 2")
    expect(notice).to_contain_text("expected a time from then on")
    assert not re.search(r"\d{10}", notice.inner_text()), "times are written as times"
    wait_until(page, HAS_BOOK)
    moved_on(page)
    expect(page.get_by_test_id("picker")).to_have_value("SYN1")
    expect(page.get_by_test_id("notice-past")).to_be_hidden()
    page.goto(f"{server.url}/#instrument=SYN1&at=soon")
    expect(notice).to_contain_text("time 'soon': expected nanoseconds since 1970 or ISO 8601 such as 2025-")
    wait_until(page, "location.hash === '#SYN1'")
    page.get_by_test_id("replay-second-back").click()
    wait_until(page, "location.hash.startsWith('#instrument=SYN1&at=2')")
    page.goto(f"{server.url}/#instrument=SYN1&at=soon")
    expect(notice).to_contain_text("time 'soon'")
    wait_until(page, "location.hash.startsWith('#instrument=SYN1&at=2')")


def test_the_address_names_the_instrument_as_people_do(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    server = recording(serve, tmp_path / "history")
    page = open_page(server.url)
    wait_until(page, HAS_BOOK)
    expect(page.get_by_test_id("replay-play")).to_be_enabled()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    wait_until(page, "/^#instrument=SYN[01]&at=2/.test(location.hash)")
    shown = page.evaluate("location.hash.slice(12, 16)")
    page.keyboard.press("l")
    wait_until(page, f"location.hash === '#{shown}' && {HAS_BOOK}")
    other = {"SYN0": "SYN1", "SYN1": "SYN0"}[shown]
    page.keyboard.press("/")
    page.keyboard.type(other)
    page.keyboard.press("Enter")
    wait_until(page, f"location.hash === '#{other}' && {HAS_BOOK}")
    # The same instrument under another name is on view already.
    (entry,) = [each for each in server.get("/v1/instruments").json()["instruments"] if each["symbol"] == other]
    expect(page.get_by_test_id("picker")).to_have_value(other)
    wait_until(page, "/^[0-9]/.test(text('seq'))")
    before = seq(page)
    page.goto(f"{server.url}/#{entry['publisher_id']}:{entry['instrument_id']}")
    expect(page.get_by_test_id("picker")).to_have_value(other)
    assert seq(page) >= before


def test_an_unknown_instrument_is_answered_by_similar_names(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=30&rate=2000")
    server.wait_until_ready()
    page = open_page(server.url)
    scale, window = page.get_by_test_id("heatmap-size-max"), page.get_by_test_id("heatmap-window")
    expect(scale).to_contain_text("or more")
    page.evaluate("location.hash = '#SYN29x'")
    expect(page.locator(".heatmap-note")).to_have_text("No levels: the server has no such book")
    expect(scale).to_have_text("")
    expect(window).to_have_text(MISSING)
    notice = page.get_by_test_id("notice-gone")
    expect(notice).to_contain_text("Similar names:")
    choices = notice.get_by_role("button").all_inner_texts()
    assert choices[0] == "SYN29"
    notice.get_by_role("button").first.click()
    wait_until(page, f"location.hash === '#SYN29' && {HAS_BOOK}")


def test_the_performance_page_has_an_address(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=2")
    server.wait_until_ready()
    page = open_page(f"{server.url}/#instrument=SYN1&view=performance")
    expect(page.get_by_test_id("performance-pane")).to_be_visible()
    expect(page.get_by_test_id("ladder-pane")).to_be_hidden()
    page.keyboard.press("p")
    expect(page.get_by_test_id("ladder-pane")).to_be_visible()
    expect(page.get_by_test_id("performance-pane")).to_be_hidden()
    assert urlsplit(page.url).fragment == "SYN1"
    page.go_back()
    expect(page.get_by_test_id("performance-pane")).to_be_visible()


def test_one_of_hundreds_is_found_by_the_keys(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:?instruments=300&rate=2000")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_until(page, f"{HAS_BOOK} && text('books') === '300'")
    options = page.get_by_test_id("picker-list").get_by_role("option")
    page.keyboard.press("/")
    expect(options).to_have_count(100)
    expect(page.get_by_test_id("picker-list")).to_contain_text("200 more of 300: type to narrow")
    page.keyboard.type("syn 27")
    expect(options.first).to_contain_text("SYN27")
    screenshot(page, "search")
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_test_id("picker-list").locator('[aria-selected="true"]')
    expect(chosen).to_have_count(1)
    name = chosen.locator(".option-name").text_content() or ""
    active = page.get_by_test_id("picker").get_attribute("aria-activedescendant")
    assert chosen.get_attribute("id") == active, "the field says which option is meant"
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("picker")).to_have_value(name)
    expect(page.get_by_test_id("picker-list")).to_be_hidden()
    wait_until(page, HAS_BOOK)
    page.keyboard.press("/")
    page.keyboard.type("no such thing")
    expect(page.get_by_test_id("picker-list")).to_have_text("none by that name")


def test_settings_are_kept_in_the_browser(serve: Serve, open_page: OpenPage, screenshot: Screenshot) -> None:
    server = serve("--source", "synthetic:")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_until(page, HAS_BOOK)
    page.keyboard.press(",")
    dialog = page.get_by_test_id("settings")
    expect(dialog).to_be_visible()
    screenshot(page, "settings")
    page.get_by_test_id("setting-theme").select_option("light")
    page.get_by_test_id("setting-sides").select_option("green and red")
    page.get_by_test_id("setting-textIntervalMs").select_option("once a second")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    expect(root).to_have_attribute("data-sides", "green-red")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_test_id("settings-button").click()
    expect(page.get_by_test_id("setting-textIntervalMs")).to_have_value("once a second")
    kept = json.loads(page.evaluate("() => localStorage.getItem('l3book.preferences')"))
    assert (kept["theme"], kept["sides"], kept["textIntervalMs"]) == ("light", "green-red", 1_000)
    page.get_by_test_id("settings-reset").click()
    expect(root).to_have_attribute("data-sides", "blue-orange")
    expect(page.get_by_test_id("setting-theme")).to_have_value("as the system")
