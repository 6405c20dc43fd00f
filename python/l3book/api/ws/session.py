"""One client's session: its ops, its subscriptions, its end."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from l3book import tracing
from l3book._core import AmbiguousInstrumentError, UnknownInstrumentError
from l3book.access.limits import Ops, Subscriptions
from l3book.api.ws.formats import BadOpError, Format, MalformedError
from l3book.api.ws.limits import ERRORS_MAX, OPS_PER_TURN
from l3book.api.ws.outbox import Outbox
from l3book.api.ws.outlet import Outlet
from l3book.api.ws.refusal import Refusal
from l3book.api.ws.subscription import Subscription
from l3book.api.ws.traveller import Traveller
from l3book.config import InForce
from l3book.masking import masked
from l3book.streams.fanout import Fanout
from l3book.streams.group import GroupKey
from l3book.wire import (
    Ack,
    AnyCommand,
    Error,
    ErrorCode,
    Live,
    Moment,
    Pause,
    Ping,
    Pong,
    Replay,
    Resume,
    Seek,
    Step,
    Subscribe,
    Unsubscribe,
)

if TYPE_CHECKING:
    from starlette.types import Receive

    from l3book._core import BookSnapshot
    from l3book.history.past import History
    from l3book.history.playback import Stepped

POLICY_VIOLATION = 1008
INVALID_DATA = 1007
KEY_REVOKED = 4401

SubscriptionKey: TypeAlias = tuple[str, int, int]
"""channel, publisher_id, instrument_id."""


class Session:
    """From the accepted handshake to the end of the connection."""

    def __init__(
        self,
        streams: Fanout,
        history: "History | None",
        in_force: InForce,
        form: Format,
        outlet: Outlet,
        subscribed: Subscriptions,
        ops: Ops,
    ) -> None:
        """Count subscriptions into `subscribed`, beside those of its other sockets, and operations into `ops`."""
        self.outbox = Outbox(outlet, form, in_force, streams.counters, caught_up=self._tell_moment)
        self._live = streams
        self._streams = streams
        """Those of the replay that the socket is in, or the live ones."""
        owner = subscribed.identity.counted_as
        self._traveller = Traveller(history, owner, streams.counters, lambda: self._go_over(self._live, None))
        self._in_force = in_force
        self._form = form
        self._outlet = outlet
        self._subscribed = subscribed
        self._ops = ops
        self._subscriptions: dict[SubscriptionKey, Subscription] = {}
        self._absent: dict[SubscriptionKey, None] = {}
        """Subscriptions to books that there are not, or not yet, at the time that the socket shows."""
        self._errors = 0

    async def run(self, receive: "Receive") -> None:
        """Serve the client until either side closes."""
        sender = asyncio.create_task(self.outbox.run(), name="l3book-socket-sender")
        try:
            await self._take_ops(receive)
        finally:
            sender.cancel()
            for key in tuple(self._subscriptions):
                self._leave(key)
            await asyncio.wait([sender])
            await self._traveller.leave()

    def beat(self) -> None:
        """Send a heartbeat."""
        joined = (subscription for key, subscription in self._subscriptions.items() if key not in self._absent)
        books = {subscription.key[1:3]: subscription.group.book for subscription in joined}
        self.outbox.heartbeat(sum(book.seq for book in books.values()), self._traveller.mark)

    def check(self) -> None:
        """End the socket of a key that is no longer good, or of a client that has been too slow for too long."""
        identity = self._subscribed.identity
        if not identity.is_current():
            gone = "the key was revoked or has expired" if identity.key_id else "a key is needed now"
            self._outlet.end(KEY_REVOKED, gone)
        slow_s = max(self.outbox.lag_s(), self.outbox.behind_s())
        timeout_s = self._in_force.settings.slow_consumer_timeout_s
        if slow_s > timeout_s and not self._outlet.is_over:
            self._streams.counters.slow_closed += 1
            self._outlet.end(POLICY_VIOLATION, f"too slow for {timeout_s} s")
        for key in tuple(self._absent):
            self._join(key)
        self._tell_moments()

    async def _take_ops(self, receive: "Receive") -> None:
        taken = 0
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect" or self._outlet.is_over:
                return
            await self._take(event)
            taken += 1
            if taken % OPS_PER_TURN == 0:
                await asyncio.sleep(0)
            await self.outbox.room()

    async def _take(self, event: Any) -> None:
        op_id: int | None = None
        try:
            op = self._form.op(event["text"] if event.get("text") is not None else event["bytes"])
            op_id = op.id
            await self._carry_out(op)
        except MalformedError as error:
            self._outlet.end(INVALID_DATA, _short(str(error)))
        except BadOpError as error:
            self._refuse("bad_op", str(error), error.id)
        except Refusal as refusal:
            self._refuse(refusal.code, refusal.detail, op_id)
        else:
            self._errors = max(0, self._errors - 1)

    def _refuse(self, code: ErrorCode, detail: str, op_id: int | None) -> None:
        self._streams.counters.errors += 1
        self._errors += 1
        if self._errors > ERRORS_MAX:
            self._outlet.end(POLICY_VIOLATION, "too many errors")
            return
        # It repeats what was sent, and that may hold a key in the wrong place.
        self.outbox.answer(Error(code=code, detail=masked(detail.encode(errors="replace")).decode(), id=op_id))

    async def _carry_out(self, op: AnyCommand) -> None:
        if too_many := self._ops.take():
            self._streams.counters.limited_ops += 1
            raise Refusal("too_many_requests", too_many)
        if tracing.active is None:
            await self._do(op)
            return
        name = op.__struct_config__.tag
        about = {f"l3book.{key}": getattr(op, key, None) for key in ("channel", "instrument", "interval_ms")}
        with tracing.active.span(f"socket {name}", about):
            await self._do(op)

    async def _do(self, op: AnyCommand) -> None:
        match op:
            case Subscribe():
                self._subscribe(op)
            case Unsubscribe():
                self._unsubscribe(op)
            case Ping():
                self.outbox.answer(Pong(id=op.id))
            case _:
                await self._travel(op)

    def _subscribe(self, op: Subscribe) -> None:
        book_key = self._resolve(op.instrument)
        key = (op.channel, *book_key)
        if key in self._subscriptions:
            raise Refusal("already_subscribed", f"{op.channel} of {op.instrument!r}: expected unsubscribe before")
        depth = self._depth(op)
        group_key = GroupKey(op.channel, *book_key, depth, op.level, self._queues(op, depth), op.interval_ms)
        self._admit(group_key)
        subscription = Subscription(self.outbox, op.instrument, group_key, op.instrument)
        self._subscriptions[key] = subscription
        try:
            self._join(key, op)
        except BaseException:
            del self._subscriptions[key]
            self._subscribed.remove(1, group_key.is_whole_book)
            raise

    def _unsubscribe(self, op: Unsubscribe) -> None:
        key = self._key_of(op)
        subscription = self._subscriptions.get(key) if key else None
        if key is None or subscription is None:
            raise Refusal("not_subscribed", f"{op.channel} of {op.instrument!r} is not subscribed to on this socket")
        self._leave(key)
        self._acknowledge(op.id, subscription)

    def _key_of(self, op: Unsubscribe) -> SubscriptionKey | None:
        # By the name that was subscribed to first: it may belong to another book by now.
        for key, subscription in self._subscriptions.items():
            if key[0] == op.channel and op.instrument in {subscription.requested, subscription.instrument}:
                return key
        return (op.channel, *self._resolve(op.instrument))

    def _join(self, key: SubscriptionKey, op: Subscribe | None = None) -> None:
        """Have the subscription follow its book, if there is one now; acknowledge what the client does not know yet."""
        subscription = self._subscriptions[key]
        try:
            subscription.group = self._streams.join(subscription.key, subscription)
        except UnknownInstrumentError:
            self._absent[key] = None
            if op is not None:
                self._acknowledge(op.id, subscription)
            return
        self._absent.pop(key, None)
        name = subscription.group.instrument
        is_news = op is not None or name != subscription.instrument
        subscription.instrument = name
        if is_news:
            self._acknowledge(op.id if op is not None else None, subscription)
        self.outbox.begin(subscription)

    def _part(self, key: SubscriptionKey) -> None:
        """Have the subscription follow nothing."""
        subscription = self._subscriptions[key]
        if key in self._absent:
            del self._absent[key]
            return
        self.outbox.forget(subscription)
        self._streams.leave(subscription.group, subscription)

    def _leave(self, key: SubscriptionKey) -> None:
        self._part(key)
        self._subscribed.remove(1, self._subscriptions.pop(key).key.is_whole_book)

    def _acknowledge(self, op_id: int | None, subscription: Subscription) -> None:
        key = subscription.key
        self.outbox.answer(
            Ack(
                id=op_id,
                channel=key.channel,
                instrument=subscription.instrument,
                publisher_id=key.publisher_id,
                instrument_id=key.instrument_id,
            )
        )

    async def _travel(self, op: AnyCommand) -> None:
        """Carry out an op on the past. What it is answered with comes before what it brings."""
        traveller = self._traveller

        def acknowledge(stepped: "Stepped | None" = None) -> None:
            self.outbox.answer(traveller.ack(op.id, stepped))

        match op:
            case Replay():
                await traveller.begin(op, lambda playback: self._go_over(playback.streams, op.id), acknowledge)
            case Live():
                await traveller.end(lambda: self._go_over(self._live, op.id))
            case Seek():
                await traveller.seek(op.at, acknowledge)
            case Step():
                await traveller.step(self._book_of(op), op.events, acknowledge, lambda: not self._outlet.is_over)
            case Pause():
                await traveller.known_playback().pause(acknowledge)
            case Resume():
                traveller.known_playback().play(op.speed)
                acknowledge()
        self._tell_moments()

    def _tell_moments(self) -> None:
        for subscription in self._subscriptions.values():
            self._tell_moment(subscription)

    def _tell_moment(self, subscription: Subscription) -> None:
        """Say where the book of a replay that stands still is, once: messages tell only what has changed."""
        if not self._traveller.is_settled or subscription.is_behind or not subscription.has_book:
            return
        at = subscription.group.book.snapshot(depth=1)
        # In another epoch, a snapshot is on its way.
        if at.epoch != subscription.epoch or (at.epoch, at.seq) == subscription.moment:
            return
        subscription.moment = at.epoch, at.seq
        self.outbox.answer(_moment(subscription, at))

    def _book_of(self, op: Step) -> str | tuple[int, int]:
        """Choose whose events are counted."""
        self._traveller.known_playback()
        if op.instrument is not None:
            return self._resolve(op.instrument)
        books = {subscription.key[1:3] for subscription in self._subscriptions.values()}
        if len(books) != 1:
            raise Refusal("bad_parameter", f"{len(books)} books are subscribed to: expected instrument, to count by")
        return books.pop()

    def _go_over(self, streams: Fanout, op_id: int | None) -> None:
        """Have every subscription follow its book of another market; the answer comes before the snapshots."""
        for key in self._subscriptions:
            self._part(key)
        self._streams = streams
        self.outbox.answer(self._traveller.ack(op_id))
        for key, old in tuple(self._subscriptions.items()):
            # Another object: what is still being made for the old one belongs to the market that it leaves.
            self._subscriptions[key] = Subscription(self.outbox, old.requested, old.key, old.instrument)
            self._join(key)

    def _admit(self, group_key: GroupKey) -> None:
        at_most = self._in_force.settings.subscriptions_per_socket_max
        if len(self._subscriptions) >= at_most:
            detail = f"this socket has {len(self._subscriptions)} subscriptions: expected at most {at_most}"
            raise Refusal("too_many_subscriptions", detail)
        if problem := self._subscribed.add(1, group_key.is_whole_book):
            raise Refusal("too_many_subscriptions", problem.detail)

    def _depth(self, op: Subscribe) -> int | None:
        if op.channel != "depth":
            if op.depth is not None or op.level != 2 or op.queues is not None:
                raise Refusal(
                    "bad_parameter", f"channel {op.channel} takes no depth, level or queues: expected channel depth"
                )
            return None
        settings = self._in_force.settings
        depth = settings.depth_default if op.depth is None else op.depth
        if not 1 <= depth <= settings.depth_max:
            raise Refusal("bad_parameter", f"depth is {depth}: expected a whole number from 1 to {settings.depth_max}")
        return depth

    def _queues(self, op: Subscribe, depth: int | None) -> int | None:
        if op.queues is None or depth is None:
            return None
        if op.level != 3:
            raise Refusal("bad_parameter", "queues with level 2, whose levels have none: expected level 3")
        at_most = self._in_force.settings.depth_max
        if not 1 <= op.queues <= at_most:
            raise Refusal("bad_parameter", f"queues is {op.queues}: expected a whole number from 1 to {at_most}")
        # All, said in another way: one group.
        return op.queues if op.queues < depth else None

    def _resolve(self, instrument: str) -> tuple[int, int]:
        try:
            try:
                return self._streams.resolve(instrument)
            except UnknownInstrumentError:
                # A book that a replay has not come to yet goes by its name of today.
                return self._live.resolve(instrument)
        except UnknownInstrumentError:
            raise Refusal("unknown_instrument", f"no book goes by {instrument!r}: see /v1/instruments") from None
        except AmbiguousInstrumentError as error:
            choices = " or ".join(f"{publisher_id}:{instrument_id}" for publisher_id, instrument_id in error.choices)
            raise Refusal("ambiguous_instrument", f"{instrument!r} is several books: expected {choices}") from None


def _moment(subscription: Subscription, at: "BookSnapshot") -> Moment:
    return Moment(
        channel=subscription.key.channel,
        instrument=subscription.instrument,
        epoch=at.epoch,
        seq=at.seq,
        sequence=at.sequence,
        ts_event=str(at.ts_event),
        ts_recv=str(at.ts_recv),
        orders=at.orders,
    )


def _short(reason: str) -> str:
    """Fit a text into a close frame: 123 bytes of UTF-8."""
    return reason.encode()[:123].decode(errors="ignore")
