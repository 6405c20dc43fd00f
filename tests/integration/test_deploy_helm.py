"""The manifests that Helm makes of the chart: the servers in them start, with their variables, files and keys."""

import asyncio
import base64
import functools
import json
import secrets
import shutil
import tomllib
from pathlib import Path
from typing import Any

import nkeys
import pytest
import yaml

from certificates import make_certificate
from deploying import (
    CHART,
    DEPLOY,
    ENVIRONMENTS,
    REPOSITORY,
    TOOL_TIMEOUT_S,
    TOOLS,
    assert_may_start,
    config_show,
    loaded_as,
    output_of,
    run_tool,
    tool,
)
from l3book.access import key_store
from l3book.access.state_file import StateFile
from l3book.jetstream import connecting
from l3book.jetstream.address import NatsAddress
from running import RunningCommand, run

IMAGE = "image.repository=registry.example/l3book"
EVERYTHING = DEPLOY / "helm/everything.yaml"
VALUES = {**{name: DEPLOY / f"environments/{name}/values.yaml" for name in ENVIRONMENTS}, "everything": EVERYTHING}
Manifest = dict[str, Any]
NONCE = b"to-be-signed"
# The version whose schemas are there. Helm has to be told: one that `go install` made knows none.
KUBERNETES = (DEPLOY / "tools/schemas.sum").read_text().split()[1]


def template(values: Path, *more: str, chart: Path = CHART) -> list[str | Path]:
    options = ["--namespace", "books", "--kube-version", KUBERNETES, "--values", values, "--set", IMAGE]
    return [tool("helm"), "template", "l3book", chart, *options, *more]


@functools.cache
def rendered(values: Path, *more: str, chart: Path = CHART) -> list[Manifest]:
    text = output_of(*template(values, *more, chart=chart))
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def servers(manifests: list[Manifest]) -> list[Manifest]:
    """The pods that serve."""
    return [manifest["spec"]["template"] for manifest in of_kind(manifests, "StatefulSet", "Deployment")]


def pods(manifests: list[Manifest]) -> list[Manifest]:
    return [*servers(manifests), *of_kind(manifests, "Pod")]


