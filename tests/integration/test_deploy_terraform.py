"""What a host is told when it starts for the first time, as Terraform renders it, without a cloud or a provider."""

import base64
import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploying import (
    DEPLOY,
    ENVIRONMENTS,
    REPOSITORY,
    assert_may_start,
    compose,
    loaded_as,
    output_of,
    run_tool,
    tool,
    variables_of,
    volume_line,
)

IMAGE = "registry.example/l3book@sha256:" + "0" * 64
FEED = "tcp://feed.example:9000?idle_s=5&end=reconnect"


class Host:
    """The user data of an environment, and the files that it writes."""

    def __init__(self, text: str) -> None:
        self.text = text
        assert text.startswith("#cloud-config\n")
        self.config: dict[str, Any] = yaml.safe_load(text)
        self.files = {entry["path"]: self._content(entry) for entry in self.config["write_files"]}

    @staticmethod
    def _content(entry: dict[str, str]) -> str:
        assert entry["encoding"] == "gz+b64"
        return gzip.decompress(base64.b64decode(entry["content"])).decode()

    def lay_out(self, folder: Path) -> None:
        for name in ("docker-compose.yml", "environment.yml", "host.yml", ".env"):
            (folder / name).write_text(self.files[f"/opt/l3book/{name}"])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: Terraform writes beside what it reads."""
    terraform = tool("terraform")
    folder = tmp_path_factory.mktemp("terraform")
    shutil.copytree(DEPLOY / "terraform", folder / "deploy/terraform")
    shutil.copytree(DEPLOY / "environments", folder / "deploy/environments")
    shutil.copy(REPOSITORY / "docker-compose.yml", folder)
    output_of(terraform, f"-chdir={folder}/deploy/terraform/cloud_init", "init", "-input=false")
    return folder / "deploy/terraform/cloud_init"


def rendered(workplace: Path, environment: str, *more: str) -> Host:
    terraform = [tool("terraform"), f"-chdir={workplace}"]
    state = f"-state={environment}{len(more)}.tfstate"
    told = {"environment": environment, "image": IMAGE, "feed": FEED, "volume_id": "4711", "volume_gb": "500"}
    options = [f"-var={name}={value}" for name, value in told.items()]
    output_of(*terraform, "apply", "-auto-approve", "-input=false", "-no-color", state, *options, *more)
    return Host(output_of(*terraform, "output", state, "-raw", "user_data"))


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def host(workplace: Path, environment: str) -> Host:
    return rendered(workplace, environment, '-var=secrets=["DATABENTO_API_KEY"]')


def test_it_starts_the_images_of_this_repository(host: Host, environment: str) -> None:
    assert host.files["/opt/l3book/docker-compose.yml"] == (REPOSITORY / "docker-compose.yml").read_text()
    overlay = DEPLOY / f"environments/{environment}/compose.yml"
    assert host.files["/opt/l3book/environment.yml"] == overlay.read_text()
    unit = host.files["/etc/systemd/system/l3book.service"]
    assert "docker compose up --no-build" in unit
    assert ["systemctl", "enable", "l3book.service"] in host.config["runcmd"]


def test_the_server_on_it_may_start(host: Host, environment: str, tmp_path: Path) -> None:
    """What Compose makes of the files there, held against the server's own rules."""
    host.lay_out(tmp_path)
    found = yaml.safe_load(output_of(*compose(), "config", cwd=tmp_path))["services"]["l3book"]
    environ = variables_of(found)
    assert found["image"] == IMAGE
    assert environ.pop("DATABENTO_API_KEY_FILE") == "/secrets/DATABENTO_API_KEY"
    loaded = loaded_as(environ, ["serve", "--host", "0.0.0.0", "--port", "8000"])  # noqa: S104
    assert (loaded.environment, loaded.settings.source) == (environment, FEED)
    # Of 500 GB: the rest is for checkpoints, tables and what is being written.
    assert loaded.settings.history_bytes_max == 400_000_000_000
    assert_may_start(loaded, with_keys=environment != "dev")
    mounts = "\n".join(volume_line(mount) for mount in found["volumes"])
    for folder in ("history", "state"):
        assert f"/srv/l3book/{folder}:/{folder}" in mounts


