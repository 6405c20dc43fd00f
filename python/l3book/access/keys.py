"""API keys: what they look like, and what of them is kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from l3book.access.scopes import Scope

PREFIX = "l3b_"
ID_BYTES = 6
SECRET_BYTES = 32

_KEY = re.compile(r"l3b_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key. Times are UNIX seconds."""

    key_id: str
    """Public: it stands in lists and logs."""
    name: str
    scopes: frozenset[Scope]
    """With those they include."""
    digest: bytes
    expires_s: int | None
    revoked_s: int | None

    def why_not(self, now_s: float) -> str | None:
        """Say why the key does not hold; None if it does."""
        if self.revoked_s is not None:
            return "revoked"
        if self.expires_s is not None and self.expires_s <= now_s:
            return "expired"
        return None


def make_key() -> tuple[str, str]:
    """Make a key that nobody has; -> (its public id, the key)."""
    key_id = secrets.token_hex(ID_BYTES)
    return key_id, f"{PREFIX}{key_id}_{secrets.token_hex(SECRET_BYTES)}"


def key_id_of(text: str) -> str | None:
    """Read the public id out of what may be a key; None if it is none."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def digest_of(text: str) -> bytes:
    """Make what is kept of a key.

    SHA-256, once: the secret is 256 random bits, which nobody finds by trying, however fast one try is. Slow, salted
    hashes are for what people think up, and would cost each request milliseconds.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
