"""The client for programs without an event loop."""

import random
import time
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self

from tenacity import Retrying
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from l3book.client import connecting
from l3book.client.book import Book
from l3book.client.errors import ClientError, ConnectionLostError
from l3book.client.messages import Channel, Encoding, Heartbeat
from l3book.client.options import instrument_name, subscribe_options
from l3book.client.session import Counters, Session
from l3book.client.subscription import State, Update
from l3book.client.travel import ReplayState


class Subscription:
    """Updates of one book, in order: `for update in subscription`."""

    def __init__(self, client: "Client", state: State) -> None:
        self._client = client
        self._state = state

    @property
    def instrument(self) -> str:
        """The symbol if it names one book, else publisher_id:instrument_id."""
        return self._state.name

    @property
    def book(self) -> Book:
        """The book as of the last update read. Raises ClientError for trades and dbn, which have none."""
        if self._state.book is None:
            raise ClientError(f"channel {self._state.channel} carries no book")
        return self._state.book

    def next(self, timeout_s: float | None = None) -> Update:
        """Wait for the next update. Raises TimeoutError, and ClientError once there can be none."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        update = self._client._next((self._state,), deadline_s)
        if update is None:
            raise ClientError(f"the subscription to {self._state.channel} of {self._state.instrument} has ended")
        return update

    def unsubscribe(self) -> None:
        """End it; its iteration ends too."""
        self._client._unsubscribe(self._state)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        update = self._client._next((self._state,))
        if update is None:
            raise StopIteration
        return update


class Client:
    """A connection to `/v1/ws` that comes back by itself, with everything subscribed to.

    Nothing is read while nobody iterates: a slow consumer is the server's to merge for, and its queue stays bounded.
    One thread at a time may use it; any may close it. Raises RefusedError, ConnectionLostError and SubscriptionError.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        encoding: Encoding = "msgpack",
        ssl: SSLContext | None = None,
        reconnect_budget_s: float = connecting.RECONNECT_BUDGET_S,
        heartbeat_timeout_s: float = connecting.HEARTBEAT_TIMEOUT_S,
    ) -> None:
        """`ssl` says whom a wss:// client trusts; None: whom this machine does. Raises ValueError."""
        self._url = connecting.address(url)
        self._options = connecting.handshake_options(self._url, key, encoding, ssl)
        self._budget_s = reconnect_budget_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._session = Session(encoding, reconnect_budget_s)
        self._connection: ClientConnection | None = None
        self._is_closed = False

    @property
    def counters(self) -> Counters:
        """messages, resyncs, reconnects, gaps, crc_errors."""
        return self._session.counters

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The newest one read."""
        return self._session.heartbeat

    @property
    def replayed(self) -> ReplayState | None:
        """Where the replay is, as of the last message that told; None: the books are those of now."""
        return self._session.travel.state

    def connect(self) -> None:
        """Open the connection; one attempt."""
        self._open()

    def close(self) -> None:
        """Close the connection; iterations end."""
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def subscribe(
        self,
        channel: Channel,
        instrument: str | int | tuple[int, int],
        *,
        depth: int | None = None,
        level: Literal[2, 3] | None = None,
        queues: int | None = None,
        interval_ms: int | None = None,
    ) -> Subscription:
        """Ask for a channel of an instrument: symbol, instrument_id or (publisher_id, instrument_id).

        `depth`, `level` and `queues` are for the channel "depth": levels a side, 3 for levels with their queues, and
        how many of the best of them carry those.

        Raises SubscriptionError if the server refuses, ClientError if the client is closed, also meanwhile.
        """
        name, options = subscribe_options(instrument, depth=depth, level=level, queues=queues, interval_ms=interval_ms)
        state = self._session.add(channel, name, options)
        self._flush()
        while state.phase == "asked":
            # A closed connection brings no answer: `_read` would return at once, again and again.
            self._raise_if_closed()
            self._read()
        if state.error is not None:
            raise state.error
        return Subscription(self, state)

    def replay(
        self,
        start: int | str | None = None,
        *,
        speed: float | None = None,
        paused: bool = False,
        replay_id: str | None = None,
    ) -> ReplayState:
        """Go into the past: every subscription goes on there, beginning with a snapshot.

        `start`: where, in ns or ISO 8601, by ts_event; or `replay_id`, to be in one of POST /v1/replays. Raises
        ReplayError if the server refuses; then nothing has changed. So do the methods below.
        """
        begin = None if start is None else str(start)
        state = self._travel("replay", **{"from": begin}, speed=speed, paused=paused or None, replay=replay_id)
        assert state is not None  # noqa: S101  # the server has just said where it is
        return state

    def pause(self) -> ReplayState | None:
        """Hold the replay."""
        return self._travel("pause")

    def resume(self, speed: float | None = None) -> ReplayState | None:
        """Let the replay go on, at another speed if one is given."""
        return self._travel("resume", speed=speed)

    def step(self, events: int = 1, instrument: str | int | tuple[int, int] | None = None) -> ReplayState | None:
        """Pause, and go on by so many events of the instrument, or of the only one subscribed to.

        The answer says in `events` how many it went, and in `stopped_at` where, if they are fewer.
        """
        name = None if instrument is None else instrument_name(instrument)
        return self._travel("step", events=events, instrument=name)

    def seek(self, at: int | str) -> ReplayState | None:
        """Go on elsewhere: snapshots of a new epoch follow."""
        return self._travel("seek", at=str(at))

    def live(self) -> None:
        """Leave the replay: every subscription goes on with the book as it is now, beginning with a snapshot."""
        self._travel("live")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        update = self._next(None)
        if update is None:
            raise StopIteration
        return update

    def _next(self, states: tuple[State, ...] | None, deadline_s: float | None = None) -> Update | None:
        """Wait for an update of these subscriptions, or of any; until the deadline, on the monotonic clock."""
        while True:
            wanted = self._session.states if states is None else states
            for state in tuple(wanted):
                update = state.next_update()
                if update is not None:
                    return update
                if state.error is not None:
                    raise state.error
            self._flush()
            if self._is_closed or all(state.phase == "ended" for state in wanted):
                return None
            if not any(state.has_pending for state in wanted):
                self._read(deadline_s)

    def _travel(self, op: str, **options: Any) -> ReplayState | None:
        request = self._session.travel.ask(op, **options)
        self._flush()
        while not request.is_answered:
            self._raise_if_closed()
            self._read()
        if request.error is not None:
            raise request.error
        return request.state

    def _unsubscribe(self, state: State) -> None:
        self._session.remove(state)
        self._flush()

    def _flush(self) -> None:
        frames = self._session.outgoing()
        try:
            for frame in frames:
                self._live().send(frame)
        except ConnectionClosed:
            # Whoever reads next finds out, and then everything is asked for again.
            return

    def _read(self, deadline_s: float | None = None) -> None:
        """Receive one message, or come back to a server that was lost."""
        connection = self._live()
        try:
            frame = connection.recv(self._patience_s(deadline_s))
        except (ConnectionClosed, TimeoutError) as error:
            if self._is_closed:
                return
            if isinstance(error, ConnectionClosed):
                connecting.raise_if_final(error)
            elif deadline_s is not None and time.monotonic() >= deadline_s:
                raise
            else:
                connection.close_socket()
            self._reopen()
        else:
            self._session.take(frame)
        self._flush()

    def _patience_s(self, deadline_s: float | None) -> float:
        if deadline_s is None:
            return self._heartbeat_timeout_s
        return max(0.0, min(self._heartbeat_timeout_s, deadline_s - time.monotonic()))

    def _reopen(self) -> None:
        # Many clients lose a server at the same moment, and should not come back at the same moment.
        time.sleep(random.uniform(0, connecting.WAIT_FIRST_S))  # noqa: S311  # no secret hangs on it
        Retrying(**connecting.retry_options(self._budget_s))(self._open_and_hear)

    def _open_and_hear(self) -> None:
        """Open, and hear something: a server that accepts and closes at once has not come back."""
        self._open()
        self._session.reopened()
        self._flush()
        try:
            frame = self._live().recv(self._heartbeat_timeout_s)
        except TimeoutError:
            self._live().close_socket()
            raise ConnectionLostError(f"{self._url} says nothing") from None
        except ConnectionClosed as closed:
            connecting.raise_if_final(closed)
            raise ConnectionLostError(f"{self._url} closed the connection: {closed}") from closed
        self._session.take(frame)

    def _open(self) -> None:
        self._raise_if_closed()
        try:
            # Entered by hand, since it outlives this call; `close` is all that leaving it does.
            self._connection = connect(self._url, **self._options).__enter__()
        except (OSError, InvalidHandshake, EOFError) as error:
            connecting.raise_handshake(error, self._url)
        connecting.raise_if_other_protocol(self._connection.subprotocol, self._options, self._url)

    def _raise_if_closed(self) -> None:
        if self._is_closed:
            raise ClientError("the client is closed")

    def _live(self) -> ClientConnection:
        if self._connection is None:
            raise ClientError("the client is not connected: use it as a context manager, or call connect()")
        return self._connection
