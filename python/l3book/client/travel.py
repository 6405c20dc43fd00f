"""What a client asks of the past: requests about its replay, and where that is. Knows no socket."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET

from l3book.client.errors import ClientError, ReplayError
from l3book.client.messages import Ack, Error, Heartbeat


@dataclass(frozen=True, slots=True)
class ReplayState:
    """Where a replay is."""

    replay_id: str
    state: str
    """playing, paused, ended (at the end of what is recorded) or failed."""
    ts: int
    """The recorded time that it shows, by ts_recv, in ns."""
    speed: float
    events: int | None = None
    """As the answer to a step: how many events it went; negative: back. 0: nothing has moved."""
    stopped_at: str | None = None
    """… and where, if they are fewer than asked for: at the `end` of what is recorded, or the `beginning`."""


class Request:
    """Something that was asked, until it is answered."""

    def __init__(self, request_id: int, op: str) -> None:
        self.request_id = request_id
        self.op = op
        self.is_answered = False
        self.state: ReplayState | None = None
        """Where the replay was when it was answered."""
        self.error: ClientError | None = None


class Travel:
    """The replay of one connection.

    `send` sends a request and returns its id; `leave` is called when the books are those of another time from here on.
    """

    def __init__(self, send: Callable[[dict[str, Any]], int], leave: Callable[[], None]) -> None:
        self.state: ReplayState | None = None
        """None: the connection shows the books as they are now."""
        self._send = send
        self._leave = leave
        self._asked: dict[int, Request] = {}
        self._joined: str | None = None
        """The replay of POST /v1/replays that it is in."""

    def ask(self, op: str, **options: Any) -> Request:
        """Ask for something; options that are None are left to the server."""
        if op == "replay":
            self._joined = options.get("replay")
        given = {name: value for name, value in options.items() if value is not None}
        request = Request(self._send({"op": op, **given}), op)
        self._asked[request.request_id] = request
        return request

    def acknowledged(self, ack: Ack) -> bool:
        """Take an ack, if it is about replays; -> whether it is."""
        if ack.replay is UNSET:
            return False
        before, asked = self.state, self._asked.get(ack.id) if ack.id is not None else None
        self.state = None if ack.replay is None else ReplayState(ack.replay, ack.state, int(ack.ts), ack.speed)
        is_elsewhere = (before and before.replay_id) != (self.state and self.state.replay_id)
        if is_elsewhere or (asked is not None and asked.op == "seek"):
            self._leave()
        if asked is not None and self.state is not None:
            asked.state = replace(self.state, events=ack.events, stopped_at=ack.stopped_at)
        self._answer(ack.id, None)
        return True

    def refused(self, error: Error) -> bool:
        """Take an error, if it is about replays; -> whether it is."""
        return self._answer(error.id, ReplayError(error.code, error.detail))

    def beaten(self, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""
        if heartbeat.replay is not None and self.state is not None:
            self.state = ReplayState(heartbeat.replay, heartbeat.state, int(heartbeat.ts), heartbeat.speed)

    def reopened(self) -> None:
        """Go back to where it was: a new connection shows the present. What was not answered will not be."""
        for request_id in tuple(self._asked):
            self._answer(request_id, ReplayError("connection_lost", "the connection was lost before the answer"))
        if (state := self.state) is None:
            return
        self.state = None
        if self._joined is not None:
            self.ask("replay", replay=self._joined)
        else:
            self.ask("replay", **{"from": str(state.ts)}, speed=state.speed, paused=state.state == "paused")

    def _answer(self, request_id: int | None, error: ClientError | None) -> bool:
        request = self._asked.pop(request_id, None) if request_id is not None else None
        if request is None:
            return False
        request.error = error
        request.is_answered = True
        return True
