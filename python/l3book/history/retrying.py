"""Writes to a server: tried again for a while where the fault is on the way, and not once the store is closed."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from l3book.logs import Logger

if TYPE_CHECKING:
    from tenacity import RetryCallState

log = Logger(__name__)

Result = TypeVar("Result")

RETRIES_S_MAX = 30
"""How long one write is tried; then whoever tails the log comes again, from the last position."""
RETRY_DELAY_S_MIN = 0.1
RETRY_DELAY_S_MAX = 5
ERROR_CHARACTERS_MAX = 300


def tried_again(
    work: Callable[[], Result],
    is_transient: Callable[[BaseException], bool],
    retries_s_max: float,
    closing: threading.Event,
    place: str,
) -> Result:
    """Do it, again and again where its error is transient, with delays that grow. The last error is raised as it is.

    The first is logged at once: whoever starts a server should not have to wait to hear that `place` is not there.
    """
    from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_after_delay, stop_when_event_set
    from tenacity.wait import wait_random_exponential

    def tell(state: "RetryCallState") -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            line = str(state.outcome.exception()).strip().partition("\n")[0]
            error = line[:ERROR_CHARACTERS_MAX]
            text = "{place}: tried again for {retries_s_max:g} s at most: {error}"
            log.warning(text, place=place, retries_s_max=retries_s_max, error=error)

    return Retrying(
        before_sleep=tell,
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(RETRY_DELAY_S_MIN, RETRY_DELAY_S_MAX),
        stop=stop_after_delay(retries_s_max) | stop_when_event_set(closing),
        sleep=sleep_using_event(closing),
        reraise=True,
    )(work)
