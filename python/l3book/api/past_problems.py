"""What can go wrong with a question about the past, as problems.

Where a history lies is the server's own business: what was wrong with which file is in its log.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from l3book._core import AmbiguousInstrumentError, HistoryError, NotRecordedError, UnknownInstrumentError
from l3book.api.problems import Problem
from l3book.history.replays import TooManyReplaysError
from l3book.history.store import StoreError
from l3book.logs import Logger
from l3book.workers import BusyError

if TYPE_CHECKING:
    from l3book.history.past import History
    from l3book.hub import Hub

Result = TypeVar("Result")

RETRY_AFTER_S = 1
_COME_AGAIN = {"Retry-After": str(RETRY_AFTER_S)}
_SEE_LOG = "the server's log says why"

log = Logger(__name__)


def known(hub: "Hub") -> "History":
    """Return the history. Raises a 501 Problem where there is none, with the reason."""
    if hub.history is None:
        reason = hub.recording.condition()[1] or "it was started without (no_history)"
        raise Problem(501, "history_unavailable", f"this server keeps no history: {reason}")
    return hub.history


async def asked(answer: Awaitable[Result], instrument: str | tuple[int, int] | None = None) -> Result:
    """Wait for the answer; what it raises becomes the Problem raised. `instrument` is what was asked for by name."""
    try:
        return await answer
    except UnknownInstrumentError:
        detail = f"no book goes by {instrument!r} at that time"
        raise Problem(404, "unknown_instrument", detail) from None
    except AmbiguousInstrumentError as error:
        choices = [f"{publisher_id}:{instrument_id}" for publisher_id, instrument_id in error.choices]
        detail = f"{instrument!r} is the name of {len(choices)} books: expected one of the choices"
        raise Problem(409, "ambiguous_instrument", detail, choices=choices) from None
    except NotRecordedError as error:
        raise Problem(404, "not_recorded", error.what) from None
    except TooManyReplaysError as error:
        raise Problem(429, "too_many_replays", str(error), headers=_COME_AGAIN) from None
    except BusyError as error:
        raise Problem(503, "history_busy", str(error), headers=_COME_AGAIN) from None
    except StoreError as error:
        log.warning("rows of the past cannot be read: {error}", error=error)
        raise Problem(
            503, "store_unavailable", f"rows cannot be read at the moment: {_SEE_LOG}", headers=_COME_AGAIN
        ) from None
    except HistoryError as error:
        raise Problem(500, "history_damaged", unreadable(error)) from None


def unreadable(error: HistoryError) -> str:
    """Log what is damaged; -> what a client is told of it."""
    log.warning("what is recorded cannot be read: {error}", error=error)
    return f"what is recorded of that time cannot be read: {_SEE_LOG}"
