"""Control lines: `key=value|key=value`, ended by a line feed, with a carriage return before it or without."""

LINE_BYTES_MAX = 64 * 1024
"""A subscription to 500 symbols of 71 characters, the longest line there is, takes half of it."""
TEXT_BYTES_MAX = 300
"""Of an error or system message; the record has two bytes more."""


class LineError(ValueError):
    """What came is no control line; the text is ready for the client."""


class LineBuffer:
    """Bytes in any pieces, lines out. It holds one line and a piece, never more."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def room_bytes(self) -> int:
        """How much may be fed before lines have to be taken."""
        return max(0, LINE_BYTES_MAX + 1 - len(self._buffer))

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._buffer += data

    def take(self) -> str | None:
        """Return the next line without its end, or None while it is not complete. Raises LineError."""
        end = self._buffer.find(b"\n", 0, LINE_BYTES_MAX + 1)
        if end < 0:
            if len(self._buffer) > LINE_BYTES_MAX:
                raise LineError(
                    f"a line of more than {LINE_BYTES_MAX} bytes: expected key=value fields and a line feed"
                )
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            text = line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError:
            raise LineError("bytes that are no UTF-8 text: expected key=value fields and a line feed") from None
        if not text.isprintable():
            raise LineError("control characters in a line: expected key=value fields and a line feed")
        return text


def fields(line: str) -> dict[str, str]:
    """Take a line apart. A key without `=` has an empty value; raises LineError when a key is empty or there twice."""
    found: dict[str, str] = {}
    for token in line.split("|"):
        key, _, value = token.partition("=")
        if not key:
            raise LineError(f"a field without a name in {shown(line)}: expected key=value fields")
        if key in found:
            raise LineError(f"field {shown(key)} is there twice: expected it once")
        found[key] = value
    return found


def shown(text: str, length_max: int = 60) -> str:
    """Quote what a client sent, shortened, without anything that would end a field or a line."""
    cut = text if len(text) <= length_max else text[: length_max - 1] + "…"
    return repr(cut).replace("|", "/")


def counted(number: int, noun: str) -> str:
    """Write `1 symbol`, `2 symbols`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clean(text: str) -> str:
    """Make a text fit for a field or a record: one line without `|`, in at most `TEXT_BYTES_MAX` bytes."""
    line = " ".join(text.replace("|", "/").split())
    return line.encode()[:TEXT_BYTES_MAX].decode("utf-8", "ignore")


def refusal(text: str) -> bytes:
    """Make the line that refuses a client."""
    return f"success=0|error={clean(text)}\n".encode()
