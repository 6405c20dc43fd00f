"""A Chromium driven by its DevTools protocol and nothing else, for measurements.

Playwright has every page tell it of what comes by the network: each WebSocket message is encoded once more by the
page's main thread and sent to another process, which at megabytes a second is part of what there would be to measure.
The protocol: https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

from browsing import CHROMIUM_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of those that Playwright starts it with, what a page could notice: no profile's first run, no slower timers while no
# window is in front.
ARGUMENTS = [
    *CHROMIUM_ARGUMENTS, "--headless", "--hide-scrollbars", "--mute-audio", "--no-first-run", "--no-startup-window",
    "--disable-breakpad", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-sync", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding", "--force-color-profile=srgb", "--password-store=basic",
    "--remote-debugging-port=0",
]  # fmt: skip
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 60.0
END_TIMEOUT_S = 15.0


class DevToolsError(Exception):
    """The browser could not do what it was asked to."""


class Chromium:
    """A running browser with a profile of its own."""

    def __init__(self, path: str, profile: Path) -> None:
        self._log = (profile / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            [path, *ARGUMENTS, f"--user-data-dir={profile}"], stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            port, address = _where_it_listens(profile / "DevToolsActivePort", self._process)
            # Compressing what does not leave the machine would only take processor time from what is measured.
            self._socket = connect(f"ws://127.0.0.1:{port}{address}", max_size=None, compression=None, proxy=None)
        except BaseException:
            self._end()
            raise
        self._numbers = itertools.count(1)
        self._tabs: dict[str, Tab] = {}

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """Ask for something, and wait for the answer."""
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            answer = self._next(deadline_s)
            if answer is None:
                raise DevToolsError(f"{method}: no answer in {ANSWER_TIMEOUT_S:g} s")
            if answer.get("id") == number:
                if "error" in answer:
                    raise DevToolsError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def wait(self, seconds: float) -> None:
        """Let that time pass, and take in what tabs complain of meanwhile."""
        deadline_s = time.monotonic() + seconds
        while self._next(deadline_s) is not None:
            pass

    @contextmanager
    def tab(self, width: int, height: int, script: str, faults: list[str]) -> Iterator[Tab]:
        """An empty page in a context, so with a cache, of its own. `script` runs before each document's own."""
        context, session = self.call("Target.createBrowserContext")["browserContextId"], ""
        try:
            target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tab = self._tabs[session] = Tab(self, session, faults)
            for domain in ("Page", "Runtime", "Log", "Inspector"):
                tab.call(f"{domain}.enable")
            tab.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            tab.call("Emulation.setEmulatedMedia", features=dark)
            tab.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            yield tab
        finally:
            self._tabs.pop(session, None)
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        """End it."""
        try:
            self.call("Browser.close")
        finally:
            self._socket.close()
            self._end()

    def _next(self, deadline_s: float) -> dict[str, Any] | None:
        """The next message, of which what a tab complains of is kept; None if there is none until then."""
        try:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=max(0.0, deadline_s - time.monotonic())))
        except TimeoutError:
            return None
        if message.get("method") in {"Inspector.targetCrashed", "Target.targetCrashed"}:
            raise DevToolsError("the page's process crashed")
        tab = self._tabs.get(message.get("sessionId", ""))
        if tab is not None and "method" in message:
            tab.hear(message["method"], message["params"])
        return message

    def _end(self) -> None:
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Tab:
    """An open page."""

    def __init__(self, browser: Chromium, session: str, faults: list[str]) -> None:
        self._browser = browser
        self._session = session
        self._faults = faults

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask the page for something, and wait for the answer."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Go there."""
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise DevToolsError(f"{url}: {failed}")

    def evaluate(self, expression: str) -> Any:
        """What it is, awaited, as JSON has it."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise DevToolsError(f"{expression}: {_thrown(found['exceptionDetails'])}")
        return found["result"].get("value")

    def wait_until(self, expression: str, timeout_s: float) -> None:
        """Ask until it is true."""
        deadline_s = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > deadline_s:
                raise DevToolsError(f"not in {timeout_s:g} s: {expression}")
            self._browser.wait(0.05)

    def hear(self, method: str, parameters: dict[str, Any]) -> None:
        """Keep what is a fault: what was thrown, and what the console has but plain logs."""
        if method == "Runtime.exceptionThrown":
            self._faults.append(f"the page threw {_thrown(parameters['exceptionDetails'])}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] != "log":
            said = " ".join(str(value.get("value", value.get("description"))) for value in parameters["args"])
            self._faults.append(f"{parameters['type']}: {said}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"warning", "error"}:
            self._faults.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")


def _thrown(details: dict[str, Any]) -> str:
    """The first line of what was thrown."""
    description = details.get("exception", {}).get("description") or details["text"]
    return str(description).partition("\n")[0]


def _where_it_listens(file: Path, process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Port and path that the browser has written down."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return int(lines[0]), lines[1]
        if process.poll() is not None:
            said = (file.parent / "stderr.txt").read_text(errors="replace").strip().rpartition("\n")[2]
            raise DevToolsError(f"Chromium ended at once with {process.returncode}: {said}")
        time.sleep(0.05)
    raise DevToolsError(f"Chromium did not listen within {START_TIMEOUT_S:g} s")


@contextmanager
def chromium(path: str) -> Iterator[Chromium]:
    """Start it, and end it however the block ends."""
    with tempfile.TemporaryDirectory(prefix="l3book-chromium-", ignore_cleanup_errors=True) as profile:
        browser = Chromium(path, Path(profile))
        try:
            yield browser
        finally:
            browser.close()
