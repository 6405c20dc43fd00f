"""Source URIs: `SCHEME:PATH?KEY=VALUE&…`."""

import math
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from l3book.digits import whole_number

PORT_MAX = 65_535

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:/\[\]@]+))(?::(?P<port>[0-9]+))?")
# A key of Databento's does not belong into a URI; whoever puts one there shall not find it in a log.
_KEY = re.compile(r"db-[0-9A-Za-z]{29}")
# To the last @: a password may hold whatever else a URI is cut by.
_USER = re.compile(r"(nats:/{0,2}).*@", re.IGNORECASE | re.DOTALL)


class SourceError(ValueError):
    """A source URI that cannot be followed; the text says what was expected."""


class NoSchemeError(SourceError):
    """One that does not say what it is a source of."""


def _unquote(text: str, uri: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise SourceError(f"source {uri!r}: {text!r} does not decode to UTF-8") from None


@dataclass(frozen=True, slots=True)
class SourceUri:
    """A URI taken apart: percent-encoding is undone in `path` and in the values of `query`."""

    text: str
    scheme: str
    path: str
    query: dict[str, str]

    def only(self, *known: str) -> None:
        """Refuse every query key but these."""
        for key in self.query:
            if key not in known:
                raise SourceError(f"source {self.text!r}: unknown key {key!r}: expected {' or '.join(known)}")

    def whole(self, key: str, default: int, low: int, high: int, *, other: str = "") -> int:
        """Read a whole number. `other` is what the caller would take instead, for the error."""
        text = self.query.get(key)
        if text is None:
            return default
        number = whole_number(text)
        if number is not None and low <= number <= high:
            return number
        expected = f"a whole number from {low} to {high}" + (f", or {other}" if other else "")
        raise SourceError(f"source {self.text!r}: {key} is {text!r}: expected {expected}")

    def positive(self, key: str, high: float) -> float | None:
        """Read a decimal number above 0 and not above `high`."""
        text = self.query.get(key)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if 0 < number <= high:
            return number
        raise SourceError(f"source {self.text!r}: {key} is {text!r}: expected a number above 0, at most {high:g}")

    def choice(self, key: str, default: str, *others: str) -> str:
        """Read one of a few words."""
        text = self.query.get(key, default)
        if text == default or text in others:
            return text
        raise SourceError(f"source {self.text!r}: {key} is {text!r}: expected {' or '.join((default, *others))}")

    def address(self) -> tuple[str, int]:
        """Read `//HOST:PORT`, the whole of the path."""
        host, port = host_and_port(self.path.removeprefix("//"), None) or ("", 0)
        if not self.path.startswith("//") or not port:
            raise SourceError(f"source {self.text!r}: {self.path!r}: expected {self.scheme}://HOST:PORT")
        return host, port


def host_and_port(text: str, port_default: int | None) -> tuple[str, int] | None:
    """Take HOST:PORT or [IPV6]:PORT apart; None if it is neither."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    port = port_default if match["port"] is None else whole_number(match["port"])
    if port is None or not 1 <= port <= PORT_MAX:
        return None
    return match["v6"] or match["host"], port


def parse_uri(uri: str) -> SourceUri:
    """Take a URI apart by hand: urllib would cut a file name at '#', which is legal in one."""
    if not uri.startswith("file:") and _KEY.search(uri):
        shown = _KEY.sub("db-…", uri)
        raise SourceError(f"source {shown!r}: a key in the URI: expected it in DATABENTO_API_KEY only")
    if _USER.match(uri):
        shown = _USER.sub(r"\1…@", uri)
        raise SourceError(f"source {shown!r}: a user in the URI: expected it in the environment only (docs/nats.md)")
    scheme, colon, rest = uri.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise NoSchemeError(
            f"source {uri!r}: no scheme: expected synthetic: or file:PATH, tcp://HOST:PORT, live://DATASET, "
            "nats://HOST:PORT/STREAM"
        )
    path, _, query_text = rest.partition("?")
    query: dict[str, str] = {}
    for pair in filter(None, query_text.split("&")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise SourceError(f"source {uri!r}: {pair!r} in the query: expected KEY=VALUE")
        if key in query:
            raise SourceError(f"source {uri!r}: {key!r} is given twice: expected it once")
        query[key] = _unquote(value, uri)
    return SourceUri(text=uri, scheme=scheme.lower(), path=_unquote(path, uri), query=query)
