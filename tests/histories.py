"""Histories made on the spot: a synthetic market, recorded for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l3book._core import Market, Recorder, Simulator

if TYPE_CHECKING:
    from pathlib import Path

FLUSH_TIMEOUT_S = 60


def record(
    folder: Path,
    *,
    pieces: int = 8,
    piece_records: int = 4_000,
    instruments: int = 2,
    seed: int = 1,
    session: str = "synthetic:",
    segment_bytes_max: int = 60_000,
) -> int:
    """Record a new session of a synthetic market, made durable piece by piece; -> the ordinal after its last record.

    With these sizes a segment holds one or two pieces.
    """
    recorder = Recorder(folder, segment_bytes_max=segment_bytes_max)
    market = Market()
    recorder.begin(market, session)
    simulator = Simulator(seed=seed, instruments=instruments, resting_max=500)
    market.feed(simulator.header())
    for _ in range(pieces):
        market.feed(simulator.read(piece_records))
        assert recorder.flush(FLUSH_TIMEOUT_S), recorder.stats()
    end = recorder.next_ordinal
    assert recorder.close(FLUSH_TIMEOUT_S), recorder.stats()
    return end
