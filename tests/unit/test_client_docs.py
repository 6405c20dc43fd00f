"""docs/websocket.md says what is so: its messages are messages, its example of a checksum can be recomputed."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import get_args

import msgspec

from l3book.client.book import Book
from l3book.client.messages import Ack, Channel, Delta, Error, Gap, Heartbeat, Message, Pong, Snapshot

PAGE = (Path(__file__).parents[2] / "docs" / "websocket.md").read_text(encoding="utf-8")
MESSAGES = [
    line for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) for line in re.split(r"\n(?=\{)", block)
]


def messages(kind: str) -> list[str]:
    """Examples of a type, with what they leave out put in."""
    whole = (text.replace("…,", '"sequence":1,').replace('"…"', '"1758751200123456789"') for text in MESSAGES)
    return [text for text in whole if f'"type":"{kind}"' in text]


def test_every_message_is_shown_and_is_what_a_client_reads() -> None:
    decoder = msgspec.json.Decoder(Message)
    for kind in (Ack, Delta, Error, Gap, Heartbeat, Pong, Snapshot):
        shown = messages(kind.__struct_config__.tag)  # type: ignore[arg-type]
        assert shown, kind
        for text in shown:
            assert isinstance(decoder.decode(text), kind)
            told = json.loads(text)
            missing = set(told) - {"type"} - {field.encode_name for field in msgspec.structs.fields(kind)}
            assert missing <= {"channel"}, "the client ignores what the page explains"


def test_every_channel_has_a_section() -> None:
    headings = " ".join(line for line in PAGE.splitlines() if line.startswith("## Channel"))
    assert set(re.findall(r"`(\w+)`", headings)) == set(get_args(Channel))


def test_the_example_of_a_book_leads_to_its_checksums() -> None:
    book = Book()
    (snapshot,) = messages("snapshot")
    delta = messages("delta")[0]
    book.apply_snapshot(msgspec.json.decode(snapshot, type=Snapshot))
    book.apply_delta(msgspec.json.decode(delta, type=Delta))
    assert [(level.price, level.size) for level in book.bids] == [(64_200_000_000, 9), (64_190_000_000, 4)]


def test_the_worked_checksums() -> None:
    worked = re.findall(r"CRC-32 of\s`([^`]+)` is `(\d+)`", PAGE)
    assert len(worked) == 2
    for text, crc in worked:
        assert zlib.crc32(text.encode()) == int(crc)
        assert PAGE.count(f'"crc":{crc}') == 2, "in the message, and in the session at the end"
