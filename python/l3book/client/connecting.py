"""What both clients need to reach a server: addresses, headers, refusals, and when to try again."""

from ssl import SSLCertVerificationError, SSLContext
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import msgspec
from tenacity import retry_if_exception_type, stop_after_delay, stop_never, wait_random_exponential
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from l3book.client.errors import ConnectionLostError, RefusedError
from l3book.client.messages import Encoding

PATH = "/v1/ws"
WAIT_FIRST_S = 0.25
WAIT_MAX_S = 30.0
"""Before the n-th retry: a random time up to 0.25 s doubled n-1 times, and never more than this (full jitter)."""
RECONNECT_BUDGET_S = 300.0
HEARTBEAT_TIMEOUT_S = 5.0
"""A server says something every second; one that is silent for so long is taken for lost."""
HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
MESSAGE_BYTES_MAX = 256 * 2**20
"""A snapshot of every order of a book can be large; this bounds what a wrong server can make us hold."""

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Refusals of a handshake that may be answered otherwise later."""
FINAL_CODES = frozenset({1002, 1003, 1007, 1009, 1010, 4401})
"""Close codes after which the same client would be closed again."""


def address(url: str) -> str:
    """Complete ws://, wss://, http:// or https:// to the address of the socket. Raises ValueError for others."""
    parts = urlsplit(url)
    schemes = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"{url!r} is no address of a server: expected ws://HOST:PORT, wss://, http:// or https://")
    return urlunsplit((schemes[parts.scheme], parts.netloc, parts.path.rstrip("/") or PATH, parts.query, ""))


def handshake_options(url: str, key: str | None, encoding: Encoding, ssl: SSLContext | None) -> dict[str, Any]:
    """Name what either kind of `connect` of websockets is called with. Raises ValueError for `ssl` without TLS."""
    if ssl is not None and not url.startswith("wss:"):
        raise ValueError(f"ssl is given and {url} has no TLS: expected wss:// or https://")
    return {
        # Not None: to websockets that is no TLS, where nothing is the system's trust.
        **({} if ssl is None else {"ssl": ssl}),
        "subprotocols": [f"l3book.v1.{encoding}"],
        "additional_headers": {} if key is None else {"Authorization": f"Bearer {key}"},
        "compression": None,
        "open_timeout": HANDSHAKE_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        # Heartbeats tell whether the server is there, and a consumer that is slow is not away.
        "ping_interval": None,
        "max_size": MESSAGE_BYTES_MAX,
    }


def retry_options(budget_s: float) -> dict[str, Any]:
    """Name what tenacity's Retrying is made with."""
    return {
        "retry": retry_if_exception_type(ConnectionLostError),
        "wait": wait_random_exponential(multiplier=WAIT_FIRST_S, max=WAIT_MAX_S),
        "stop": stop_after_delay(budget_s) if budget_s else stop_never,
        "reraise": True,
    }


def raise_handshake(error: Exception, url: str) -> NoReturn:
    """Turn what a handshake ended with into RefusedError (for good) or ConnectionLostError (worth another try)."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        text = f"{url} answered {status}{_detail(bytes(error.response.body or b''))}"
        if status in PASSING_STATUS:
            raise ConnectionLostError(text) from error
        raise RefusedError(text, status) from error
    if isinstance(error, SSLCertVerificationError):
        expected = "expected one that this machine trusts, or that the SSLContext given as `ssl` does"
        raise RefusedError(
            f"{url} has a certificate that is not trusted: {error.verify_message}: {expected}", 0
        ) from error
    # A server that dies while it answers leaves an InvalidMessage, which says nothing about its protocol.
    if isinstance(error, InvalidHandshake) and not isinstance(error, InvalidMessage):
        raise RefusedError(f"{url} does not speak this protocol: {error}", 0) from error
    raise ConnectionLostError(f"{url} cannot be reached: {error or type(error).__name__}") from error


def raise_if_other_protocol(chosen: str | None, options: dict[str, Any], url: str) -> None:
    """Raise RefusedError for a server that answers, but does not speak this protocol."""
    if chosen not in options["subprotocols"]:
        raise RefusedError(f"{url} chose the subprotocol {chosen!r}, expected {options['subprotocols'][0]!r}", 0)


def raise_if_final(closed: ConnectionClosed) -> None:
    """Raise RefusedError where coming back would be of no use."""
    if closed.rcvd is not None and closed.rcvd.code in FINAL_CODES:
        reason = f": {closed.rcvd.reason}" if closed.rcvd.reason else ""
        raise RefusedError(
            f"the server closed the connection with {closed.rcvd.code}{reason}", closed.rcvd.code
        ) from closed


def _detail(body: bytes) -> str:
    """Read the title and detail of a problem document, if it is one."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    parts = [str(problem[name]) for name in ("title", "detail") if problem.get(name)]
    return ": " + ": ".join(parts) if parts else ""
