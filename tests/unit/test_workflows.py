"""The workflows: every action pinned, the least rights, and nothing published that nobody has looked at."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from supply import CheckError, check

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(REPOSITORY.glob(".github/workflows/*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES}
JOBS = [(name, job, content) for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()]
RELEASE = WORKFLOWS["release"]["jobs"]
PUBLISHES = ("uv publish", "gh release create")


def steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    return list(content.get("steps", ()))


def text(content: dict[str, Any]) -> str:
    return "\n".join(str(step.get("run", "")) for step in steps(content))


def needed(job: str) -> set[str]:
    """All jobs of a release that come before one."""
    needs = RELEASE[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(needed(other) for other in direct))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_to_a_commit(file: Path) -> None:
    uses = re.findall(r"^\s*(?:- )?uses: (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert uses
    for action in uses:
        pinned = re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action)
        assert pinned or action.startswith("./.github/workflows/"), action


def test_an_action_is_at_one_version_everywhere() -> None:
    found = {
        use for file in FILES for use in re.findall(r"uses: ([\w./-]+@\w+ # .+)", file.read_text(encoding="utf-8"))
    }
    names = [use.partition("@")[0] for use in found]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("name", "job", "content"), JOBS, ids=[f"{name}/{job}" for name, job, _ in JOBS])
def test_every_job_has_its_bounds(name: str, job: str, content: dict[str, Any]) -> None:
    default = WORKFLOWS[name].get("permissions")
    assert default in ({}, {"contents": "read"}), "rights are given job by job"
    if default == {}:
        assert content.get("permissions"), "a job without rights cannot even read the repository"
    if "uses" in content:
        return
    assert content["timeout-minutes"] <= 60
    assert "latest" not in content["runs-on"]
    for step in steps(content):
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_says_what_may_run_at_once(name: str) -> None:
    assert WORKFLOWS[name]["concurrency"]["group"]


def test_rights_to_write_are_where_they_are_used() -> None:
    writing = {
        f"{name}/{job}": sorted(right for right, value in content.get("permissions", {}).items() if value == "write")
        for name, job, content in JOBS
    }
    assert {job: rights for job, rights in writing.items() if rights} == {
        "release/image": ["packages"],
        "release/sign": ["attestations", "id-token", "packages"],
        "release/publish": ["contents", "id-token"],
    }


def test_nothing_is_published_without_the_gate() -> None:
    publishing = {job for job, content in RELEASE.items() if any(word in text(content) for word in PUBLISHES)}
    assert publishing == {"publish"}
    assert RELEASE["publish"]["environment"] == "prod"
    assert needed("publish") >= {"version", "test", "wheels", "sdist", "image", "sign", "staging"}
    assert needed("prod") >= {"publish", "staging"}
    assert RELEASE["prod"]["with"]["environment"] == "prod"
    assert "prod" not in RELEASE["staging"]["with"].values()


def test_only_a_tag_is_signed_pushed_and_published() -> None:
    is_tag = "github.ref_type == 'tag'"
    assert RELEASE["sign"]["if"] == is_tag
    for job in ("staging", "publish", "prod"):
        assert "sign" in needed(job)
    pushing = [step for step in steps(RELEASE["image"]) if "docker push" in str(step) or "login" in str(step)]
    assert len(pushing) == 2
    assert all(step["if"] == is_tag for step in pushing)


def test_a_release_uses_no_cache() -> None:
    for content in RELEASE.values():
        for step in steps(content):
            assert not str(step.get("uses", "")).startswith("actions/cache")
            assert "cache" not in step.get("with", {})


def test_versions_are_those_of_the_lock_files() -> None:
    build = (REPOSITORY / "requirements/build.txt").read_text(encoding="utf-8")
    (maturin,) = re.findall(r"^maturin==(\S+)", build, re.MULTILINE)
    (action,) = [step for step in steps(RELEASE["wheels"]) if "maturin-action" in str(step.get("uses"))]
    assert action["with"]["maturin-version"] == f"v{maturin}"
    assert WORKFLOWS["release"]["env"]["RUST_VERSION"] == WORKFLOWS["ci"]["env"]["RUSTUP_TOOLCHAIN"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"


BAD = """
on: pull_request_target
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.pull_request.title }}"
"""


def test_a_workflow_that_runs_what_a_stranger_wrote_is_caught(tmp_path: Path) -> None:
    workflows = check("check_workflows", "actionlint", "zizmor")
    file = tmp_path / ".github/workflows/bad.yml"
    file.parent.mkdir(parents=True)
    file.write_text(BAD)
    with pytest.raises(CheckError, match=r"(?s)potentially untrusted.*dangerous-triggers"):
        workflows.look(tmp_path)


def test_the_workflows_are_clean() -> None:
    assert "find nothing" in check("check_workflows", "actionlint", "zizmor").look()