def variables(container: Manifest) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def made_up_credentials() -> str:
    """What `nsc` writes for a user, with a seed of this moment."""
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode()
    return (
        "-----BEGIN NATS USER JWT-----\nmade.up.token\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


class Mounted:
    """A pod's volumes as folders, filled as the cluster would fill them; paths in what the pod is told lead there."""

    def __init__(self, folder: Path, manifests: list[Manifest], pod: Manifest) -> None:
        self.pod = pod
        self.folders: dict[str, Path] = {}
        claims = {claim["metadata"]["name"] for set_ in of_kind(manifests, "StatefulSet")
                  for claim in set_["spec"]["volumeClaimTemplates"]}  # fmt: skip
        for volume in [*pod["spec"]["volumes"], *({"name": name} for name in claims)]:
            place = self.folders[volume["name"]] = folder / volume["name"]
            place.mkdir(parents=True)
            if "configMap" in volume:
                (found,) = [m for m in of_kind(manifests, "ConfigMap")
                            if m["metadata"]["name"] == volume["configMap"]["name"]]  # fmt: skip
                for name, content in found["data"].items():
                    (place / name).write_text(content)
            if "secret" in volume:
                self._fill(place, volume["secret"])

    def _fill(self, place: Path, secret: Manifest) -> None:
        assert secret["defaultMode"] == 0o440
        for item in secret.get("items", []):
            if item["path"] == "state.db":
                key_store.create(StateFile(place), "desk", ["read"], None)
            else:
                is_signed = place.name == "l3book-nats-credentials"
                (place / item["path"]).write_text(made_up_credentials() if is_signed else "db-made-up-for-this-test\n")
        if "items" not in secret:
            certificate, key = make_certificate(place, "books")
            certificate.rename(place / "tls.crt")
            key.rename(place / "tls.key")

    def here(self, container: Manifest, text: str) -> str:
        for mount in container["volumeMounts"]:
            if text == mount["mountPath"] or text.startswith(mount["mountPath"] + "/"):
                return str(self.folders[mount["name"]]) + text.removeprefix(mount["mountPath"])
        return text

    def environ(self, container: Manifest) -> dict[str, str]:
        return {name: self.here(container, value) for name, value in variables(container).items()}

    def init(self) -> None:
        """What the containers before the server's do, done by the real command."""
        for container in self.pod["spec"].get("initContainers", []):
            arguments = [self.here(container, argument) for argument in container["args"]]
            done = run(*arguments, env=self.environ(container))
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", VALUES)
def test_every_server_may_start_as_it_is_told_to(name: str, tmp_path: Path) -> None:
    """By the server's own rules, those of prod among them, with the keys that the init container brought."""
    manifests = rendered(VALUES[name])
    for number, pod in enumerate(servers(manifests)):
        mounted = Mounted(tmp_path / str(number), manifests, pod)
        mounted.init()
        (container,) = pod["spec"]["containers"]
        environ = mounted.environ(container)
        shown = config_show(environ)
        role = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert (shown["settings"]["history"]["value"] is not None) == (role == "writer")
        secrets = {variable.removesuffix("_FILE") for variable in environ if variable.endswith("_FILE")}
        assert {variable for variable, found in shown["secrets"].items() if found["set"]} == secrets
        loaded = loaded_as(environ, container["args"])
        has_keys = key_store.has_keys(loaded.settings.state_dir)
        assert has_keys == (name != "dev")
        if not loaded.settings.source.startswith("live:") or "DATABENTO_API_KEY" in environ:
            assert_may_start(loaded, with_keys=has_keys)


def test_prod_signs_in_to_nats_with_its_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server of prod, by the file that is mounted into it; a made-up NATS server checks the signature."""
    manifests = rendered(VALUES["prod"])
    assert len(servers(manifests)) == 4
    for number, pod in enumerate(servers(manifests)):
        mounted = Mounted(tmp_path / str(number), manifests, pod)
        (container,) = pod["spec"]["containers"]
        environ = mounted.environ(container)
        assert environ["L3BOOK_SOURCE"].startswith("nats://")
        file = environ["L3BOOK_NATS_CREDENTIALS_FILE"]
        with monkeypatch.context() as here:
            # One try is all that the made-up server is for, however slow the machine.
            here.setattr(connecting, "CONNECT_TIMEOUT_S", TOOL_TIMEOUT_S)
            here.setenv("L3BOOK_NATS_CREDENTIALS_FILE", file)
            said = asyncio.run(sign_in())
        seed = Path(file).read_text().split("SEED-----\n")[1].split("\n")[0]
        assert said["jwt"] == "made.up.token"
        assert nkeys.from_seed(seed.encode()).verify(NONCE, base64.urlsafe_b64decode(said["sig"] + "=="))


async def sign_in() -> dict[str, str]:
    """What a connection says of itself to a server that asks for a signature."""
    said: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "A", "version": "2.11.0", "max_payload": 1048576, "headers": True, "auth_required": True}
        writer.write(f"INFO {json.dumps({**info, 'nonce': NONCE.decode()})}\r\n".encode())
        said.set_result(json.loads((await reader.readline()).removeprefix(b"CONNECT ")))
        writer.write(b"PONG\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = NatsAddress("127.0.0.1", server.sockets[0].getsockname()[1], "MARKET")
    async with server, connecting.connected(address, "test"):
        return await said


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_a_server_runs_and_is_ready_where_its_probes_look(role: str, tmp_path: Path) -> None:
    """staging, for real: with its certificate, its keys and its settings, on loopback."""
    manifests = rendered(VALUES["staging"])
    (pod,) = [pod for pod in servers(manifests) if pod["metadata"]["labels"]["app.kubernetes.io/component"] == role]
    mounted = Mounted(tmp_path, manifests, pod)
    mounted.init()
    (container,) = pod["spec"]["containers"]
    # Only the address is another.
    assert container["args"] == ["serve", "--host", "0.0.0.0", "--port", "8000"]  # noqa: S104
    server = RunningCommand("serve", "--host", "127.0.0.1", "--port", "0", env=mounted.environ(container))
    try:
        port = server.wait_for_line(r"listening on https://127\.0\.0\.1:(\d+)")[1]
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert {probe["scheme"] for probe in probes} == {"HTTPS"}
        assert {probe["path"] for probe in probes} == {"/livez", "/readyz?feed=any"}
        (test,) = of_kind(manifests, "Pod")
        (asking,) = test["spec"]["containers"]
        # Helm's test itself, led to this server.
        done = run_tool(shutil.which("python3") or "python", *asking["command"][1:], asking["args"][0],
                        f"https://127.0.0.1:{port}")  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert done.stdout.splitlines() == [
            f"https://127.0.0.1:{port}{path}: 200" for path in ("/livez", "/readyz?feed=any")
        ]
    finally:
        server.kill()


@pytest.mark.parametrize("name", VALUES)
def test_a_shard_has_one_writer_and_a_volume_that_stays(name: str) -> None:
    values = yaml.safe_load(VALUES[name].read_text())
    writers = of_kind(rendered(VALUES[name]), "StatefulSet")
    assert {writer["spec"]["template"]["metadata"]["labels"]["l3book/shard"] for writer in writers} == {
        shard["name"] for shard in values["shards"]
    }
    for writer in writers:
        assert writer["spec"]["replicas"] == 1
        assert writer["spec"]["podManagementPolicy"] == "Parallel", "else a broken pod outlives what put it there"
        assert writer["spec"]["persistentVolumeClaimRetentionPolicy"] == {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }
        (claim,) = writer["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert claim["spec"]["resources"]["requests"]["storage"] == f"{values['writer']['storage']['gibibytes']}Gi"


@pytest.mark.parametrize("name", VALUES)
def test_no_container_has_more_rights_than_it_needs(name: str) -> None:
    for pod in pods(rendered(VALUES[name])):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= set(container["resources"])


@pytest.mark.parametrize("name", VALUES)
def test_an_end_has_the_time_it_takes(name: str) -> None:
    manifests = rendered(VALUES[name])
    (config,) = of_kind(manifests, "ConfigMap")
    settings = tomllib.loads(config["data"]["l3book.toml"])
    for pod in servers(manifests):
        least_s = settings["drain_delay_s"] + settings["shutdown_timeout_s"] + 15
        assert pod["spec"]["terminationGracePeriodSeconds"] == least_s + 10


@pytest.mark.parametrize("name", VALUES)
def test_every_policy_budget_and_service_finds_its_pods(name: str) -> None:
    """A selector that selects nothing is no error to Kubernetes."""
    manifests = rendered(VALUES[name])
    labels = [pod["metadata"]["labels"] for pod in pods(manifests)]

    def selected(wanted: dict[str, str]) -> int:
        return sum(wanted.items() <= found.items() for found in labels)

    (deny,) = [policy for policy in of_kind(manifests, "NetworkPolicy") if policy["metadata"]["name"].endswith("deny")]
    assert selected(deny["spec"]["podSelector"]["matchLabels"]) == len(labels)
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny["spec"])
    selectors = [service["spec"]["selector"] for service in of_kind(manifests, "Service")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in of_kind(manifests, "PodDisruptionBudget")]
    for selector in selectors:
        assert selected(selector) >= 1, selector
    assert len(of_kind(manifests, "Service")) == len(servers(manifests))
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", "else it keeps a node from being drained"


@pytest.mark.parametrize("name", VALUES)
def test_a_feed_that_is_away_takes_no_server_away(name: str) -> None:
    """All have the same feed: none would be left, and none would come back."""
    manifests = rendered(VALUES[name])
    (config,) = of_kind(manifests, "ConfigMap")
    assert tomllib.loads(config["data"]["l3book.toml"])["reconnect_budget_s"] == 0, "tried without end"
    for pod in servers(manifests):
        (container,) = pod["spec"]["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz?feed=any"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_a_pod_changes_with_a_setting_and_with_nothing_else() -> None:
    def checksums(*more: str) -> set[str]:
        return {pod["metadata"]["annotations"]["checksum/config"] for pod in servers(rendered(VALUES["prod"], *more))}

    assert len(checksums()) == 1
    assert checksums() == checksums("--set", "readers.replicas=5")
    assert checksums() != checksums("--set", "settings.depth_max=500")


def test_numbers_and_lists_reach_the_server_as_they_are() -> None:
    """Helm reads large numbers as floats and writes 4e+11, which is no whole number."""
    (config,) = of_kind(rendered(EVERYTHING), "ConfigMap")
    settings = tomllib.loads(config["data"]["l3book.toml"])
    assert settings["history_bytes_max"] == 400_000_000_000
    assert settings["origins"] == ["https://desk.example"]
    (config,) = of_kind(rendered(VALUES["dev"]), "ConfigMap")
    assert tomllib.loads(config["data"]["l3book.toml"])["history_bytes_max"] == 5 * 1024**3 * 4 // 5


def test_alerts_arrive_as_prometheus_has_them() -> None:
    (rule,) = of_kind(rendered(VALUES["prod"]), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())


def test_no_secret_is_in_a_manifest() -> None:
    assert of_kind(rendered(EVERYTHING), "Secret") == []
    text = json.dumps(rendered(EVERYTHING))
    assert "valueFrom" not in text, "secrets come as files, which no listing of variables shows"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--set", "keys.secretName="], "keys.secretName: expected a Secret with a state.db"),
        (["--set", "serviceMonitor.key.secretName="], "serviceMonitor.key.secretName: expected a Secret"),
        (["--set", "serviceMonitor.serverName="], "serviceMonitor.serverName: expected the name"),
        (["--set", "shards[1].name=main", "--set", "shards[1].source=tcp://b:1"], 'shards: "main" is there twice'),
        (["--set", "shards[1].name=b", "--set", "shards[1].source=tcp://a:1",
          "--set", "shards[0].source=tcp://a:1"], "is the source of two"),
        (["--set", "image.repository="], "image.repository: expected the image's name with its registry"),
        (["--set", "writer.replicas=2"], "additional properties 'replicas' not allowed"),
    ],
)  # fmt: skip
def test_values_that_contradict_each_other_are_refused(more: list[str], expected: str) -> None:
    done = run_tool(*template(VALUES["staging"], *more))
    assert done.returncode != 0
    assert expected in done.stderr.replace("'replicas' are not allowed", "'replicas' not allowed")


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("writer.yaml", "serviceName:", "servicName:"),
        ("readers.yaml", "minReplicas: {{", "minReplicas: few{{"),
        ("_helpers.tpl", "failureThreshold: 6", "failureThreshhold: 6"),
        ("monitoring.yaml", "path: /metrics", "paths: /metrics"),
        ("network.yaml", "policyTypes: [Egress]", "policyTypes: Egress"),
    ],
)
def test_a_broken_chart_is_caught(file: str, right: str, wrong: str, tmp_path: Path) -> None:
    """In a copy: what Helm itself lets pass, and no cluster would take."""
    kubeconform, schemas = tool("kubeconform"), TOOLS / "schemas"
    if not schemas.is_dir():
        pytest.skip("there are no schemas of Kubernetes; deploy/tools/build makes them")
    chart = tmp_path / "l3book"
    shutil.copytree(CHART, chart)
    names = "{{.ResourceKind}}{{.KindSuffix}}.json"
    flags = [
        part
        for folder in (schemas / KUBERNETES, schemas / "operator")
        for part in ("-schema-location", f"{folder}/{names}")
    ]

    def check() -> tuple[int, str]:
        text = output_of(*template(VALUES["prod"], chart=chart))
        done = run_tool(kubeconform, "-strict", *flags, input=text)
        return done.returncode, done.stdout

    assert check() == (0, "")
    broken = chart / "templates" / file
    text = broken.read_text()
    assert right in text
    broken.write_text(text.replace(right, wrong))
    code, said = check()
    assert code == 1, said


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cargo = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())
    version = (
        cargo.get("workspace", {}).get("package", {}).get("version")
        or tomllib.loads((REPOSITORY / "rust/Cargo.toml").read_text())["package"]["version"]
    )
    assert chart["appVersion"] == chart["version"] == version
