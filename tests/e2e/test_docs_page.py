"""The page of the API's documents, in both themes and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import ConsoleMessage, Page, ViewportSize

from running import RunningServer

pytestmark = pytest.mark.e2e

PHONE = ViewportSize(width=390, height=800)
DESKTOP = ViewportSize(width=1280, height=900)


@pytest.mark.parametrize(("name", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_readable_and_breaks_no_rule_of_the_server(
    serve: Callable[..., RunningServer],
    open_page: Callable[..., Page],
    screenshot: Callable[[Page, str], None],
    name: str,
    viewport: ViewportSize,
    theme: str,
) -> None:
    server = serve("--source", "synthetic:")
    page = open_page("about:blank", viewport, color_scheme=theme)
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        complaints.append(message.text)

    page.on("console", on_console)
    page.goto(f"{server.url}/docs")
    screenshot(page, f"docs-{name}-{theme}")
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    ground, text = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (brightness(ground) > brightness(text)) == (theme == "light")
    page.click('nav a[href="#types"]')
    assert page.evaluate("location.hash") == "#types"


def brightness(color: str) -> int:
    """The sum of an rgb(…)."""
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))
