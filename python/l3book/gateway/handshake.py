"""The beginning of a session: greeting, challenge, answer, and whether the client may come in."""

import time
from dataclasses import dataclass
from typing import NoReturn

from l3book.gateway.connection import Connection
from l3book.gateway.keys import BUCKET_LENGTH, KeyRing, make_challenge
from l3book.gateway.lines import LineBuffer, LineError, fields, refusal, shown
from l3book.gateway.pump import SessionEnd
from l3book.gateway.requests import Authentication, RequestError
from l3book.sources.pacing import NS_PER_S

LSG_VERSION = "0.8.0"
ANSWER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Admission:
    """A client that was let in."""

    request: Authentication
    key_id: str
    """The end of its key: what logs may show."""
    spared: bool


def admit(connection: Connection, lines: LineBuffer, keys: KeyRing, dataset: str, timeout_s: int) -> Admission:
    """Greet, and let in whoever has a key. Raises SessionEnd when the client was refused, or OSError."""
    challenge = make_challenge()
    # In one write: the C++ client fails unless its first read holds the whole first line.
    connection.send_all(f"lsg_version={LSG_VERSION}\ncram={challenge}\n".encode(), ANSWER_TIMEOUT_S)
    try:
        line = _first_line(connection, lines, timeout_s)
        request = Authentication.parse(fields(line))
    except (LineError, RequestError) as error:
        refuse(connection, str(error))
    key = keys.find(challenge, request.auth)
    if key is None:
        refuse(connection, "Authentication failed: no key of this gateway gives this answer to the challenge")
    if request.dataset != dataset:
        refuse(connection, f"Dataset {shown(request.dataset)} is not served here: expected {dataset}")
    return Admission(request, key[-BUCKET_LENGTH:], keys.is_spared(key))


def refuse(connection: Connection, text: str) -> NoReturn:
    """Say why, and end the session. Always raises."""
    connection.send_all(refusal(text), ANSWER_TIMEOUT_S)
    raise SessionEnd(f"refused: {text}", hasty=True)


def _first_line(connection: Connection, lines: LineBuffer, timeout_s: int) -> str:
    deadline_ns = time.monotonic_ns() + timeout_s * NS_PER_S
    while (line := lines.take()) is None:
        left_ns = deadline_ns - time.monotonic_ns()
        if left_ns <= 0:
            raise RequestError(f"Authentication timed out: expected the answer within {timeout_s} s")
        if connection.is_stopping:
            raise RequestError("The gateway is shutting down")
        connection.wait(read=True, write=False, timeout_ns=left_ns)
        data = connection.receive(lines.room_bytes)
        if data == b"":
            raise SessionEnd("the client left before it authenticated")
        lines.feed(data or b"")
    return line
