"""What a client can say."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from l3book.streams.group import Channel

ID_MAX = 2**53 - 1
"""The largest whole number that every JSON parser keeps."""
INSTRUMENT_CHARACTERS_MAX = 100

OpId: TypeAlias = Annotated[int, Meta(ge=0, le=ID_MAX)]
"""The client's own number for an op; the answer repeats it."""
Instrument: TypeAlias = Annotated[str, Meta(min_length=1, max_length=INSTRUMENT_CHARACTERS_MAX)]
"""A symbol, an instrument_id, or publisher_id:instrument_id."""
IntervalMs: TypeAlias = Literal[10, 50, 100, 250, 1000]


class Subscribe(Struct, tag_field="op", tag="subscribe", forbid_unknown_fields=True, frozen=True):
    """Send a snapshot, then what changes, gathered over `interval_ms`."""

    channel: Channel
    instrument: Instrument
    id: OpId | None = None
    depth: int | None = None
    """Levels per side; for channel depth alone."""
    level: Literal[2, 3] = 2
    """3: levels with their queues; for channel depth alone."""
    interval_ms: IntervalMs = 100


class Unsubscribe(Struct, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True, frozen=True):
    """Send no more of this."""

    channel: Channel
    instrument: Instrument
    id: OpId | None = None


class Ping(Struct, tag_field="op", tag="ping", forbid_unknown_fields=True, frozen=True):
    """Answer with a pong, after everything that waits to be sent."""

    id: OpId | None = None


class Replay(Struct, tag_field="op", tag="replay", frozen=True):
    """Needs a history, which this version has not."""

    id: OpId | None = None


class Pause(Struct, tag_field="op", tag="pause", frozen=True):
    """Needs a history, too."""

    id: OpId | None = None


class Step(Struct, tag_field="op", tag="step", frozen=True):
    """Needs a history, too."""

    id: OpId | None = None


class Seek(Struct, tag_field="op", tag="seek", frozen=True):
    """Needs a history, too."""

    id: OpId | None = None


Op: TypeAlias = Subscribe | Unsubscribe | Ping | Replay | Pause | Step | Seek


class Numbered(Struct, frozen=True):
    """Any op, right or wrong, as far as its id can be read."""

    id: OpId | None = None
