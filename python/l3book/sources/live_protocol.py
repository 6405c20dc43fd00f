"""The official client's protocol, up to the moment at which data begins; from then on bytes, not records.

Its own code authenticates and subscribes, so that what the service expects of a client is kept by those who run
it. It would decode every record into a Python object; here the bytes go to the receiver as they came.
"""

import asyncio
import logging
from collections.abc import Sequence

from databento.common.error import BentoError
from databento.common.parsing import symbols_list_to_list
from databento.live.protocol import DatabentoLiveProtocol
from databento_dbn import Compression, SType

from l3book.sources.connection import ConnectionLost, Receive, Refused
from l3book.sources.wire import Wire

HANDSHAKE_BYTES_MAX = 64 * 1024
"""A gateway's lines are a hundred bytes; whoever sends more before we are authenticated is no gateway."""

# The client logs its side of the challenge, which ends in five characters of the key, and whatever lines it cannot
# read. All that it has to tell comes out of here as errors.
logging.getLogger("databento").setLevel(logging.CRITICAL + 1)


class LiveProtocol(DatabentoLiveProtocol):
    """One session."""

    def __init__(self, key: str, dataset: str, heartbeat_s: int, compression: str, receive: Receive) -> None:
        super().__init__(
            key,
            dataset,
            heartbeat_interval_s=heartbeat_s,
            compression=Compression.from_str(compression),
        )
        self._wire = Wire(receive)
        self._handshake_bytes = 0
        self.ended = self._wire.ended
        self.abort = self._wire.abort
        self.bytes_waiting = self._wire.bytes_waiting

    @property
    def received_at_s(self) -> float:
        """When bytes last came."""
        return self._wire.received_at_s

    async def until_authenticated(self) -> None:
        """Wait for the answer to our key. Raises Refused with the gateway's text, or ConnectionLost."""
        await asyncio.wait((self.authenticated, self.ended), return_when=asyncio.FIRST_COMPLETED)
        if self.authenticated.done():
            try:
                self.authenticated.result()
            except BentoError as error:
                raise Refused(f"the gateway refused the session: {error}") from None
            return
        self.ended.result()
        raise ConnectionLost("handshake", "the connection was closed during the handshake")

    def begin(self, *, symbols: str, stype_in: str, start: int | None, snapshot: bool) -> None:
        """Subscribe and start the session."""
        self.subscribe("mbo", symbols, stype_in, start, snapshot)
        self.start()

    def ask_snapshot(self, instrument_ids: Sequence[int]) -> bool:
        """Subscribe once more, for the sake of the snapshots."""
        self.subscribe("mbo", list(instrument_ids), SType.INSTRUMENT_ID, snapshot=True)
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        super().connection_made(transport)
        self._wire.connected(transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # type: ignore[override]  # noqa: ARG002  # a view is a buffer
        """Tell the event loop where to read to."""
        return self._wire.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the event loop has read."""
        if self.authenticated.done():
            self._wire.take(nbytes)
            return
        self._handshake_bytes += nbytes
        received = bytes(self._wire.buffer[:nbytes])
        is_ours = self._handshake_bytes <= HANDSHAKE_BYTES_MAX
        try:
            if is_ours:
                self._process_gateway(received)
        # Whatever the client's parser stumbles over, this is not the protocol.
        except Exception:  # noqa: BLE001
            is_ours = False
        if not is_ours:
            text = f"expected Databento's live protocol: received {received[:60]!r}"
            self._wire.fail(ConnectionLost("handshake", text))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how it ended. The client's own would log it, and keep it where nobody looks."""
        self._wire.lost(exc)


def subscription_problem(symbols: str, stype_in: str) -> str | None:
    """Tell what the client would refuse about a subscription, before any connection is made; None if nothing."""
    try:
        stype = SType.from_str(stype_in)
    except Exception:  # noqa: BLE001  # its exception type is not part of its interface
        return f"stype_in is {stype_in!r}: expected raw_symbol, instrument_id, parent, continuous or another of DBN's"
    # These two end a field and a line of the protocol, and the client passes them on.
    if "|" in symbols or not symbols.isprintable():
        return f"symbols is {symbols!r}: expected symbols separated by commas"
    try:
        symbols_list_to_list(symbols, stype)
    except (ValueError, TypeError) as error:
        return f"symbols is {symbols!r}: {error}"
    return None
