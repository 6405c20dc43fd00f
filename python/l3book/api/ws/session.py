"""One client's session: its ops, its subscriptions, its end."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from l3book._core import AmbiguousInstrumentError, UnknownInstrumentError
from l3book.access.limits import Ops, Subscriptions
from l3book.api.ws.formats import BadOpError, Format, MalformedError
from l3book.api.ws.limits import ERRORS_MAX, OPS_PER_TURN
from l3book.api.ws.outbox import Outbox
from l3book.api.ws.outlet import Outlet
from l3book.api.ws.subscription import Subscription
from l3book.config import InForce
from l3book.masking import masked
from l3book.streams.fanout import Fanout
from l3book.streams.group import GroupKey
from l3book.wire import Ack, AnyCommand, Error, ErrorCode, Ping, Pong, Subscribe, Unsubscribe

if TYPE_CHECKING:
    from starlette.types import Receive

POLICY_VIOLATION = 1008
INVALID_DATA = 1007
KEY_REVOKED = 4401

SubscriptionKey: TypeAlias = tuple[str, int, int]
"""channel, publisher_id, instrument_id."""


class Refusal(Exception):  # noqa: N818  # an answer, no fault of ours
    """An op that is not carried out."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Session:
    """From the accepted handshake to the end of the connection."""

    def __init__(
        self, streams: Fanout, in_force: InForce, form: Format, outlet: Outlet, subscribed: Subscriptions, ops: Ops
    ) -> None:
        """Count subscriptions into `subscribed`, beside those of its other sockets, and operations into `ops`."""
        self.outbox = Outbox(outlet, form, in_force, streams.counters)
        self._streams = streams
        self._in_force = in_force
        self._form = form
        self._outlet = outlet
        self._subscribed = subscribed
        self._ops = ops
        self._subscriptions: dict[SubscriptionKey, Subscription] = {}
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

    def beat(self) -> None:
        """Send a heartbeat."""
        books = {key[1:]: subscription.group.book for key, subscription in self._subscriptions.items()}
        self.outbox.heartbeat(sum(book.seq for book in books.values()))

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

    async def _take_ops(self, receive: "Receive") -> None:
        taken = 0
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect" or self._outlet.is_over:
                return
            self._take(event)
            taken += 1
            if taken % OPS_PER_TURN == 0:
                await asyncio.sleep(0)
            await self.outbox.room()

    def _take(self, event: Any) -> None:
        op_id: int | None = None
        try:
            op = self._form.op(event["text"] if event.get("text") is not None else event["bytes"])
            op_id = op.id
            self._carry_out(op)
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

    def _carry_out(self, op: AnyCommand) -> None:
        if too_many := self._ops.take():
            self._streams.counters.limited_ops += 1
            raise Refusal("too_many_requests", too_many)
        match op:
            case Subscribe():
                self._subscribe(op)
            case Unsubscribe():
                self._unsubscribe(op)
            case Ping():
                self.outbox.answer(Pong(id=op.id))
            case _:
                raise Refusal("history_unavailable", "history is not in this version")

    def _subscribe(self, op: Subscribe) -> None:
        book_key = self._resolve(op.instrument)
        key = (op.channel, *book_key)
        if key in self._subscriptions:
            raise Refusal("already_subscribed", f"{op.channel} of {op.instrument!r}: expected unsubscribe before")
        group_key = GroupKey(op.channel, *book_key, self._depth(op), op.level, op.interval_ms)
        self._admit(group_key)
        subscription = Subscription(self.outbox, op.instrument)
        try:
            subscription.group = self._streams.join(group_key, subscription)
        except BaseException:
            self._subscribed.remove(1, group_key.is_whole_book)
            raise
        self._subscriptions[key] = subscription
        self._acknowledge(op, subscription)
        self.outbox.begin(subscription)

    def _unsubscribe(self, op: Unsubscribe) -> None:
        key = self._key_of(op)
        subscription = self._subscriptions.get(key) if key else None
        if key is None or subscription is None:
            raise Refusal("not_subscribed", f"{op.channel} of {op.instrument!r} is not subscribed to on this socket")
        self._leave(key)
        self._acknowledge(op, subscription)

    def _key_of(self, op: Unsubscribe) -> SubscriptionKey | None:
        # By the name that was subscribed to first: it may belong to another book by now.
        for key, subscription in self._subscriptions.items():
            if key[0] == op.channel and op.instrument in {subscription.requested, subscription.group.instrument}:
                return key
        return (op.channel, *self._resolve(op.instrument))

    def _leave(self, key: SubscriptionKey) -> None:
        subscription = self._subscriptions.pop(key)
        self._subscribed.remove(1, subscription.group.key.is_whole_book)
        self.outbox.forget(subscription)
        self._streams.leave(subscription.group, subscription)

    def _acknowledge(self, op: Subscribe | Unsubscribe, subscription: Subscription) -> None:
        group = subscription.group
        self.outbox.answer(
            Ack(
                id=op.id,
                channel=op.channel,
                instrument=group.instrument,
                publisher_id=group.key.publisher_id,
                instrument_id=group.key.instrument_id,
            )
        )

    def _admit(self, group_key: GroupKey) -> None:
        at_most = self._in_force.settings.subscriptions_per_socket_max
        if len(self._subscriptions) >= at_most:
            detail = f"this socket has {len(self._subscriptions)} subscriptions: expected at most {at_most}"
            raise Refusal("too_many_subscriptions", detail)
        if problem := self._subscribed.add(1, group_key.is_whole_book):
            raise Refusal("too_many_subscriptions", problem.detail)

    def _depth(self, op: Subscribe) -> int | None:
        if op.channel != "depth":
            if op.depth is not None or op.level != 2:
                raise Refusal(
                    "bad_parameter", f"channel {op.channel} takes no depth and no level: expected channel depth"
                )
            return None
        settings = self._in_force.settings
        depth = settings.depth_default if op.depth is None else op.depth
        if not 1 <= depth <= settings.depth_max:
            raise Refusal("bad_parameter", f"depth is {depth}: expected a whole number from 1 to {settings.depth_max}")
        return depth

    def _resolve(self, instrument: str) -> tuple[int, int]:
        try:
            return self._streams.resolve(instrument)
        except UnknownInstrumentError:
            raise Refusal("unknown_instrument", f"no book goes by {instrument!r}: see /v1/instruments") from None
        except AmbiguousInstrumentError as error:
            choices = " or ".join(f"{publisher_id}:{instrument_id}" for publisher_id, instrument_id in error.choices)
            raise Refusal("ambiguous_instrument", f"{instrument!r} is several books: expected {choices}") from None


def _short(reason: str) -> str:
    """Fit a text into a close frame: 123 bytes of UTF-8."""
    return reason.encode()[:123].decode(errors="ignore")
