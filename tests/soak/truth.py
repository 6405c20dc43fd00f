"""The undisturbed stream of the same gateway, read no further than asked: back-pressure holds the rest of it."""

from __future__ import annotations

import numpy as np

from dbn_bytes import PRELUDE_BYTES, RECORD_BYTES, RTYPE_MBO
from gateways import Client
from l3book import Market

READ_BYTES = 1 << 20
TS_RECV_WORD = 5


class LiveTruth:
    """A session that is spared all faults, and a plain Market of what it sent up to a time."""

    def __init__(self, port: int, key: str) -> None:
        self._client = Client(port).greeted()
        answer = self._client.authenticate(key=key)
        assert answer.startswith("success=1"), answer
        self._client.subscribe(snapshot=1)
        self._client.start()
        self.market = Market()
        self.records = 0
        self._unread = b""
        self._is_begun = False

    def advance(self, ts_recv: int) -> None:
        """Apply every record not later than that."""
        while not self._take(ts_recv):
            data = self._client.socket.recv(READ_BYTES)
            assert data, "the session that is spared all faults has ended"
            self._unread += data

    def _take(self, ts_recv: int) -> bool:
        """Apply what has been read; -> whether a later record has come."""
        at = 0 if self._is_begun else self._metadata_bytes()
        if at is None:
            return False
        self._is_begun = True
        is_over = False
        data = self._unread
        while not is_over:
            at, is_over = self._take_run(data, at, ts_recv)
            if is_over or len(data) - at < 2 or len(data) - at < data[at] * 4:
                break
            # A record of another type, or of another length: passed over whole.
            at += data[at] * 4
        self.market.feed(data[:at])
        self._unread = data[at:]
        return is_over

    def _take_run(self, data: bytes, at: int, ts_recv: int) -> tuple[int, bool]:
        """Go over the MBO records from `at` on; -> where the first other or later one is, and whether it is later."""
        count = (len(data) - at) // RECORD_BYTES
        rows = np.frombuffer(data, np.uint8, count * RECORD_BYTES, at).reshape(count, RECORD_BYTES)
        others = np.flatnonzero((rows[:, 1] != RTYPE_MBO) | (rows[:, 0] * 4 != RECORD_BYTES))
        count = int(others[0]) if len(others) else count
        times = rows[:count].view("<u8")[:, TS_RECV_WORD] if count else np.empty(0, np.uint64)
        later = np.flatnonzero(times > np.uint64(ts_recv))
        taken = int(later[0]) if len(later) else count
        self.records += taken
        return at + taken * RECORD_BYTES, len(later) > 0

    def _metadata_bytes(self) -> int | None:
        if len(self._unread) < PRELUDE_BYTES:
            return None
        length = PRELUDE_BYTES + int.from_bytes(self._unread[4:8], "little")
        return length if len(self._unread) >= length else None

    def close(self) -> None:
        self._client.socket.close()
