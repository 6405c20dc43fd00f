"""What tests of deploy/ have in common: files, scripts, tools, and what a server says to how it is started."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from l3book.config import Loaded, load
from l3book.config.safety import public_refusal, refusal
from l3book.sources import is_connector, open_source

REPOSITORY = Path(__file__).parents[1]
DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm/l3book"
ENVIRONMENTS = ("dev", "staging", "prod")
TOOLS = Path(os.environ.get("L3BOOK_TOOLS", REPOSITORY / ".tools"))
TOOL_TIMEOUT_S = 150
"""More than Helm's own test waits, which then says what for (deploy/helm/l3book/files/answers.py)."""


def script(path: str) -> ModuleType:
    """A script of deploy/, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, DEPLOY / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool(name: str) -> str:
    """Where a tool is: built by deploy/tools/build, or installed."""
    found = shutil.which(name, path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed; deploy/tools/build makes it, or a package of the system")
    return found


def run_tool(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT_S, **more
    )


def output_of(*command: str | Path, **more: Any) -> str:
    done = run_tool(*command, **more)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def loaded_as(environ: dict[str, str], arguments: list[str]) -> Loaded:
    """What a container's server makes of its variables and its command line."""
    assert arguments[0] == "serve", arguments
    flags = dict(zip((name.removeprefix("--") for name in arguments[1::2]), arguments[2::2], strict=True))
    assert set(flags) == {"host", "port"}
    return load(environ=environ, flags=flags)


def assert_may_start(loaded: Loaded, *, with_keys: bool) -> None:
    """The server's own rules take it, where others reach it as in a container; and its source is one that there is."""
    assert loaded.settings.host == "0.0.0.0"  # noqa: S104  # what a container has to do
    assert refusal(loaded) is None
    assert public_refusal(loaded, lambda: with_keys) is None
    source = open_source(loaded.settings.source, loaded.settings.gateway or None)
    if not is_connector(source):
        source.close()


def config_show(environ: dict[str, str]) -> dict[str, Any]:
    """The command's own answer, with these variables and no others of l3book."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("L3BOOK_", "DATABENTO_"))}
    command = Path(sys.executable).parent / "l3book"
    shown: dict[str, Any] = json.loads(output_of(command, "config", "show", "--json", env={**clean, **environ}))
    return shown


def compose() -> list[str]:
    """Whichever Compose there is; neither needs a daemon to read files."""
    try:
        if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
            return ["docker", "compose"]
    except FileNotFoundError:
        pass
    return [tool("docker-compose")]


def variables_of(service: Any) -> dict[str, str]:
    """A service's variables, as Compose's `config` tells them."""
    return {key: "" if value is None else str(value) for key, value in service["environment"].items()}


def volume_line(volume: Any) -> str:
    """A volume in Compose's short form; version 2 tells all of them in the long one."""
    return volume if isinstance(volume, str) else f"{volume['source']}:{volume['target']}"
