"""`nats://HOST:PORT/STREAM`, and who we are there: never in the URI, always from the environment."""

import re
from dataclasses import dataclass
from typing import Any

from l3book.secret import SecretError, read_secret
from l3book.sources.uri import SourceError, SourceUri, host_and_port

PORT_DEFAULT = 4222
USER_VARIABLE = "L3BOOK_NATS_USER"
PASSWORD_VARIABLE = "L3BOOK_NATS_PASSWORD"  # noqa: S105  # a name, no secret
TOKEN_VARIABLE = "L3BOOK_NATS_TOKEN"  # noqa: S105  # as above
CREDENTIALS_VARIABLE = "L3BOOK_NATS_CREDENTIALS"

_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """A stream of a server."""

    host: str
    port: int
    stream: str
    is_tls: bool = False

    @classmethod
    def of(cls, uri: SourceUri) -> "NatsAddress":
        """Read it off a URI whose scheme is nats. Raises SourceError."""
        place, slash, stream = uri.path.removeprefix("//").partition("/")
        address = host_and_port(place, PORT_DEFAULT)
        if not uri.path.startswith("//") or address is None or not slash:
            raise SourceError(f"source {uri.text!r}: {uri.path!r}: expected nats://HOST:PORT/STREAM")
        if not _STREAM.fullmatch(stream):
            raise SourceError(
                f"source {uri.text!r}: {stream!r}: expected a stream's name of at most 64 letters, digits, - and _"
            )
        return cls(*address, stream, uri.choice("tls", "0", "1") == "1")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nats://{host}:{self.port}/{self.stream}"

    @property
    def server(self) -> str:
        """The URL the client connects to."""
        return f"{'tls' if self.is_tls else 'nats'}://{str(self).removeprefix('nats://').rpartition('/')[0]}"


def credentials() -> dict[str, Any]:
    """Read who we are, as the client's options have it. Raises SourceError if that is not clear."""
    names = (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE, CREDENTIALS_VARIABLE)
    try:
        user, password, token, signed = map(read_secret, names)
    except SecretError as error:
        raise SourceError(str(error)) from None
    if bool(user) != bool(password):
        raise SourceError(f"{USER_VARIABLE} and {PASSWORD_VARIABLE}: one of them is not set: expected both or neither")
    if sum(map(bool, (user, token, signed))) > 1:
        raise SourceError(f"{USER_VARIABLE}, {TOKEN_VARIABLE} and {CREDENTIALS_VARIABLE}: expected one of them")
    if user:
        return {"user": user, "password": password}
    if token:
        return {"token": token}
    if signed:
        from nats.aio.client import RawCredentials

        return {"user_credentials": RawCredentials(signed)}
    return {}
