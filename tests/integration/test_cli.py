"""The command as a whole: its arguments, its version, doctor, and pipes that close early."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import zstandard

import l3book
from dbn_bytes import UNIT, metadata, record
from running import COMMAND, EXIT_TIMEOUT_S, environment, error_line, run

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRY = PROJECT["scripts"]["l3book"].split(":")
"""What the installed command calls: module and function."""


def test_version_is_that_of_the_core() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"l3book {l3book.__version__}\n")


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "l3book", "--version"], capture_output=True, check=False, timeout=60)
    assert done.stdout.decode() == f"l3book {l3book.__version__}\n"


@pytest.mark.parametrize("verb", ["serve", "reconstruct", "simulate", "doctor"])
def test_every_verb_has_help(verb: str) -> None:
    assert re.search(rf"^ +{verb}\b", run("--help").stdout.decode(), re.MULTILINE)
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"usage: l3book {verb}" in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "VERB"),
        (["rebuild"], "rebuild"),
        (["reconstruct"], "FILE"),
        (["reconstruct", "a.dbn", "--level", "4"], "--level"),
        (["reconstruct", "a.dbn", "--depth", "0"], "expected a whole number above 0"),
        (["reconstruct", "a.dbn", "--at", "noon"], "expected nanoseconds since 1970 or ISO 8601"),
        (["reconstruct", "a.dbn", "--dep", "3"], "--dep"),
        (["simulate"], "-o"),
        (["simulate", "-o", "a.dbn", "--messages", "many"], "expected a whole number from 0"),
        (["simulate", "-o", "a.csv"], "expected a name ending in .dbn"),
        (["serve", "--port", "70000"], "--port is '70000': expected a whole number from 0 to 65535"),
        (["serve", "--source", "ftp://x"], "unknown scheme 'ftp'"),
        (["serve", "--source", "file:none.dbn"], "none.dbn"),
        (["serve", "--source", "file:."], ". is not a regular file: expected a .dbn or .dbn.zst file"),
        (["serve", "--source", "file:/dev/zero"], "/dev/zero is not a regular file"),
        (["serve", "--source", "synthetic:?rate=" + "9" * 5000], "expected a whole number from 0 to 1000000000"),
        (["serve", "--port", "9" * 5000], "expected a whole number from 0 to 65535"),
        (["reconstruct", "a" * 5000], "File name too long"),
        (["simulate", "-o", "a" * 5000 + ".dbn"], "File name too long"),
        (["serve", "--log-level", "loud"], "expected one of debug, info, warning, error"),
        (["serve", "--host", "no such host"], "no such host"),
        (["serve", "--config", "none.toml"], "none.toml: No such file or directory"),
        (["config"], "the following arguments are required: ACTION"),
        (["config", "show", "--port", "many"], "--port is 'many': expected a whole number"),
        (["serve", "--sorce", "x"], "--sorce x: did you mean --source? (see `l3book serve --help`)"),
        (["history", "info", ".", "--jason"], "did you mean --json? (see `l3book history info --help`)"),
        (["keys", "create", "--nam", "x"], "required: --name (see `l3book keys create --help`)"),
        (["serve", "--source", "day.dbn"], "live://DATASET, nats://HOST:PORT/STREAM"),
        (["publish", "--source", "synthetic:", "--to", "here/ES"], "--to: 'here/ES': expected nats://HOST:PORT/STREAM"),
        (
            ["publish", "--source", "synthetic:", "--to", "nats://h/S", "--log-format", "xml"],
            "expected auto, text or json",
        ),
        (["serve", "--env", "moon"], "expected one of dev, staging, prod"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert expected in error_line(done)
    assert done.returncode == 2
    assert done.stdout == b""
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_this_installation_sound(tmp_path: Path) -> None:
    done = run("doctor", cwd=tmp_path)
    text = done.stdout.decode()
    assert done.returncode == 0, text
    assert done.stderr == b""
    for finding in (
        "Python 3.",
        f"l3book {l3book.__version__}",
        "Rust core loads",
        "numpy ",
        "starlette ",
        "uvicorn ",
    ):
        assert re.search(rf"^(ok|warn)  +{re.escape(finding)}", text, re.MULTILINE), text
    assert list(tmp_path.iterdir()) == [], "looking must not leave anything behind"


def test_doctor_fails_on_settings_that_serve_would_refuse() -> None:
    done = run("doctor", env={"L3BOOK_PORT": "many"})
    assert done.returncode == 1
    assert "fail  settings: L3BOOK_PORT is 'many'" in done.stdout.decode()


@pytest.mark.parametrize("layer", ["variables", "file"])
def test_doctor_tries_the_address_of_the_settings(tmp_path: Path, layer: str) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        config = tmp_path / "a.toml"
        config.write_text(f'host = "127.0.0.2"\nport = {port}\n')
        variables = {"L3BOOK_HOST": "127.0.0.2", "L3BOOK_PORT": str(port)}
        done = run("doctor", env=variables if layer == "variables" else {"L3BOOK_CONFIG": str(config)})
    assert f"warn  127.0.0.2:{port}: the port is in use" in done.stdout.decode()
    assert done.returncode == 0


def test_doctor_fails_on_an_address_that_serve_would_refuse() -> None:
    done = run("doctor", env={"L3BOOK_HOST": "0.0.0.0", "L3BOOK_PORT": "0"})  # noqa: S104
    assert "fail  0.0.0.0:0: not a loopback address" in done.stdout.decode()
    assert done.returncode == 1


def test_doctor_needs_no_home() -> None:
    """In a container the user may be a number without an entry among the accounts."""
    program = (
        "import pwd, sys\n"
        "def no_entry(number): raise KeyError(number)\n"
        "pwd.getpwuid = no_entry\n"
        "from l3book.cli import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    clean = {name: value for name, value in environment().items() if name not in ("HOME", "XDG_DATA_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60, env={**clean, "L3BOOK_PORT": "0"}
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("module", ["l3book.cli", "l3book.cli.serve", "l3book.cli.verify"])
def test_ctrl_c_while_the_verbs_are_imported_ends_without_a_word(module: str) -> None:
    program = (
        "import signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        f"from {ENTRY[0]} import {ENTRY[1]} as command\n"
        "sys.exit(command())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60, env=environment()
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("verb", ["reconstruct", "doctor", "--version", "--help"])
def test_standard_output_on_a_full_disk_is_one_line(tmp_path: Path, verb: str, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = to_stdout(tmp_path, verb, stdout=full, env=environment(PYTHONUNBUFFERED=unbuffered))
    assert error_line(done) == "l3book: standard output: No space left on device"
    assert done.returncode == 2


@pytest.mark.parametrize("verb", ["reconstruct", "doctor", "--version"])
def test_a_closed_standard_output_is_one_line(tmp_path: Path, verb: str) -> None:
    done = to_stdout(tmp_path, verb, preexec_fn=lambda: os.close(1))
    assert error_line(done) == "l3book: standard output: closed: expected one that can be written to"
    assert done.returncode == 2


def test_a_closed_standard_error_leaves_standard_output_clean(tmp_path: Path) -> None:
    done = to_stdout(tmp_path, "reconstruct", stdout=subprocess.PIPE, preexec_fn=lambda: os.close(2))
    assert done.returncode == 0
    assert json.loads(done.stdout) == []


def to_stdout(tmp_path: Path, verb: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    path = tmp_path / "none.dbn"
    path.write_bytes(metadata())
    arguments = [verb, path] if verb == "reconstruct" else [verb]
    options = {"env": environment(), "stdout": None, **options}
    return subprocess.run([COMMAND, *arguments], stderr=subprocess.PIPE, check=False, timeout=60, **options)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A book whose JSON is far longer than a pipe holds."""
    path = tmp_path / "deep.dbn"
    adds = [record("A", "B", (i + 1) * UNIT, size=1, order_id=i, instrument_id=7) for i in range(20_000)]
    path.write_bytes(metadata() + b"".join(adds))
    return path


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error(deep: Path, unbuffered: str) -> None:
    process = subprocess.Popen(
        [COMMAND, "reconstruct", deep],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED=unbuffered),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(EXIT_TIMEOUT_S) == 128 + signal.SIGPIPE
    assert "Broken" not in errors
    assert "Traceback" not in errors


