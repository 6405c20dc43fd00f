"""All layers together, checked, with the origin of every value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from l3book.config.layers import ConfigError, Layer, from_environment, from_file, from_flags
from l3book.config.settings import ALTERNATIVES, CONTRADICTION, SETTING_NAMES, Settings, expected_of

ENVIRONMENTS = ("dev", "staging", "prod")
CONFIG_FOLDER = Path("config")
PACKAGED_FOLDER = Path(__file__).parent / "environments"
DEFAULT = "default"

# Of a URI that is refused because it holds one.
_PASSWORD = re.compile(r"(://[^/@:]*:).*(?=@)|(pass\w*=)[^&']*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where they are from."""

    settings: Settings
    origins: dict[str, str]
    """Of every setting: `default`, a file, a variable or a flag."""
    environment: str | None
    """dev, staging or prod, if one was chosen."""
    files: tuple[Path, ...]
    """The files that were read, the weakest first."""


def load(
    *,
    env: str | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """Settle all layers. `env` and `file` come before L3BOOK_ENV and L3BOOK_CONFIG; a flag that is None was not given.

    Raises ConfigError for an unknown name or a wrong value, OSError when a file cannot be read.
    """
    environ = environ or {}
    env = env or environ.get("L3BOOK_ENV") or None
    file = file or (Path(environ["L3BOOK_CONFIG"]) if environ.get("L3BOOK_CONFIG") else None)
    files = tuple(path for path in (environment_file(env) if env else None, file) if path)
    layers = [*map(from_file, files), from_environment(environ), from_flags(flags or {})]
    layers.reverse()
    try:
        settings = Settings(layers=[layer.values for layer in layers])  # type: ignore[call-arg]  # taken out again there
    except ValidationError as error:
        raise _one_error(error, layers) from None
    return Loaded(settings, {name: _origin(name, layers) for name in SETTING_NAMES}, env, files)


def environment_file(name: str) -> Path:
    """Find the settings file of an environment: in the folder `config` here, or the one that came with the package."""
    if name not in ENVIRONMENTS:
        raise ConfigError(f"environment {name!r}: expected one of {', '.join(ENVIRONMENTS)}")
    places = [folder / f"{name}.toml" for folder in (CONFIG_FOLDER, PACKAGED_FOLDER)]
    for path in places:
        if path.is_file():
            return path
    looked_for = " and ".join(str(path.absolute()) for path in places)
    raise ConfigError(f"environment {name!r}: no settings file: looked for {looked_for}")


def _origin(name: str, layers: list[Layer]) -> str:
    return next((layer.origin(name) for layer in layers if name in layer.values), DEFAULT)


def _one_error(error: ValidationError, layers: list[Layer]) -> ConfigError:
    """Say the first thing that is wrong in one line; pydantic's own text is for programmers."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == ALTERNATIVES:
        both = " and ".join(_name_as_given(first["ctx"][which], layers) for which in ("setting", "other"))
        return ConfigError(f"{both}: expected one of them")
    if first["type"] == CONTRADICTION:
        name, expected = first["ctx"]["setting"], first["ctx"]["expected"]
    else:
        name = str(first["loc"][0])
        expected = expected_of(name)
    for layer in layers:
        if name in layer.values:
            return ConfigError(f"{layer.name_in(name)} is {_shown(layer.values[name])}: expected {expected}")
    default = Settings.model_fields[name].default
    return ConfigError(f"{name} is {_shown(default)} by default: expected {expected}")


def _name_as_given(name: str, layers: list[Layer]) -> str:
    return next((layer.name_in(name) for layer in layers if name in layer.values), name)


def _shown(value: object) -> str:
    try:
        return _PASSWORD.sub(r"\1\2…", repr(value))
    except ValueError:
        return "a number of thousands of digits"
