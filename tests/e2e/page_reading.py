"""What the page says, read in one step of its script, so that nothing can change in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

_READ = """() => {
  const text = (id) => document.querySelector(`[data-testid="${id}"]`).textContent;
  const rows = [...document.querySelectorAll('[data-testid="ladder-row"][data-kind="level"]')].map((row) => {
    const cell = (column) => row.querySelector(`[data-col="${column}"]`).textContent;
    const queue = (column) => row.querySelector(`[data-col="${column}"] [role=img]`).ariaLabel ?? '';
    return {
      side: row.dataset.side,
      overlap: row.dataset.overlap,
      price: row.querySelector('.price-text').textContent,
      bid: [cell('bid-size'), cell('bid-orders'), queue('bid-queue')],
      ask: [cell('ask-size'), cell('ask-orders'), queue('ask-queue')],
    };
  });
  const priced = ':is([data-kind="level"], [data-kind="tick"]) .price-text';
  return {
    rows, prices: [...document.querySelectorAll(priced)].map((price) => price.textContent),
    seq: text('seq'), epoch: text('epoch'), orders: text('orders'), state: text('book-state'),
    time: document.querySelector('[data-testid="ts-event"]').title,
  };
}"""

# The pointer goes down the picture at a share of its width; what the tip says at each height, once a frame.
_POINT = """async ([share, step]) => {
  const canvas = document.querySelector('[data-testid="heatmap-canvas"]');
  const tip = document.querySelector('[data-testid="tip"]');
  const box = canvas.getBoundingClientRect();
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const said = [];
  for (let y = 1; y < box.height; y += step) {
    const place = { clientX: box.left + box.width * share, clientY: box.top + y, bubbles: true };
    canvas.dispatchEvent(new PointerEvent('pointermove', place));
    await frame();
    await frame();
    if (!tip.hidden) said.push([...tip.children].map((line) => line.textContent));
  }
  return said;
}"""
# Of the tape: price, size, side, and when.
TRADE_ROWS = """(rows) => rows.map((row) => {
  const cell = (name) => row.querySelector(`.tape-${name}`);
  return [cell('price').textContent, cell('size').textContent, row.dataset.side, cell('time').title];
})"""

# What was done at each price of the ladder.
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

PAGE_TIMEOUT_MS = 60_000
WAIT_S = 60
POLL_INTERVAL_MS = 20

# Those in the document from the beginning, and those that are loaded after the first paint.
PANES = ("ladder", "depth", "health", "replay", "heatmap", "tape", "inspector")

# The panes that are loaded later change how many rows the ladder has room for.
LEVELS_CARRIED = 100
HAS_ALL_LEVELS = f"document.querySelector('[data-testid=heatmap-view]')?.dataset.levels === '{LEVELS_CARRIED}'"

# The queues of levels far from the market are asked for when their rows come into view.
HAS_QUEUES = "document.querySelector('[data-testid=ladder-scroll]').dataset.queues === 'all'"

# How the page writes what nothing tells: an en dash, never a zero.
MISSING = "\N{EN DASH}"

# The page spells out this many sizes of a queue for those who cannot see its blocks.
QUEUE_WORDS_MAX = 8


@dataclass(frozen=True)
class Shown:
    """The book as the page shows it: levels best first, as [price, size, count, first sizes of the queue]."""

    bids: list[list[Any]]
    asks: list[list[Any]]
    seq: int
    epoch: str
    orders: int | None
    """None where the page says that nothing tells it, as of the past."""
    state: str
    time: str
    overlapping: list[str]
    prices: list[str]
    """Those of all rows, highest first: of a static ladder also where nothing rests."""


def number(text: str) -> int:
    return int(text.replace(",", ""))


def shown(page: Page) -> Shown:
    read = page.evaluate(_READ)
    rows = read["rows"]
    # Highest price on top: bids come best first as they stand, asks from below.
    bids = [_level(row, "bid") for row in rows if "B" in row["side"]]
    asks = [_level(row, "ask") for row in reversed(rows) if "A" in row["side"]]
    overlapping = [row["price"] for row in rows if row["overlap"]]
    return Shown(
        bids,
        asks,
        number(read["seq"]),
        read["epoch"],
        None if read["orders"] == MISSING else number(read["orders"]),
        read["state"],
        read["time"],
        overlapping,
        read["prices"],
    )


def _level(row: dict[str, Any], side: str) -> list[Any]:
    size, count, queue = row[side]
    return [row["price"], number(size), number(count), _sizes(queue)]


def _sizes(words: str) -> list[int]:
    listed = words.removeprefix("sizes in priority order ").split(" and ")[0]
    return [int(size) for size in listed.split(", ")] if listed else []


def choose_levels(page: Page, depth: int | None = None) -> None:
    """Show only levels with orders: those of REST at the same depth, however far they lie apart."""
    page.get_by_test_id("ladder-compact").click()
    if depth is not None:
        page.get_by_test_id(f"depth-{depth}").click()


def expected(levels: list[list[Any]]) -> list[list[Any]]:
    """Levels of a level-3 REST answer in the form of `Shown`."""
    return [
        [price, size, count, [entry[1] for entry in queue[:QUEUE_WORDS_MAX]]] for price, size, count, queue in levels
    ]


def wait_for_panes(page: Page) -> None:
    """Wait until the page is whole: most of it comes after the first ladder."""
    for pane in PANES:
        expect(page.get_by_test_id(f"{pane}-pane")).to_be_visible()


def wait_until(page: Page, condition: str) -> None:
    """Wait for a JavaScript condition that sees `text(testid)`.

    Playwright's own wait_for_function compiles strings inside the page, which its security policy forbids.
    """
    text = 'const text = (id) => document.querySelector(`[data-testid="${id}"]`).textContent;'
    deadline_s = time.monotonic() + PAGE_TIMEOUT_MS / 1000
    while not page.evaluate(f"() => {{ {text} return {condition}; }}"):
        assert time.monotonic() < deadline_s, f"the page never had: {condition}"
        page.wait_for_timeout(POLL_INTERVAL_MS)


def wait_for(page: Page, what: str, holds: Callable[[], bool]) -> None:
    """Wait for something that a test asks the page and others."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"the page never had: {what}"
        page.wait_for_timeout(POLL_INTERVAL_MS)


def wait_until_trades_before(page: Page) -> None:
    """Wait for what was recorded before the time gone to: all panes have it at once, and the tape marks it."""
    marked = '[data-testid="tape-row"][data-recorded="yes"]'
    wait_until(page, f"document.querySelector('{marked}') !== null")


def heatmap(page: Page, name: str) -> str:
    """What the heatmap tells of itself: columns; from, until (ns); recorded (s); painted, levels, follows."""
    return page.get_by_test_id("heatmap-view").get_attribute(f"data-{name}") or ""


def pointed(page: Page, share: float, step: int) -> list[list[str]]:
    """What the heatmap says under a pointer at a share of its width, at heights `step` pixels apart."""
    said: list[list[str]] = page.evaluate(_POINT, [share, step])
    return said