def test_unbuffered_python_still_writes_all_of_a_long_book(deep: Path) -> None:
    """With PYTHONUNBUFFERED, one write to a pipe may take only a part of the bytes."""
    process = subprocess.Popen(
        [COMMAND, "reconstruct", deep],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        output = b"".join(iter(lambda: os.read(pipe.fileno(), 4096), b""))
    assert process.wait(EXIT_TIMEOUT_S) == 0
    assert len(json.loads(output)["bids"]) == 20_000


def test_ctrl_c_ends_a_long_simulation_quietly_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "long.dbn"
    process = subprocess.Popen(
        [COMMAND, "simulate", "-o", path, "--messages", "10_000_000_000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not path.exists()
    process.send_signal(signal.SIGINT)
    with process:  # which closes its pipes, and waits for it
        try:
            output, errors = process.communicate(timeout=EXIT_TIMEOUT_S)
        finally:
            process.kill()
    assert (process.returncode, output, errors) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_long_reconstruction_quietly(tmp_path: Path) -> None:
    """Reading a file is one call into Rust, which has to look for signals by itself."""
    path = tmp_path / "long.dbn.zst"
    numbers = random.Random(1)
    ids = [numbers.getrandbits(64) for _ in range(10_000)]
    block = b"".join(record("A", "B", UNIT, size=1, order_id=order_id, instrument_id=7) for order_id in ids)
    frames = [zstandard.ZstdCompressor().compress(part) for part in (metadata(), block)]
    path.write_bytes(frames[0] + frames[1] * 1_000)
    process = subprocess.Popen(
        [COMMAND, "reconstruct", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    descriptors = Path(f"/proc/{process.pid}/fd")
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if any(entry.resolve() == path.resolve() for entry in descriptors.iterdir()):
                break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    with process:  # which closes its pipes, and waits for it
        try:
            output, errors = process.communicate(timeout=EXIT_TIMEOUT_S)
        finally:
            process.kill()
    assert (process.returncode, output, errors) == (130, b"", b"")


def test_json_on_standard_output_stays_clean_of_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(metadata(symbols={'ÄB"C': 7}) + record("A", "B", UNIT, size=1, order_id=1, instrument_id=7))
    done = run("reconstruct", path, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert json.loads(done.stdout)["symbol"] == 'ÄB"C'


@pytest.mark.parametrize("source", ["synthetic:", "file:a.dbn", "tcp://127.0.0.1:1", "live://GLBX.MDP3"])
def test_the_help_of_serve_names_every_option_of_a_source(source: str) -> None:
    """What a source takes is what it names when it is given something else."""
    refused = error_line(run("serve", "--source", f"{source}?nonsense=1"))
    keys = refused.split("unknown key 'nonsense': expected ")[1].split(" or ")
    text = run("serve", "--help").stdout.decode()
    scheme = source.partition(":")[0]
    described = re.search(rf"^  {scheme}:.*\n(?:    .*\n)*", text, re.MULTILINE)
    assert described, text
    assert [key for key in keys if not re.search(rf"\b{key}\b", described[0])] == []
