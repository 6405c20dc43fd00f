"""The certificate of a server, looked at before anybody connects."""

import ssl
from pathlib import Path


class TlsError(Exception):
    """A certificate or key that cannot be served; the text names the file and what was expected."""


def check_certificate(certificate: Path, key: Path) -> None:
    """Load them as the server will. Raises TlsError."""
    load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have new connections use them. Raises TlsError, and the context stays as it was."""
    for setting, path in (("tls_cert", certificate), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"{setting}: {path}: {error.strerror or error}: expected a readable PEM file") from None
    try:
        # Without a callback, OpenSSL would ask the terminal for the password of a key that has one.
        context.load_cert_chain(certificate, key, password=_no_password)
    except _PasswordAskedError:
        raise TlsError(f"tls_key: {key}: has a password: expected a key without one") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"tls_key: {key}: not the key of {certificate}: expected the one it was made with") from None
        # OpenSSL has no reason to name for a file that holds no PEM, or PEM of something else.
        reason = (error.reason or "not a certificate and its key").lower().replace("_", " ")
        raise TlsError(f"tls_cert {certificate} and tls_key {key}: {reason}: expected both in PEM") from None


class _PasswordAskedError(Exception):
    pass


def _no_password() -> str:
    raise _PasswordAskedError
