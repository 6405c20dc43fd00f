"""The AsyncAPI 3.0 document of the WebSocket, made from the types of its messages."""

from typing import Any, TypeAlias

import msgspec

from l3book._core import __version__
from l3book.api.openapi import REF_TEMPLATE, without_names
from l3book.wire import CLOSE_CODES, COMMANDS, MESSAGES

Json: TypeAlias = dict[str, Any]

PATH = "/v1/ws"

_INTRODUCTION = """One socket, any number of subscriptions: each begins with an ack and a snapshot, and goes on with
deltas whose `prev` is the `seq` of the message before. Sizes are absolute, size 0 takes a level away. A `gap` is
followed by a fresh snapshot; so is every change of `epoch`.

The subprotocol says how messages are encoded: `l3book.v1.json` as text, `l3book.v1.msgpack` as the same maps in binary.
On channel `dbn` binary messages carry whole DBN records.

The commands from `replay` to `live` need a history: a server that keeps none answers `history_unavailable`. A socket in
a replay is told the past by the same messages; each op is acknowledged before what it brings. Where a replay stands
still, a `moment` says where.

A key is sent as `Authorization: Bearer`, or, by browsers, a ticket of POST /v1/tickets as subprotocol
`l3book.ticket.TICKET`. A refused handshake is an HTTP problem."""


def asyncapi() -> Json:
    """Make the document."""
    schemas, components = msgspec.json.schema_components([*COMMANDS, *MESSAGES], ref_template=REF_TEMPLATE)
    payloads = dict(zip([*COMMANDS, *MESSAGES], schemas, strict=True))
    messages = {
        kind.__name__: {"name": kind.__name__, "summary": kind.__doc__, "payload": payload}
        for kind, payload in payloads.items()
    }
    channel = {
        "address": PATH,
        "title": "Books as they change",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "l3book",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"stream": channel},
        "operations": {
            "command": _operation("receive", "What a client may ask", COMMANDS),
            "update": _operation("send", "What the server says", MESSAGES),
        },
        "components": {
            "schemas": {name: without_names(schema) for name, schema in components.items()},
            "messages": messages,
        },
        "x-close-codes": {str(code): reason for code, reason in CLOSE_CODES.items()},
    }


def _operation(action: str, summary: str, kinds: tuple[type, ...]) -> Json:
    references = [{"$ref": f"#/channels/stream/messages/{kind.__name__}"} for kind in kinds]
    return {"action": action, "summary": summary, "channel": {"$ref": "#/channels/stream"}, "messages": references}
