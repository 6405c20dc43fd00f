"""Stores by their URI."""

from pathlib import Path

from l3book.history.store import Store


def store_of(uri: str, folder: Path) -> Store:
    """Make the store that a URI names, for the history in a folder; it is not open yet. Raises ValueError."""
    if uri != "sqlite:":
        raise ValueError(f"history_store is {uri!r}: expected sqlite:")
    from l3book.history.sqlite import SqliteStore

    return SqliteStore(folder)
