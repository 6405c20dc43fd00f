"""Structured logs: for people on a terminal, JSON lines for everything else."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

LOG_LEVELS = ("debug", "info", "warning", "error")

# What every LogRecord carries; anything beyond these was passed as `extra=` and is a field of the line.
_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


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
        return json.dumps(line, default=str)


def setup(level: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error unless told)."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(HumanFormatter() if target.isatty() else JsonFormatter())
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Log what is of this level or above; at any time."""
    logging.getLogger().setLevel(level.upper())
    # uvicorn tells of its own steps at info; the server's own lines say the same to the user.
    logging.getLogger("uvicorn").setLevel(max(logging.getLogger().level, logging.WARNING))
