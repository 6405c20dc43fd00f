"""Docker and docker compose as the check uses them, and how it says what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "l3book-check"
NOT_RUN = 77
ANSWER_TIMEOUT_S = 120
POLL_INTERVAL_S = 0.05


class Wrong(Exception):  # noqa: N818  # as it reads where it is raised
    """What was promised is not so; the text says what."""


class Unavailable(Exception):  # noqa: N818
    """An image cannot be had; the text says which."""


def say(text: str) -> None:
    """Print it at once: builds take minutes."""
    print(text, flush=True)


def run(*command: str, timeout_s: float = 120, check: bool = True) -> str:
    """Run a command to its end; -> its standard output, stripped. Raises Wrong where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, cwd=ROOT)
    if check and done.returncode:
        raise Wrong(f"`{' '.join(command)[:200]}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def expect(is_so: object, what: str) -> None:
    """Raise Wrong with the text unless it is so."""
    if not is_so:
        raise Wrong(what)


def get(port: str, path: str) -> bytes:
    """Ask a published port for a path; -> the body. Raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{os.environ[port]}{path}", timeout=10) as answer:
        return answer.read()


def get_json(port: str, path: str) -> Any:
    """As `get`, of JSON. Raises ValueError, too."""
    return json.loads(get(port, path))


def until(what: str, probe: Callable[[], Any], timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
    """Ask again until the answer is not empty; -> it. Raises Wrong with the last error."""
    deadline_s, last = time.monotonic() + timeout_s, "the answer is empty"
    while time.monotonic() < deadline_s:
        try:
            if answer := probe():
                return answer
        except (OSError, ValueError, KeyError, IndexError, Wrong) as error:
            last = str(error)
        time.sleep(POLL_INTERVAL_S)
    raise Wrong(f"not within {timeout_s} s: {what}: {last}")


# What the files say.


def image_of(variable: str) -> str:
    """-> the image of a variable: the environment's, or else that of Dockerfile or docker-compose.yml."""
    text = (ROOT / "Dockerfile").read_text() + (ROOT / "docker-compose.yml").read_text()
    found = re.search(rf"^(?:ARG {variable}=| *image: \$\{{{variable}:-)([^}}\n]+)", text, re.MULTILINE)
    expect(found, f"neither Dockerfile nor docker-compose.yml names {variable}")
    return os.environ.get(variable) or found[1]  # type: ignore[index]


def need(*variables: str) -> None:
    """Have the images here. Raises Unavailable."""
    for image in map(image_of, variables):
        if not run("docker", "image", "ls", "--quiet", image):
            say(f"  pulling {image}")
            pulled = subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, text=True, check=False)
            if pulled.returncode:
                reason = pulled.stderr.strip().splitlines()[-1:]
                raise Unavailable(f"the image {image} is not here and cannot be pulled: {' '.join(reason)}")


class Compose:
    """The project with one of its profiles."""

    def __init__(self, profile: str | None) -> None:
        self._command = [*self.command(), "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml")]
        self._command += ["--profile", profile] if profile else []

    @staticmethod
    def command() -> list[str]:
        """Compose, 2 or 1; empty where there is none."""
        if run("docker", "compose", "version", check=False).startswith("Docker Compose"):
            return ["docker", "compose"]
        found = shutil.which("docker-compose")
        return [found] if found else []

    def __call__(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run one of its commands."""
        return run(*self._command, *arguments, timeout_s=timeout_s)

    def container(self, service: str) -> str:
        """Its id."""
        found = self("ps", "--all", "--quiet", service)
        expect(found and "\n" not in found, f"{service}: expected one container, found {found.split() or 'none'}")
        return found

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a service's container."""
        return run("docker", "exec", self.container(service), *command)


def inspect(container: str) -> Any:
    """-> all that docker knows of it."""
    return json.loads(run("docker", "inspect", container))[0]
