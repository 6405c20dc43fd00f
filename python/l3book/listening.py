"""The socket a server listens on, and who can reach it."""

import errno
import ipaddress
import socket
import sys
from collections.abc import Callable

LISTEN_BACKLOG = 2048


class ListenError(Exception):
    """The address cannot be served; the text says which and why."""


class PortInUseError(ListenError):
    """Somebody listens there already, perhaps another l3book."""


def listen(host: str, port: int, *, public_refusal: Callable[[], str | None]) -> socket.socket:
    """Open a listening socket. Raises ListenError, whose text is ready for the user.

    `public_refusal` is asked about any address but loopback: why it will not do, and what would change that; None: it
    will do.
    """
    where = f"{bracketed(host)}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
    except (OSError, UnicodeError) as error:
        raise ListenError(f"{where}: cannot resolve the host: {error}: expected a name or an address") from None
    if not _is_loopback(str(address[0])) and (refusal := public_refusal()):
        raise ListenError(f"{where}: not a loopback address, and {refusal}")
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Otherwise a restart would have to wait for the connections of the last run to be forgotten. On
        # Windows the option means something else, to share the port, which this one there forbids all others.
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(f"{where}: the port is in use: expected a free one (--port, 0 picks one)") from None
        raise ListenError(f"{where}: cannot listen: {error.strerror or error}") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Tell host:port of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{bracketed(host)}:{port}"


def is_public(listener: socket.socket) -> bool:
    """Tell whether others than this machine can reach a listening socket."""
    return not _is_loopback(str(listener.getsockname()[0]))


def bracketed(host: str) -> str:
    """Write a host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
