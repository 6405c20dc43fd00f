"""A WebSocket server with faults on demand, over the naive model of the streams: for what the real one never does."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from stream_model import Stream, Venue

if TYPE_CHECKING:
    from collections.abc import Callable
    from http import HTTPStatus

    from websockets.http11 import Request, Response
    from websockets.sync.server import Server, ServerConnection

HEARTBEAT_S = 0.1
KEY = {"instrument": "CLX5", "publisher_id": 1, "instrument_id": 5}


class StreamServer:
    """Serves one book to all who subscribe; what it tells, the test decides."""

    def __init__(self, port: int = 0) -> None:
        self.venue = Venue()
        self.port = port
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.refusal: tuple[HTTPStatus, dict[str, str]] | None = None
        """Answers to handshakes."""
        self.errors: deque[str] = deque()
        """Codes that the next subscriptions are refused with."""
        self.close_at_once: deque[int] = deque()
        """Close codes for the next connections."""
        self.is_silent = False
        self._streams: dict[ServerConnection, dict[str, Stream]] = {}
        self._lock = threading.RLock()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """On the same port as before."""
        protocols = ["l3book.v1.msgpack", "l3book.v1.json"]
        options = {"subprotocols": protocols, "process_request": self._admit, "compression": None}
        self._server = serve(self._talk, "127.0.0.1", self.port, **options)  # type: ignore[arg-type]
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def stop(self) -> None:
        """As if killed: nobody is told."""
        assert self._server is not None
        for connection in list(self._streams):
            connection.close_socket()
        self._server.shutdown()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def event(self, *numbers: int, damage: Callable[[dict[str, Any]], Any] | None = None) -> None:
        """Something happens, and all are told of it; `damage` changes what they are told."""
        with self._lock:
            ops = self.venue.event(*numbers)
            for connection, streams in list(self._streams.items()):
                for stream in streams.values():
                    stream.ops += ops
                    message = stream.delta()
                    if message is not None and (damage is None or damage(message) is not False):
                        self._send(connection, message)

    def trade(self, size: int) -> None:
        with self._lock:
            told = self.venue.trade(size)
            for connection, streams in list(self._streams.items()):
                for stream in streams.values():
                    stream.trades.append(told)
                    if (message := stream.delta()) is not None:
                        self._send(connection, message)

    def send(self, message: dict[str, Any] | bytes) -> None:
        """Tell everybody this."""
        with self._lock:
            for connection in list(self._streams):
                self._send(connection, message)

    def close(self, code: int, reason: str = "") -> None:
        """Without waiting for the answer, which a client that the test drives cannot give now."""
        for connection in list(self._streams):
            threading.Thread(target=connection.close, args=(code, reason), daemon=True).start()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(request.headers.get("Authorization"))
        if self.refusal is None:
            return None
        status, problem = self.refusal
        response = connection.respond(status, json.dumps(problem))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/problem+json"
        return response

    def _talk(self, connection: ServerConnection) -> None:
        if self.close_at_once:
            connection.close(self.close_at_once.popleft())
            return
        self._streams[connection] = {}
        try:
            while True:
                try:
                    self._take(connection, self._coder(connection).decode(connection.recv(HEARTBEAT_S)))
                except TimeoutError:
                    if not self.is_silent:
                        self._send(connection, {"type": "heartbeat", "seq": 1, "sent": 1, "conflated": 0, "lag_ms": 0})
        except ConnectionClosed:
            return
        finally:
            with self._lock:
                del self._streams[connection]

    def _take(self, connection: ServerConnection, request: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(request)
            channel = request["channel"]
            if request["op"] == "subscribe" and self.errors:
                error = {"type": "error", "id": request["id"], "code": self.errors.popleft(), "detail": "not now"}
                self._send(connection, error)
                return
            self._send(connection, {"type": "ack", "id": request["id"], "channel": channel, **KEY})
            if request["op"] == "unsubscribe":
                del self._streams[connection][channel]
                return
            stream = Stream(self.venue, channel, request.get("depth", 10), request.get("level", 2))
            self._streams[connection][channel] = stream
            if channel != "dbn":
                self._send(connection, stream.snapshot())

    def _send(self, connection: ServerConnection, message: dict[str, Any] | bytes) -> None:
        frame = message if isinstance(message, bytes) else self._coder(connection).encode(message)
        is_text = connection.subprotocol == "l3book.v1.json" and not isinstance(message, bytes)
        try:
            connection.send(frame.decode() if is_text else frame)
        except ConnectionClosed:
            return

    @staticmethod
    def _coder(connection: ServerConnection) -> Any:
        return msgspec.json if connection.subprotocol == "l3book.v1.json" else msgspec.msgpack
