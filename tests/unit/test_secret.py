"""Secrets from variables and files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.secret import SECRET_BYTES_MAX, SECRET_VARIABLES, SecretError, read_secret, secret_origin

NAME = "DATABENTO_API_KEY"
SECRET = "db-not-to-be-seen"  # noqa: S105


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_from_a_variable_or_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f" {SECRET}\r\n")
    assert read_secret(name, {}) == ""
    assert read_secret(name, {name: SECRET}) == SECRET
    assert read_secret(name, {name + "_FILE": str(file)}) == SECRET
    assert read_secret(name, {name: "", name + "_FILE": str(file)}) == SECRET
    assert secret_origin(name, {name + "_FILE": str(file)}) == name + "_FILE"
    assert secret_origin(name, {}) is None


def test_from_a_pipe() -> None:
    """As a shell's <(…) gives it."""
    reading, writing = os.pipe()
    os.write(writing, SECRET.encode())
    os.close(writing)
    try:
        assert read_secret(NAME, {NAME + "_FILE": f"/dev/fd/{reading}"}) == SECRET
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory: expected a readable file"),
        ("folder", "Is a directory: expected a readable file"),
        (b" \n", "empty: expected a secret"),
        (SECRET.encode() + b"\xff", "no UTF-8: expected a secret as text"),
        (SECRET.encode() + b"x" * SECRET_BYTES_MAX, f"more than {SECRET_BYTES_MAX} bytes: expected a secret"),
    ],
    ids=["missing", "folder", "empty", "bytes", "long"],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | str | None, expected: str) -> None:
    file = tmp_path / "key"
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    with pytest.raises(SecretError) as refused:
        read_secret(NAME, {NAME + "_FILE": str(file)})
    assert str(refused.value) == f"{NAME}_FILE: {file}: {expected}"


def test_a_file_that_never_ends_is_not_read_for_ever() -> None:
    with pytest.raises(SecretError, match="more than"):
        read_secret(NAME, {NAME + "_FILE": "/dev/zero"})


def test_both_at_once_are_refused() -> None:
    environ = {NAME: SECRET, NAME + "_FILE": "/x"}
    with pytest.raises(SecretError, match=f"{NAME} and {NAME}_FILE are both set: expected one of them") as refused:
        read_secret(NAME, environ)
    assert SECRET not in str(refused.value)
    with pytest.raises(SecretError):
        secret_origin(NAME, environ)


@given(content=st.binary(max_size=200))
def test_no_error_shows_what_was_in_the_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("secret") / "key"
    file.write_bytes(content)
    try:
        assert read_secret(NAME, {NAME + "_FILE": str(file)}) == content.decode().strip()
    except SecretError as error:
        assert str(error).removeprefix(f"{NAME}_FILE: {file}: ") in (  # noqa: PT017
            "empty: expected a secret",
            "no UTF-8: expected a secret as text",
        )