def test_it_waits_for_the_volume_and_for_secrets(host: Host, environment: str) -> None:
    unit = host.files["/etc/systemd/system/l3book.service"]
    assert "RequiresMountsFor=/srv/l3book\n" in unit
    commands = "\n".join(" ".join(command) for command in host.config["runcmd"])
    assert (
        "/dev/disk/by-id/scsi-0HC_Volume_4711 /srv/l3book ext4 noatime,nofail,x-systemd.device-timeout=infinity "
        in commands
    )
    assert "WantedBy=multi-user.target srv-l3book.mount\n" in unit, "a volume that comes late starts it"
    waits = [line for line in unit.splitlines() if line.startswith("ExecStartPre=/usr/bin/test -s ")]
    expected = [] if environment == "dev" else ["tls.crt", "tls.key"]
    assert [line.rpartition("/")[2] for line in waits] == [*expected, "DATABENTO_API_KEY"]


def test_no_secret_and_no_port_but_the_environments_is_in_it(host: Host, environment: str) -> None:
    everything = host.text + "".join(host.files.values())
    assert "PRIVATE KEY" not in everything
    assert host.config["ssh_pwauth"] is False
    assert len(host.text) < 32 * 1024
    if environment == "dev":
        assert "443" not in host.files["/opt/l3book/environment.yml"]


def test_cloud_init_itself_takes_it(host: Host, tmp_path: Path) -> None:
    command = shutil.which("cloud-init")
    if command is None:
        pytest.skip("cloud-init is not installed; Debian's package of that name has its schema")
    (tmp_path / "user-data").write_text(host.text)
    done = run_tool(command, "schema", "--config-file", tmp_path / "user-data")
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_itself_takes_the_unit(host: Host, tmp_path: Path) -> None:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("systemd-analyze is not installed; Debian's package systemd has it")
    unit = tmp_path / "l3book.service"

    def wrong(text: str) -> list[str]:
        unit.write_text(text)
        said = run_tool(command, "verify", unit).stderr.splitlines()
        # Docker need not be here, neither its program nor its unit.
        docker = ("not executable", "Unit docker.service not found")
        return [line for line in said if "l3book.service:" in line and not any(words in line for words in docker)]

    text = host.files["/etc/systemd/system/l3book.service"]
    assert wrong(text) == []
    assert wrong(text.replace("Restart=always", "Restart=allways")) != []


def test_systemd_waits_for_the_volume_without_end(host: Host, tmp_path: Path) -> None:
    """What its own generator makes of the line for fstab."""
    generator = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
    if not generator.exists():
        pytest.skip("systemd's generator for fstab is not installed; Debian's package systemd has it")
    (line,) = [part.split("'")[1] for command in host.config["runcmd"] for part in command if "/etc/fstab" in part]
    (tmp_path / "fstab").write_text(line + "\n")
    made = tmp_path / "made"
    made.mkdir()
    output_of(generator, made, made, made, env={"SYSTEMD_FSTAB": str(tmp_path / "fstab")})
    assert "Where=/srv/l3book\n" in (made / "srv-l3book.mount").read_text()
    (limits,) = made.glob("*.device.d/*.conf")
    assert "JobRunningTimeoutSec=infinity\n" in limits.read_text()


def test_a_broken_template_is_caught(workplace: Path, tmp_path: Path) -> None:
    copy = tmp_path / "deploy/terraform/cloud_init"
    shutil.copytree(workplace.parents[2], tmp_path, dirs_exist_ok=True)
    text = (copy / "l3book.service.tftpl").read_text()
    (copy / "l3book.service.tftpl").write_text(text.replace("${volume}", "${volumes}"))
    told = [f"-var={name}=a" for name in ("image", "feed", "volume_id")]
    told.append("-var=volume_gb=10")
    done = run_tool(
        tool("terraform"), f"-chdir={copy}", "plan", "-input=false", "-no-color", "-var=environment=dev", *told
    )
    assert done.returncode == 1
    assert "volumes" in done.stderr
