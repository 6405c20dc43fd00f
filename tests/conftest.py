"""Fixtures shared by all tests."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The helpers beside this file are imported by their plain names.
sys.path.insert(0, str(Path(__file__).parent))

from gateways import RunningGateway
from keyed import Keyed
from running import RunningServer

# Hypothesis without a deadline: a slow machine is no fault of what is tested.
settings.register_profile("l3book", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("l3book")

# Its tests are methods there, and have to say what differed as they would in a test file.
pytest.register_assert_rewrite("store_conformance")

# Where this is set, each of the thousand commands that the tests start would compile all of l3book anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that runs its jobs in the background has them ignore SIGINT, and `nohup` SIGHUP; what is started from here
# would inherit that: a handler of our own becomes the default one in every command that the tests run.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real recordings; they belong to their owners, so they are not part of the repository."""
    folder = os.environ.get("L3BOOK_TEST_DATA")
    if not folder:
        pytest.skip("L3BOOK_TEST_DATA is not set: it names the folder of real recordings")
    if not Path(folder).is_dir():
        pytest.skip(f"L3BOOK_TEST_DATA names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture
def clx5(test_data: Path) -> Path:
    """A recording of CLX5 that starts mid-session, with a known final book."""
    path = test_data / "clx5" / "CLX5_mbo.dbn"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path


@pytest.fixture
def recording(made: bytes, tmp_path: Path) -> Path:
    """What a test file has `made`, as a file."""
    path = tmp_path / "recording.dbn"
    path.write_bytes(made)
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., RunningServer]]:
    """Start `l3book serve` as a process of its own; it is ended with the test."""
    servers: list[RunningServer] = []

    def start(*arguments: str, **options: object) -> RunningServer:
        server = RunningServer(*arguments, **options)  # type: ignore[arg-type]
        servers.append(server)
        server.wait_until_listening()
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def keyed(serve: Callable[..., RunningServer], tmp_path: Path) -> Callable[..., Keyed]:
    """Start a server with a state of its own, which holds no key yet; settings by name."""
    return lambda **settings: Keyed(serve, tmp_path / "state", **settings)


@pytest.fixture
def gateway() -> Iterator[Callable[..., RunningGateway]]:
    """Start `l3book gateway` as a process of its own; it is ended with the test."""
    gateways: list[RunningGateway] = []

    def start(*arguments: object, **options: object) -> RunningGateway:
        running = RunningGateway(*map(str, arguments), **options)  # type: ignore[arg-type]
        gateways.append(running)
        running.wait_until_listening()
        return running

    yield start
    for running in gateways:
        running.kill()
