"""What a subscription is asked for with."""

from typing import Any, Literal


def subscribe_options(
    instrument: str | int | tuple[int, int], depth: int | None, level: Literal[2, 3] | None, interval_ms: int | None
) -> tuple[str, dict[str, Any]]:
    """Name the instrument as the wire does, and list the options that are given; the server has the defaults."""
    name = ":".join(map(str, instrument)) if isinstance(instrument, tuple) else str(instrument)
    options = {"depth": depth, "level": level, "interval_ms": interval_ms}
    return name, {option: value for option, value in options.items() if value is not None}
