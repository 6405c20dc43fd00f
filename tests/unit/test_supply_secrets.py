"""gitleaks, as the check calls it, finds a secret in the tree and one that was removed again."""

import random
import string
import subprocess
from pathlib import Path

import pytest

from supply import CannotRunError, CheckError, check


def secret() -> str:
    """-> what looks like a cloud key, made here so that no file has one."""
    chooser = random.Random(11)
    return "AKIA" + "".join(chooser.choice(string.ascii_uppercase + "234567") for _ in range(16))


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """-> a repository of one harmless commit."""
    git(tmp_path, "init", "--initial-branch=main")
    (tmp_path / "settings.py").write_text("region = 'here'\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "Begin")
    return tmp_path


def test_a_tree_without_secrets_passes(repository: Path) -> None:
    secrets = check("check_secrets", "gitleaks")
    assert secrets.look(repository) == "1 files and 1 commits: no secret"


def test_a_secret_in_the_tree_is_caught(repository: Path) -> None:
    secrets = check("check_secrets", "gitleaks")
    value = secret()
    (repository / "new.py").write_text(f"key = '{value}'\n")
    with pytest.raises(CheckError, match="a secret in the tree") as raised:
        secrets.look(repository)
    assert "new.py" in str(raised.value)
    assert value not in str(raised.value), "what was found must not stand in a log"


def test_a_secret_in_the_past_is_caught(repository: Path) -> None:
    secrets = check("check_secrets", "gitleaks")
    (repository / "settings.py").write_text(f"key = '{secret()}'\n")
    git(repository, "commit", "-a", "-m", "Add a key")
    (repository / "settings.py").write_text("region = 'here'\n")
    git(repository, "commit", "-a", "-m", "Remove the key")
    with pytest.raises(CheckError, match="a secret in the history"):
        secrets.look(repository)


def test_without_its_history_it_does_not_pass(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secrets = check("check_secrets", "gitleaks")
    git(repository, "commit", "--allow-empty", "-m", "Another")
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "clone", "--depth=1", f"file://{repository}", ".")
    with pytest.raises(CannotRunError, match="shallow"):
        secrets.look(shallow)
    with pytest.raises(CannotRunError, match="no git repository"):
        secrets.look(tmp_path_factory.mktemp("bare"))
