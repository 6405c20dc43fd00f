"""OpenTelemetry traces, where they are wanted. Elsewhere nothing of it is imported, and next to nothing done.

There is one tracing of a process, like there is one log: whoever has something to tell looks at `active` first.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l3book.tracing.spans import Tracing

active: "Tracing | None" = None
"""What records spans; None: nobody wants any."""

_OFF: AbstractContextManager[None] = nullcontext()
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

NOT_INSTALLED = "traces need OpenTelemetry: expected `pip install 'l3book[otel]'`"


class NotInstalledError(Exception):
    """The packages of the extra `otel` are missing."""


def span(name: str, /, **attributes: Any) -> AbstractContextManager[Any]:
    """Have what happens in the block be a span, below the one that is current; None attributes are left out."""
    return _OFF if active is None else active.span(name, attributes)


def wanted_by(endpoint: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Say what asks for traces: the setting, or a variable that all of OpenTelemetry knows. None: nothing does."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if endpoint:
        return "otlp_endpoint"
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return None
    return next((name for name in _ENDPOINTS if environ.get(name)), None)


def start(endpoint: str, environ: Mapping[str, str] = os.environ) -> None:
    """Begin to record spans. `endpoint` is a collector's URL; empty: it stands in the environment.

    Raises NotInstalledError, and ValueError where a variable of OpenTelemetry's is not understood.
    """
    global active  # see above
    try:
        from l3book.tracing.spans import Tracing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise NotInstalledError(f"{NOT_INSTALLED} ({error})") from None
    active = Tracing(endpoint, environ)


def stop() -> None:
    """Record no more, and export what is left, for a moment."""
    global active
    ended, active = active, None
    if ended is not None:
        ended.close()


def counts() -> Mapping[str, int] | None:
    """Count spans by what became of them; None: nothing is traced."""
    return None if active is None else active.exporting.counts()
