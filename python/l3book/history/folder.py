"""The folder that a source's history is kept in, unless one is named."""

import hashlib
import re
from pathlib import Path

NAME_CHARACTERS_MAX = 60
IDENTITY_CHARACTERS_MAX = 200
"""A session's name has to fit into one record of the log."""
HASH_BYTES = 4

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
        rest = f"{path.rpartition('/')[2]}{question}{query}"
    words = _UNREADABLE.sub("-", f"{scheme}-{rest}")[:NAME_CHARACTERS_MAX].strip("-.")
    return state_dir / "history" / f"{words}-{_digest(identity)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=HASH_BYTES).hexdigest()
