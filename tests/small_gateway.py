"""A gateway that does what a test tells it to and nothing else: the tests' own reading of the protocol."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence

KEY = "db-unittestapikey1234567890FFFFF"
CHALLENGE = "abcd1234"
TIMEOUT_S = 30
LINE_BYTES_MAX = 64 * 1024


class Session:
    """One accepted connection, as the script of a test sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.lines: list[dict[str, str]] = []
        self._unread = b""
        sock.settimeout(TIMEOUT_S)

    def line(self) -> dict[str, str]:
        """The next line of the client, as key and value."""
        while b"\n" not in self._unread:
            data = self.sock.recv(LINE_BYTES_MAX)
            if not data:
                raise ConnectionError("the client has closed")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        fields = dict(field.partition("=")[::2] for field in line.decode().split("|"))
        self.lines.append(fields)
        return fields

    def authenticate(self, key: str = KEY) -> bool:
        """Greet, check the answer, say so."""
        self.sock.sendall(f"lsg_version=0.0.0\ncram={CHALLENGE}\n".encode())
        digest = hashlib.sha256(f"{CHALLENGE}|{key}".encode()).hexdigest()
        if self.line()["auth"] != f"{digest}-{key[-5:]}":
            self.sock.sendall(b"success=0|error=User authentication failed: no such key\n")
            return False
        self.sock.sendall(b"success=1|session_id=7\n")
        return True

    def subscriptions(self) -> list[dict[str, str]]:
        """All lines up to the start of the session."""
        lines = []
        while "start_session" not in (line := self.line()):
            lines.append(line)
        return lines

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close without an end: the peer sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_close(self) -> None:
        """Until the client has closed its side."""
        with contextlib.suppress(OSError):
            while self.sock.recv(LINE_BYTES_MAX):
                pass


Script = Callable[[Session], None]


class SmallGateway:
    """Listens on a free port; the n-th connection follows the n-th script, all further ones the last."""

    def __init__(self, scripts: Sequence[Script], port: int = 0) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.sessions: list[Session] = []
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            session = Session(sock)
            script = self._scripts[min(len(self.sessions), len(self._scripts) - 1)]
            self.sessions.append(session)
            thread = threading.Thread(target=self._follow, args=(script, session), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _follow(self, script: Script, session: Session) -> None:
        with session.sock:
            try:
                script(session)
            except ConnectionError:
                # The client may leave whenever it likes.
                return
            except BaseException as error:  # noqa: BLE001  # the test looks at them
                self.errors.append(error)

    def close(self) -> None:
        # shutdown() first: close() alone would not wake accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *self._threads]:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()
        assert self.errors == []

    def __enter__(self) -> SmallGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
