"""Lets Schemathesis read and write MessagePack, so that it holds such answers against their types too."""

import re
import uuid
from typing import Any

import msgspec
import schemathesis

IDEMPOTENCY_KEY = re.compile(r'"?[!#-\[\]-~]{1,255}"?')


@schemathesis.deserializer("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
def read_messagepack(_context: Any, response: Any) -> Any:
    return msgspec.msgpack.decode(response.content)


@schemathesis.serializer("application/msgpack")
def write_messagepack(_context: Any, value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Give each request a key of its own: one that came before, with another body, is refused as it has to be."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and IDEMPOTENCY_KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
