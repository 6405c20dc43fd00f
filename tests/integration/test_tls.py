"""https, with a certificate made here."""

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import make_certificate
from l3book.client import AsyncClient, Client, RefusedError
from running import COMMAND_TIMEOUT_S, EXIT_TIMEOUT_S, POLL_INTERVAL_S, RunningServer, error_line, run

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the command openssl is not installed")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"), "books")


def flags(certificate: Path, key: Path) -> list[str]:
    return ["--tls-cert", str(certificate), "--tls-key", str(key)]


def client_of(server: RunningServer, certificate: Path) -> httpx.Client:
    context = ssl.create_default_context(cafile=certificate)
    return httpx.Client(base_url=server.url, verify=context, timeout=EXIT_TIMEOUT_S)


def test_the_server_speaks_https_and_nothing_else(serve: Callable[..., RunningServer], pair: tuple[Path, Path]) -> None:
    server = serve(*flags(*pair))
    assert server.url.startswith("https://127.0.0.1:")
    with client_of(server, pair[0]) as client:
        assert client.get("/livez").json() == {"status": "live"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url.replace("https", "http") + "/livez")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


def reaches(client: Client) -> bool:
    with client:
        return client.subscribe("bbo", "SYN0").next(EXIT_TIMEOUT_S).kind == "snapshot"


def reaches_async(client: AsyncClient) -> bool:
    async def reach() -> bool:
        async with client:
            subscription = await client.subscribe("bbo", "SYN0")
            return (await subscription.next(EXIT_TIMEOUT_S)).kind == "snapshot"

    return asyncio.run(reach())


@pytest.mark.parametrize(("kind", "reach"), [(Client, reaches), (AsyncClient, reaches_async)], ids=["sync", "async"])
def test_the_client_is_told_whom_to_trust(
    serve: Callable[..., RunningServer], pair: tuple[Path, Path], kind: Any, reach: Callable[[Any], bool]
) -> None:
    server = serve(*flags(*pair))
    with client_of(server, pair[0]) as client:
        wait_until_ready(client)
    with pytest.raises(
        RefusedError, match=r"has a certificate that is not trusted: .*: expected one that this"
    ) as refused:
        reach(kind(server.url))
    assert refused.value.status == 0
    assert reach(kind(server.url, ssl=ssl.create_default_context(cafile=pair[0])))
    with pytest.raises(ValueError, match="has no TLS: expected wss://"):
        kind(server.url.replace("https", "http"), ssl=ssl.create_default_context(cafile=pair[0]))


def wait_until_ready(client: httpx.Client) -> None:
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while client.get("/readyz").status_code != httpx.codes.OK:
        assert time.monotonic() < deadline_s
        time.sleep(POLL_INTERVAL_S)


def test_a_renewed_certificate_is_taken_over_on_sighup(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "books")
    new_certificate, new_key = make_certificate(tmp_path, "renewed")
    server = serve(*flags(certificate, key))
    new_certificate.replace(certificate)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("not reloaded, the old settings stay: tls_key: .*: not the key of")
    new_key.replace(key)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("reloaded: settings as before")
    host, port = server.url.removeprefix("https://").split(":")
    assert (
        ssl.get_server_certificate((host, int(port)), timeout=EXIT_TIMEOUT_S).strip() == certificate.read_text().strip()
    )


def test_what_cannot_be_served_is_one_line(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    _, other_key = make_certificate(tmp_path, "other")
    _, locked_key = make_certificate(tmp_path, "locked", "-passout", "pass:secret")
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no PEM")
    for certificate_given, key_given, expected in (
        (tmp_path / "none", key, f"tls_cert: {tmp_path / 'none'}: No such file or directory: expected a readable PEM"),
        (certificate, tmp_path, f"tls_key: {tmp_path}: Is a directory: expected a readable PEM file"),
        (certificate, other_key, f"tls_key: {other_key}: not the key of {certificate}"),
        (certificate, locked_key, f"tls_key: {locked_key}: has a password: expected a key without one"),
        (rubbish, key, f"tls_cert {rubbish} and tls_key {key}: "),
        (key, certificate, f"tls_cert {key} and tls_key {certificate}: "),
        (certificate, rubbish, f"tls_cert {certificate} and tls_key {rubbish}: "),
    ):
        done = run("serve", "--port", "0", *flags(certificate_given, key_given))
        assert expected in error_line(done)
        assert "ssl.c" not in error_line(done)
        assert done.returncode == 2


def test_one_without_the_other_is_refused(pair: tuple[Path, Path]) -> None:
    assert "--tls-cert is " in error_line(run("serve", "--tls-cert", pair[0]))


@pytest.mark.parametrize("has_tls", [True, False])
def test_the_health_check_of_the_container(
    serve: Callable[..., RunningServer], pair: tuple[Path, Path], has_tls: bool
) -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text(encoding="utf-8")
    _, option, code = json.loads(dockerfile.split("HEALTHCHECK", 1)[1].split("CMD", 1)[1].splitlines()[0])
    settings = {"L3BOOK_TLS_CERT": str(pair[0]), "L3BOOK_TLS_KEY": str(pair[1])} if has_tls else {}
    server = serve(env=settings)
    assert "://127.0.0.1:8000/" in code
    code = code.replace(":8000/", f":{server.url.rpartition(':')[2]}/")

    def check() -> int:
        command = [sys.executable, option, code]
        env = {**os.environ, **settings}
        return subprocess.run(command, env=env, check=False, capture_output=True, timeout=COMMAND_TIMEOUT_S).returncode

    assert check() == 0
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert check() != 0
