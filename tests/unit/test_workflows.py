"""The workflows: every action pinned, the least rights, and nothing published that nobody has looked at."""

import os
import re
import subprocess
import tomllib
from fnmatch import fnmatch
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
    # Nor in what it calls.
    assert RELEASE["test"]["with"] == {"release": True}
    caching = 0
    for content in WORKFLOWS["ci"]["jobs"].values():
        for step in steps(content):
            uses, given = str(step.get("uses", "")), step.get("with", {})
            if uses.startswith("actions/cache"):
                assert step["if"] == "${{ !inputs.release }}"
                caching += 1
            if "cache" in given:
                assert re.fullmatch(r"\$\{\{ !inputs\.release && '\w+' \|\| '' \}\}", given["cache"])
                caching += 1
            if uses.startswith("actions/setup-node"):
                assert given["package-manager-cache"] is False
    assert caching > 5


def test_a_release_is_tested_at_the_first_try() -> None:
    assert WORKFLOWS["ci"]["env"]["ONCE"] == "${{ inputs.release && '1' || '' }}"


def test_what_a_release_depends_on_may_not_be_left_out() -> None:
    ci = WORKFLOWS["ci"]["jobs"]
    checks = [line for job in ci.values() for line in text(job).splitlines() if "deploy-check" in line]
    assert [line for line in checks if "STRICT=1" not in line] == []
    skipped = {part for line in checks for part in re.findall(r"SKIP='?([\w ]+?)'? STRICT", line)}
    assert skipped == {"_image", "supply containers"}
    assert "make deploy-check ONLY=supply SKIP=_image STRICT=1" in text(ci["supply"])
    # What those leave out has a job that can do it: the image is built before its bill of materials is wanted.
    docker = text(ci["docker"]).split()
    wanted = "deploy/containers/check deploy/tools/install syft grype python3 deploy/check.py --only _image --strict"
    assert docker == wanted.split()
    assert text(ci["deploy"]).index("deploy/tools/build") < text(ci["deploy"]).index("make deploy-check")
    assert any("setup-terraform" in str(step.get("uses")) for step in steps(ci["deploy"]))
    assert "nats-server" in text(ci["check-test"])


def step_of(job: str, words: str) -> dict[str, Any]:
    (found,) = [step for step in steps(RELEASE[job]) if words in str(step.get("run", ""))]
    return found


def test_what_was_scanned_is_what_is_signed() -> None:
    push = step_of("image", "docker push")
    assert RELEASE["image"]["outputs"] == {name: f"${{{{ steps.push.outputs.{name} }}}}" for name in ("amd64", "arm64")}
    assert push["id"] == "push"
    order = [str(step.get("run", "")) for step in steps(RELEASE["image"])]
    scan = next(index for index, run in enumerate(order) if "check_advisories_image.py" in run)
    assert scan < order.index(push["run"])
    assert "--provenance=false" in step_of("image", "docker build")["run"], "else the digest is that of an index"
    join = step_of("sign", "imagetools create")
    assert join["env"]["AMD64"] == "${{ needs.image.outputs.amd64 }}"
    assert join["env"]["ARM64"] == "${{ needs.image.outputs.arm64 }}"
    assert '"$IMAGE@$AMD64" "$IMAGE@$ARM64"' in join["run"]


def test_each_package_has_the_bill_of_materials_of_its_own_build() -> None:
    attested = [step["with"] for step in steps(RELEASE["sign"]) if "attest-sbom" in str(step.get("uses"))]
    targets = [entry["target"] for entry in RELEASE["wheels"]["strategy"]["matrix"]["include"]]
    wheels = [given for given in attested if "subject-path" in given]
    assert sorted(given["sbom-path"] for given in wheels) == sorted(f"sbom/wheel-{name}.cdx.json" for name in targets)
    names = ["manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_11_0_arm64", "macosx_10_12_x86_64", "win_amd64"]
    for name, given in zip(names, wheels, strict=True):
        matching = [other for other in names if fnmatch(f"dist/l3book-0.1.0-{other}.whl", given["subject-path"])]
        assert matching == [name]
    images = {given["subject-digest"]: given["sbom-path"] for given in attested if "subject-digest" in given}
    assert images == {
        f"${{{{ needs.image.outputs.{name} }}}}": f"sbom/image-{name}.cdx.json" for name in ("amd64", "arm64")
    }
    fetched = [
        step["with"]["pattern"] for step in steps(RELEASE["sign"]) if "download-artifact" in str(step.get("uses"))
    ]
    assert fetched == ["dist-*", "sbom-*"], "not ci.yml's, which are of other builds"


def test_an_image_says_what_it_is_of() -> None:
    docker = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    build = step_of("image", "docker build")
    wanted = set(re.findall(r"^ARG (\w+)", docker, re.MULTILINE)) - {"EXTRAS"}
    bases = {name for name in wanted if name.endswith("_IMAGE")}
    assert set(re.findall(r"--build-arg (\w+)=", build["run"])) == wanted - bases
    assert build["env"]["BASES"] == "${{ needs.version.outputs.bases }}"
    (script,) = [step["run"] for step in steps(RELEASE["version"]) if step.get("id") == "bases"]
    (expression,) = re.findall(r"sed -n '(.+?)' Dockerfile", script)
    found = subprocess.run(["sed", "-n", expression, "Dockerfile"], cwd=REPOSITORY, capture_output=True, text=True)
    assert {line.partition("=")[0] for line in found.stdout.splitlines()} == bases


def test_what_was_not_signed_is_not_deployed() -> None:
    order = [str(step.get("run", "")) for step in steps(WORKFLOWS["deploy"]["jobs"]["deploy"])]
    verify = next(index for index, run in enumerate(order) if "cosign verify" in run)
    assert '"$IMAGE@$DIGEST"' in order[verify]
    assert 'release.yml@$GITHUB_REF"' in order[verify]
    assert verify < next(index for index, run in enumerate(order) if "helm upgrade" in run)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_a_tag_that_is_not_on_main_is_not_released(tmp_path: Path) -> None:
    (step,) = [step for step in steps(RELEASE["version"]) if step.get("name") == "The tag is on main"]
    assert step["if"] == "github.ref_type == 'tag'"
    assert steps(RELEASE["version"])[0]["with"]["fetch-depth"] == 0
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "--initial-branch=main")
    git(origin, "commit", "--allow-empty", "-m", "One")
    git(origin, "tag", "v1.0.0")
    git(origin, "commit", "--allow-empty", "-m", "Two")
    git(origin, "checkout", "-b", "aside")
    git(origin, "commit", "--allow-empty", "-m", "Aside")
    git(origin, "tag", "v1.0.1")
    git(tmp_path, "clone", str(origin), str(clone))
    for tag, code in (("v1.0.0", 0), ("v1.0.1", 1)):
        git(clone, "checkout", tag)
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=clone, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
    assert "v1.0.1 is not on main" in done.stdout


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
