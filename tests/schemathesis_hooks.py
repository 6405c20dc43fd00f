"""Lets Schemathesis read MessagePack, so that it holds such answers against their types too."""

from typing import Any

import msgspec
import schemathesis


@schemathesis.deserializer("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
def read_messagepack(_context: Any, response: Any) -> Any:
    return msgspec.msgpack.decode(response.content)
