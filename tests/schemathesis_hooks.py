"""Lets Schemathesis read and write MessagePack, so that it holds such answers against their types too."""

import re
import uuid
from typing import Any

import msgspec
import schemathesis

from l3book.times import parse_time_ns

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
    for fields in (case.query, case.body):
        if isinstance(fields, dict):
            put_in_order(fields)


def put_in_order(fields: dict[str, Any]) -> None:
    """Have a range begin before it ends: no schema can ask for that, and another is refused as it has to be."""
    try:
        start_ns, end_ns = (parse_time_ns(fields[name]) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    if start_ns > end_ns:
        fields["start"], fields["end"] = fields["end"], fields["start"]
