"""Whose sockets and subscriptions there are: counted per key, and per address where there is no key."""

from dataclasses import dataclass
from typing import Any, Protocol

IDENTITY_SCOPE_KEY = "l3book.identity"


class Identity(Protocol):
    """Who a socket belongs to, as the middleware that asks for keys has found."""

    @property
    def key_id(self) -> str | None:
        """None: nobody was asked."""

    @property
    def address(self) -> str:
        """Where the connection comes from."""

    def is_current(self) -> bool:
        """Whether the key is still good."""


@dataclass(slots=True, eq=False)
class Account:
    """What all sockets of one key, or of one address, take together."""

    sockets: int = 0
    subscriptions: int = 0


@dataclass(slots=True)
class Owner:
    """Of one socket."""

    name: str
    identity: Identity | None
    account: Account

    def is_current(self) -> bool:
        """Whether its key, where it has one, is still good."""
        return self.identity is None or self.identity.is_current()


class Owners:
    """All accounts that have a socket open."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def of(self, scope: Any) -> Owner:
        """Find or open the account that a connection belongs to."""
        identity: Identity | None = scope.get(IDENTITY_SCOPE_KEY)
        if identity is not None and identity.key_id is not None:
            name = f"key {identity.key_id}"
        else:
            name = f"address {identity.address if identity is not None else (scope.get('client') or ('unknown',))[0]}"
        return Owner(name, identity, self._accounts.setdefault(name, Account()))

    def close(self, owner: Owner) -> None:
        """Forget the account if no socket is left."""
        if owner.account.sockets == 0:
            self._accounts.pop(owner.name, None)
