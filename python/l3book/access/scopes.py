"""What a key may be used for, and which request needs what."""

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["read", "control", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each includes those before it."""
NO_SCOPES: frozenset[Scope] = frozenset()
ALL_SCOPES: frozenset[Scope] = frozenset(SCOPES)

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/openapi.json", "/asyncapi.json", "/docs"})
OPEN_FOLDERS = ("/assets/", "/docs/")
"""Answered without a key: health, the page before anybody has given it one, and what the API looks like."""

# The scope of reading methods, and of all others, for a path and everything below it; the first that fits holds. What
# is in no line would be open by mistake, so the last line is for everything.
_NEEDED: tuple[tuple[str, Scope, Scope], ...] = (
    ("/v1/keys", "admin", "admin"),
    ("/v1/tickets", "read", "read"),
    # Whoever may read may choose when: a replay changes nothing for anybody else.
    ("/v1/replays", "read", "read"),
    ("", "read", "control"),
)


def with_included(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Add what the scopes include."""
    highest = max((SCOPES.index(scope) for scope in scopes), default=-1)
    return frozenset(SCOPES[: highest + 1])


def is_open(method: str, path: str, page_paths: frozenset[str]) -> bool:
    """Tell whether a request needs no key. `page_paths` are files of the page beside those of OPEN_FOLDERS."""
    if method not in READING_METHODS:
        return False
    return path in OPEN_PATHS or path in page_paths or path.startswith(OPEN_FOLDERS)


def needed(method: str, path: str) -> Scope:
    """Look up what a request that is not open needs."""
    for prefix, reading, writing in _NEEDED:
        if path == prefix or path.startswith(prefix + "/"):
            return reading if method in READING_METHODS else writing
    return "admin"
