"""Show the settings, and where each of them comes from."""

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError
from l3book.cli.output import write_standard_output
from l3book.cli.settings import add_settings_arguments, load_settings

if TYPE_CHECKING:
    from l3book.config import Loaded, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One thing to do so far: `show`, with the options of `serve`."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    summary = "Print every setting with its value and origin; of secrets, only whether they are set."
    show = actions.add_parser("show", help=summary, description=summary, allow_abbrev=False)
    add_settings_arguments(show)
    show.add_argument("--json", action="store_true", help="as a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print them; -> 0, or an error where `serve` would not take them either."""
    from l3book.config.safety import refusal

    loaded = load_settings(arguments)
    secrets = _secrets()
    text = _as_json(loaded, secrets) if arguments.json else _as_lines(loaded, secrets)
    # Paths may hold bytes that are no text.
    write_standard_output(os.fsencode(text))
    if unsafe := refusal(loaded):
        raise CommandError(unsafe, EXIT_ANSWER_IS_NO)
    return 0


def _secrets() -> dict[str, str | None]:
    """Of every secret: the variable it comes from, or None."""
    from l3book.secret import SECRET_VARIABLES, SecretError, read_secret, secret_origin

    try:
        # Read, and let go: one that cannot be had is not set, whatever a variable says.
        return {name: secret_origin(name) if read_secret(name) else None for name in SECRET_VARIABLES}
    except SecretError as error:
        raise CommandError(str(error)) from None


def _as_json(loaded: "Loaded", secrets: dict[str, str | None]) -> str:
    values = {**loaded.settings.model_dump(mode="json"), "history": _history(loaded.settings)}
    shown: dict[str, Any] = {
        "environment": loaded.environment,
        "files": [str(path) for path in loaded.files],
        "settings": {name: {"value": values[name], "origin": loaded.origins[name]} for name in values},
        "secrets": {name: {"set": origin is not None, "origin": origin} for name, origin in secrets.items()},
    }
    return json.dumps(shown, indent=2) + "\n"


def _as_lines(loaded: "Loaded", secrets: dict[str, str | None]) -> str:
    values = {**dict(loaded.settings), "history": _history(loaded.settings)}
    rows = [(name, _shown(value), loaded.origins[name]) for name, value in values.items()]
    rows += [(name, "set" if origin else "not set", origin or "") for name, origin in secrets.items()]
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{name:<{name_width}}  {value:<{value_width}}  {origin}".rstrip() for name, value, origin in rows]
    return f"environment: {loaded.environment or 'none'}\n" + "\n".join(lines) + "\n"


def _history(settings: "Settings") -> str | None:
    """Name the folder that is recorded in: where none is set, the one of the source."""
    from l3book.history.folder import default_folder

    if settings.no_history:
        return None
    folder = settings.history or default_folder(settings.state_dir, settings.source, settings.gateway)
    return str(folder.absolute())


def _shown(value: object) -> str:
    """As TOML has it, nearly: nothing for what is not set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value) if value not in ("", None) else "none"
