"""The messages in a stream, as docs/nats.md lays them down. Publisher and reader agree here, and nowhere else."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["head", "records", "doubt", "away", "back", "end"]

KIND = "L3book-Kind"
NUMBER = "L3book-Number"
SOURCE = "L3book-Source"
FROM = "L3book-From"
TO = "L3book-To"
HEAD = "L3book-Head"
PART = "L3book-Part"
TS_EVENT = "L3book-Ts-Event"
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_LAST = "Nats-Expected-Last-Sequence"

KINDS: frozenset[str] = frozenset({"head", "records", "doubt", "away", "back", "end"})
SHARDS_MAX = 256
PAYLOAD_BYTES_MAX = 512 * 1024
"""Of a message: half of what a NATS server takes unless told otherwise; headers and one large record fit, too."""
NUMBER_MAX = 2**64 - 1

_TOKEN_UNREADABLE = re.compile(r"[^A-Za-z0-9_-]+")
_SUBJECTS = re.compile(r"(?P<stream>[^.]+)\.\*\.(?P<shards>[1-9][0-9]{0,2})\.\*")


def subjects_of(stream: str, shards: int) -> str:
    """Name all subjects of a stream, as it is made with."""
    return f"{stream}.*.{shards}.*"


def subject_of(stream: str, dataset: str, shards: int, shard: int) -> str:
    """Name the subject of a dataset's shard."""
    return f"{stream}.{_TOKEN_UNREADABLE.sub('-', dataset) or '-'}.{shards}.{shard}"


def filter_of(stream: str, shards: int, shard: int) -> str:
    """Name the subjects of a shard, whatever the dataset."""
    return f"{stream}.*.{shards}.{shard}"


def shards_of(stream: str, subjects: Iterable[str]) -> int | None:
    """Read off a stream's subjects how many shards it has; None if they are not ours."""
    found = [_SUBJECTS.fullmatch(subject) for subject in subjects]
    if len(found) != 1 or found[0] is None or found[0]["stream"] != stream:
        return None
    shards = int(found[0]["shards"])
    return shards if shards <= SHARDS_MAX else None


@dataclass(frozen=True, slots=True)
class Label:
    """What the headers of a message say."""

    kind: Kind
    number: int
    """Of the message among those of its shard: from 1 on, without a hole."""
    source: str
    """Which source its records are from, as 16 hexadecimal digits."""
    first: int
    """The source's records from here on …"""
    end: int
    """… to here (exclusive), as far as they belong to this shard, are in it."""
    head: int
    """Sequence in the stream of the head that its records belong to; of a head's part, of its first one."""
    ts_event: int
    """The latest ts_event (ns) in the stream up to the end of this message."""
    part: int = 1
    parts: int = 1

    @classmethod
    def of(cls, headers: Mapping[str, str] | None) -> "Label | None":
        """Read headers; None if they are not those of a message of ours."""
        if headers is None or headers.get(KIND) not in KINDS:
            return None
        numbers = [_whole(headers.get(name)) for name in (NUMBER, FROM, TO, HEAD, TS_EVENT)]
        part, slash, parts = headers.get(PART, "1/1").partition("/")
        place = (_whole(part), _whole(parts))
        if None in numbers or None in place or not slash or not headers.get(SOURCE):
            return None
        number, first, end, head, ts_event = (int(value or 0) for value in numbers)
        kind: Kind = headers[KIND]  # type: ignore[assignment]  # one of KINDS, as was seen above
        if number == 0 or first > end or not 1 <= int(place[0] or 0) <= int(place[1] or 0):
            return None
        return cls(kind, number, headers[SOURCE], first, end, head, ts_event, int(place[0] or 0), int(place[1] or 0))

    def headers(self) -> dict[str, str]:
        """Write them."""
        written = {
            KIND: self.kind,
            NUMBER: str(self.number),
            SOURCE: self.source,
            FROM: str(self.first),
            TO: str(self.end),
            HEAD: str(self.head),
            TS_EVENT: str(self.ts_event),
        }
        return written | ({PART: f"{self.part}/{self.parts}"} if self.parts > 1 else {})


@dataclass(slots=True)
class Outgoing:
    """A message to be published, with the place in the stream that it must get."""

    sequence: int
    subject: str
    shard: int
    label: Label
    payload: bytes
    records: int = 0
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        label = self.label
        span = f"{label.first}-{label.end}"
        self.identity = f"{label.source}-{self.shard}-{label.number}-{label.kind}-{span}"

    def headers(self) -> dict[str, str]:
        """Write all of its headers."""
        return {
            MESSAGE_ID: self.identity,
            EXPECTED_LAST: str(self.sequence - 1),
            **self.label.headers(),
        }


def _whole(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len(str(NUMBER_MAX)):
        return None
    return int(text)
