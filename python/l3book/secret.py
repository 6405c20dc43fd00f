"""Secrets: from a variable, or from the file that the variable with _FILE names, as orchestrators mount them."""

import os
from collections.abc import Mapping
from pathlib import Path

from l3book.small_file import read_small_file

FILE_SUFFIX = "_FILE"
SECRET_BYTES_MAX = 64 * 1024

SECRET_VARIABLES = {
    "DATABENTO_API_KEY": "the key for live sources",
    "L3BOOK_GATEWAY_KEYS": "the keys that `l3book gateway` lets in",
    "L3BOOK_HISTORY_STORE_PASSWORD": "the password of the server that `history_store` names",
    "L3BOOK_NATS_USER": "who we are to a NATS server",
    "L3BOOK_NATS_PASSWORD": "the password of `L3BOOK_NATS_USER`",
    "L3BOOK_NATS_TOKEN": "the token of a NATS server that asks for one",
    "L3BOOK_NATS_CREDENTIALS": "what is in a file of NATS credentials, as `nsc` makes it",
}


class SecretError(ValueError):
    """A secret that cannot be had; the text says where it was looked for, and never what was there."""


def secret_origin(variable: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Tell which variable a secret comes from; None: it is not set. Raises SecretError where both are."""
    in_file = variable + FILE_SUFFIX
    given = [name for name in (variable, in_file) if environ.get(name)]
    if len(given) > 1:
        raise SecretError(f"{variable} and {in_file} are both set: expected one of them")
    return given[0] if given else None


def read_secret(variable: str, environ: Mapping[str, str] = os.environ) -> str:
    """Read a secret; empty: it is not set. White space around it is not part of it. Raises SecretError."""
    origin = secret_origin(variable, environ)
    if origin is None:
        return ""
    if origin == variable:
        return environ[variable].strip()
    path = Path(environ[origin])
    try:
        secret = read_small_file(path, SECRET_BYTES_MAX).decode().strip()
    except OSError as error:
        raise SecretError(f"{origin}: {path}: {error.strerror or error}: expected a readable file") from None
    except UnicodeDecodeError:
        # The error's own text would show a part of the secret.
        raise SecretError(f"{origin}: {path}: no UTF-8: expected a secret as text") from None
    except ValueError as error:
        raise SecretError(f"{origin}: {path}: {error}: expected a secret") from None
    if not secret:
        raise SecretError(f"{origin}: {path}: empty: expected a secret")
    return secret
