"""What the containers promise, as far as files tell without a docker daemon; deploy/containers/check starts them."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from l3book.config import SETTING_NAMES, load
from l3book.history.uri import check_store_uri
from l3book.secret import FILE_SUFFIX, SECRET_VARIABLES
from l3book.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
CONTAINERS = REPOSITORY / "deploy/containers"
DOCS = (REPOSITORY / "docs/containers.md").read_text(encoding="utf-8")
BASE_IMAGES = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE, re.MULTILINE))
INSTRUCTIONS = re.sub(r"\\\n", " ", "\n".join(line for line in DOCKERFILE.splitlines() if line[:1] != "#"))
STAGES = ["FROM" + stage for stage in re.split(r"^FROM", INSTRUCTIONS, flags=re.MULTILINE)[1:]]
FINAL = STAGES[-1]


def substituted(value: Any) -> Any:
    """What the file says where no variable is set."""
    if isinstance(value, dict):
        return {key: substituted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [substituted(inner) for inner in value]
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "", value) if isinstance(value, str) else value


COMPOSE: dict[str, Any] = substituted(yaml.safe_load(COMPOSE_TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
ONE_SHOT = [name for name, service in SERVICES.items() if service["restart"] == "no"]
SERVERS = [name for name in OURS if name not in ONE_SHOT and "command" not in SERVICES[name]]

every_service = pytest.mark.parametrize("name", SERVICES)


def binds(service: dict[str, Any]) -> list[tuple[str, str]]:
    """What is mounted, and where."""
    return [tuple(volume.split(":")[:2]) for volume in service.get("volumes", ())]


@every_service
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].partition(":")[0] not in ("", "0", "root") if "user" in service else True
    assert all("noexec,nosuid,nodev" in folder and "size=" in folder for folder in service["tmpfs"])


@every_service
def test_a_service_has_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"] in ("128m", "512m", "1g", "2g", "4g")
    assert float(service["cpus"]) > 0
    assert service["pids_limit"] > 0
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@every_service
def test_a_port_is_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert SERVICES[name].get("network_mode", "none") == "none"


def test_no_two_services_publish_the_same_port() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports))


@every_service
def test_a_service_is_watched(name: str) -> None:
    """By the image's own health check, or one here; what runs once is waited for instead."""
    service = SERVICES[name]
    if name in ONE_SHOT:
        waits = [other for other in SERVICES.values() if name in other.get("depends_on", ())]
        assert waits
        assert all(other["depends_on"][name] == {"condition": "service_completed_successfully"} for other in waits)
        return
    if service.get("healthcheck") == {"disable": True}:
        # It answers nobody: its end is all that can be seen.
        assert (name, service["restart"]) == ("nats-publisher", "on-failure")
    else:
        assert "start_period" in service["healthcheck"] if "healthcheck" in service else name in SERVERS
        assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"].endswith("s")


@every_service
def test_an_image_is_ours_or_pinned(name: str) -> None:
    service = SERVICES[name]
    if name in OURS:
        assert service["image"] == ("l3book:full" if service["build"]["args"]["EXTRAS"] else "l3book:latest")
    else:
        # A version, not a moving name; and a variable, so that a digest or a mirror can be named.
        assert re.search(r":v?\d+\.\d+", service["image"])
        assert re.search(rf"image: \$\{{[A-Z]+_IMAGE:-{re.escape(service['image'])}\}}", COMPOSE_TEXT)


def test_base_images_are_pinned() -> None:
    assert len(BASE_IMAGES) == 3
    assert all(re.search(r":\d+", image) and "latest" not in image for image in BASE_IMAGES.values())


@pytest.mark.parametrize("name", OURS)
def test_arguments_of_the_build_are_those_of_the_dockerfile(name: str) -> None:
    declared = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    arguments = SERVICES[name]["build"]["args"]
    assert arguments.keys() <= declared
    assert declared - arguments.keys() == BASE_IMAGES.keys()
    for extra in arguments["EXTRAS"].split():
        assert (REPOSITORY / f"requirements/{extra}.txt").is_file()
        assert f"requirements/{extra}.txt" in DOCKERFILE


