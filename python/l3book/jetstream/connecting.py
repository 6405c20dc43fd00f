"""A connection to a NATS server, by its official client; whatever it raises, in our words.

The client could reconnect by itself. It does not here: who waits, how long and what is told meanwhile is decided by the
feed and the publisher, and neither may go on without looking where the stream stands.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from l3book.jetstream.address import NatsAddress, credentials
from l3book.sources.connection import ConnectionLost, Refused
from l3book.sources.wire import lost_by

if TYPE_CHECKING:
    from nats.js import JetStreamContext

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 10.0
PING_INTERVAL_S = 10
PINGS_MAX = 2
"""A server that is gone without a word is noticed after half a minute."""
CLOSE_TIMEOUT_S = 5.0
PENDING_BYTES_MAX = 8 * 1024 * 1024
"""That the client holds before a write waits for the socket."""

# It logs what it raises as well, with a traceback; all that it has to tell comes out of here.
logging.getLogger("nats").setLevel(logging.CRITICAL + 1)


class Opened:
    """A connection that is there, and the future that says when it no longer is."""

    def __init__(self, client: Client, closed: "asyncio.Future[None]", acks_max: int) -> None:
        self.client = client
        self.closed = closed
        """Done when the connection is gone, or is of no more use: then `said` is why."""
        self.said: Exception | None = None
        """What the server was the first to complain of, in an answer or unasked."""
        self._closing: asyncio.Task[None] | None = None
        self.jetstream: JetStreamContext = client.jetstream(
            timeout=REQUEST_TIMEOUT_S, publish_async_max_pending=acks_max
        )

    def complained(self, error: Exception) -> None:
        """End it, whoever waits for what: nothing else that the client does tells of what the server said."""
        if self.said is None:
            self.said = error
            if not self.closed.done():
                self.closed.set_result(None)
            self._closing = asyncio.ensure_future(self.client.close())


@contextlib.asynccontextmanager
async def connected(address: NatsAddress, name: str, acks_max: int = 1) -> AsyncIterator[Opened]:
    """Connect for the length of a block. Raises ConnectionLost or Refused, also for what the client raises in it."""
    with in_our_words(address):
        opened = await _open(address, name, acks_max)
        try:
            yield opened
        except (ConnectionLost, nats.errors.Error):
            # What broke on our side is what comes of it; the reason was told before.
            if opened.said is not None:
                raise opened.said from None
            raise
        finally:
            await _close(opened)


async def _open(address: NatsAddress, name: str, acks_max: int) -> Opened:
    client = Client()
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    errors: list[Exception] = []

    opened: Opened | None = None

    async def on_error(error: Exception) -> None:  # as the client wants it
        if opened is None:
            errors.append(error)
        else:
            opened.complained(error)

    async def on_closed() -> None:  # as above
        if not closed.done():
            closed.set_result(None)

    try:
        async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
            await client.connect(
                address.server,
                name=name,
                error_cb=on_error,
                closed_cb=on_closed,
                allow_reconnect=False,
                # Once: its way to say so is one more than none, and not to wait before it.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_TIMEOUT_S,
                ping_interval=PING_INTERVAL_S,
                max_outstanding_pings=PINGS_MAX,
                pending_size=PENDING_BYTES_MAX,
                tls=ssl.create_default_context() if address.is_tls else None,
                **credentials(),
            )
    except nats.errors.NoServersError:
        await _close_client(client)
        # The last error is the reason; this one only says that there was one.
        raise (errors[-1] if errors else TimeoutError()) from None
    except BaseException:
        await _close_client(client)
        raise
    opened = Opened(client, closed, acks_max)
    return opened


async def _close(opened: Opened) -> None:
    """Close it, however long it has been dead."""
    if not opened.closed.done():
        opened.closed.cancel()
    await _close_client(opened.client)


async def _close_client(client: Client) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await client.close()


@contextlib.contextmanager
def in_our_words(address: NatsAddress) -> Any:
    """Make ConnectionLost or Refused of what the client raises."""
    where = address.server.rpartition("//")[2]
    try:
        yield
    except (ConnectionLost, Refused):
        raise
    except nats.errors.AuthorizationError:
        raise Refused(f"{where}: the NATS server lets us in only with other credentials (docs/nats.md)") from None
    except nats.js.errors.NotFoundError as error:
        raise ConnectionLost("not found", f"{address}: {described(error)}") from None
    except nats.js.errors.ServiceUnavailableError as error:
        if error.description:
            raise ConnectionLost("stream", f"{address}: the server says: {error.description}") from None
        raise ConnectionLost(
            "no jetstream", f"{where}: JetStream does not answer: is it on? (nats-server -js)"
        ) from None
    except nats.js.errors.APIError as error:
        raise ConnectionLost("stream", f"{address}: the stream says: {described(error)}") from None
    except ssl.SSLError as error:
        raise ConnectionLost("tls", f"{where}: {error.reason or error}") from None
    except OSError as error:
        raise lost_by(error, where) from None
    except (nats.errors.Error, json.JSONDecodeError, asyncio.InvalidStateError) as error:
        raise _lost_by_client(error, where) from None


def described(error: nats.js.errors.APIError) -> str:
    """Say what an API error says, without its status."""
    return str(error.description or error)


def _lost_by_client(error: Exception, where: str) -> ConnectionLost | Refused:
    text = str(error).removeprefix("nats: ") or type(error).__name__
    is_about_us = any(word in text.lower() for word in ("authorization", "authentication", "permissions violation"))
    # A server that is busy says so, too, and will have time again.
    if is_about_us and "timeout" not in text.lower():
        return Refused(f"{where}: the NATS server says: {text.strip(chr(39))}")
    kind = "timeout" if isinstance(error, nats.errors.TimeoutError) else "network"
    if isinstance(error, (nats.errors.ConnectionClosedError, nats.errors.UnexpectedEOF)):
        kind, text = "reset", "the connection was closed"
    return ConnectionLost(kind, f"{where}: {text}")
