"""`tcp://HOST:PORT[?idle_s=][&end=stop or reconnect]`: DBN over a plain TCP connection, nothing before or after it."""

import asyncio
from collections.abc import Sequence

from l3book.sources.connection import Aside, Ask, Receive
from l3book.sources.uri import SourceUri
from l3book.sources.wire import CONNECT_TIMEOUT_S, Wire, lost_by

IDLE_S_MAX = 7 * 86_400


class TcpConnector:
    """Connects to a sender of raw DBN. It cannot be asked for anything: what comes is what there is."""

    can_resume = False
    resumes_exactly = False

    def __init__(self, uri: SourceUri) -> None:
        uri.only("idle_s", "end")
        self.uri = uri.text
        self._host, self._port = uri.address()
        self.silence_max_s = uri.positive("idle_s", IDLE_S_MAX)
        self.reconnects_at_end = uri.choice("end", "stop", "reconnect") == "reconnect"

    async def connect(
        self,
        ask: Ask,  # noqa: ARG002  # nothing can be asked
        receive: Receive,
        aside: Aside | None = None,  # noqa: ARG002  # all that it says is bytes
    ) -> "TcpConnection":
        """Connect. Raises ConnectionLost."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(lambda: TcpConnection(receive), self._host, self._port)
        except OSError as error:
            raise lost_by(error, f"{self._host}:{self._port}") from None
        return connection


class TcpConnection(asyncio.BufferedProtocol):
    """One connection; from the first byte on all is DBN."""

    def __init__(self, receive: Receive) -> None:
        self._wire = Wire(receive)
        self.ended = self._wire.ended
        self.abort = self._wire.abort
        self.bytes_waiting = self._wire.bytes_waiting

    @property
    def received_at_s(self) -> float:
        """When bytes last came."""
        return self._wire.received_at_s

    def ask_snapshot(self, instrument_ids: Sequence[int]) -> bool:  # noqa: ARG002  # as the interface has it
        """Nobody listens at the other end."""
        return False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        self._wire.connected(transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # always the whole of it
        """Tell the event loop where to read to."""
        return self._wire.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the event loop has read."""
        self._wire.take(nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how it ended."""
        self._wire.lost(exc)
