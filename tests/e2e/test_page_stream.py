"""The page's books over WebSocket, in a real Chromium, against a real server."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from page_reading import HAS_QUEUES, choose_levels, expected, shown, wait_until
from playwright.sync_api import expect

from l3book.client import Client
from running import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page, WebSocketRoute

    from running import RunningServer

    Serve = Callable[..., RunningServer]
    OpenPage = Callable[..., Page]
    Screenshot = Callable[[Page, str], None]

pytestmark = pytest.mark.e2e

WAIT_S = 90
AGREEMENTS = 3
DEPTH = 10
HAS_BOOK = "/^[0-9,]+$/.test(text('seq'))"


def moved_on(seq: int) -> str:
    return f"Number(text('seq').replaceAll(',', '')) > {seq}"


def test_the_ladder_is_that_of_rest_at_the_same_seq_while_the_market_moves(serve: Serve, open_page: OpenPage) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=10")
    server.wait_until_ready()
    page = open_page(server.url)
    choose_levels(page)
    wait_until(page, HAS_BOOK)
    asked: dict[int, dict[str, Any]] = {}
    agreed: set[int] = set()
    deadline_s = time.monotonic() + WAIT_S
    while len(agreed) < AGREEMENTS:
        assert time.monotonic() < deadline_s, f"only {len(agreed)} moments to compare"
        said = shown(page)
        book = server.get("/v1/books/SYN0", params={"level": 3, "depth": DEPTH}).raise_for_status().json()
        asked[book["seq"]] = book
        if (theirs := asked.get(said.seq)) is None:
            continue
        assert (said.bids, said.asks) == (expected(theirs["bids"]), expected(theirs["asks"]))
        assert (said.epoch, said.state) == (theirs["epoch"], theirs["state"])
        agreed.add(said.seq)


def test_a_message_that_does_not_fit_is_said_and_never_shown(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1&rate=200")
    server.wait_until_ready()
    page = open_page("about:blank")
    is_damaged = False

    def pass_on(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()

        def down(data: str | bytes) -> None:
            message = json.loads(data)
            if is_damaged and "crc" in message:
                message["crc"] ^= 1
            socket.send(json.dumps(message))

        upstream.on_message(down)

    page.route_web_socket(re.compile("/v1/ws$"), pass_on)
    page.goto(server.url)
    checksum = page.get_by_test_id("checksum")
    expect(checksum).to_have_text("matches")
    wait_until(page, moved_on(shown(page).seq))
    is_damaged = True
    expect(checksum).to_have_text("differs")
    screenshot(page, "checksum-differs")
    # By now the last good book is painted, too, which the word may have overtaken.
    wait_until(page, "Number(text('resyncs')) > 1")
    held = shown(page)
    wait_until(page, "Number(text('resyncs')) > 3")
    assert (shown(page).seq, shown(page).bids) == (held.seq, held.bids), "the last book that was right stays"
    is_damaged = False
    expect(checksum).to_have_text("matches", timeout=WAIT_S * 1000)
    wait_until(page, moved_on(held.seq))


def test_a_socket_that_is_refused_has_books_polled_until_there_is_room(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1", env={"L3BOOK_SOCKETS_MAX": "1"})
    server.wait_until_ready()
    with Client(server.url):
        page = open_page(server.url)
        expect(page.get_by_test_id("link")).to_have_text("polling")
        wait_until(page, HAS_BOOK)
        wait_until(page, moved_on(shown(page).seq))
        wait_until(page, HAS_QUEUES)
        screenshot(page, "polling")
    expect(page.get_by_test_id("link")).to_have_text("connected")
    wait_until(page, moved_on(shown(page).seq))


def test_a_server_that_hangs_is_silent_then_gone_then_back(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot
) -> None:
    server = serve("--source", "synthetic:?instruments=1")
    server.wait_until_ready()
    page = open_page(server.url)
    wait_until(page, f"{HAS_BOOK} && text('link') === 'connected'")
    before = shown(page)
    server.process.send_signal(signal.SIGSTOP)
    try:
        # For two seconds or so: then it is known to be gone.
        wait_until(page, "document.querySelector('[data-testid=notice-silent]') !== null")
        assert not page.get_by_test_id("notice-stale").count(), "nobody knows whether its source runs"
        source = page.get_by_test_id("source-state")
        expect(source).to_have_text("was running")
        plain = page.get_by_test_id("messages-per-s").evaluate("each => getComputedStyle(each).color")
        assert source.evaluate("each => getComputedStyle(each).color") == plain, "it looks fine no more"
        screenshot(page, "silent")
        notice = page.get_by_test_id("notice-disconnected")
        expect(notice).to_contain_text(re.compile(r"no answer within 5 s; (next try in \d+ s|trying now)"))
        expect(page.get_by_test_id("book-state")).to_have_text("last known")
    finally:
        server.process.send_signal(signal.SIGCONT)
    expect(page.get_by_test_id("link")).to_have_text("connected")
    expect(source).to_have_text("running")
    wait_until(page, moved_on(before.seq))
    assert shown(page).epoch == before.epoch
    expect(page.get_by_test_id("notice-restarted")).to_be_hidden()


def test_a_key_is_asked_for_and_kept_for_this_tab_alone(
    serve: Serve, open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path / "state")}
    made = run("keys", "create", "--name", "desk", env=env)
    assert made.returncode == 0, made.stderr
    key = made.stdout.decode().strip()
    server = serve("--source", "synthetic:?instruments=1", env=env)
    server.wait_until_ready()
    page = open_page(server.url)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    notice = page.get_by_test_id("notice-locked")
    expect(notice).to_contain_text("wants an API key")
    expect(page.get_by_test_id("link")).to_have_text("key needed")
    screenshot(page, "key-needed")

    field = page.get_by_test_id("key-field")
    field.fill("l3b_000000000000_" + "0" * 64)
    page.get_by_test_id("key-button").click()
    expect(notice).to_be_visible()
    expect(page.get_by_test_id("link")).to_have_text("key needed")

    # As the field's own example has it: no header can carry that, and the page would hear from nobody.
    field.fill("l3b_…")
    field.press("Enter")
    assert field.evaluate("(field) => field.validity.patternMismatch")
    field.fill(f" {key} ")
    field.press("Enter")
    expect(notice).to_be_hidden()
    expect(page.get_by_test_id("link")).to_have_text("connected")
    wait_until(page, HAS_BOOK)
    wait_until(page, moved_on(shown(page).seq))
    page.reload()
    wait_until(page, f"{HAS_BOOK} && text('link') === 'connected'")
    assert not [url for url in addresses if "l3b_" in url or "ticket." in url], "no secret in an address"
    assert page.evaluate("() => JSON.stringify({ ...localStorage })").find("l3b_") < 0

    other_tab = page.context.new_page()
    other_tab.goto(server.url)
    expect(other_tab.get_by_test_id("notice-locked")).to_be_visible()

    assert run("keys", "revoke", "desk", env=env).returncode == 0
    expect(notice).to_be_visible()
    expect(page.get_by_test_id("book-state")).to_have_text("last known")
    screenshot(page, "key-revoked")
