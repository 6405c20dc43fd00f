"""Keys without their secret, in what is answered or logged."""

import re

# Also of a wrong length, and as URLs may write it: whoever mistypes a key has given away most of it.
_KEY_LIKE = re.compile(rb"(l3b(?:_|%5f)[0-9a-z]+(?:_|%5f))[0-9a-z]+", re.IGNORECASE)
# The same in a text, and what other secrets look like: Databento's keys, tickets, passwords of URIs.
_SECRET_LIKE = re.compile(
    r"""(
        l3b(?:_|%5f)[0-9a-z]+(?:_|%5f)(?=[0-9a-z])
        | \bdb-(?=[0-9a-z]{20})
        | \bl3book\.ticket\.(?=.)
        | \bticket=(?=.)
        | ://[^\s/:@"']*:(?=[^\s/@"']+@)
    )[^\s/@"'&,;)\\]+""",
    re.IGNORECASE | re.VERBOSE,
)

# A generated password may hold what a URI is cut by.
_NATS_USER = re.compile(r"""(\bnats:/{0,2})[^\s"']*@""", re.IGNORECASE)


def masked(text: bytes) -> bytes:
    """Put *** for the secret of whatever looks like an API key; its id is public, and says which one to revoke."""
    return _KEY_LIKE.sub(rb"\1***", text)


def masked_line(line: str) -> str:
    """Put *** for whatever in a log line looks like a secret; for what slipped through to it."""
    return _SECRET_LIKE.sub(r"\1***", _NATS_USER.sub(r"\1***@", line))
