"""Clients of the WebSocket that `l3book serve` offers at `/v1/ws`; docs/websocket.md is the protocol.

They keep exact books: every message is checked against `prev` and the server's CRC-32, and what does not fit is asked
for anew. Connections that are lost come back, with everything subscribed to.
"""

from l3book.client.aio import AsyncClient, AsyncSubscription
from l3book.client.book import Book, Level, Order
from l3book.client.errors import ClientError, ConnectionLostError, RefusedError, ReplayError, SubscriptionError
from l3book.client.session import Counters
from l3book.client.subscription import Trade, Update
from l3book.client.sync import Client, Subscription
from l3book.client.travel import ReplayState

__all__ = [
    "AsyncClient",
    "AsyncSubscription",
    "Book",
    "Client",
    "ClientError",
    "ConnectionLostError",
    "Counters",
    "Level",
    "Order",
    "RefusedError",
    "ReplayError",
    "ReplayState",
    "Subscription",
    "SubscriptionError",
    "Trade",
    "Update",
]
