"""The installed `l3book` command, run as users run it."""

import atexit
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

COMMAND = Path(sys.executable).parent / ("l3book.exe" if os.name == "nt" else "l3book")
COMMAND_TIMEOUT_S = 120
LISTENING_TIMEOUT_S = 90
STATE_TIMEOUT_S = 90
EXIT_TIMEOUT_S = 60
POLL_INTERVAL_S = 0.02

# Not that of whoever runs the tests: it may hold keys, and the servers started here would ask for them.
_STATE = tempfile.TemporaryDirectory(prefix="l3book-state-")
atexit.register(_STATE.cleanup)


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of l3book, with an empty state and no history, plus the changes."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("L3BOOK_")}
    unrecorded = {} if "L3BOOK_HISTORY" in changes else {"L3BOOK_NO_HISTORY": "1"}
    return {**clean, "L3BOOK_STATE_DIR": _STATE.name, **unrecorded, **changes}


def _environment_for(arguments: Iterable[object], env: dict[str, str] | None) -> dict[str, str]:
    recorded = {"L3BOOK_NO_HISTORY": "0"} if "--history" in arguments else {}
    return environment(**{**recorded, **(env or {})})


def run(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=COMMAND_TIMEOUT_S,
        cwd=cwd,
        env=_environment_for(arguments, env),
        stdin=subprocess.DEVNULL,
    )


def error_line(completed: subprocess.CompletedProcess[bytes]) -> str:
    """The command's one error line; fails if there are more, or anything like a traceback."""
    text = completed.stderr.decode()
    assert "Traceback" not in text, text
    assert "panicked" not in text, text
    errors = [line for line in text.splitlines() if line.startswith("l3book: ")]
    assert len(errors) == 1, text
    assert text.endswith(errors[0] + "\n"), text
    return errors[0]


class RunningCommand:
    """A verb of `l3book` that runs until it is told to end. Its standard error is read all the time, so that it can
    never block."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=_environment_for(arguments, env),
            cwd=cwd,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait until what it wrote matches."""
        deadline_s = time.monotonic() + LISTENING_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if match := re.search(pattern, "".join(self.lines)):
                return match
            if self.process.poll() is not None:
                self._reader.join(EXIT_TIMEOUT_S)
                if match := re.search(pattern, "".join(self.lines)):
                    return match
                break
            time.sleep(POLL_INTERVAL_S)
        raise AssertionError(f"no {pattern!r} in what it wrote:\n{''.join(self.lines)}")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Stand still for the length of the block: what is sent to it waits."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def wait_for_exit(self) -> int:
        code = self.process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


class RunningServer(RunningCommand):
    """`l3book serve` on a free port."""

    def __init__(
        self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None, port: int = 0
    ) -> None:
        super().__init__("serve", "--port", str(port), *arguments, env=env, cwd=cwd)
        self.url = ""
        self.client = httpx.Client()

    def wait_until_listening(self) -> None:
        """Read the address off the line that says it."""
        self.url = self.wait_for_line(r"listening on (https?://\S+)")[1]
        self.client = httpx.Client(base_url=self.url, timeout=STATE_TIMEOUT_S)

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.client.get(path, **options)  # type: ignore[arg-type]

    def metrics(self) -> dict:
        return self.get("/v1/metrics").raise_for_status().json()

    def wait_for_state(self, state: str) -> dict:
        """Wait until the source is in the state; -> the metrics that say so."""
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while time.monotonic() < deadline_s:
            metrics = self.metrics()
            if metrics["source"]["state"] == state:
                return metrics
            time.sleep(POLL_INTERVAL_S)
        raise AssertionError(f"source is {metrics['source']}, expected {state}:\n{''.join(self.lines)}")

    def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + STATE_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self.get("/readyz").status_code == httpx.codes.OK:
                return
            time.sleep(POLL_INTERVAL_S)
        raise AssertionError(f"never ready:\n{''.join(self.lines)}")

    def kill(self) -> None:
        self.client.close()
        super().kill()
