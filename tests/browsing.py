"""The system's Chromium, for tests and measurements."""

from __future__ import annotations

import os
import shutil

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# No GPU and no sandbox: they run in containers, and visit only the server they have started.
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium_path() -> str | None:
    """Where it is; L3BOOK_CHROMIUM names another."""
    return os.environ.get("L3BOOK_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
