"""`l3book gateway` as a command: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import RECORD_BYTES, metadata, split
from gateways import KEY, OTHER_KEY, Client, body
from l3book._core import Simulator
from l3book.gateway.faults import LASTING_KINDS, ONE_OFF_KINDS
from running import error_line, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateways import RunningGateway


EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def made() -> bytes:
    simulator = Simulator(seed=1, resting_max=64)
    return simulator.header() + simulator.read_last(5_000)


def test_two_commands_suffice(gateway: Callable[..., RunningGateway], recording: Path, made: bytes) -> None:
    """Without a key one is made, and printed once, in the line that is to be pasted."""
    running = gateway(recording, "--max", key=None)
    key, host, port = running.wait_for_line(
        r"client: databento\.Live\(key='(db-\w{29})', gateway='(.*)', port=(\d+)\)"
    ).groups()
    assert (host, int(port)) == ("127.0.0.1", running.port)
    with running.connect() as client:
        assert body(client.stream(key=key)) == split(made)[1]
    running.end()
    assert "".join(running.lines).count(key) == 1


def test_the_first_line_says_what_is_served_and_where(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording)
    running.wait_for_line(
        rf"^l3book \S+: gateway listening on 127\.0\.0\.1:{running.port} "
        rf"\({re.escape(str(recording))}, dataset GLBX\.MDP3, schema mbo\)\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_exit_code_0_and_totals(
    gateway: Callable[..., RunningGateway], recording: Path, number: int
) -> None:
    running = gateway(recording, "--max")
    with running.connect() as client:
        client.stream()
    running.process.send_signal(number)
    assert running.wait_for_exit() == 0
    running.wait_for_line(r"l3book gateway ended: 1 sessions, 0 refused, 5,000 records, \d+,\d+ bytes\n")


def test_each_session_is_logged(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--max")
    with running.connect() as client:
        client.stream({"symbols": "ALL_SYMBOLS,NOBODY"}, client="a test")
    lines = (
        r"session 1 \(127\.0\.0\.1:\d+\): connected",
        r"session 1 .*authenticated: key …FFFFF, compression none, ts_out 0, client 'a test'",
        r"session 1 .*subscribed to mbo, 2 symbols by raw_symbol, 2 not resolved",
        r"session 1 .*started with 1 subscription\b",
        r"session 1 .*ended: end of the recording; 0 records, \d+ bytes, [\d.]+ s",
    )
    # In this order.
    running.wait_for_line(r"\n(?:.*\n)*".join(f".*{line}.*" for line in lines))


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("missing.dbn",), 2, "missing.dbn: no such file: expected a .dbn or .dbn.zst file"),
        ((".",), 2, ".: a directory"),
        (("text.dbn",), 1, "text.dbn"),
        (("empty.dbn",), 1, "empty.dbn"),
        # Its first bytes could be those of a bar, which is a record without metadata.
        (("heading.md",), 1, "heading.md: no DBN metadata that names a dataset"),
        (("good.dbn", "other.dbn"), 1, "other.dbn: dataset XNAS.ITCH, expected GLBX.MDP3"),
        (("good.dbn", "--key", "db-short"), 2, "--key: a key of 8 characters: expected 32"),
        (("good.dbn", "--spared-key", "x" * 32), 2, "--spared-key: a key that does not begin with 'db-'"),
        (("good.dbn", "--key", KEY, "--spared-key", KEY), 2, "--spared-key: a key that is also in --key or L3BOOK_"),
        (("good.dbn", "--rate", "5", "--speed", "2"), 2, "not allowed with argument"),
        (("good.dbn", "--rate", "0"), 2, "--rate: '0': expected a whole number from 1"),
        (("good.dbn", "--speed", "-1"), 2, "expected a number from 1e-06 to 1e+06"),
        (("good.dbn", "--speed", "nan"), 2, "expected a number from 1e-06 to 1e+06"),
        (("good.dbn", "--shared-clock"), 2, "--shared-clock without a pace"),
        (("good.dbn", "--shared-clock", "--loop", "--speed", "1"), 2, "expected --as-if-now with it"),
        (("good.dbn", "--fault", "earthquake@5"), 2, "earthquake"),
        (("good.dbn", "--port", "65536"), 2, "expected a whole number from 0 to 65535"),
        (("good.dbn", "--protocol", "ftp"), 2, "invalid choice: 'ftp'"),
        (("good.dbn", "--protocol", "raw", "--key", KEY), 2, "the raw protocol has no keys"),
        (("good.dbn", "--host", EVERYWHERE), 2, "0.0.0.0:0: not a loopback address, and no key is configured"),
        (("good.dbn", "--host", EVERYWHERE, "--protocol", "raw"), 2, "the raw protocol asks nobody who they are"),
        (("good.dbn", "--host", "no.such.host.invalid"), 2, "cannot resolve the host"),
        (("good.dbn", "--log-level", "loud"), 2, "--log-level is 'loud'"),
        ((), 2, "the following arguments are required: FILE"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    arguments: tuple[str, ...], code: int, expected: str, recording: Path, tmp_path: Path
) -> None:
    recording.rename(tmp_path / "good.dbn")
    (tmp_path / "text.dbn").write_text("this is no DBN, whatever its name says\n" * 10)
    (tmp_path / "empty.dbn").write_bytes(b"")
    (tmp_path / "heading.md").write_text("# l3book\n" * 40)
    (tmp_path / "other.dbn").write_bytes(metadata(dataset="XNAS.ITCH"))
    done = run("gateway", "--port", "0", *arguments, cwd=tmp_path)
    assert expected in error_line(done)
    assert done.returncode == code
    assert not any(key in done.stderr.decode() for key in (KEY, "x" * 32))


def test_a_port_in_use_is_one_line(recording: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("gateway", recording, "--port", port)
    assert f"127.0.0.1:{port}: the port is in use" in error_line(done)
    assert done.returncode == 2


def test_keys_come_from_a_file_too(recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY},\ndb-secretbutshort\n")
    done = run("gateway", recording, "--port", "0", env={"L3BOOK_GATEWAY_KEYS_FILE": str(file)})
    assert "L3BOOK_GATEWAY_KEYS: a key of 17 characters" in error_line(done)
    assert "secretbutshort" not in done.stderr.decode()
    done = run("gateway", recording, "--port", "0", env={"L3BOOK_GATEWAY_KEYS_FILE": str(tmp_path)})
    assert f"L3BOOK_GATEWAY_KEYS_FILE: {tmp_path}: Is a directory: expected a readable file" in error_line(done)


def test_wrong_keys_of_the_environment_are_refused_unseen(recording: Path) -> None:
    done = run("gateway", recording, "--port", "0", env={"L3BOOK_GATEWAY_KEYS": f"{KEY},db-secretbutshort"})
    assert "L3BOOK_GATEWAY_KEYS: a key of 17 characters" in error_line(done)
    assert "secretbutshort" not in done.stderr.decode()


def test_the_keys_variable_is_not_taken_for_a_setting(serve: Callable[..., object], recording: Path) -> None:
    serve("--source", f"file:{recording}", env={"L3BOOK_GATEWAY_KEYS": KEY})


def test_every_fault_is_in_the_help() -> None:
    text = run("gateway", "--help").stdout.decode()
    for kind in (*ONE_OFF_KINDS, *LASTING_KINDS):
        assert re.search(rf"^  {kind}  +\S", text, re.MULTILINE), kind


def test_a_public_address_needs_keys_and_then_is_served(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    running = gateway(recording, "--max", "--host", EVERYWHERE)
    with running.connect() as client:
        assert body(client.stream()) == split(made)[1]
    with running.connect() as stranger:
        assert stranger.greeted().authenticate(key=OTHER_KEY).startswith("success=0|")


def test_raw_is_the_file_as_it_is(gateway: Callable[..., RunningGateway], clx5: Path) -> None:
    running = gateway(clx5, "--protocol", "raw", "--max")
    running.wait_for_line(rf"client: l3book serve --source tcp://127\.0\.0\.1:{running.port}\n")
    with running.connect() as client:
        assert client.rest() == clx5.read_bytes()


def test_raw_passes_over_what_clients_send(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes
) -> None:
    running = gateway(recording, "--protocol", "raw", "--max")
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 200_000)
        assert client.rest() == made
    with running.connect() as client:
        # Like `nc host port < /dev/null`.
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == made


def test_files_are_served_one_after_the_other(
    gateway: Callable[..., RunningGateway], recording: Path, made: bytes, tmp_path: Path
) -> None:
    second = tmp_path / "second.dbn"
    second.write_bytes(made)
    for protocol in ("lsg", "raw"):
        running = gateway(recording, second, "--max", "--protocol", protocol)
        with running.connect() as client:
            data = client.rest() if protocol == "raw" else client.stream()
        assert body(data) == 2 * split(made)[1]


def test_files_in_the_wrong_order_of_time_are_told(
    gateway: Callable[..., RunningGateway], made: bytes, tmp_path: Path
) -> None:
    head, records = split(made)
    half = len(records) // RECORD_BYTES // 2 * RECORD_BYTES
    paths = [tmp_path / "morning.dbn", tmp_path / "evening.dbn"]
    for path, part in zip(paths, (records[:half], records[half:]), strict=True):
        path.write_bytes(head + part)
    right, wrong = gateway(*paths, "--max"), gateway(*reversed(paths), "--max")
    for running in (right, wrong):
        running.end()
    expected = rf"morning\.dbn begins [0-9.]+ s before {re.escape(str(paths[1]))}, which is served first: expected"
    assert re.search(expected, "".join(wrong.lines))
    assert "which is served first" not in "".join(right.lines)


def test_a_client_before_the_first_byte_is_no_trouble(gateway: Callable[..., RunningGateway], recording: Path) -> None:
    running = gateway(recording, "--max")
    for _ in range(20):
        Client(running.port).socket.close()
    with running.connect() as client:
        assert len(body(client.stream())) == 5_000 * 56
    assert running.end()["sessions"] == 1
