"""ETags of encoded books, read out of the bytes: asking a book for its version would be a second look, later."""

import re
import zlib

import msgspec

# The head of the core's own encoding. A symbol cannot fake it: quotes inside a string are escaped.
_VERSION = re.compile(rb'"epoch":"([0-9A-Za-z]+)","seq":([0-9]+)')
_HEAD_END = b'"bids":['


class _Version(msgspec.Struct):
    epoch: str
    seq: int


_VERSION_DECODER = msgspec.msgpack.Decoder(_Version)


def etag_of_json(body: bytes, level: int, depth: int | None) -> str:
    """Make the tag: it ends in a checksum of all before the levels, since a state can change without an event."""
    version = _VERSION.search(body)
    head_bytes = body.find(_HEAD_END)
    if version is None or head_bytes < 0:
        raise RuntimeError(f"an encoded book has no epoch, seq and bids: {body[:200]!r}")
    return _etag(version[1].decode(), int(version[2]), level, depth, zlib.crc32(body[:head_bytes]))


def etag_of_msgpack(body: bytes, level: int, depth: int | None) -> str:
    """Make the tag, as `etag_of_json`; the checksum is that of all bytes."""
    version = _VERSION_DECODER.decode(body)
    return _etag(version.epoch, version.seq, level, depth, zlib.crc32(body))


def _etag(epoch: str, seq: int, level: int, depth: int | None, checksum: int) -> str:
    return f'"{epoch}-{seq}-{level}-{"all" if depth is None else depth}-{checksum:08x}"'
