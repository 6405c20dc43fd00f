"""A real Chromium, and what it saw, kept under test-artifacts/."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from browsing import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES, chromium_path
from l3book.api.page import page_is_built
from running import RunningServer, run

# The helper beside this file is imported by its plain name, as those of tests/ are.
sys.path.insert(0, str(Path(__file__).parent))

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
PAGE_TIMEOUT_MS = 60_000
DESKTOP = ViewportSize(width=1440, height=900)


# Not for the whole run: while Playwright lives, its event loop runs in this thread, and no other test could run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = chromium_path()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM_NAMES)} is installed")
    if not page_is_built():
        pytest.fail("the page is not built: run `make setup`")
    expect.set_options(timeout=PAGE_TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a browser context of its own; a page that throws fails the test."""
    contexts = []
    errors: list[str] = []

    def open_page(url: str, viewport: ViewportSize = DESKTOP, **options: object) -> Page:
        # The page follows the system's theme, and a headless browser's is light.
        options.setdefault("color_scheme", "dark")
        context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PAGE_TIMEOUT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{error.name}: {error.message}\n{error.stack}"))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, f"the page threw: {errors}"


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """Keep what a page looks like as test-artifacts/NAME.png."""
    ARTIFACTS.mkdir(exist_ok=True)

    def screenshot(page: Page, name: str) -> None:
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return screenshot


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A synthetic recording from `l3book simulate`, made once for each set of options."""
    made: dict[tuple[str, ...], Path] = {}

    def simulated(*options: str) -> Path:
        if options not in made:
            path = tmp_path_factory.mktemp("simulated") / "market.dbn"
            completed = run("simulate", "-o", path, "--messages", 100_000, "--seed", 7, *options)
            assert completed.returncode == 0, completed.stderr.decode()
            made[options] = path
        return made[options]

    return simulated


@pytest.fixture(scope="session")
def still(simulated: Callable[..., Path]) -> Iterator[RunningServer]:
    """A server whose books no longer change, for all tests that only look."""
    server = RunningServer("--source", f"file:{simulated('--instruments', '2')}")
    try:
        server.wait_until_listening()
        server.wait_for_state("ended")
        yield server
    finally:
        server.kill()
