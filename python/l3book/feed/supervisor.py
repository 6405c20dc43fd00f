"""The feed: keeps a connection, and the books' trust in it.

All of it runs on the engine's thread, in an event loop of its own: bytes go from the socket into the market before the
next are read, so nothing has to be queued, and a market that is slower than the line holds up the sender.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Literal, TypeAlias

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    stop_never,
    wait_random_exponential,
)

from l3book._core import DecodeError, Market, UnknownInstrumentError
from l3book.feed.options import FeedOptions
from l3book.feed.snapshots import Snapshots
from l3book.feed.status import PUBLISHER_LOST, FeedStatus
from l3book.feed.transitions import Transitions
from l3book.logs import Logger
from l3book.sources.connection import Ask, Connection, ConnectionLost, Connector, Key, PublisherState, Refused

log = Logger(__name__)

LineState: TypeAlias = Literal["connecting", "reconnecting", "running"]

WAIT_FIRST_S = 0.25
WAIT_MAX_S = 30.0
"""Before the n-th retry: a random time up to 0.25 s × 2ⁿ⁻¹, and never more than this (full jitter)."""  # noqa: RUF001
CHORES_INTERVAL_S = 0.1
STEADY_S = 30.0
"""A connection that lasted so long was a good one, even if nothing was traded."""
OVERLAP_GRACE_S = 10.0
"""Books wait so long for what a resumed or fresh connection brings by itself before snapshots of them are asked for."""
LAST_DOUBTS_MAX = 2
"""A stream that ends with books in doubt is asked for so often again."""

ERROR_CONNECTIONS = 3
ERROR_SUBSCRIPTION = 5
ERROR_AGED_OUT = 8
ERRORS_PERMANENT = frozenset({1, 2})
ERRORS_PASSING = frozenset({6})
SYSTEM_SLOW_READER = 2
DAMAGE = "damage"
PUBLISHER = "publisher"


class _Interrupted(Exception):  # noqa: N818  # no error: an outage begins, and with it a new budget
    """A connection was lost that had been a good one."""


class Feed:
    """Connects until the stream ends in order, the other side refuses, the budget is spent, or it is closed."""

    def __init__(
        self,
        connector: Connector,
        market: Market,
        take: Callable[[memoryview], None],
        tell: Callable[[LineState], None],
        options: FeedOptions,
        lost_s: float | None = None,
    ) -> None:
        """`lost_s`: the market goes on from before a restart, and has been `disconnected` for so long."""
        self._connector = connector
        self._market = market
        self._take = take
        self._tell = tell
        self._options = options
        self.status = FeedStatus()
        self.transitions = Transitions()
        self._snapshots = Snapshots()
        self._lock = Lock()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._ask = Ask("first")
        self._is_first_chunk = True
        self._verdict: ConnectionLost | Refused | None = None
        self._wants_snapshot = False
        self._may_ask_snapshots = connector.can_resume
        self._is_restored = lost_s is not None
        self._is_broken = self._is_restored
        self._lost_at_s = None if lost_s is None else time.monotonic() - lost_s
        self._lost_ts_recv = 0 if lost_s is None else market.watch_stats()["last_ts_recv"]
        self._connected_at_s = 0.0
        self._last_doubts = 0

    def run(self) -> None:
        """Feed until the end; raises Refused, or ConnectionLost once the budget is spent. On one thread, once."""
        with asyncio.Runner() as runner:
            try:
                runner.run(self._main())
            except asyncio.CancelledError:
                if not self._closing:
                    raise
            except BaseException:
                # Whatever it was, nobody will tell these books of what happens next.
                self._market.disconnected()
                self._drain()
                raise
            finally:
                with self._lock:
                    self._loop = None

    def close(self) -> None:
        """End whatever is going on, from any thread: a stream, a handshake, a wait."""
        with self._lock:
            self._closing = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def doubt(self, reason: str, key: Key | None = None) -> None:
        """Take a doubt that the connection has about a book, or about all."""
        # Of a book that nothing was told of yet, nothing can be wrong.
        with contextlib.suppress(UnknownInstrumentError):
            self._market.doubt(reason, key)
        self._drain()

    def books(self) -> list[Key]:
        """List the books that there are, also those of before a restart."""
        return [(book.publisher_id, book.instrument_id) for book in self._market.instruments()]

    def suspects(self) -> list[Key]:
        """List those that may be wrong."""
        return self._market.suspects()

    def expect_snapshot(self, key: Key) -> None:
        """Have the snapshot of this book that comes now be taken for a whole one."""
        self._market.expect_snapshots([key])

    def expect_skips(self, *, expects_skips: bool) -> None:
        """Take no number that jumps for a gap, or do so again."""
        self._market.expect_skips(expects_skips)

    def publisher(self, state: PublisherState) -> None:
        """Have the source count as lost while whoever feeds the line has nothing to pass on, or is gone."""
        before, self.status.publisher = self.status.publisher, state
        was_lost, text = before in PUBLISHER_LOST, PUBLISHER_LOST.get(state)
        if text is not None and state != before:
            log.warning("source {source}: {error}", source=self._connector.uri, error=text)
            self.transitions.add("lost", PUBLISHER, text=text)
            self._tell("reconnecting")
        elif text is None and was_lost:
            self.transitions.add("connected", PUBLISHER, uri=self._connector.uri)
            self._tell("running")

    def refused(self, text: str) -> None:
        """Count what came and is none of ours, and name it."""
        self.status.refused_messages += 1
        log.warning("source {source}: refused: {error}", source=self._connector.uri, error=text)
        self.transitions.add("refused", text)

    def watch_stats(self) -> dict[str, Any]:
        """Tell what the market's watch has counted."""
        return self._market.watch_stats()

    async def _main(self) -> None:
        with self._lock:
            if self._closing:
                return
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        budget_s = self._options.reconnect_budget_s
        while True:
            # The first attempt of an outage comes at once, or after the little wait below.
            outage = AsyncRetrying(
                retry=retry_if_exception_type(ConnectionLost),
                wait=wait_random_exponential(multiplier=WAIT_FIRST_S, max=WAIT_MAX_S),
                stop=stop_after_delay(budget_s) if budget_s else stop_never,
                before_sleep=self._before_wait,
                reraise=True,
            )
            try:
                await outage(self._session)
            except _Interrupted:
                # Many clients lose a gateway at the same moment, and should not come back at the same moment.
                await asyncio.sleep(random.uniform(0, WAIT_FIRST_S))  # noqa: S311  # no secret hangs on it
            except ConnectionLost as loss:
                attempts = outage.statistics["attempt_number"]
                text = f"gave up after {attempts} attempts in {budget_s:g} s (reconnect_budget_s): {loss}"
                raise ConnectionLost(loss.kind, text) from None
            else:
                return

    async def _session(self) -> None:
        """One connection from its beginning to its end; returns if that is the end of the stream."""
        self._tell("reconnecting" if self.status.connects or self._is_restored else "connecting")
        self.status.attempts += 1
        self._ask, self._is_first_chunk, self._verdict = self._next_ask(), True, None
        self._snapshots.restart()
        records = self._market.stats()["records"]
        is_connected = False
        try:
            self._connection = await self._connector.connect(self._ask, self._receive, self)
            is_connected = True
            self._connected()
            await self._attend(self._connection)
            self._market.finish()
            self._end(has_news=self._market.stats()["records"] > records)
        except DecodeError as error:
            loss = ConnectionLost(DAMAGE, str(error))
        except ConnectionLost as lost:
            loss = lost
        else:
            return
        finally:
            if self._connection is not None:
                self._connection.abort()
                self._connection = None
        self._lost(loss)
        is_steady = is_connected and time.monotonic() - self._connected_at_s > STEADY_S
        if is_steady or self._market.stats()["records"] > records:
            raise _Interrupted from None
        raise loss from None

    def _next_ask(self) -> Ask:
        if not self._connector.can_resume:
            return Ask("unknown" if self.status.connects else "first")
        start = self._market.resume_ts()
        if start is None:
            return Ask("first")
        if self._connector.resumes_exactly:
            return Ask("resume", start)
        is_old = self._lost_at_s is not None and time.monotonic() - self._lost_at_s > self._options.replay_range_s
        return Ask("snapshot") if self._wants_snapshot or is_old else Ask("resume", start)

    def _connected(self) -> None:
        self.status.connects += 1
        self._connected_at_s = time.monotonic()
        if self._ask.how == "snapshot":
            self._wants_snapshot = False
        start = None if self._ask.start is None else str(self._ask.start)
        self.transitions.add("connected", self._ask.how, uri=self._connector.uri, start=start)

    def _receive(self, data: memoryview) -> None:
        if self._is_first_chunk:
            self._is_first_chunk = False
            is_exact = self._connector.resumes_exactly and not self._is_broken
            if (self.status.losses or self._is_restored) and not is_exact:
                self._market.reconnected("resume" if self._ask.how == "first" else self._ask.how)
            self._is_broken = False
            self._tell("running")
        try:
            self._take(data)
        finally:
            has_suspects = self._drain()
        if self._verdict is not None:
            raise self._verdict
        if has_suspects:
            self._ask_snapshots()

    async def _attend(self, connection: Connection) -> None:
        """Wait for the end, and see to things meanwhile."""
        loop = asyncio.get_running_loop()
        silence_max_s = self._connector.silence_max_s
        ended = asyncio.ensure_future(connection.ended)
        while True:
            done, _ = await asyncio.wait((ended,), timeout=CHORES_INTERVAL_S)
            if self.status.waiting(connection.bytes_waiting()):
                log.warning("overload: {bytes} bytes wait to be applied", bytes=self.status.bytes_waiting)
            self._drain()
            self.transitions.flush()
            if done:
                ended.result()
                return
            if self._verdict is not None:
                raise self._verdict
            silent_s = loop.time() - connection.received_at_s
            if silence_max_s is not None and silent_s > silence_max_s:
                text = f"nothing came for {silent_s:.1f} s: expected at most {silence_max_s:g} s"
                raise ConnectionLost("half-open", text)
            self._ask_snapshots()

    def _end(self, *, has_news: bool) -> None:
        """Decide whether an orderly end is the end of the stream; raises ConnectionLost if there may be more.

        A gateway that is killed or restarted closes its connections in order too, also after it has said that a
        replay is complete. So the end is believed when a second connection brought nothing new.
        """
        if self._connector.reconnects_at_end:
            raise ConnectionLost("ended", "the other side closed the connection (end=reconnect)")
        if not self._connector.can_resume or self._connector.resumes_exactly:
            return
        if self._market.resume_ts() is None:
            if has_news and self._last_doubts < LAST_DOUBTS_MAX:
                self._last_doubts += 1
                raise ConnectionLost("ended", "the other side closed the connection inside the first event")
            return
        suspects = len(self._market.suspects())
        if suspects and self._last_doubts < LAST_DOUBTS_MAX:
            self._last_doubts += 1
            self._wants_snapshot = True
            raise ConnectionLost("doubt", f"the stream ended with {suspects} suspect books")
        if has_news:
            raise ConnectionLost("ended", "the other side closed the connection; asking it for more")
        if suspects:
            text = "source {source}: ended with {suspects} suspect books"
            log.warning(text, source=self._connector.uri, suspects=suspects)

    def _lost(self, loss: ConnectionLost) -> None:
        """Put the books in doubt, if they had been told anything."""
        was_connected = not self._is_first_chunk
        self._drain()
        if isinstance(self._verdict, Refused):
            raise self._verdict from None
        self.status.lost(loss.kind, str(loss))
        # Whatever was said of it was of this line.
        self.status.publisher = None
        self.status.bytes_waiting = 0
        if was_connected:
            self._lost_ts_recv = self._market.watch_stats()["last_ts_recv"]
            if not self._connector.resumes_exactly or loss.kind == DAMAGE:
                self._market.disconnected()
                self._is_broken = True
            self._drain()
        if was_connected or self._lost_at_s is None:
            self._lost_at_s = time.monotonic()
        self.transitions.add("lost", loss.kind, text=str(loss))

    def _before_wait(self, state: RetryCallState) -> None:
        log.warning(
            "source {source}: attempt {attempt} failed ({error}), the next in {wait_s:.2f} s",
            source=self._connector.uri,
            attempt=state.attempt_number,
            error=state.outcome.exception() if state.outcome else None,
            wait_s=state.upcoming_sleep,
        )
        self._tell("reconnecting" if self.status.connects or self._is_restored else "connecting")

    def _drain(self) -> bool:
        """Take what the market has to tell; -> whether books have become suspect."""
        has_suspects = False
        for alert in self._market.take_alerts():
            kind = alert["kind"]
            if kind == "error":
                self._on_error(alert["code"], alert["text"])
            elif kind == "system":
                self._on_system(alert["code"], alert["text"])
            else:
                has_suspects = has_suspects or kind == "suspect"
                facts = {name: value for name, value in alert.items() if name not in {"kind", "reason"}}
                if facts.get("ts_event") is not None:
                    facts["ts_event"] = str(facts["ts_event"])
                self.transitions.add(kind, alert.get("reason") or "", **facts)
        return has_suspects

    def _on_system(self, code: int, text: str) -> None:
        level = logging.WARNING if code == SYSTEM_SLOW_READER else logging.DEBUG
        log.log(level, "gateway: {said} (code {code})", said=text, code=code)

    def _on_error(self, code: int, text: str) -> None:
        """Judge an error record: what ends the session, and whether another one could go better."""
        self.transitions.add("error", f"code {code}", text=text)
        said = f"the gateway says: {text} (code {code})"
        is_ours = code == ERROR_SUBSCRIPTION and bool(self.status.snapshot_requests)
        if is_ours:
            # Not what the user asked for was refused, but our way of helping doubtful books.
            self._may_ask_snapshots = False
        if code == ERROR_AGED_OUT:
            self._wants_snapshot = True
        # At a reconnection, the connections that are too many may well be our own dead ones.
        passes = code in ERRORS_PASSING or code == ERROR_AGED_OUT or is_ours
        if passes or (code == ERROR_CONNECTIONS and self.status.losses):
            self._verdict = self._verdict or ConnectionLost(f"error {code}", said)
        elif code in ERRORS_PERMANENT or code in {ERROR_CONNECTIONS, ERROR_SUBSCRIPTION}:
            self._verdict = Refused(said, code)

    def _ask_snapshots(self) -> None:
        """Ask for the books that are in doubt, unless the connection is about to clear that up by itself."""
        if self._connection is None or not self._may_ask_snapshots or self._verdict is not None:
            return
        suspects = self._market.suspects()
        if not suspects or self._is_catching_up():
            return
        due = self._snapshots.due(suspects, time.monotonic())
        if due and self._connection.ask_snapshot(sorted({instrument_id for _, instrument_id in due})):
            self._market.expect_snapshots(due)
            self.status.snapshot_requests += 1
            self.status.snapshots_asked += len(due)
            log.info("asked for snapshots of {books} suspect books", books=len(due))

    def _is_catching_up(self) -> bool:
        if self._ask.how == "first" or time.monotonic() - self._connected_at_s > OVERLAP_GRACE_S:
            return False
        is_past: bool = self._market.watch_stats()["last_ts_recv"] > self._lost_ts_recv
        return self._ask.how == "snapshot" or not is_past
