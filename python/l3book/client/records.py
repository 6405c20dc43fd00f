"""Of DBN frames just so much that each reaches its subscription: which book their first record belongs to."""

import struct

_METADATA_HEAD = struct.Struct("<3sBI")
_RECORD_HEAD = struct.Struct("<BBHI")


def key_of_records(frame: bytes) -> tuple[int, int] | None:
    """Find (publisher_id, instrument_id) of the first record, after metadata if there is any; None without a record."""
    start = 0
    if frame.startswith(b"DBN"):
        _, _version, length = _METADATA_HEAD.unpack_from(frame)
        start = _METADATA_HEAD.size + length
    if len(frame) < start + _RECORD_HEAD.size:
        return None
    _length, _rtype, publisher_id, instrument_id = _RECORD_HEAD.unpack_from(frame, start)
    return publisher_id, instrument_id
