"""What a finger has to hit is large enough on a phone: WCAG 2.5.8 in any window, more where the pointer is coarse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from page_reading import wait_for_panes, wait_until
from playwright.sync_api import ViewportSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from running import RunningServer

pytestmark = pytest.mark.e2e

WINDOWS = [(390, 844), (320, 568)]
FINE_PX, COARSE_PX = 24, 32

SMALL = """least => [...document.querySelectorAll('button, a[href], input, select, summary, [role=button], [role=tab]')]
  .filter(each => each.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .map(each => {
    const target = each.matches('input[type=checkbox], input[type=radio]') ? (each.closest('label') ?? each) : each;
    const {width, height} = target.getBoundingClientRect();
    const name = each.dataset.testid || each.ariaLabel || each.textContent.trim().slice(0, 30) || each.className;
    return {width, height, name};
  })
  .filter(({width, height}) => width > 1 && height > 1 && (width < least - 0.01 || height < least - 0.01))
  .map(({width, height, name}) => `${name} ${width.toFixed(1)}x${height.toFixed(1)}`)"""


@pytest.mark.parametrize(("width", "height"), WINDOWS)
@pytest.mark.parametrize(("is_coarse", "least_px"), [(False, FINE_PX), (True, COARSE_PX)], ids=["mouse", "finger"])
def test_every_target_can_be_hit(
    serve: Callable[..., RunningServer],
    tmp_path: Path,
    browser: Browser,
    width: int,
    height: int,
    is_coarse: bool,
    least_px: int,
) -> None:
    server = serve("--source", "synthetic:?instruments=3&rate=300", "--history", str(tmp_path))
    context = browser.new_context(
        viewport=ViewportSize(width=width, height=height), has_touch=is_coarse, is_mobile=is_coarse
    )
    try:
        page = context.new_page()
        small: dict[str, Any] = {}
        for view in views(page, server.url):
            assert page.evaluate("matchMedia('(pointer: coarse)').matches") == is_coarse
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{view}: no sideways scrolling"
            small[view] = page.evaluate(SMALL, least_px)
        assert [f"{view}: {each}" for view, found in small.items() for each in found] == []
    finally:
        context.close()


def views(page: Page, url: str) -> Iterator[str]:
    """Brings the page from view to view, and names each."""
    page.goto(url)
    wait_until(page, "text('book-state') === 'live'")
    wait_for_panes(page)
    yield "books"
    page.keyboard.press("?")
    wait_until(page, "document.querySelector('[data-testid=help]').checkVisibility()")
    yield "help"
    page.keyboard.press("Escape")
    page.goto(f"{url}/#view=performance")
    wait_until(page, "document.querySelector('[data-testid=book-state]') !== null")
    yield "performance"
