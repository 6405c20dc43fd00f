"""The protocol, without a socket: what to send, whom a message belongs to, when to ask for a snapshot again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from l3book.client.book import OutOfStep
from l3book.client.errors import ClientError, SubscriptionError
from l3book.client.messages import (
    Ack,
    BookMessage,
    Channel,
    Delta,
    Encoding,
    Error,
    Gap,
    Heartbeat,
    Message,
    Moment,
    Snapshot,
)
from l3book.client.records import key_of_records
from l3book.client.subscription import State
from l3book.client.travel import Travel

RESYNC_INTERVAL_MIN_S = 0.5
RESYNC_INTERVAL_MAX_S = 30.0
"""The first resync comes at once; while no delta fits, each next one after twice the time of the one before."""


@dataclass(slots=True)
class Counters:
    """What happened to a client since it was made."""

    messages: int = 0
    resyncs: int = 0
    """Snapshots asked for because something did not fit."""
    reconnects: int = 0
    gaps: int = 0
    """Losses: told by the server, seen by `prev`, or made here because nobody read."""
    crc_errors: int = 0


class Session:
    """All subscriptions of a client, and the frames that wait to be sent."""

    def __init__(
        self, encoding: Encoding, resubscribe_budget_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = Counters()
        self.heartbeat: Heartbeat | None = None
        self.states: list[State] = []
        self._encoding = encoding
        self._budget_s = resubscribe_budget_s
        self._now = now
        self._next_id = 1
        self._outgoing: list[str | bytes] = []
        coder = msgspec.json if encoding == "json" else msgspec.msgpack
        self._encode = coder.encode
        self._decoder = coder.Decoder(Message)
        self.travel = Travel(self._ask_for, self._leave)
        """Its place in the past."""

    def add(self, channel: Channel, instrument: str, options: dict[str, Any]) -> State:
        """Subscribe."""
        state = State(channel, instrument, options, self._out_of_step)
        self.states.append(state)
        self._ask(state)
        return state

    def remove(self, state: State) -> None:
        """Unsubscribe."""
        if state.phase != "ended":
            self._ask_end(state)
            state.phase = "ended"
            self.states.remove(state)

    def reopened(self) -> None:
        """Ask for everything again: a new connection knows nothing."""
        self._outgoing.clear()
        self.counters.reconnects += 1
        self.travel.reopened()
        for state in self.states:
            state.forget()
            state.lost_at_s = self._now() if state.name else None
            self._ask(state)

    def outgoing(self) -> list[str | bytes]:
        """Take the frames to send now."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def take(self, frame: str | bytes) -> None:
        """Receive one frame. Raises ClientError if it is none of this protocol."""
        self.counters.messages += 1
        if isinstance(frame, bytes) and (self._encoding == "json" or not _is_map(frame)):
            self._take_records(frame)
        else:
            try:
                message = self._decoder.decode(frame)
            except msgspec.MsgspecError as error:
                raise ClientError(f"the server sent what is no message of this protocol: {error}") from error
            self._take(message)
        self._ask_again()

    def _take(self, message: Message) -> None:
        match message:
            case Heartbeat():
                self.heartbeat = message
                self.travel.beaten(message)
            case Ack():
                self._acknowledge(message)
            case Error():
                self._refuse(message)
            case Snapshot() | Delta() | Moment() | Gap():
                for state in self.states:
                    if state.phase == "live" and (state.channel, state.name) == (message.channel, message.instrument):
                        self.counters.gaps += isinstance(message, Gap)
                        self._push(state, message)

    def _take_records(self, frame: bytes) -> None:
        readers = [state for state in self.states if state.channel == "dbn" and state.phase == "live"]
        key = key_of_records(frame) if len(readers) > 1 else None
        for state in readers:
            if key is None or key == state.key:
                self._push(state, frame)

    def _push(self, state: State, message: BookMessage | bytes) -> None:
        if not state.push(message):
            state.dropped = True
            self.counters.gaps += 1
            self._resync(state)

    def _acknowledge(self, ack: Ack) -> None:
        if self.travel.acknowledged(ack):
            return
        for state in self.states:
            if ack.id is None:
                if (state.channel, state.key) == (ack.channel, (ack.publisher_id, ack.instrument_id)):
                    state.name = ack.instrument or state.name
            elif state.phase == "asked" and state.request_id == ack.id:
                state.phase = "live"
                state.name = ack.instrument or state.instrument
                state.key = (ack.publisher_id, ack.instrument_id)
                state.lost_at_s = None

    def _refuse(self, error: Error) -> None:
        if self.travel.refused(error):
            return
        for state in self.states:
            if state.phase == "asked" and state.request_id == error.id:
                if error.code == "too_many_requests" and state.lost_at_s is None:
                    # Not refused, only too soon.
                    state.lost_at_s = self._now()
                lost_s = None if state.lost_at_s is None else self._now() - state.lost_at_s
                if lost_s is None or lost_s > self._budget_s:
                    state.error = SubscriptionError(error.code, error.detail)
                    state.phase = "ended"
                    self.states.remove(state)
                else:
                    # A restarted server does not know its instruments yet.
                    state.phase, state.due_s = "waiting", self._now() + RESYNC_INTERVAL_MIN_S
                return

    def _leave(self) -> None:
        """Forget what came before the books went to another time, and nobody has read: it is of the time they left."""
        for state in self.states:
            state.forget()
            state.dropped = False

    def _out_of_step(self, state: State, fault: OutOfStep) -> None:
        self.counters.crc_errors += fault.kind == "crc"
        self.counters.gaps += fault.kind == "prev"
        self._resync(state)

    def _resync(self, state: State) -> None:
        """End the subscription, and begin it anew when it is time: a server that is wrong must not be stormed."""
        state.forget()
        if state.phase != "live":
            return
        self._ask_end(state)
        self.counters.resyncs += 1
        wait_s = RESYNC_INTERVAL_MIN_S * 2.0 ** (state.resyncs_in_a_row - 1) if state.resyncs_in_a_row else 0.0
        state.phase, state.due_s = "waiting", self._now() + min(wait_s, RESYNC_INTERVAL_MAX_S)
        state.lost_at_s = self._now()
        state.resyncs_in_a_row = min(state.resyncs_in_a_row + 1, 64)
        self._ask_again()

    def _ask_again(self) -> None:
        """Ask for what is due. Called with every message; heartbeats see to it that there is one."""
        for state in self.states:
            if state.phase == "waiting" and self._now() >= state.due_s:
                self._ask(state)

    def _ask(self, state: State) -> None:
        state.phase = "asked"
        state.request_id = self._send("subscribe", state.channel, state.instrument, state.options)

    def _ask_end(self, state: State) -> None:
        if state.phase in {"live", "asked"}:
            self._send("unsubscribe", state.channel, state.name or state.instrument, {})

    def _send(self, op: str, channel: Channel, instrument: str, options: dict[str, Any]) -> int:
        return self._ask_for({"op": op, "channel": channel, "instrument": instrument, **options})

    def _ask_for(self, request: dict[str, Any]) -> int:
        request_id, self._next_id = self._next_id, self._next_id + 1
        frame = self._encode({"id": request_id, **request})
        self._outgoing.append(frame.decode() if self._encoding == "json" else frame)
        return request_id


def _is_map(frame: bytes) -> bool:
    """Tell a MessagePack map from DBN: the first byte of a DBN frame is the D of its metadata, or a record's length."""
    return len(frame) > 0 and (0x80 <= frame[0] <= 0x8F or frame[0] in {0xDE, 0xDF})
