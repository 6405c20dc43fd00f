"""Writers of rows, one per file format. Each holds no more than it needs to write its next piece."""

import contextlib
from typing import TYPE_CHECKING, BinaryIO, Protocol

from l3book._core import Compressor, Deriver

if TYPE_CHECKING:
    import pyarrow as pa

    from l3book.arrow import ArrowBatches

FORMATS = ("dbn", "csv", "parquet", "arrow")
ROW_GROUP_ROWS = 65_536
"""Rows of a Parquet row group: 24 MB of mbp-10, small enough to hold and large enough to compress."""


class Writer(Protocol):
    """Takes rows and writes them to a stream."""

    def write(self, rows: bytes) -> None:
        """Write whole rows."""

    def finish(self) -> None:
        """Write what a file of the format ends with; the stream stays open."""

    def abandon(self) -> None:
        """Let go of the stream, whose file will not be kept."""


class BytesWriter:
    """DBN or CSV, compressed if asked for."""

    def __init__(self, stream: BinaryIO, head: bytes, *, compress: bool) -> None:
        self._stream = stream
        self._compressor = Compressor() if compress else None
        self.write(head)

    def write(self, rows: bytes) -> None:
        """Write bytes as they are."""
        self._stream.write(self._compressor.write(rows) if self._compressor else rows)

    def finish(self) -> None:
        """End the zstd frame."""
        if self._compressor:
            self._stream.write(self._compressor.finish())

    def abandon(self) -> None:
        """Do nothing: nothing is held."""


class CsvWriter:
    """Text as the official client writes it."""

    def __init__(
        self,
        stream: BinaryIO,
        deriver: Deriver,
        *,
        compress: bool,
        pretty_px: bool,
        pretty_ts: bool,
        map_symbols: bool,
    ) -> None:
        self._deriver = deriver
        self._options = {"pretty_px": pretty_px, "pretty_ts": pretty_ts, "map_symbols": map_symbols}
        self._bytes = BytesWriter(stream, deriver.csv(b"", header=True, **self._options), compress=compress)

    def write(self, rows: bytes) -> None:
        """Write a line per row."""
        self._bytes.write(self._deriver.csv(rows, **self._options))

    def finish(self) -> None:
        """End the zstd frame, if there is one."""
        self._bytes.finish()

    def abandon(self) -> None:
        """Do nothing: nothing is held."""


class ParquetWriter:
    """Row groups of one size, whatever pieces the rows come in."""

    def __init__(self, stream: BinaryIO, batches: "ArrowBatches") -> None:
        import pyarrow.parquet as pq

        self._batches = batches
        self._writer = pq.ParquetWriter(stream, batches.schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, rows: bytes) -> None:
        """Write a row group once there is enough for one."""
        batch = self._batches.batch(rows)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._write_group()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        if self._waiting:
            self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        """Close now: left to the collector, it would write its footer to a closed stream, and complain."""
        with contextlib.suppress(OSError, ValueError):
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


class ArrowWriter:
    """Arrow IPC: the file format, or the stream format where nobody can seek."""

    def __init__(self, stream: BinaryIO, batches: "ArrowBatches", *, streamed: bool) -> None:
        import pyarrow as pa

        self._batches = batches
        make = pa.ipc.new_stream if streamed else pa.ipc.new_file
        self._writer = make(stream, batches.schema)

    def write(self, rows: bytes) -> None:
        """Write one record batch."""
        self._writer.write_batch(self._batches.batch(rows))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Do nothing: what is open is dropped without a word."""
