"""The streams that the Rust benchmarks have left under target/bench/, and where results lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "target" / "bench"
RECORD_BYTES = 56


@dataclass(frozen=True)
class Stream:
    """One stream: a DBN file, its first records in memory."""

    name: str
    what: str
    records: int
    path: Path

    @property
    def zst(self) -> Path:
        return self.path.with_suffix(".dbn.zst")

    @cached_property
    def header_bytes(self) -> int:
        with self.path.open("rb") as file:
            start = file.read(8)
        return 8 + int(struct.unpack_from("<I", start, 4)[0])

    def prefix(self, records: int) -> bytes:
        """The metadata and at most so many records."""
        with self.path.open("rb") as file:
            return file.read(self.header_bytes + records * RECORD_BYTES)

    def raw(self, records: int) -> list[bytes]:
        """At most so many records, 56 bytes each."""
        data = self.prefix(records)
        return [data[at : at + RECORD_BYTES] for at in range(self.header_bytes, len(data), RECORD_BYTES)]

    def messages(self, records: int) -> list[Any]:
        """At most so many records as the official objects."""
        import databento_dbn

        decoder = databento_dbn.DBNDecoder()
        decoder.write(self.prefix(records))
        return decoder.decode()[1:]


def streams(ratios: dict[str, Any]) -> dict[str, Stream]:
    """The streams that a run of the Rust benchmarks names."""
    return {
        name: Stream(name, stream["what"], stream["records"], RESULTS / stream["file"])
        for name, stream in ratios["streams"].items()
    }
