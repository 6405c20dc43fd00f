"""`tls=1`: a NATS server is talked to if its certificate is signed by whom the system trusts, and not otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certificates import make_certificate
from published_nats import days
from running import run
from running_nats import RunningNats

if TYPE_CHECKING:
    from pathlib import Path


def test_only_a_server_with_a_certificate_of_ours_is_talked_to(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "nats")
    file = f"file:{days(tmp_path, 1)[0]}"
    server = RunningNats("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    try:
        to = server.uri("S") + "?tls=1"
        trusting = run("publish", "--source", file, "--to", to, env={"SSL_CERT_FILE": str(certificate)})
        assert trusting.returncode == 0, trusting.stderr
        assert b"all acknowledged" in trusting.stderr
        refusing = run("publish", "--source", file, "--to", to)
        assert refusing.returncode == 1
        assert (
            b"certificate verify failed" in refusing.stderr.lower() or b"CERTIFICATE_VERIFY_FAILED" in refusing.stderr
        )
        plain = run("publish", "--source", file, "--to", server.uri("S"))
        assert plain.returncode == 1, plain.stderr
    finally:
        server.close()
