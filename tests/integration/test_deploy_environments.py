"""What Compose makes of docker-compose.yml with each environment's overlay, and the server's own rules on it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploying import ENVIRONMENTS, REPOSITORY, assert_may_start, compose, loaded_as, output_of, run_tool, variables_of
from l3book.config.safety import public_refusal

DIGEST = "sha256:" + "0" * 64
GIVEN = {
    "L3BOOK_IMAGE": f"l3book@{DIGEST}",
    "L3BOOK_SOURCE": "tcp://feed:9000",
    "L3BOOK_HISTORY_BYTES_MAX": "7000000000",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command(name: str, folder: Path = REPOSITORY) -> list[str]:
    overlay = folder / f"deploy/environments/{name}/compose.yml"
    return [*compose(), "-f", str(folder / "docker-compose.yml"), "-f", str(overlay), "config"]


def service(name: str, **environ: str) -> Any:
    text = output_of(*command(name), env={"PATH": PATH, "HOME": "/tmp", **environ})  # noqa: S108
    return yaml.safe_load(text)["services"]["l3book"]


def loaded_of(found: Any) -> Any:
    # The image's own command, which no overlay replaces.
    assert not found.get("command")
    return loaded_as(variables_of(found), ["serve", "--host", "0.0.0.0", "--port", "8000"])  # noqa: S104


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_server_may_start_as_compose_tells_it_to(name: str) -> None:
    loaded = loaded_of(service(name, **GIVEN))
    assert loaded.environment == name
    assert loaded.settings.source == GIVEN["L3BOOK_SOURCE"]
    assert loaded.settings.history_bytes_max == int(GIVEN["L3BOOK_HISTORY_BYTES_MAX"])
    assert_may_start(loaded, with_keys=name != "dev")


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_without_keys_it_may_not(name: str) -> None:
    """Else it would serve everybody who reaches port 443."""
    found = service(name, **GIVEN)
    loaded = loaded_of(found)
    assert loaded.settings.allow_unauthenticated is False
    refused = public_refusal(loaded, lambda: False)
    assert refused is not None
    assert "no API keys" in refused
    assert str(loaded.settings.tls_cert) == "/run/secrets/tls_cert"
    assert {secret["source"] if isinstance(secret, dict) else secret for secret in found["secrets"]} == {
        "tls_cert",
        "tls_key",
    }


def test_dev_is_reached_from_this_machine_only() -> None:
    ports = service("dev", **GIVEN)["ports"]
    assert ports
    for port in ports:
        assert (port if isinstance(port, str) else port.get("host_ip", "")).startswith("127.0.0.1")


@pytest.mark.parametrize("missing", GIVEN)
def test_prod_says_what_it_has_to_be_told(missing: str) -> None:
    environ = {key: value for key, value in GIVEN.items() if key != missing}
    done = run_tool(*command("prod"), env={"PATH": PATH, "HOME": "/tmp", **environ})  # noqa: S108
    assert done.returncode != 0
    assert "expected the" in done.stderr


def test_a_broken_overlay_is_caught(tmp_path: Path) -> None:
    """In a copy: a name that Compose does not know, and a setting that the server does not."""
    folder = tmp_path / "deploy/environments/prod"
    folder.mkdir(parents=True)
    (tmp_path / "docker-compose.yml").write_text((REPOSITORY / "docker-compose.yml").read_text())
    overlay = (REPOSITORY / "deploy/environments/prod/compose.yml").read_text()
    environ = {"PATH": PATH, "HOME": "/tmp", **GIVEN}  # noqa: S108
    (folder / "compose.yml").write_text(overlay.replace("mem_limit", "memory_limit"))
    assert run_tool(*command("prod", tmp_path), env=environ).returncode != 0
    (folder / "compose.yml").write_text(overlay.replace("L3BOOK_TLS_CERT", "L3BOOK_TLS_CERTS"))
    found = yaml.safe_load(output_of(*command("prod", tmp_path), env=environ))["services"]["l3book"]
    with pytest.raises(ValueError, match="unknown environment variable L3BOOK_TLS_CERTS: did you mean L3BOOK_TLS_CERT"):
        loaded_of(found)
