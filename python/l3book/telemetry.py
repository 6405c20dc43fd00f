"""What becomes of log lines: for people on a terminal, JSON lines for everything else."""

import json
import logging
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from string import Formatter
from typing import Any, Final, TextIO

from structlog.processors import ExceptionRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer

from l3book import tracing
from l3book.logs import CAUSE, REQUEST_ID, SPAN_ID, TRACE_ID
from l3book.masking import masked_line
from l3book.repeats import Repeats

FRAMES_MAX: Final = 50
"""Of an exception."""

# What every LogRecord carries; anything beyond these was passed as `extra=` and is a field of the line.
_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_OURS = frozenset({"facts", "wording", "exception"})
_IDS = (("request_id", REQUEST_ID), ("trace_id", TRACE_ID), ("span_id", SPAN_ID))

# What would end a line, turn it round or hide in it, for whoever reads it on a terminal; and halves of surrogate pairs.
_UNREADABLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")

# Without the values of variables: they would hold what nobody meant to write down.
_transform = ExceptionDictTransformer(show_locals=False, max_frames=FRAMES_MAX)

lines: Counter[str] = Counter()
"""Written since the start, by level."""
_repeats: Repeats | None = None
_announces_as_json = False


def held_back() -> int:
    """Count the lines that were like others of the same minute, and were not written."""
    return 0 if _repeats is None else _repeats.held_back


def setup(level: str, stream: TextIO | None = None, form: str = "auto") -> None:
    """Send every log line of this process to `stream` (standard error unless told), as text or JSON.

    auto: as text where the stream is a terminal.
    """
    global _repeats, _announces_as_json  # there is one log of a process
    target = sys.stderr if stream is None else stream
    is_text = form == "text" or (form == "auto" and target.isatty())
    _announces_as_json = form == "json"
    _repeats = Repeats()
    handler = _Handler(target, _repeats)
    handler.setFormatter(formatter_for(target, is_text=is_text))
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Log what is of this level or above; at any time."""
    logging.getLogger().setLevel(level.upper())
    # uvicorn tells of its own steps at info; the server's own lines say the same to the user.
    logging.getLogger("uvicorn").setLevel(max(logging.getLogger().level, logging.WARNING))


def announce(text: str, /, *, is_warning: bool = False, **facts: object) -> None:
    """Say what a command itself has to say, whatever the level: where it listens, what its user should know of.

    In words, as commands do, unless JSON was asked for by name: then nothing else may come out.
    """
    if not _announces_as_json:
        print(f"l3book: warning: {text}" if is_warning else text, file=sys.stderr, flush=True)  # noqa: T201
        return
    level = logging.WARNING if is_warning else logging.INFO
    told = {"name": "l3book", "levelno": level, "levelname": logging.getLevelName(level), "msg": text, "facts": facts}
    logging.getLogger("l3book").handle(logging.makeLogRecord(told))


def formatter_for(stream: TextIO, *, is_text: bool) -> logging.Formatter:
    """Make lines that the stream can take."""
    if is_text:
        return ProcessorFormatter(foreign_pre_chain=[_read], processors=[_as_text])
    is_utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    # Also what was passed on by another process: it is in the record already, and stays.
    exceptions = ExceptionRenderer(_transform)
    return ProcessorFormatter(foreign_pre_chain=[_read], processors=[exceptions, _as_json(ensure_ascii=not is_utf8)])


def traceback_of(record: logging.LogRecord) -> str | None:
    """Give the record's exception as text; also where another process has passed it on as that."""
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return record.exc_text


def exception_of(record: logging.LogRecord) -> list[dict[str, Any]] | None:
    """Give the record's exception as fields."""
    if record.exc_info and record.exc_info[0] is not None:
        return _transform(record.exc_info)
    return None


class _Handler(logging.StreamHandler[TextIO]):
    """Counts what it writes, and says what was held back as soon as its minute is over, at the latest at the end."""

    def __init__(self, stream: TextIO, repeats: Repeats) -> None:
        super().__init__(stream)
        self.addFilter(repeats)
        self._repeats = repeats

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, after what is due."""
        for due in self._repeats.take_due():
            self._write(due)
        self._write(record)

    def close(self) -> None:
        """Say what is left."""
        for due in self._repeats.take_due(is_end=True):
            self._write(due)
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        lines[record.levelname.lower()] += 1
        super().emit(record)


def _read(_logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take what the record tells: its text, its facts, its cause, its exception."""
    record: logging.LogRecord = event_dict["_record"]
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    extras = {name: value for name, value in record.__dict__.items() if name not in _RECORD_FIELDS | _OURS}
    cause = CAUSE.get() or {}
    ids = {name: cause[key] for name, key in _IDS if cause.get(key)}
    if tracing.active is not None and (span_id := tracing.active.current_span_id()):
        ids["span_id"] = span_id
    read = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event_dict["event"],
        **ids,
        **facts,
        **extras,
    }
    if record.exc_info:
        read["exc_info"] = record.exc_info
    elif exception := getattr(record, "exception", None):
        read["exception"] = exception
    if record.stack_info:
        read["stack"] = record.stack_info
    # What follows does not find it in the record any more.
    return {**read, "_record": record, "_traceback": traceback_of(record)}


def _as_json(*, ensure_ascii: bool) -> Callable[[object, str, MutableMapping[str, Any]], str]:
    def render(_logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> str:
        del event_dict["_record"], event_dict["_traceback"]
        text = json.dumps(event_dict, default=str, ensure_ascii=ensure_ascii)
        return _UNREADABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", masked_line(text))

    return render


def _as_text(_logger: object, _name: str, event_dict: MutableMapping[str, Any]) -> str:
    """`15:04:05.123 warning l3book.engine: text`, in local time; behind it the facts that the text does not have."""
    record: logging.LogRecord = event_dict["_record"]
    clock = time.strftime("%H:%M:%S", time.localtime(record.created))
    said = {name for _, name, _, _ in Formatter().parse(getattr(record, "wording", ""))}
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    more = "".join(f" {name}={value}" for name, value in facts.items() if name not in said and value is not None)
    line = f"{clock}.{int(record.msecs):03d} {record.levelname.lower()} {record.name}: {event_dict['event']}{more}"
    return masked_line("\n".join((line, *filter(None, (event_dict["_traceback"], event_dict.get("stack"))))))
