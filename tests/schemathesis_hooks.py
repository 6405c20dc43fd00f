"""Lets Schemathesis read and write MessagePack, so that it holds such answers against their types too."""

from typing import Any

import msgspec
import schemathesis


@schemathesis.deserializer("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
def read_messagepack(_context: Any, response: Any) -> Any:
    return msgspec.msgpack.decode(response.content)


@schemathesis.serializer("application/msgpack")
def write_messagepack(_context: Any, value: Any) -> bytes:
    return msgspec.msgpack.encode(value)
