"""What one socket does in the past: which replay it is in, and the ops that move it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from l3book._core import AmbiguousInstrumentError, HistoryError, NotRecordedError, UnknownInstrumentError
from l3book.api.past_problems import unreadable
from l3book.api.ws.refusal import Refusal
from l3book.history.replays import TooManyReplaysError
from l3book.times import parse_time_ns
from l3book.wire import CommandId, Heartbeat, Replay, ReplayAck
from l3book.workers import BusyError

if TYPE_CHECKING:
    from l3book.history.past import History
    from l3book.history.playback import Playback, Stepped
    from l3book.streams.counters import Counters

Result = TypeVar("Result")


class Traveller:
    """For the event loop's thread; one op of a socket at a time."""

    def __init__(self, history: "History | None", owner: str, counters: "Counters", ended: Callable[[], None]) -> None:
        """`owner`: whose limits replays count against; `ended` is called when somebody else has ended the replay."""
        self._history = history
        self._owner = owner
        self._counters = counters
        self._ended = ended
        self._playback: Playback | None = None

    async def begin(self, op: Replay, go_over: Callable[["Playback"], None], acknowledge: Callable[[], None]) -> None:
        """Be in the replay that the op asks for, and no more in the one before. Raises Refusal."""
        history = self._known_history()
        if (op.replay is None) == (op.from_ is None):
            raise Refusal("bad_parameter", "expected either from, where to begin, or replay, the id of one")
        playback = self._existing(op.replay) if op.replay is not None else await self._asked(self._new(op))
        before, self._playback = self._playback, playback
        if playback is before:
            acknowledge()
            return
        history.replays.join(playback, self._replay_ended)
        go_over(playback)
        await self._part_from(before)

    async def end(self, go_over: Callable[[], None]) -> None:
        """Be in no replay. Raises Refusal where that is so already."""
        before, self._playback = self.known_playback(), None
        go_over()
        await self._part_from(before)

    async def leave(self) -> None:
        """Be in no replay, because the socket ends."""
        before, self._playback = self._playback, None
        await self._part_from(before)

    async def seek(self, at: str, then: Callable[[], None]) -> None:
        """Go elsewhere; `then` is called before anything is told of it. Raises Refusal."""
        playback = self.known_playback()
        await self._asked(playback.seek(_time(at, "at"), then))

    async def step(
        self,
        instrument: str | tuple[int, int],
        events: int,
        then: Callable[["Stepped"], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        """Go on by so many events, as long as that is wanted; `then` is called before anything is told of it.

        Raises Refusal.
        """
        await self._asked(self.known_playback().step(instrument, events, then, is_wanted))

    @property
    def is_settled(self) -> bool:
        """Whether the socket is in a replay that stands still, and has been told all of it."""
        return self._playback is not None and self._playback.is_settled

    def known_playback(self) -> "Playback":
        """Return the replay. Raises Refusal where the socket is in none."""
        self._known_history()
        if self._playback is None:
            raise Refusal("no_replay", "this socket is in no replay: expected op replay before")
        return self._playback

    def ack(self, op_id: CommandId | None, stepped: "Stepped | None" = None) -> ReplayAck:
        """Say where the socket is, and how far a step has led."""
        playback = self._playback
        if playback is None:
            return ReplayAck(id=op_id, replay=None)
        ack = ReplayAck(
            id=op_id, replay=playback.playback_id, state=playback.state, ts=str(playback.ts), speed=playback.speed
        )
        if stepped is not None:
            ack.events, ack.stopped_at = stepped.events, stepped.stopped_at
        return ack

    def mark(self, heartbeat: Heartbeat) -> None:
        """Say in the heartbeat where the socket is."""
        if (playback := self._playback) is not None:
            heartbeat.replay, heartbeat.state = playback.playback_id, playback.state
            heartbeat.ts, heartbeat.speed = str(playback.ts), playback.speed

    def _known_history(self) -> "History":
        if self._history is None:
            raise Refusal("history_unavailable", "this server keeps no history")
        return self._history

    def _existing(self, playback_id: str) -> "Playback":
        playback = self._known_history().replays.find(self._owner, playback_id)
        if playback is None:
            raise Refusal("unknown_replay", f"no replay {playback_id!r} of yours runs: see /v1/replays")
        return playback

    def _new(self, op: Replay) -> Awaitable["Playback"]:
        return self._known_history().replays.begin(
            self._owner,
            _time(op.from_ or "", "from"),
            self._counters,
            speed=1.0 if op.speed is None else op.speed,
            is_paused=op.paused,
            is_private=True,
        )

    async def _part_from(self, playback: "Playback | None") -> None:
        if playback is not None and self._history is not None:
            await self._history.replays.leave(playback, self._replay_ended)

    def _replay_ended(self) -> None:
        self._playback = None
        self._ended()

    async def _asked(self, answer: Awaitable[Result]) -> Result:
        try:
            return await answer
        except TooManyReplaysError as error:
            raise Refusal("too_many_replays", str(error)) from None
        except NotRecordedError as error:
            raise Refusal("not_recorded", error.what) from None
        except UnknownInstrumentError as error:
            raise Refusal("unknown_instrument", f"no book goes by {error} there") from None
        except AmbiguousInstrumentError as error:
            raise Refusal("ambiguous_instrument", str(error)) from None
        except BusyError as error:
            raise Refusal("history_busy", str(error)) from None
        except HistoryError as error:
            raise Refusal("history_damaged", unreadable(error)) from None


def _time(text: str, name: str) -> int:
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise Refusal("bad_parameter", f"{name}: {error}") from None
