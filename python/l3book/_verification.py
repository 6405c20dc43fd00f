"""How the report of `verify` looks as text. Imported by the core when somebody asks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NS_PER_S = 1_000_000_000
BOOKS_SHOWN_MAX = 8
"""Books with a line of their own in the text; the dictionary has them all."""

_LABEL_WIDTH = 14
_VERDICTS = {
    "good": "good",
    "different": "DIFFERENT",
    "damaged": "DAMAGED",
    "no_overlap": "NO OVERLAP",
    "no_mbo": "NO MBO RECORDS",
    "rejected": "RECORDS REJECTED",
}
_ACTIONS = {
    "A": "adds",
    "C": "cancels",
    "M": "modifies",
    "R": "clears",
    "T": "trades",
    "F": "fills",
    "N": "nones",
}
_ODD_COUNTERS = {
    "unknown_cancels": "unknown cancels",
    "unknown_modifies": "unknown modifies",
    "duplicate_adds": "duplicate adds",
    "over_cancels": "cancels of more than rests",
    "zero_sizes": "sizes of 0",
    "rejected_action": "rejected for their action",
    "rejected_side": "rejected for their side",
    "rejected_price": "rejected for their price",
    "forced_events": "events forced",
    "held": "records held back at the end",
}
_ODDITIES = {
    "sequence_backwards": "sequence backwards",
    "ts_recv_backwards": "ts_recv backwards",
    "ts_event_backwards": "ts_event backwards",
    "ts_recv_before_ts_event": "ts_recv before ts_event",
    "without_time": "without time",
    "outside_stated_time": "outside the stated time",
    "maybe_bad_book": "marks of lost packets",
}
_JUDGES = {"oracle": "the naive book", "invariant": "the book's own invariants", "mbp10": "the official MBP-10"}


def to_text(report: dict[str, Any]) -> str:
    """Return the report: the verdict, what proves it, what is odd, the hashes."""
    blocks = [
        [f"{Path(report['file']).name}: {_VERDICTS[report['verdict']]}", *_faults(report)],
        [*_contents(report)],
        [*_proof(report)],
        [*_oddities(report)],
        [*_books(report)],
        [*_hashes(report)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def first_fault(report: dict[str, Any]) -> str | None:
    """Return why the report is not good, in one line; None if it is."""
    if difference := report["difference"]:
        return (
            f"record {difference['record']}: {difference['what']}: "
            f"expected {difference['expected']}, got {difference['got']}"
        )
    if report["damage"]:
        return str(report["damage"])
    if report["verdict"] == "damaged":
        return str(report["against"]["fault"])
    if report["verdict"] == "no_overlap":
        return f"{report['against']['file']}: no row falls into the time of the MBO records"
    if report["verdict"] == "no_mbo":
        return f"{report['other_records']:,} records, none of them MBO: expected schema mbo"
    if report["verdict"] == "rejected":
        counters = report["counters"]
        rejected = sum(count for name, count in counters.items() if name.startswith("rejected_"))
        return f"{rejected:,} records rejected, the first: {report['first_rejected']}"
    return None


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}}{text}"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _faults(report: dict[str, Any]) -> list[str]:
    if report["difference"] is None:
        fault = first_fault(report)
        return [_line("fault", fault)] if fault else []
    d = report["difference"]
    return [
        _line("record", f"{d['record']:,} at byte {d['byte']:,}: {d['mbo']}"),
        _line("book", f"{d['publisher_id']}:{d['instrument_id']} after event {d['seq']:,}, {iso(d['ts_event'])}"),
        _line("what", f"{d['what']}, says {_JUDGES[d['judge']]}"),
        _line("expected", d["expected"]),
        _line("got", d["got"]),
        *([_line("fault", report["damage"])] if report["damage"] else []),
    ]


def _contents(report: dict[str, Any]) -> list[str]:
    counters, span = report["counters"], report["span"]
    books = _several(len(report["books"]), "book")
    lines = [_line("records", f"{counters['records']:,} in {_several(counters['events'], 'event')} of {books}")]
    actions = "  ".join(f"{letter} {counters[name]:,}" for letter, name in _ACTIONS.items() if counters[name])
    if actions:
        lines.append(_line("actions", actions))
    more = [
        (report["skipped"], f"of {_several(report['books_skipped'], 'other book')}"),
        (report["other_records"], "of other types"),
    ]
    if passed := ", ".join(f"{count:,} {words}" for count, words in more if count):
        lines.append(_line("passed over", passed))
    if span["first_ts_recv"]:
        lasted = duration(max(0, int(span["last_ts_recv"]) - int(span["first_ts_recv"])))
        lines.append(_line("captured", f"{iso(span['first_ts_recv'])} to {iso(span['last_ts_recv'])}, {lasted}"))
    if report["metadata_headers"] > 1:
        lines.append(_line("streams", f"{report['metadata_headers']:,} in one file"))
    lines.append(_line("read", f"in {report['took_s']:.3f} s, {report['records_per_s']:,.0f} records/s"))
    return lines


def _proof(report: dict[str, Any]) -> list[str]:
    lines = []
    is_good_so_far = report["difference"] is None
    if oracle := report["oracle"]:
        agrees = "agrees" if is_good_so_far or report["difference"]["judge"] != "oracle" else "agreed"
        levels = f"{_several(oracle['levels'], 'level')} compared"
        events = _several(oracle["events"], "event")
        lines.append(_line("naive book", f"{agrees} after {events}, {levels}, whole books {_times(oracle['whole'])}"))
    else:
        lines.append(_line("naive book", "not asked"))
    if is_good_so_far or report["difference"]["judge"] != "invariant":
        lines.append(_line("invariants", f"hold, checked {_times(report['invariant_checks'])}"))
    if against := report["against"]:
        lines += _against(against)
    if report["fifo_rate"] is not None:
        fifo = report["fifo"]
        groups = _several(fifo["judged"], "group")
        rate = f"{100 * report['fifo_rate']:.2f} % of {groups} of fills took the front of their queue"
        unjudged = f"; {fifo['unjudged']:,} more cannot be judged" if fifo["unjudged"] else ""
        lines.append(_line("FIFO", rate + unjudged))
    return lines


def _against(against: dict[str, Any]) -> list[str]:
    parts = [f"{_several(against['rows'], 'row')} agree"]
    if repeated := against["rows_without_ts_recv"]:
        parts.append(f"in {repeated:,} of them ts_recv repeats ts_event, and was not compared")
    if beyond := against["rows_beyond"]:
        parts.append(f"{beyond:,} of them tell of updates beyond the ten levels")
    if merged := against["rows_merged"]:
        parts.append(f"{merged:,} of them {'shows' if merged == 1 else 'show'} a trade together with its effect")
    for name, where in (("before", "before the other's first"), ("after", "after the other's last")):
        counts = [(against[f"{who}_{name}"], word) for who, word in (("ours", "of ours"), ("theirs", "of the file's"))]
        parts += [f"{_several(count, 'row')} {word} {where}" for count, word in counts if count]
    return [_line("MBP-10" if i == 0 else "", part) for i, part in enumerate(parts)]


def _oddities(report: dict[str, Any]) -> list[str]:
    counters = report["counters"]
    odd = {words: f"{counters[name]:,}" for name, words in _ODD_COUNTERS.items() if counters[name]}
    for name, words in _ODDITIES.items():
        if count := report["oddities"][name]["count"]:
            odd[words] = f"{count:,}, the first at record {report['oddities'][name]['first']:,}"
    odd |= {name: _periods(report[name]) for name in ("crossed", "locked", "suspect") if report[name]["count"]}
    if not odd:
        return [_line("odd", "nothing")]
    width = max(_LABEL_WIDTH, *(len(words) + 2 for words in odd))
    return [f"  {words:<{width}}{text}" for words, text in odd.items()]


def _periods(periods: dict[str, Any]) -> str:
    longest = periods["longest"]
    length = int(longest["to"]) - int(longest["from"])
    times, total = _times(periods["count"]), duration(periods["total_ns"])
    if periods["count"] == 1:
        still = ", still so at the end" if periods["open"] else ""
        return f"{times}, for {total} from {iso(longest['from'])}{still}"
    open_ = f", {periods['open']:,} still so at the end" if periods["open"] else ""
    return f"{times}, {total} in all, longest {duration(length)} from {iso(longest['from'])}{open_}"


def _books(report: dict[str, Any]) -> list[str]:
    books = report["books"]
    if not books:
        return []
    shown = sorted(books, key=lambda book: -book["events"])[:BOOKS_SHOWN_MAX]
    rows = [("book", "symbol", "state", "events", "orders", "FIFO", "state hash")]
    for book in shown:
        fifo = book["fifo"]
        rate = f"{100 * fifo['in_order'] / fifo['judged']:.2f} %" if fifo["judged"] else "-"
        name = f"{book['publisher_id']}:{book['instrument_id']}"
        events, orders = f"{book['events']:,}", f"{book['orders']:,}"
        rows.append((name, book["symbol"] or "-", book["state"], events, orders, rate, book["state_hash"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = {3, 4, 5}
    lines = [
        "  "
        + "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if len(books) > len(shown):
        lines.append(f"  … {len(books) - len(shown):,} more books")
    return lines


def _hashes(report: dict[str, Any]) -> list[str]:
    hashes = report["hashes"]
    lines = []
    if hashes["points"]:
        width = max(len(f"{point['event']:,}") for point in hashes["points"])
        lines.append(_line("hashes after", "event, record, running hash, state hash"))
        for point in hashes["points"]:
            where = f"{point['event']:>{width},}  {point['record']:>{width},}"
            lines.append(_line("", f"{where}  {point['running']}  {point['state']}"))
    lines.append(_line("state hash", hashes["state"]))
    lines.append(_line("running hash", hashes["running"]))
    return lines


def iso(ns: str | int) -> str:
    """Return a time in UTC, exact to the nanosecond."""
    seconds, fraction = divmod(int(ns), NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def duration(ns: int) -> str:
    """Return a length of time in the two units that say most of it."""
    if ns < 1_000:
        return f"{ns} ns"
    if ns < 1_000_000:
        return f"{ns / 1e3:.3g} µs"
    if ns < NS_PER_S:
        return f"{ns / 1e6:.3g} ms"
    seconds = ns // NS_PER_S
    if seconds < 60:
        return f"{ns / 1e9:.3f} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
