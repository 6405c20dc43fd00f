"""Keys: what is kept of them, how they end, and how a store follows what other processes do."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.access import key_store
from l3book.access.guard import Guard
from l3book.access.identity import Identity, counted_address
from l3book.access.key_store import KeyStore, Refusal
from l3book.access.keys import Key, key_id_of, make_key
from l3book.access.scopes import SCOPES, Scope, is_open, needed, with_included
from l3book.access.state_file import StateError, StateFile
from l3book.config import Settings
from running import COMMAND, environment, run

FOREVER = None


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state")


@pytest.fixture
def store(state: StateFile) -> Iterator[KeyStore]:
    opened = KeyStore(state)
    yield opened
    opened.close()


def accepted(found: Key | Refusal) -> Key:
    assert isinstance(found, Key)
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_the_owner_may_look_at_the_state(state: StateFile, store: KeyStore) -> None:
    key_store.create(state, "a", ["read"], FOREVER)
    assert stat.S_IMODE(state.path.parent.stat().st_mode) == 0o700
    files = list(state.path.parent.iterdir())
    assert {"state.db", "state.db-wal"} <= {file.name for file in files}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_file_that_others_may_read_is_closed_to_them(state: StateFile) -> None:
    state.path.chmod(0o644)
    StateFile(state.path.parent)
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o600


def test_a_state_may_be_made_by_many_at_once(tmp_path: Path) -> None:
    for round_number in range(5):
        folder = tmp_path / str(round_number)
        with ThreadPoolExecutor(8) as pool:
            states = list(pool.map(StateFile, [folder] * 8))
            keys = set(pool.map(key_store.create, states, "abcdefgh", [["read"]] * 8, [FOREVER] * 8))
        assert len(key_store.listed(states[0])) == len(keys) == 8


def test_a_state_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"file.*: expected a folder of the server's own"):
        StateFile(tmp_path / "file")
    (tmp_path / "state.db").write_text("no database, but long enough to be taken for one" * 100)
    with pytest.raises(StateError, match=r"state\.db: file is not a database: expected a SQLite file"):
        StateFile(tmp_path)


def test_a_key_has_256_random_bits_and_nothing_of_them_is_kept(state: StateFile) -> None:
    text = key_store.create(state, "a", ["read"], FOREVER)
    prefix, key_id, secret = text.split("_")
    assert prefix == "l3b"
    assert key_id_of(text) == key_id
    assert len(bytes.fromhex(secret)) >= 32
    kept = b"".join(file.read_bytes() for file in state.path.parent.iterdir())
    assert key_id.encode() in kept
    assert secret.encode() not in kept
    assert bytes.fromhex(secret) not in kept
    assert make_key() != make_key()


def test_a_key_is_accepted_only_as_it_is(state: StateFile, store: KeyStore) -> None:
    text = key_store.create(state, "desk", ["control"], FOREVER)
    key = accepted(store.check(text))
    assert (key.name, key.scopes) == ("desk", {"read", "control"})
    other = key_store.create(state, "other", ["read"], FOREVER)
    mixed = text[: text.rindex("_")] + other[other.rindex("_") :]
    for wrong in (mixed, text[:-1], text + "0", text.upper(), "", "l3b_", "\udcff", make_key()[1], text + "\n"):
        assert store.check(wrong) == Refusal("unknown"), wrong


def test_the_end_of_a_key(state: StateFile, store: KeyStore) -> None:
    revoked = key_store.create(state, "revoked", ["read"], FOREVER)
    expired = key_store.create(state, "expired", ["read"], int(time.time()) - 1)
    key_id = accepted(store.check(revoked)).key_id
    assert store.is_current(key_id)
    assert key_store.revoke(state, "revoked") == key_id
    assert store.check(revoked) == Refusal("revoked")
    assert store.check(expired) == Refusal("expired")
    assert not store.is_current(key_id)
    assert not store.is_current("0" * 12)


def test_a_name_is_free_again_once_its_key_is_revoked(state: StateFile) -> None:
    first = key_store.create(state, "desk", ["read"], FOREVER)
    with pytest.raises(ValueError, match="name 'desk' is taken"):
        key_store.create(state, "desk", ["read"], FOREVER)
    assert key_store.revoke(state, "desk") == key_id_of(first)
    second = key_store.create(state, "desk", ["read"], FOREVER)
    assert key_store.revoke(state, "desk") == key_id_of(second), "the name means the key that holds"
    assert key_store.revoke(state, "nobody") is None


def test_keys_are_needed_from_the_first_one_on_and_for_good(state: StateFile, store: KeyStore) -> None:
    anonymous = Identity(None, "anonymous", frozenset(SCOPES), "", store.is_current)
    assert not store.are_needed()
    assert anonymous.is_current()
    key_store.create(state, "a", ["read"], FOREVER)
    assert store.are_needed()
    assert not anonymous.is_current()
    key_store.revoke(state, "a")
    assert store.are_needed()
    with sqlite3.connect(state.path) as connection:
        connection.execute("DELETE FROM keys")
    connection.close()
    assert store.are_needed(), "a table that is emptied must not open the server"


def test_a_state_from_a_backup_is_read_after_a_reload(state: StateFile, store: KeyStore, tmp_path: Path) -> None:
    text = key_store.create(state, "a", ["read"], FOREVER)
    backup = StateFile(tmp_path / "backup")
    restored = key_store.create(backup, "b", ["read"], FOREVER)
    accepted(store.check(text))
    for file in state.path.parent.iterdir():
        file.unlink()
    shutil.copy(backup.path, state.path)
    accepted(store.check(text))
    store.reload()
    assert store.check(text) == Refusal("unknown")
    accepted(store.check(restored))


def test_a_reload_that_fails_leaves_the_keys_as_they_were(state: StateFile, store: KeyStore) -> None:
    text = key_store.create(state, "a", ["read"], FOREVER)
    accepted(store.check(text))
    shutil.rmtree(state.path.parent)
    state.path.parent.write_text("in the way")
    store.reload()
    accepted(store.check(text))


def test_what_the_server_writes_itself_is_no_change_of_keys(state: StateFile, store: KeyStore) -> None:
    text = key_store.create(state, "a", ["read"], FOREVER)
    accepted(store.check(text))
    changes: list[None] = []
    store.on_change(lambda: changes.append(None))
    key_store.note_used(state, store.take_used())
    store.poll()
    assert changes == []
    (listed,) = key_store.listed(state)
    assert listed["last_used_s"] is not None
    assert store.take_used() == {}
    key_store.revoke(state, "a")
    store.poll()
    assert len(changes) == 1


def test_whether_there_are_keys_can_be_asked_without_making_anything(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert not key_store.has_keys(folder)
    assert not folder.exists()
    state = StateFile(folder)
    assert not key_store.has_keys(folder)
    key_store.create(state, "a", ["read"], FOREVER)
    key_store.revoke(state, "a")
    assert key_store.has_keys(folder), "revoked keys are keys"


def test_an_expiry_is_a_change_that_nobody_writes(state: StateFile, store: KeyStore) -> None:
    for seconds in (1, 4, 16):
        expires = int(time.time()) + seconds
        key_store.create(state, f"for {seconds} s", ["read"], expires)
        store.poll()
        if time.time() < expires:
            # It was current when the store looked: on a busy machine a second may be over by then.
            break
    changes: list[None] = []
    store.on_change(lambda: changes.append(None))
    wait_until(lambda: store.poll() or bool(changes))
    store.poll()
    assert len(changes) == 1, "told once"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_the_command_line_ends_the_identity_of_an_open_socket(tmp_path: Path) -> None:
    """A socket asks nothing by itself: it is told."""
    arguments = ("--state-dir", tmp_path)
    text = run("keys", "create", "--name", "a", *arguments).stdout.decode().strip()

    async def holds_until_revoked() -> None:
        guard = Guard(Settings(state_dir=tmp_path))
        try:
            key = accepted(guard.keys.check(text))
            identity = Identity(key.key_id, key.name, key.scopes, "", guard.keys.is_current)
            told = asyncio.Event()
            guard.keys.on_change(told.set)
            guard.start()
            assert identity.is_current()
            await asyncio.to_thread(run, "keys", "revoke", "a", *arguments)
            async with asyncio.timeout(30):
                await told.wait()
            assert not identity.is_current()
        finally:
            guard.close()

    asyncio.run(holds_until_revoked())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_key_that_could_not_be_shown_is_not_kept(state: StateFile) -> None:
    arguments = ["keys", "create", "--name", "zz", "--state-dir", state.path.parent]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"l3book: standard output: No space left on device; the key is not kept\n"
    assert key_store.listed(state) == []
    assert not key_store.has_keys(state.path.parent), "an open server stays open"
    assert run(*arguments).returncode == 0, "nor is its name taken"
    assert len(key_store.listed(state)) == 1


def test_last_use_is_written_when_a_server_ends(tmp_path: Path) -> None:
    guard = Guard(Settings(state_dir=tmp_path))
    text = key_store.create(StateFile(tmp_path), "a", ["read"], FOREVER)
    accepted(guard.keys.check(text))
    guard.close()
    (listed,) = key_store.listed(StateFile(tmp_path))
    assert listed["last_used_s"] is not None


@given(st.lists(st.sampled_from(SCOPES)))
def test_scopes_include_those_before_them(scopes: list[Scope]) -> None:
    included = with_included(scopes)
    assert included >= set(scopes)
    assert ("read" in included) == bool(scopes)
    assert ("control" in included) == bool({"control", "admin"} & set(scopes))
    assert ("admin" in included) == ("admin" in scopes)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/books/CLX5", "read"),
        ("HEAD", "/get_snapshot", "read"),
        ("GET", "/metrics", "read"),
        ("GET", "/nothing", "read"),
        ("POST", "/v1/tickets", "read"),
        ("POST", "/v1/replays", "read"),
        ("PATCH", "/v1/replays/7", "read"),
        ("DELETE", "/v1/replays/7", "read"),
        ("POST", "/v1/exports", "control"),
        ("PUT", "/nothing", "control"),
        ("GET", "/v1/keys", "admin"),
        ("DELETE", "/v1/keys/7", "admin"),
        ("GET", "/v1/keysmith", "read"),
    ],
)
def test_what_a_request_needs(method: str, path: str, scope: str) -> None:
    assert not is_open(method, path, frozenset())
    assert needed(method, path) == scope


def test_what_needs_no_key() -> None:
    for path in ("/", "/livez", "/readyz", "/openapi.json", "/docs", "/assets/a.js", "/icon.svg"):
        assert is_open("GET", path, frozenset({"/icon.svg"})), path
        assert not is_open("POST", path, frozenset({"/icon.svg"})), path
    for path in ("/assets", "/livez/", "//livez", "/v1/", "/icon.svg", ""):
        assert not is_open("GET", path, frozenset()), path


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_as_limits_count_it(host: str, counted: str) -> None:
    assert counted_address(host) == counted


def test_keys_of_another_state_take_the_place_of_those_here(tmp_path: Path, state: StateFile, store: KeyStore) -> None:
    """As from a secret that was made anew: a key of both, one that is gone, one that is new under a taken name."""
    other = StateFile(tmp_path / "other")
    both = key_store.create(other, "both", ["read"], FOREVER)
    assert key_store.take_over(state, other.path) == [key_id_of(both)]
    local = key_store.create(state, "desk", ["admin"], FOREVER)
    new = key_store.create(other, "desk", ["control"], FOREVER)
    assert accepted(store.check(local)).name == "desk"
    key_store.take_over(state, other.path)
    assert store.check(local) == Refusal("unknown")
    assert accepted(store.check(both)).scopes == with_included(["read"])
    assert accepted(store.check(new)).scopes == with_included(["control"])


def test_what_was_revoked_here_does_not_come_back_from_another_state(tmp_path: Path, state: StateFile) -> None:
    other = StateFile(tmp_path / "other")
    key = key_store.create(other, "desk", ["read"], FOREVER)
    key_store.take_over(state, other.path)
    key_store.revoke(state, "desk")
    again = key_store.create(other, "second", ["read"], FOREVER)
    key_store.take_over(state, other.path)
    opened = KeyStore(state)
    assert opened.check(key) == Refusal("revoked")
    assert accepted(opened.check(again)).name == "second"
    opened.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_keys_are_imported_from_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A secret is mounted read-only, and a state.db is in a mode in which SQLite wants to write beside it."""
    key_store.create(StateFile(tmp_path / "secret"), "desk", ["read"], FOREVER)
    (tmp_path / "secret").chmod(0o500)
    (tmp_path / "secret/state.db").chmod(0o440)
    done = run("keys", "import", tmp_path / "secret/state.db", "--state-dir", tmp_path / "state")
    (tmp_path / "secret").chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert [key["name"] for key in key_store.listed(StateFile(tmp_path / "state"))] == ["desk"]
    assert not (tmp_path / "secret/state.db-wal").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory: expected a state.db of l3book"),
        (b"", "version 0: expected a state.db of l3book, version 1"),
        (b"no database" * 1000, "file is not a database: expected a state.db of l3book"),
    ],
)
def test_what_is_no_state_is_not_imported(
    tmp_path: Path, state: StateFile, content: bytes | None, expected: str
) -> None:
    """Nor is one without a key: nobody could get in any more, or everybody could after a restart."""
    key = key_store.create(state, "desk", ["read"], FOREVER)
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=expected):
        key_store.take_over(state, file)
    with pytest.raises(ValueError, match=r"no keys: expected a state\.db with one"):
        key_store.take_over(state, StateFile(tmp_path / "empty").path)
    assert [known["id"] for known in key_store.listed(state)] == [key_id_of(key)]
