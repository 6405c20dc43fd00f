"""A session's end by its key, and the settings that are in force for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from l3book.access.identity import Identity
from l3book.access.limits import Limits, Sockets
from l3book.access.scopes import ALL_SCOPES
from l3book.api.ws.formats import JSON
from l3book.api.ws.limits import ERRORS_MAX
from l3book.api.ws.pulse import Pulse
from l3book.api.ws.session import Session
from l3book.config import InForce, Settings
from l3book.streams.fanout import Fanout
from small_streams import SmallMarket, SmallOutlet

ROOM_FOR_ALL = 1000


@dataclass
class Keys:
    """One key, which can be taken away."""

    good: bool = True

    def identity(self, key_id: str | None = "k1") -> Identity:
        return Identity(key_id, "desk", ALL_SCOPES, "192.0.2.1", lambda _key_id: self.good)


@dataclass
class Client:
    session: Session
    outlet: SmallOutlet
    said: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    taken: int = 0

    def say(self, **op: Any) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(op)})

    async def answer(self) -> dict[str, Any]:
        """Whatever was answered to the op that was said last."""
        await self.said.join()
        heard = [one for one in self.outlet.messages() if one["type"] in {"ack", "error"}]
        self.outlet.frames.clear()
        assert len(heard) == 1
        return heard[0]

    async def receive(self) -> dict[str, Any]:
        """What the session reads; it asks for more once the last has been answered."""
        if self.taken:
            self.said.task_done()
        self.taken += 1
        return await self.said.get()


@asynccontextmanager
async def served(
    in_force: InForce, sockets: Sockets, identity: Identity, pulse: Pulse, limits: Limits | None = None
) -> AsyncIterator[Client]:
    outlet = SmallOutlet()
    outlet.give_room(ROOM_FOR_ALL)
    fanout = Fanout(cast("Any", SmallMarket()))
    ops = (limits or Limits(Settings())).ops(identity)
    session = Session(fanout, None, in_force, JSON, outlet, sockets.subscriptions(identity), ops)
    client = Client(session, outlet)
    pulse.add(session)
    running = asyncio.create_task(session.run(client.receive))
    try:
        yield client
    finally:
        client.said.put_nowait({"type": "websocket.disconnect"})
        pulse.remove(session)
        # Its sender waits for room or the end.
        outlet.end(1000, "")
        await running


@pytest.mark.parametrize(
    ("key_id", "reason"), [("k1", "the key was revoked or has expired"), (None, "a key is needed now")]
)
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "found by the clock"])
def test_a_key_that_is_no_longer_good_ends_its_sockets(key_id: str | None, reason: str, is_told: bool) -> None:
    async def run() -> None:
        keys = Keys()
        sockets = Sockets(Settings())
        counters = Fanout(cast("Any", None)).counters
        pulse = Pulse(counters)
        async with served(InForce(Settings()), sockets, keys.identity(key_id), pulse) as client:
            pulse.check()
            assert client.outlet.ended is None
            keys.good = False
            if is_told:
                pulse.check()
            else:
                client.outlet.give_room(-ROOM_FOR_ALL)
                await asyncio.wait_for(client.outlet.wait_until_writable(), 30)
            assert client.outlet.ended == (4401, reason)

    asyncio.run(run())


def test_one_that_fails_does_not_keep_others_from_being_looked_at() -> None:
    async def run() -> None:
        keys = Keys()
        in_force, sockets = InForce(Settings()), Sockets(Settings())
        pulse = Pulse(Fanout(cast("Any", None)).counters)
        async with (
            served(in_force, sockets, keys.identity(), pulse) as broken,
            served(in_force, sockets, keys.identity(), pulse) as other,
        ):
            keys.good = False
            cast("Any", broken.session).check = None
            pulse.check()
            assert broken.outlet.ended is not None
            assert broken.outlet.ended[0] == 1011
            assert other.outlet.ended is not None
            assert other.outlet.ended[0] == 4401

    asyncio.run(run())


def test_the_settings_in_force_are_those_of_now() -> None:
    async def run() -> None:
        in_force, sockets = InForce(Settings(subscriptions_per_socket_max=1)), Sockets(Settings())
        pulse = Pulse(Fanout(cast("Any", None)).counters)
        async with served(in_force, sockets, Keys().identity(), pulse) as client:
            op = {"op": "subscribe", "instrument": "AB"}
            client.say(**op, channel="bbo")
            assert (await client.answer())["type"] == "ack"
            client.say(**op, channel="orders")
            assert (await client.answer())["code"] == "too_many_subscriptions"
            in_force.settings = Settings(subscriptions_per_socket_max=2)
            client.say(**op, channel="orders")
            assert (await client.answer())["type"] == "ack"
            sockets.reconfigure(Settings(subscriptions_per_key_max=2))
            in_force.settings = Settings()
            client.say(**op, channel="trades")
            assert (await client.answer())["code"] == "too_many_subscriptions"
            sockets.reconfigure(Settings(whole_books_per_key_max=1))
            client.say(**op, channel="dbn")
            assert "whole books" in (await client.answer())["detail"], "orders is there already"
            client.say(**op, channel="depth", depth=101)
            assert "whole books" in (await client.answer())["detail"]
            client.say(**op, channel="depth", depth=100)
            assert (await client.answer())["type"] == "ack"
        assert not sockets._subscribed, "counted out at the end"
        assert not sockets._whole_books

    asyncio.run(run())


def test_operations_beyond_a_rate_are_refused_and_then_end_the_socket() -> None:
    async def run() -> None:
        limits = Limits(Settings(socket_ops_per_s_max=1))
        pulse = Pulse(Fanout(cast("Any", None)).counters)
        async with served(InForce(Settings()), limits.sockets, Keys().identity(), pulse, limits) as client:
            refused = 0
            while client.outlet.ended is None and refused <= 2 * ERRORS_MAX:
                client.say(op="unsubscribe", id=7, channel="bbo", instrument="AB")
                await client.said.join()
                heard = [one for one in client.outlet.messages() if one["type"] == "error"]
                refused += sum((one["code"], one["id"]) == ("too_many_requests", 7) for one in heard)
                client.outlet.frames.clear()
            assert client.outlet.ended == (1008, "too many errors")
            assert 0 < refused <= ERRORS_MAX

    asyncio.run(run())
