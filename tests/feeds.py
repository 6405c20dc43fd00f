"""A feed in this process, and the truth that its books are held against, at any moment."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from dbn_bytes import BAD_TS_RECV, RECORD_BYTES, SNAPSHOT, split
from l3book import Market
from l3book._core import Simulator
from l3book.engine import Engine
from l3book.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from l3book.feed.options import FeedOptions

TIMEOUT_S = 100
NS_PER_S = 1_000_000_000
TS_EVENT_WORD, TS_RECV_WORD = 1, 5
SEQUENCE_WORD_U32 = 13
FLAGS_BYTE = 36
KEY_OF_BOOK = tuple[int, int]

_STATE = re.compile(rb'"state":"(\w+)"')
_MOMENT = re.compile(rb'"sequence":(\d+),"ts_event":"(\d+)","ts_recv":"(\d+)"')


def content(body: bytes) -> bytes:
    """The orders of an encoded book, in all queues: what has to be right."""
    return body[body.index(b'"bids":[') :]


def state(body: bytes) -> str:
    match = _STATE.search(body)
    assert match is not None, body[:300]
    return match[1].decode()


def moment(body: bytes) -> tuple[int, ...]:
    """sequence, ts_event and ts_recv of the last event."""
    match = _MOMENT.search(body)
    assert match is not None, body[:300]
    return tuple(map(int, match.groups()))


class Truth:
    """Every state that each book of a recording passes through, by a Market that reads it undisturbed."""

    def __init__(self, path: Path) -> None:
        head, body = split(path.read_bytes())
        market = Market()
        market.feed(head)
        self._at: dict[tuple[KEY_OF_BOOK, tuple[int, ...]], set[int]] = defaultdict(set)
        self._near: dict[tuple[KEY_OF_BOOK, int, int], set[int]] = defaultdict(set)
        self._all: dict[KEY_OF_BOOK, set[int]] = defaultdict(set)
        for at in range(0, len(body), RECORD_BYTES):
            record = body[at : at + RECORD_BYTES]
            market.feed(record)
            key = int.from_bytes(record[2:4], "little"), int.from_bytes(record[4:8], "little")
            encoded = market.book_json(key, level=3, depth=None)
            digest = hash(content(encoded))
            sequence, _, ts_recv = at_moment = moment(encoded)
            self._at[key, at_moment].add(digest)
            self._near[key, sequence, ts_recv].add(digest)
            self._all[key].add(digest)
        self.final = {
            (entry.publisher_id, entry.instrument_id): market.book_json(
                (entry.publisher_id, entry.instrument_id), level=3, depth=None
            )
            for entry in market.instruments()
        }

    def is_exact(self, key: KEY_OF_BOOK, body: bytes) -> bool:
        """Whether the book ever was so, at the moment of which it says to be.

        A snapshot has a moment of its own, in between two events: its book must have been so at some time. Its ts_event
        is that of its last order, perhaps of an earlier event with the same number, which came at the same time.
        """
        sequence, _, ts_recv = at_moment = moment(body)
        known = self._at.get((key, at_moment), self._all[key])
        return hash(content(body)) in known | self._near[key, sequence, ts_recv]


class Fed:
    """An engine on a source, watched."""

    def __init__(self, uri: str, *, gateway: str | None = None, options: FeedOptions | None = None) -> None:
        self.market = Market(watch=True)
        self.engine = Engine(open_source(uri, gateway), self.market, options)
        assert self.engine.feed is not None
        self.feed = self.engine.feed
        self.looks = 0
        self.live_looks = 0
        self._wrong_since: dict[KEY_OF_BOOK, int] = {}

    def __enter__(self) -> Fed:
        self.engine.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.engine.stop(TIMEOUT_S)

    def look(self, truth: Truth, late_records_max: int = 0) -> None:
        """Every book that says to be live has to be exact, or found not to be so within so many records."""
        for entry in self.market.instruments():
            key = entry.publisher_id, entry.instrument_id
            body = self.market.book_json(key, level=3, depth=None)
            self.looks += 1
            if state(body) == "live":
                self.live_looks += 1
            if state(body) != "live" or truth.is_exact(key, body):
                self._wrong_since.pop(key, None)
                continue
            records = self.market.stats()["records"]
            late_records = records - self._wrong_since.setdefault(key, records)
            assert late_records < late_records_max, (
                f"{key} says to be live and is wrong at {moment(body)}: {self.story()}"
            )

    def wait_for_state(self, *states: str, truth: Truth | None = None, late_records_max: int = 0) -> None:
        """Look at the books until the source is in one of the states."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while self.engine.state not in states:
            assert time.monotonic() < deadline_s, f"{self.engine.state}, expected {states}: {self.story()}"
            assert self.engine.state != "failed", self.story()
            if truth is not None:
                self.look(truth, late_records_max)
            time.sleep(0.002)

    def wait_for_records(self, records: int) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        while self.market.stats()["records"] < records:
            assert time.monotonic() < deadline_s, self.story()
            time.sleep(0.002)

    def assert_final(self, truth: Truth, *, all_live: bool = True) -> None:
        """All books live, or those that are, and as the whole recording leaves them."""
        self.look(truth)
        books = {key: self.market.book_json(key, level=3, depth=None) for key in truth.final}
        live = {key for key, body in books.items() if state(body) == "live"}
        assert live == set(truth.final) or not all_live, self.story()
        wrong = [key for key in live if content(books[key]) != content(truth.final[key])]
        assert not wrong, f"{wrong}: {self.story()}"

    def story(self) -> str:
        """What happened, for a failed assertion."""
        lines = [f"{self.engine.state} {self.engine.error} {self.feed.status.as_dict()} {self.market.watch_stats()}"]
        return "\n".join([*lines, *map(str, self.feed.transitions.recent()[-30:])])


def simulated(
    path: Path, *, seed: int, instruments: int, records: int, span_s: int, is_snapshot_kept: bool = True
) -> Path:
    """A recording of the simulator, changed in some respects.

    Its time is stretched to `span_s`, since a resumption goes back a second at least. Its sequence numbers are made
    dense, as those of a feed that comes whole are. Without its opening snapshot it begins with a Clear and common Adds:
    a watch has to doubt snapshots that were recorded, since a resumed stream may lack a part of them.
    """
    simulator = Simulator(seed=seed, instruments=instruments, resting_max=64)
    head, body = simulator.header(), simulator.read(records)
    words = np.frombuffer(body, dtype="<u8").reshape(-1, RECORD_BYTES // 8).copy()
    first = words[0, TS_EVENT_WORD]
    span = int(words[:, TS_RECV_WORD].max() - first)
    factor = span_s * NS_PER_S // span
    assert factor > 0
    for word in (TS_EVENT_WORD, TS_RECV_WORD):
        words[:, word] = first + (words[:, word] - first) * np.uint64(factor)
    sequences = words.view("<u4")[:, SEQUENCE_WORD_U32]
    sequences[:] = 1 + np.unique(sequences, return_inverse=True)[1]
    if not is_snapshot_kept:
        words.view("<u1")[:, FLAGS_BYTE] &= 0xFF & ~(SNAPSHOT | BAD_TS_RECV)
    path.write_bytes(head + words.tobytes())
    return path
