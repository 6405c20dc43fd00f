"""A session's end by its key, and what is counted per key."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest

from l3book.api.problems import Problem
from l3book.api.ws.formats import JSON
from l3book.api.ws.owners import IDENTITY_SCOPE_KEY
from l3book.api.ws.session import Session
from l3book.api.ws.sockets import Sockets
from l3book.config import Settings
from l3book.streams.counters import Counters
from l3book.streams.fanout import Fanout
from small_streams import SmallMarket, SmallOutlet


@dataclass
class Key:
    key_id: str | None = "k1"
    address: str = "192.0.2.1"
    current: bool = True

    def is_current(self) -> bool:
        return self.current


def test_a_revoked_key_ends_its_sockets() -> None:
    async def run() -> None:
        key = Key()
        fanout = Fanout(cast("Any", SmallMarket()))
        sockets = Sockets(Settings(), fanout.counters)
        owner = sockets.admit({IDENTITY_SCOPE_KEY: key})
        outlet = SmallOutlet()
        session = Session(fanout, Settings(), JSON, outlet, owner)
        sockets.add(session)
        await asyncio.sleep(0)
        session.check()
        assert outlet.ended is None
        key.current = False
        await outlet.wait_until_writable()
        assert outlet.ended is not None
        assert outlet.ended[0] == 4401
        sockets.remove(session)
        sockets.release(owner)

    asyncio.run(run())


def test_sockets_are_counted_by_key_or_else_by_address() -> None:
    sockets = Sockets(Settings(sockets_per_key_max=1), Counters())
    owner = sockets.admit({IDENTITY_SCOPE_KEY: Key()})
    sockets.admit({IDENTITY_SCOPE_KEY: Key(key_id="k2")})
    sockets.admit({IDENTITY_SCOPE_KEY: Key(key_id=None)})
    sockets.admit({"client": ("192.0.2.2", 5)})
    for scope in ({IDENTITY_SCOPE_KEY: Key()}, {"client": ("192.0.2.1", 6)}, {"client": ("192.0.2.2", 7)}):
        with pytest.raises(Problem) as refused:
            sockets.admit(scope)
        assert (refused.value.status, refused.value.code) == (429, "too_many_sockets")
    sockets.release(owner)
    sockets.admit({IDENTITY_SCOPE_KEY: Key()})
