"""Keys, and the challenge by which a client shows that it has one (CRAM). A key itself never travels."""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable

KEY_PREFIX = "db-"
KEY_LENGTH = 32
BUCKET_LENGTH = 5
"""The last characters of a key are its bucket: they are sent, and are what logs may show of it."""
CHALLENGE_BYTES = 16

_ALPHABET = frozenset(string.ascii_letters + string.digits)


class KeyFormatError(ValueError):
    """What was given is no key; the text says why and does not repeat it."""


def make_key() -> str:
    """Make a key that nobody has."""
    alphabet = sorted(_ALPHABET)
    return KEY_PREFIX + "".join(secrets.choice(alphabet) for _ in range(KEY_LENGTH - len(KEY_PREFIX)))


def make_challenge() -> str:
    """Make a challenge, another one for every connection."""
    return secrets.token_hex(CHALLENGE_BYTES)


def answer(challenge: str, key: str) -> str:
    """Make the answer that shows possession of the key."""
    digest = hashlib.sha256(f"{challenge}|{key}".encode()).hexdigest()
    return f"{digest}-{key[-BUCKET_LENGTH:]}"


def check_key(key: str, origin: str) -> str:
    """Return the key if it is one. Raises KeyFormatError, which names the origin and never the key."""
    expected = f"expected {KEY_LENGTH} letters and digits that begin with {KEY_PREFIX!r}"
    if len(key) != KEY_LENGTH:
        raise KeyFormatError(f"{origin}: a key of {len(key)} characters: {expected}")
    if not key.startswith(KEY_PREFIX):
        raise KeyFormatError(f"{origin}: a key that does not begin with {KEY_PREFIX!r}: {expected}")
    if not _ALPHABET.issuperset(key.removeprefix(KEY_PREFIX)):
        raise KeyFormatError(f"{origin}: a key with other characters than letters and digits: {expected}")
    return key


class KeyRing:
    """The keys that are let in, and of those, the ones whose sessions are spared all faults."""

    def __init__(self, keys: Iterable[str], spared: Iterable[str] = ()) -> None:
        self._spared = frozenset(spared)
        self._keys = tuple(dict.fromkeys((*keys, *self._spared)))

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join('…' + key[-BUCKET_LENGTH:] for key in self._keys)})"

    def find(self, challenge: str, auth: str) -> str | None:
        """Find the key that gave this answer to the challenge.

        The bucket, which is no secret, says which keys to try; the answers are compared in constant time.
        """
        bucket = auth.rpartition("-")[2]
        found = None
        for key in self._keys:
            if key[-BUCKET_LENGTH:] == bucket and hmac.compare_digest(
                answer(challenge, key).encode(), auth.encode("utf-8", "surrogateescape")
            ):
                found = key
        return found

    def is_spared(self, key: str) -> bool:
        """Tell whether the key's sessions see no faults."""
        return key in self._spared
