"""What a subscription is asked for with."""

from typing import Any, Literal


def instrument_name(instrument: str | int | tuple[int, int]) -> str:
    """Name the instrument as the wire does."""
    return ":".join(map(str, instrument)) if isinstance(instrument, tuple) else str(instrument)


def subscribe_options(
    instrument: str | int | tuple[int, int],
    *,
    depth: int | None,
    level: Literal[2, 3] | None,
    queues: int | None,
    interval_ms: int | None,
) -> tuple[str, dict[str, Any]]:
    """Name the instrument as the wire does, and list the options that are given; the server has the defaults."""
    options = {"depth": depth, "level": level, "queues": queues, "interval_ms": interval_ms}
    return instrument_name(instrument), {option: value for option, value in options.items() if value is not None}
