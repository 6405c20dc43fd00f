"""A PostgreSQL server of its own for tests: Debian's binaries on a temporary folder and a free port of loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

USER = "recorder"
PASSWORD = "correct horse"  # noqa: S105  # of this fixture
DATABASE = "postgres"
READY_TIMEOUT_S = 90
EXIT_TIMEOUT_S = 60
_DEBIAN = Path("/usr/lib/postgresql")


def _binary(name: str) -> str:
    if found := shutil.which(name):
        return found
    installed = sorted(_DEBIAN.glob(f"*/bin/{name}"))
    if not installed:
        pytest.skip(f"PostgreSQL is not installed: no {name} on PATH or under {_DEBIAN}")
    return str(installed[-1])


def _unprivileged() -> str | None:
    """Who runs it: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class RunningPostgres:
    """Started with nothing in it; `close` ends it and removes its folder."""

    def __init__(self, **settings: str) -> None:
        """`settings` are PostgreSQL's own, beside those that every test needs."""
        initdb, postgres = _binary("initdb"), _binary("postgres")
        user = _unprivileged()
        # Not under pytest's folder, which only its owner may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="l3book-postgres-"))
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        if user:
            shutil.chown(self.folder, user)
            shutil.chown(secret, user)
        data = self.folder / "data"
        made = subprocess.run(
            [initdb, "--pgdata", data, "--username", USER, "--pwfile", secret, "--auth", "scram-sha-256", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            user=user,
            cwd=self.folder,
        )
        assert made.returncode == 0, made.stderr
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        # What survives a crash of the machine is PostgreSQL's affair; here only processes are killed.
        settings = {"fsync": "off", "shared_buffers": "64MB", **settings}
        settings |= {"listen_addresses": "127.0.0.1", "port": str(self.port)}
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [postgres, "-D", data, "-k", self.folder, *(f"--{name}={value}" for name, value in settings.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=self.folder,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def options(self, database: str = DATABASE) -> dict[str, object]:
        """What libpq connects by."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "dbname": database}

    def execute(self, statement: str, database: str = DATABASE) -> list[tuple]:
        """Run one statement outside of a transaction."""
        import psycopg

        with psycopg.connect(**self.options(database), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def close(self) -> None:
        # Its fast shutdown: clients are cut off.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)

    def _wait_until_ready(self) -> None:
        import psycopg

        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline_s, self.log.read_text()
                time.sleep(0.05)
            else:
                return
