"""Structured logs: for people on a terminal, JSON lines for everything else."""

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

from l3book.repeats import Repeats

LOG_LEVELS = ("debug", "info", "warning", "error")

# What every LogRecord carries; anything beyond these was passed as `extra=` and is a field of the line.
_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


# What would end a line, turn it round or hide in it, for whoever reads it on a terminal; and halves of surrogate pairs.
_UNREADABLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")


class HumanFormatter(logging.Formatter):
    """`15:04:05.123 warning l3book.engine: text`, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it where there is one."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        millis = int(record.msecs)
        line = f"{clock}.{millis:03d} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """A JSON object a line: ts (ISO 8601, UTC), level, logger, message, extra fields, exc for a traceback."""

    def __init__(self, *, ensure_ascii: bool) -> None:
        super().__init__()
        self._ensure_ascii = ensure_ascii

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message contains."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: value for name, value in record.__dict__.items() if name not in _RECORD_FIELDS})
        if record.exc_info:
            line["exc"] = self.formatException(record.exc_info)
        text = json.dumps(line, default=str, ensure_ascii=self._ensure_ascii)
        return _UNREADABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def setup(level: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error unless told)."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    is_utf8 = (target.encoding or "").lower().replace("-", "") == "utf8"
    handler.setFormatter(HumanFormatter() if target.isatty() else JsonFormatter(ensure_ascii=not is_utf8))
    handler.addFilter(Repeats())
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Log what is of this level or above; at any time."""
    logging.getLogger().setLevel(level.upper())
    # uvicorn tells of its own steps at info; the server's own lines say the same to the user.
    logging.getLogger("uvicorn").setLevel(max(logging.getLogger().level, logging.WARNING))
