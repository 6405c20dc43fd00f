"""What the server says beside the messages of the channels, which the core encodes."""

from typing import Literal, TypeAlias

from msgspec import Struct, field

ErrorCode: TypeAlias = Literal[
    "already_subscribed",
    "ambiguous_instrument",
    "bad_op",
    "bad_parameter",
    "history_unavailable",
    "not_subscribed",
    "too_many_subscriptions",
    "unknown_instrument",
]


class Ack(Struct, tag_field="type", tag="ack", omit_defaults=True):
    """The op was carried out; of a subscription, the snapshot follows."""

    channel: str
    instrument: str
    publisher_id: int
    instrument_id: int
    id: int | None = None


class Pong(Struct, tag_field="type", tag="pong", omit_defaults=True):
    """The answer to a ping."""

    id: int | None = None


class Error(Struct, tag_field="type", tag="error", omit_defaults=True):
    """The op was not carried out; nothing has changed."""

    code: ErrorCode
    detail: str
    id: int | None = None


class Gap(Struct, tag_field="type", tag="gap"):
    """Updates that this client will not get; a fresh snapshot follows."""

    channel: str
    instrument: str
    from_seq: int = field(name="from")
    to: int
    """The seq of the snapshot that follows."""
    reason: Literal["slow_consumer"] = "slow_consumer"


class Heartbeat(Struct, tag_field="type", tag="heartbeat"):
    """Every second: how far the books are, and how far behind this socket."""

    seq: int
    """Complete events of all books subscribed to, summed."""
    sent: int
    """Messages sent on this socket."""
    conflated: int
    """Updates merged away or lost to gaps, for this client."""
    lag_ms: int
    """How long the oldest waiting message has waited."""


Answer: TypeAlias = Ack | Pong | Error | Gap | Heartbeat
