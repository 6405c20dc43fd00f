"""How a book looks: text, HTML, DataFrame. Imported by the core, or by a client's book, when somebody asks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ._core import BookSnapshot

TEXT_LEVELS_MAX = 10
"""Levels per side in the text and HTML forms; the arrays have them all."""

_MISSING: tuple[Any, ...] = ("", "", "")


def _title(data: dict[str, Any]) -> str:
    name = data["symbol"] or f"{data['publisher_id']}:{data['instrument_id']}"
    facts = [data["state"], *(fact for fact in ("crossed", "locked") if data[fact])]
    return f"{name} · {', '.join(facts)} · {data['orders']} orders · seq {data['seq']}"


def _rows(data: dict[str, Any]) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of the ladder (bid orders, size, price, ask price, size, orders), and how many levels it leaves out."""
    bids, asks = data["bids"], data["asks"]
    shown = min(max(len(bids), len(asks)), TEXT_LEVELS_MAX)
    rows = []
    for i in range(shown):
        bid_price, bid_size, bid_count = bids[i][:3] if i < len(bids) else _MISSING
        ask_price, ask_size, ask_count = asks[i][:3] if i < len(asks) else _MISSING
        rows.append((bid_count, bid_size, bid_price, ask_price, ask_size, ask_count))
    return rows, max(len(bids), len(asks)) - shown


_HEADINGS = ("orders", "size", "bid", "ask", "size", "orders")


def ladder_text(kind: str, data: dict[str, Any]) -> str:
    """Return a small ladder of a book as `to_dict()` tells it, bids left, asks right, best first."""
    rows, left_out = _rows(data)
    table = [_HEADINGS, *rows]
    widths = [max(len(str(row[i])) for row in table) for i in range(len(_HEADINGS))]
    lines = ["  ".join(str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    more = [f"… {left_out} more levels"] if left_out else []
    return "\n".join([f"<{kind} {_title(data)}>", *lines, *more])


def to_text(snapshot: BookSnapshot) -> str:
    """Return a small ladder."""
    return ladder_text("BookSnapshot", snapshot.to_dict())


def to_html(snapshot: BookSnapshot) -> str:
    """Return the ladder as an HTML table for notebooks."""
    data = snapshot.to_dict()
    rows, left_out = _rows(data)

    def row(cells: tuple[Any, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    caption = escape(_title(data)) + (f" · {left_out} more levels" if left_out else "")
    return f"<table><caption>{caption}</caption><thead>{row(_HEADINGS, 'th')}</thead><tbody>{body}</tbody></table>"


def to_pandas(snapshot: BookSnapshot) -> pd.DataFrame:
    """Return one row per level: side, level (0 = best), price (float), price_units (1e-9, exact), size, count."""
    import pandas as pd

    frames = []
    for side, levels in (("B", snapshot.bids), ("A", snapshot.asks)):
        frame = pd.DataFrame(
            {
                "side": side,
                "level": range(len(levels)),
                "price": levels["price"] / 1e9,
                "price_units": levels["price"],
                "size": levels["size"],
                "count": levels["count"],
            }
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
