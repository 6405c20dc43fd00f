"""What the settings say about feeds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Limits in seconds."""

    reconnect_budget_s: float = 300.0
    """Without any success for so long, the source has failed; 0: never."""
    replay_range_s: float = 86_400.0
    """After a loss that is older, the books are asked for anew instead of what was missed."""
