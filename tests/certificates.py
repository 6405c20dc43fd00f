"""Certificates made here, by openssl."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    """-> certificate and key, for localhost and 127.0.0.1."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = ["openssl", "req", "-x509", *curve, "-days", "2", *subject, "-keyout", key, "-out", certificate]
    subprocess.run([*command, *(options or ["-nodes"])], check=True, capture_output=True, timeout=60)
    return certificate, key
