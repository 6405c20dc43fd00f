"""`live://DATASET?symbols=…`: Databento's live service, or a gateway that speaks its protocol."""

import asyncio
import re
from typing import TYPE_CHECKING

from l3book.logs import Logger
from l3book.secret import FILE_SUFFIX, SecretError, read_secret
from l3book.sources.connection import Aside, Ask, ConnectionLost, Receive
from l3book.sources.uri import SourceError, SourceUri, host_and_port
from l3book.sources.wire import CONNECT_TIMEOUT_S, lost_by

if TYPE_CHECKING:
    from l3book.sources.live_protocol import LiveProtocol

log = Logger(__name__)

KEY_VARIABLE = "DATABENTO_API_KEY"
PORT_DEFAULT = 13_000
HEARTBEAT_S_DEFAULT = 30
HEARTBEAT_S_MIN = 5
HEARTBEAT_S_MAX = 1800
SILENCE_MARGIN_S = 10.0
"""Past the interval of heartbeats, as the official Python client has it: then the connection is half-open."""
HANDSHAKE_TIMEOUT_S = 30.0
START_MAX = 2**64 - 2

_DATASET = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)+")


class LiveConnector:
    """Connects, authenticates and subscribes with the official client's own code."""

    can_resume = True
    resumes_exactly = False

    def __init__(self, uri: SourceUri, gateway: str | None = None) -> None:
        uri.only("symbols", "stype_in", "schema", "gateway", "start", "snapshot", "compression", "heartbeat_s", "end")
        self.uri = uri.text
        self.dataset = uri.path.removeprefix("//")
        if not uri.path.startswith("//") or not _DATASET.fullmatch(self.dataset):
            raise SourceError(f"source {uri.text!r}: {self.dataset!r}: expected live://DATASET, like live://GLBX.MDP3")
        uri.choice("schema", "mbo")
        self.symbols = uri.query.get("symbols", "ALL_SYMBOLS")
        self.stype_in = uri.query.get("stype_in", "raw_symbol")
        self.start = uri.whole("start", 0, 0, START_MAX) if "start" in uri.query else None
        self.snapshot = uri.choice("snapshot", "0", "1") == "1"
        if self.snapshot and self.start is not None:
            raise SourceError(f"source {uri.text!r}: start and snapshot=1 exclude each other: expected one of them")
        self.compression = uri.choice("compression", "none", "zstd")
        self.heartbeat_s = uri.whole("heartbeat_s", HEARTBEAT_S_DEFAULT, HEARTBEAT_S_MIN, HEARTBEAT_S_MAX)
        self.reconnects_at_end = uri.choice("end", "stop", "reconnect") == "reconnect"
        gateway = gateway or uri.query.get("gateway")
        if gateway is None and self.start is None and not self.snapshot:
            # On a market that trades, nothing tells such books of the orders that rested before.
            text = "{source}: books begin empty in the middle of a session; snapshot=1 has all orders"
            log.warning(text, source=uri.text)
        self.host, self.port = self._gateway(uri, gateway)
        try:
            self._key = read_secret(KEY_VARIABLE)
        except SecretError as error:
            raise SourceError(f"source {uri.text!r}: {error}") from None
        self._check_client(uri)

    @property
    def silence_max_s(self) -> float | None:
        """The gateway sends a heartbeat when it has nothing else to send."""
        return self.heartbeat_s + SILENCE_MARGIN_S

    async def connect(
        self,
        ask: Ask,
        receive: Receive,
        aside: Aside | None = None,  # noqa: ARG002  # all that it says is bytes
    ) -> "LiveProtocol":
        """Connect, authenticate, subscribe, start. Raises ConnectionLost, or Refused where the gateway says no."""
        from l3book.sources.live_protocol import LiveProtocol

        where = f"{self.host}:{self.port}"
        loop = asyncio.get_running_loop()

        def protocol() -> LiveProtocol:
            return LiveProtocol(self._key, self.dataset, self.heartbeat_s, self.compression, receive)

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(protocol, self.host, self.port)
        except OSError as error:
            raise lost_by(error, where) from None
        # What ends the attempt here ends the connection too, also a cancellation.
        try:
            await self._authenticate(connection)
        except BaseException:
            connection.abort()
            raise
        is_first = ask.how == "first"
        connection.begin(
            symbols=self.symbols,
            stype_in=self.stype_in,
            start=self.start if is_first else ask.start,
            snapshot=self.snapshot if is_first else ask.how == "snapshot",
        )
        return connection

    async def _authenticate(self, connection: "LiveProtocol") -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await connection.until_authenticated()
        except TimeoutError:
            text = f"{self.host}:{self.port}: no answer to the handshake within {HANDSHAKE_TIMEOUT_S:g} s"
            raise ConnectionLost("handshake", text) from None

    def _gateway(self, uri: SourceUri, gateway: str | None) -> tuple[str, int]:
        if gateway is None:
            return f"{self.dataset.lower().replace('.', '-')}.lsg.databento.com", PORT_DEFAULT
        address = host_and_port(gateway, PORT_DEFAULT)
        if address is None:
            raise SourceError(f"source {uri.text!r}: gateway is {gateway!r}: expected HOST:PORT")
        return address

    def _check_client(self, uri: SourceUri) -> None:
        if not self._key:
            raise SourceError(
                f"source {uri.text!r}: {KEY_VARIABLE} is not set: expected a key in the environment, there "
                f"or in the file that {KEY_VARIABLE}{FILE_SUFFIX} names"
            )
        try:
            from l3book.sources import live_protocol
        except ImportError as error:
            raise SourceError(
                f"source {uri.text!r}: the official client cannot be imported ({error}): "
                "expected it installed, by pip install databento"
            ) from None
        if problem := live_protocol.subscription_problem(self.symbols, self.stype_in):
            raise SourceError(f"source {uri.text!r}: {problem}")
