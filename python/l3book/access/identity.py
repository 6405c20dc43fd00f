"""Who a request or a socket comes from."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from l3book.access.scopes import Scope

ADDRESSES_CACHED = 4096
NETWORK_BITS = 64
"""Of IPv6, what one subscriber is given at the least: whoever has one address of it has them all."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A key, or whoever is at an address where no key is needed."""

    key_id: str | None
    name: str
    scopes: frozenset[Scope]
    address: str
    """The peer's, IPv6 by its network; empty where there is none."""
    _is_current: Callable[[str | None], bool] = field(repr=False, compare=False)

    def is_current(self) -> bool:
        """Tell whether it still holds: false once the key is revoked or expired, or keys are needed and it has none."""
        return self._is_current(self.key_id)

    @property
    def counted_as(self) -> str:
        """Name whose limits it uses: its key's, or its address's."""
        return f"key:{self.key_id}" if self.key_id else f"address:{self.address}"


@lru_cache(ADDRESSES_CACHED)
def counted_address(host: str) -> str:
    """Write an address as limits count it: IPv4 as it is, also where it is mapped; IPv6 by its network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))
