"""Which pages may open sockets and write: a browser sends along whose page asks."""

from collections.abc import Collection
from urllib.parse import urlsplit

ANY = "*"
"""Among the others: every page may."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECURE_SCHEMES = frozenset({"https", "wss"})


def is_allowed(origin: str, host: str, scheme: str, others: Collection[str]) -> bool:
    """Tell whether a page of `origin` may ask a server that was called by `host` over `scheme`.

    The server's own pages may. A proxy that ends TLS calls the server by http, so the page's https counts as the same;
    the reverse does not.
    """
    if origin in others or ANY in others:
        return True
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(parts.scheme)
        if default is None or parts.hostname is None or (scheme in _SECURE_SCHEMES and parts.scheme != "https"):
            return False
        is_own = (parts.hostname, parts.port or default) == (own.hostname, own.port or default)
    # A port that is none.
    except ValueError:
        return False
    return is_own
