"""Keys without their secret, in what is answered or logged."""

import re

# Also of a wrong length, and as URLs may write it: whoever mistypes a key has given away most of it.
_KEY_LIKE = re.compile(rb"(l3b(?:_|%5f)[0-9a-z]+(?:_|%5f))[0-9a-z]+", re.IGNORECASE)


def masked(text: bytes) -> bytes:
    """Put *** for the secret of whatever looks like an API key; its id is public, and says which one to revoke."""
    return _KEY_LIKE.sub(rb"\1***", text)
