"""The folder that a source's history is kept in: which, unless one is named, and whether a named one may be it."""

import hashlib
import re
from itertools import islice
from pathlib import Path

NAME_CHARACTERS_MAX = 60
IDENTITY_CHARACTERS_MAX = 200
"""A session's name has to fit into one record of the log."""
HASH_BYTES = 4

PARTS = (
    "log",
    "lock",
    "indexing.lock",
    "checkpoints",
    "history.sqlite",
    "history.sqlite-wal",
    "history.sqlite-shm",
    "parquet",
    "exports",
    "backfill.json",
    "state.db",
    "state.db-wal",
    "state.db-shm",
)
"""What a history has in its folder; and the server's state, which may share it. Others use some of these names, too."""
OWN = ("history.sqlite", "indexing.lock", "backfill.json", "checkpoints/*.l3ck", "log/*/*/*.dbn.zst")
"""What only a history has: any of these tells that it is one, whatever else lies beside it."""
NOT_COUNTED = ("lost+found", "System Volume Information", "$RECYCLE.BIN")
"""What a fresh volume has in it; dot files are not counted either."""
NAMES_TOLD_MAX = 3

_UNREADABLE = re.compile(r"[^A-Za-z0-9._]+")


def identity_of(uri: str, gateway: str) -> str:
    """Tell one market from another: the same URI by another gateway need not bring the same records."""
    text = f"{uri} (gateway {gateway})" if gateway else uri
    # A path may hold bytes that are no text.
    shown = text.encode("ascii", "backslashreplace").decode()
    return shown if len(shown) <= IDENTITY_CHARACTERS_MAX else f"{shown[:IDENTITY_CHARACTERS_MAX]}#{_digest(text)}"


def default_folder(state_dir: Path, uri: str, gateway: str) -> Path:
    """Choose the folder of this source: the same at every start, and of no other source."""
    identity = identity_of(uri, gateway)
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        # A relative path is another file elsewhere; of a long one, its end tells most.
        path, question, query = rest.partition("?")
        identity = f"file:{Path(path).absolute()}{question}{query}"
        rest = f"{Path(path).name}{question}{query}"
    words = _UNREADABLE.sub("-", f"{scheme}-{rest}")[:NAME_CHARACTERS_MAX].strip("-.")
    return state_dir / "history" / f"{words}-{_digest(identity)}"


def what_else_it_is(folder: Path) -> str | None:
    """Say what is in a folder that is neither empty nor a history's; None: one may be begun in it, or goes on.

    A folder that is not there yet may be, too; one that cannot be looked into is for whoever opens it to refuse.
    """
    try:
        entries = {entry.name: entry for entry in folder.iterdir()}
    except OSError:
        return None
    strange = sorted(name for name in entries if not name.startswith(".") and name not in (*NOT_COUNTED, *PARTS))
    if not strange or any(next(folder.glob(pattern), None) for pattern in OWN):
        return None
    told = [f"{name}/" if entries[name].is_dir() else name for name in islice(strange, NAMES_TOLD_MAX)]
    more = len(strange) - len(told)
    named = ", ".join(told) + (f" and {more:,} more" if more else "")
    return f"{named}, and nothing of a history: expected a new or empty folder, or one that `l3book serve` recorded in"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=HASH_BYTES).hexdigest()
