"""Make, list, revoke and take over the API keys of a server.

A running server follows at once; it needs no restart.
"""

import argparse
import json
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use
from l3book.cli.output import write_standard_output
from l3book.cli.settings import add_layer_arguments, load_settings
from l3book.digits import whole_number

if TYPE_CHECKING:
    from l3book.access.state_file import StateFile

SCOPES = ("read", "control", "admin")
NAME_LENGTH_MAX = 64
EXPIRES_S_MAX = 100 * 365 * 86_400

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LOOKS_LIKE_AN_ID = re.compile("[0-9a-f]{12}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-verb each."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and write it to standard output, this once")
    create.add_argument("--name", type=_name, required=True, help="what it is known by in lists and logs")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="extend",
        nargs="+",
        choices=SCOPES,
        help="read: books, sockets, replays; control: also exports; admin: everything (default: read)",
    )
    create.add_argument("--expires", type=_duration_s, metavar="TIME", help="such as 12h, 30d or 8w (default: never)")
    listing = actions.add_parser("list", help="list all keys, without their secrets")
    listing.add_argument("--json", action="store_true", help="as JSON, times in ISO 8601")
    revoke = actions.add_parser("revoke", help="revoke a key for good; its open sockets are closed")
    revoke.add_argument("key", metavar="ID|NAME", help="as `l3book keys list` shows it")
    take_over = actions.add_parser("import", help="make the keys those of another state.db; what is revoked stays so")
    take_over.add_argument("file", metavar="FILE", type=Path, help="a state.db, also one that can only be read")
    for action in (create, listing, revoke, take_over):
        action.add_argument("--state-dir", metavar="DIR", help="folder of state.db (default: the setting state_dir)")
        add_layer_arguments(action)


def run(arguments: argparse.Namespace) -> int:
    """Do it; -> 0, or 1 where there is no such key. Only `create` and `import` make a state where there is none."""
    import sqlite3

    from l3book.access.state_file import StateError, StateFile

    folder = load_settings(arguments).settings.state_dir
    actions = {"create": _create, "list": _list, "revoke": _revoke, "import": _import}
    if arguments.action not in {"create", "import"}:
        _check_state(folder)
    try:
        actions[arguments.action](StateFile(folder), arguments)
    except StateError as error:
        raise CommandError(str(error)) from None
    except sqlite3.Error as error:
        raise CommandError(f"{folder}: {error}", EXIT_ANSWER_IS_NO) from None
    return 0


def _check_state(folder: Path) -> None:
    """Refuse a folder without a state: more likely mistyped than of a server that has no keys."""
    from l3book.access.state_file import FILE_NAME

    try:
        (folder / FILE_NAME).stat()
    except FileNotFoundError:
        expected = "expected the state_dir of a server, or a first key (`l3book keys create`)"
        raise CommandError(f"{folder}: no {FILE_NAME}: {expected}") from None
    except OSError as error:
        raise cannot_use(folder / FILE_NAME, error) from None


def _create(state: "StateFile", arguments: argparse.Namespace) -> None:
    from l3book.access.key_store import create, forget
    from l3book.access.keys import key_id_of

    expires_s = int(time.time()) + arguments.expires if arguments.expires else None
    scopes = arguments.scopes or ["read"]
    try:
        key = create(state, arguments.name, scopes, expires_s)
    except ValueError as error:
        raise CommandError(str(error)) from None
    key_id = str(key_id_of(key))
    until = f"until {_iso(expires_s)}" if expires_s else "until it is revoked"
    text = f"key {key_id} ({arguments.name}): {', '.join(dict.fromkeys(scopes))}, {until}; it is shown only now"
    try:
        write_standard_output(f"{key}\n".encode())
    except BaseException as error:
        # Nobody has it; were it only revoked, it would still close a server that needs no key yet.
        forget(state, key_id)
        if isinstance(error, CommandError):
            raise CommandError(f"{error}; the key is not kept", error.exit_code) from None
        raise
    print(text, file=sys.stderr)


def _list(state: "StateFile", arguments: argparse.Namespace) -> None:
    from l3book.access.key_store import listed

    keys = [_readable(key) for key in listed(state)]
    if arguments.json:
        write_standard_output(json.dumps(keys, indent=2).encode() + b"\n")
        return
    head = ("id", "name", "scopes", "state", "created", "expires", "last_used")
    rows = [head, *((*(str(key[column] or "never") for column in head),) for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    write_standard_output(os.fsencode("\n".join(lines) + "\n"))


def _revoke(state: "StateFile", arguments: argparse.Namespace) -> None:
    from l3book.access.key_store import revoke

    key_id = revoke(state, arguments.key)
    if key_id is None:
        expected = "expected an id or a name of `l3book keys list`"
        raise CommandError(f"{arguments.key!r}: no such key in {state.path}: {expected}", EXIT_ANSWER_IS_NO)
    print(f"key {key_id} is revoked", file=sys.stderr)


def _import(state: "StateFile", arguments: argparse.Namespace) -> None:
    from l3book.access.key_store import take_over

    try:
        ids = take_over(state, arguments.file)
    except ValueError as error:
        raise CommandError(str(error)) from None
    print(f"{len(ids)} key{'s' if len(ids) > 1 else ''} of {arguments.file} in {state.path}", file=sys.stderr)


def _readable(key: dict[str, Any]) -> dict[str, Any]:
    times = {name.removesuffix("_s"): _iso(at_s) for name, at_s in key.items() if name.endswith("_s")}
    others = {name: value for name, value in key.items() if not name.endswith("_s")}
    return {**others, "scopes": " ".join(key["scopes"]), **times}


def _iso(at_s: int | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def _name(text: str) -> str:
    if not 0 < len(text) <= NAME_LENGTH_MAX or not text.isprintable() or _LOOKS_LIKE_AN_ID.fullmatch(text):
        expected = f"expected 1 to {NAME_LENGTH_MAX} printable characters that do not look like a key's id"
        raise argparse.ArgumentTypeError(f"{text!r}: {expected}")
    return text


def _duration_s(text: str) -> int:
    number = whole_number(text[:-1])
    if number and text[-1] in _UNIT_S and number * _UNIT_S[text[-1]] <= EXPIRES_S_MAX:
        return number * _UNIT_S[text[-1]]
    expected = "expected a number and a unit (s, m, h, d, w), such as 30d, from 1s to 36500d"
    raise argparse.ArgumentTypeError(f"{text!r}: {expected}")
