"""Log lines: a text for people and, beside it, its facts as fields; and whose request or socket they are because of.

Lines go to the standard library's loggers, so that a program which imports l3book decides what becomes of them. What
the commands make of them is in `telemetry`.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "text", "json")

REQUEST_ID = "l3book.request_id"
TRACE_ID = "l3book.trace_id"
SPAN_ID = "l3book.span_id"

CAUSE: ContextVar[Mapping[str, Any] | None] = ContextVar("l3book_cause", default=None)
"""The scope of the request or socket that is being seen to, with the ids above; None: nobody asked for this."""


class Logger:
    """A logger whose texts name their facts: `log.info("source {source} ended", source=uri)`.

    The text is a template of `str.format`, always a literal; facts that it does not name become fields all the same.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, text: str, /, **facts: object) -> None:
        """Tell what helps to find a fault."""
        self._write(logging.DEBUG, text, facts)

    def info(self, text: str, /, **facts: object) -> None:
        """Tell what happens in the ordinary course."""
        self._write(logging.INFO, text, facts)

    def warning(self, text: str, /, **facts: object) -> None:
        """Tell what somebody should know of."""
        self._write(logging.WARNING, text, facts)

    def error(self, text: str, /, **facts: object) -> None:
        """Tell what went wrong, where the text is the whole story."""
        self._write(logging.ERROR, text, facts)

    def exception(self, text: str, /, exc_info: BaseException | bool = True, **facts: object) -> None:
        """Tell what nobody expected, with where it came from: the exception given, or the one that is being handled."""
        self._write(logging.ERROR, text, facts, exc_info=exc_info)

    def log(self, level: int, text: str, /, **facts: object) -> None:
        """Write a line of this level."""
        self._write(level, text, facts)

    def _write(
        self, level: int, text: str, facts: Mapping[str, object], exc_info: BaseException | bool | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            more = {"facts": facts, "wording": text}
            self._logger.log(level, text.format_map(facts), exc_info=exc_info, extra=more, stacklevel=3)
