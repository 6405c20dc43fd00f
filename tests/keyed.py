"""A server that knows keys, and the command line that makes and revokes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from running import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from running import RunningServer

SECRET = re.compile(r"l3b_[0-9a-f]{12}_[0-9a-f]{64}")


class Keyed:
    """A server with a state of its own, and the command line on that state."""

    def __init__(self, serve: Callable[..., RunningServer], folder: Path, **settings: object) -> None:
        self.env = {
            "L3BOOK_STATE_DIR": str(folder),
            **{f"L3BOOK_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.folder = folder
        self.server = serve("--source", "synthetic:?rate=1000", env=self.env)
        self.server.wait_until_ready()

    def key(self, name: str, *scopes: str) -> str:
        return make_key(self.env, name, *scopes)

    def revoke(self, name: str) -> None:
        assert run("keys", "revoke", name, env=self.env).returncode == 0

    def ask(
        self, key: str | None, path: str = "/v1/instruments", method: str = "GET", **headers: str
    ) -> httpx.Response:
        sent = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.server.client.request(method, path, headers={**sent, **headers})


def make_key(env: dict[str, str], name: str, *scopes: str) -> str:
    completed = run("keys", "create", "--name", name, *(("--scope", *scopes) if scopes else ()), env=env)
    assert completed.returncode == 0, completed.stderr
    assert not SECRET.search(completed.stderr.decode())
    key = completed.stdout.decode().strip()
    assert SECRET.fullmatch(key)
    return key
