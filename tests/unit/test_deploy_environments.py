"""Environments: what differs is what docs/deploy.md says, and nothing in them is a secret."""

import re

import pytest

from deploying import DEPLOY, ENVIRONMENTS, REPOSITORY, read_yaml, script
from l3book.config import load
from l3book.secret import SECRET_VARIABLES

TABLE = script("environments/table.py")
FILES = {"compose.yml", "terraform.tfvars", "values.yaml"}


def test_the_document_has_the_table_of_what_differs() -> None:
    document = TABLE.DOCUMENT.read_text(encoding="utf-8")
    assert document == TABLE.text(), "run deploy/environments/table.py"


def test_a_change_in_one_environment_changes_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TABLE.table()
    changed = {**TABLE.tfvars("prod"), "server_type": "another"}
    monkeypatch.setitem(TABLE.FILES, "terraform.tfvars", lambda name: changed if name == "prod" else TABLE.tfvars(name))
    assert "`another`" in TABLE.table()
    assert TABLE.table() != before


def test_there_is_one_folder_for_each_settings_file() -> None:
    folders = {path.name: path for path in (DEPLOY / "environments").iterdir() if path.is_dir()}
    folders.pop("__pycache__", None)
    assert set(folders) == {path.stem for path in (REPOSITORY / "config").glob("*.toml")} == set(ENVIRONMENTS)
    for folder in folders.values():
        assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_file_says_which_environment_it_is(name: str) -> None:
    assert TABLE.compose(name)["environment.L3BOOK_ENV"] == name
    assert TABLE.values(name)["environment"] == name
    assert TABLE.tfvars(name)["environment"] == name


def test_staging_reads_what_its_settings_say() -> None:
    """docker-compose.yml has a source of its own, which would hide that of config/staging.toml."""
    source = load(env="staging").settings.source
    assert TABLE.compose("staging")["environment.L3BOOK_SOURCE"] == f"${{L3BOOK_SOURCE:-{source}}}"
    assert TABLE.values("staging")["shards"][0]["source"] == source
    assert TABLE.tfvars("staging")["feed"] == source


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_server_is_given_the_time_that_its_end_takes(name: str) -> None:
    settings = load(env=name).settings
    needed_s = settings.drain_delay_s + settings.shutdown_timeout_s + 15
    base = read_yaml(REPOSITORY / "docker-compose.yml")["services"]["l3book"]["stop_grace_period"]
    given = TABLE.compose(name).get("stop_grace_period", base)
    assert int(given.removesuffix("s")) > needed_s


def test_a_host_takes_every_secret_that_a_server_reads() -> None:
    variables = (DEPLOY / "terraform/variables.tf").read_text(encoding="utf-8")
    taken = re.findall(r'"([A-Z0-9_]+)",', variables.partition("setsubtract(var.secrets, [")[2].partition("]")[0])
    assert set(taken) == set(SECRET_VARIABLES) - script("helm/schema.py").OTHER_SECRETS


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_how_large_a_history_becomes_is_no_matter_of_the_demo(name: str) -> None:
    """The default of docker-compose.yml is one for a laptop, and records beyond it are deleted."""
    bound = TABLE.compose(name)["environment.L3BOOK_HISTORY_BYTES_MAX"]
    if name == "prod":
        assert bound.startswith("${L3BOOK_HISTORY_BYTES_MAX:?")
    else:
        assert bound == f"${{L3BOOK_HISTORY_BYTES_MAX:-{load(env=name).settings.history_bytes_max}}}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_secret_is_in_an_environment(name: str) -> None:
    for path in (DEPLOY / "environments" / name).iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"l3b_|db-[0-9A-Za-z]|PRIVATE KEY|(?i:password|token) *[:=] *[\"']?\w", text), path
