"""How a gateway serves its files."""

from dataclasses import dataclass, field
from typing import Literal

from l3book.gateway.clock import Pace
from l3book.gateway.faults import FaultRule

SESSIONS_MAX = 64
AUTH_TIMEOUT_S = 30
"""From the connection to the whole answer, however the client cuts it."""


@dataclass(frozen=True, slots=True)
class Options:
    """The same for all sessions of a gateway."""

    protocol: Literal["lsg", "raw"] = "lsg"
    pace: Pace = field(default_factory=Pace)
    shared_clock: bool = False
    loop: bool = False
    as_if_now: bool = False
    sessions_max: int = SESSIONS_MAX
    faults: tuple[FaultRule, ...] = ()
    seed: int = 1
    auth_timeout_s: int = AUTH_TIMEOUT_S
