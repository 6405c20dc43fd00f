"""The messages in a stream, as docs/nats.md lays them down. Publisher and reader agree here, and nowhere else."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["head", "records", "doubt", "away", "back", "end", "books", "snapshot"]

KIND = "L3book-Kind"
NUMBER = "L3book-Number"
SOURCE = "L3book-Source"
FROM = "L3book-From"
TO = "L3book-To"
HEAD = "L3book-Head"
PART = "L3book-Part"
BOOKS = "L3book-Books"
ALIVE = "L3book-Alive"
TS_EVENT = "L3book-Ts-Event"
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_LAST = "Nats-Expected-Last-Sequence"

KINDS: frozenset[str] = frozenset(get_args(Kind))
SHARDS_MAX = 256
PAYLOAD_BYTES_MAX = 512 * 1024
"""Of a message: half of what a NATS server takes unless told otherwise; headers and one large record fit, too."""
NUMBER_MAX = 2**64 - 1
ALIVE_EVERY_S = 1.0
SILENCE_OF_PUBLISHER_S = 5.0
"""Whose publisher said nothing for so long has none."""

_TOKEN_UNREADABLE = re.compile(r"[^A-Za-z0-9_-]+")
_SUBJECTS = re.compile(r"(?P<stream>[^.]+)\.\*\.(?P<shards>[1-9][0-9]{0,2})\.\*")


def subjects_of(stream: str, shards: int) -> str:
    """Name all subjects of a stream, as it is made with."""
    return f"{stream}.*.{shards}.*"


def subject_of(stream: str, dataset: str, shards: int, shard: int) -> str:
    """Name the subject of a dataset's shard."""
    return f"{stream}.{_TOKEN_UNREADABLE.sub('-', dataset) or '-'}.{shards}.{shard}"


def books_subject_of(stream: str, dataset: str, shards: int, shard: int) -> str:
    """Name where the books of a dataset's shard are written now and then: who reads the shard is not sent them."""
    return f"{subject_of(stream, dataset, shards, shard).rpartition('.')[0]}.books-{shard}"


def alive_subject_of(stream: str) -> str:
    """Name where a publisher says that it runs: beside the stream, and no message of it."""
    return f"{stream}.alive"


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
    """Of the message among those of its shard: from 1 on, without a hole. Of `books`, that of the one before them."""
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
    books: int = 0
    """Of a snapshot: the sequence in the stream of the first part of its books."""
    says_alive: bool = False
    """Whoever wrote it says on `STREAM.alive` that it runs; publishers of earlier versions do not."""

    @classmethod
    def of(cls, headers: Mapping[str, str] | None) -> "Label | None":
        """Read headers; None if they are not those of a message of ours."""
        if headers is None or headers.get(KIND) not in KINDS:
            return None
        numbers = [_whole(headers.get(name)) for name in (NUMBER, FROM, TO, HEAD, TS_EVENT)]
        numbers.append(_whole(headers.get(BOOKS, "0")))
        part, slash, parts = headers.get(PART, "1/1").partition("/")
        place = (_whole(part), _whole(parts))
        if None in numbers or None in place or not slash or not headers.get(SOURCE):
            return None
        number, first, end, head, ts_event, books = (int(value or 0) for value in numbers)
        kind: Kind = headers[KIND]  # type: ignore[assignment]  # one of KINDS, as was seen above
        if number == 0 or first > end or not 1 <= int(place[0] or 0) <= int(place[1] or 0):
            return None
        which, of = int(place[0] or 0), int(place[1] or 0)
        says_alive = headers.get(ALIVE) == "1"
        return cls(kind, number, headers[SOURCE], first, end, head, ts_event, which, of, books, says_alive)

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
        if self.parts > 1:
            written[PART] = f"{self.part}/{self.parts}"
        if self.books:
            written[BOOKS] = str(self.books)
        if self.says_alive:
            written[ALIVE] = "1"
        return written


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
        # Books do not count: their parts share a number, also with those of a publisher that was killed among them.
        place = f"-{self.sequence}" if label.kind == "books" else ""
        self.identity = f"{label.source}-{self.shard}-{label.number}-{label.kind}-{span}{place}"

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