@pytest.mark.parametrize("name", SERVERS)
def test_the_settings_of_a_server_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one, its value may be given, and what it names can be made."""
    environment = {key: str(value or "") for key, value in SERVICES[name]["environment"].items()}
    secrets = {variable + suffix for variable in SECRET_VARIABLES for suffix in ("", FILE_SUFFIX)}
    given = {key: value for key, value in environment.items() if key not in secrets}
    assert {key.removeprefix("L3BOOK_").lower() for key in given} <= set(SETTING_NAMES)
    settings = load(environ=given).settings
    check_store_uri(settings.history_store)
    if DATABENTO_KEY_FILE in environment:
        monkeypatch.setenv("DATABENTO_API_KEY", "db-" + "a" * 29)
    if settings.source.startswith("nats:"):
        pytest.importorskip("nats")
    open_source(settings.source, None)
    # Where it is recorded and where its keys are, there is a volume; so are the secrets that it reads.
    mounted = {target for _, target in binds(SERVICES[name])}
    files = {str(Path(value).parent) for key, value in environment.items() if key.endswith(FILE_SUFFIX)}
    assert {str(settings.history), str(settings.state_dir), *files} <= mounted


DATABENTO_KEY_FILE = "DATABENTO_API_KEY" + FILE_SUFFIX


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for source, target in binds(service):
            assert target.startswith("/"), name
            if source.startswith("."):
                assert (REPOSITORY / source).exists()
            else:
                assert source in COMPOSE["volumes"]
    used = {source for service in SERVICES.values() for source, _ in binds(service)}
    assert COMPOSE["volumes"].keys() <= used


def test_a_profile_that_is_started_names_all_that_it_needs() -> None:
    for name, service in SERVICES.items():
        for needed in service.get("depends_on", ()):
            assert SERVICES[needed].get("profiles", service.get("profiles")) == service.get("profiles"), name


def test_variables_of_the_shell_are_no_settings_by_mistake() -> None:
    """Who exports one for compose, and runs l3book beside it, would be told that there is no such setting."""
    names = set(re.findall(r"\$\{(L3BOOK_\w+)", COMPOSE_TEXT))
    assert names
    assert {name.removeprefix("L3BOOK_").lower() for name in names} <= set(SETTING_NAMES)


def test_the_image_holds_only_what_runs() -> None:
    assert STAGES[0].startswith("FROM ${NODE_IMAGE} AS page")
    assert FINAL.startswith("FROM ${PYTHON_IMAGE}\n")
    assert not re.search(r"\b(apt|apt-get|pip install|npm|cargo|curl|wget)\b", FINAL)
    assert re.findall(r"^COPY (.*)$", FINAL, re.MULTILINE) == ["--from=packages /opt/l3book/ /opt/l3book/"]
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", FINAL, re.MULTILINE)
    installs = re.findall(r"\bpip(?: --python \S+)? (?:install|wheel) ([^&\n]*)", INSTRUCTIONS)
    assert len(installs) == 4
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    # A build in isolation fetches what it is made with, without a hash.
    assert all("--no-build-isolation" in install for install in installs if "--no-binary" in install)


def test_the_image_says_what_it_is() -> None:
    labels = set(re.findall(r'org\.opencontainers\.image\.(\w+)="', FINAL))
    assert labels == {"title", "description", "licenses", "version", "revision", "created"}


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package, of a lock file."""
    text = (REPOSITORY / f"requirements/{name}.txt").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)(?:\[[\w,]+\])?==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("extra", ["stores", "live"])
def test_what_an_image_can_have_beside_agrees_with_the_rest(extra: str) -> None:
    """They are installed together, and are the versions that the tests ran with."""
    added, tested, runtime = pins(extra), pins("dev"), pins("runtime")
    assert len(added.keys() & runtime.keys()) > 10
    assert all(added[package] == runtime[package] for package in added.keys() & runtime.keys())
    assert {package: tested[package] for package in added} == added
    assert "chdb" not in added


def test_stores_and_live_have_what_they_are_for() -> None:
    assert {"clickhouse-connect", "psycopg", "psycopg-binary", "psycopg-pool", "duckdb", "pyarrow"} <= pins(
        "stores"
    ).keys()
    assert "databento" in pins("live")


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    folder = REPOSITORY / "deploy/grafana/provisioning"
    sources = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    providers = yaml.safe_load((folder / "dashboards/l3book.yml").read_text())["providers"]
    mounts = {target: source for source, target in binds(SERVICES["grafana"])}
    assert mounts["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    assert mounts[providers[0]["options"]["path"] + "/l3book.json"] == "./deploy/grafana/l3book.json"
    port = SERVICES["prometheus"]["ports"][0].rpartition(":")[2]
    assert sources[0]["url"] == f"http://prometheus:{port}"
    scraping = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yml").read_text())
    assert sources[0]["jsonData"]["timeInterval"] == scraping["global"]["scrape_interval"]


def test_prometheus_knows_every_server() -> None:
    (job,) = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    names = [target.partition(":")[0] for config in job["static_configs"] for target in config["targets"]]
    assert sorted(names + found["names"]) == sorted(SERVERS)


def test_every_profile_and_port_is_documented() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert profiles == set(re.findall(r"^\| `--profile (\w+)` \|", DOCS, re.MULTILINE))
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.split(":")[1] in DOCS
    variables = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
    assert {name for name in variables if f"`{name}`" not in DOCS} == set()


def test_the_check_says_that_it_cannot_run() -> None:
    done = subprocess.run(
        [sys.executable, CONTAINERS / "check"],
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 77
    assert done.stdout.splitlines()[-1] == "NOT RUN: docker is not installed"


@pytest.mark.parametrize(
    ("results", "code", "last"),
    [
        ({"demo": None, "nats": None}, 0, "good: demo, nats"),
        ({"demo": None, "nats": "no image"}, 77, "NOT RUN: nats: no image; good: demo"),
        ({"demo": "no image"}, 77, "NOT RUN: demo: no image; good: nothing"),
    ],
)
def test_a_part_that_did_not_run_is_no_pass(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    results: dict[str, str | None],
    code: int,
    last: str,
) -> None:
    monkeypatch.syspath_prepend(str(CONTAINERS))
    loader = SourceFileLoader("containers_check", str(CONTAINERS / "check"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    check = module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(check)

    def part(reason: str | None) -> Callable[[object], None]:
        def run(_options: object) -> None:
            if reason:
                raise check.Unavailable(reason)

        return run

    monkeypatch.setattr(check, "PARTS", {name: part(reason) for name, reason in results.items()})
    monkeypatch.setattr(check, "why_not", lambda: None)
    monkeypatch.setattr(check, "free_ports", lambda: None)
    monkeypatch.setattr(check.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["check"])
    assert check.main() == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_the_stand_ins_say_what_they_want() -> None:
    done = subprocess.run(["bash", CONTAINERS / "stand-ins"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "deploy/containers/stand-ins BASE" in done.stderr
