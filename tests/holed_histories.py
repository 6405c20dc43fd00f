"""Histories of which a part is lost, and what is left of their books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from l3book import Deriver, Market
from l3book._core import Indexer, Log
from l3book.history.stretch import rows_of


def checkpoints(folder: Path, records: int) -> None:
    indexer = Indexer(folder, ordinal=0, checkpoint_records=records)
    while indexer.advance(10_000):
        pass


def lose(folder: Path, segment: int) -> tuple[int, int]:
    """Remove a segment; -> the ordinals of its first record and of the first behind it."""
    lost = Log(folder).segments()[segment]
    path = Path(lost["path"])
    path.unlink()
    path.with_name(path.name.replace(".dbn.zst", ".index")).unlink()
    return lost["first_ordinal"], lost["end_ordinal"]


def lose_checkpoint(folder: Path, ordinal: int) -> None:
    (folder / "checkpoints" / f"{ordinal:020}.l3ck").unlink()


def next_checkpoint(folder: Path, ordinal: int) -> int:
    return min(at for at in (int(path.stem) for path in (folder / "checkpoints").iterdir()) if at >= ordinal)


def books(market: Market) -> dict[str, Any]:
    """What books hold; how often they were begun and moved is not in a file."""
    told = {}
    for entry in market.instruments():
        book = json.loads(market.book_json((entry.publisher_id, entry.instrument_id), level=3, depth=None))
        told[str(entry.instrument_id)] = {what: book[what] for what in ("state", "bids", "asks")}
    return told


def replayed(log: Log, first: int, end: int, *, with_snapshot: bool = False) -> Market:
    deriver = Deriver("mbo")
    rows = b"".join(rows_of(log, first, end, deriver, with_snapshot=with_snapshot))
    market = Market()
    market.feed((deriver.header() or b"") + rows)
    return market


def states(market: Market) -> set[str]:
    return {entry.state for entry in market.instruments()}
