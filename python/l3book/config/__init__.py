"""Settings in layers: defaults, the environment's file, --config, L3BOOK_* variables, the command line.

Importing it loads pydantic, so commands that read no settings do without.
"""

from l3book.config.in_force import InForce
from l3book.config.layers import ConfigError
from l3book.config.loading import ENVIRONMENTS, Loaded, environment_file, load
from l3book.config.settings import DEPTH_LIMIT, PORT_MAX, RELOADABLE, SETTING_NAMES, Settings

__all__ = [
    "DEPTH_LIMIT",
    "ENVIRONMENTS",
    "PORT_MAX",
    "RELOADABLE",
    "SETTING_NAMES",
    "ConfigError",
    "InForce",
    "Loaded",
    "Settings",
    "environment_file",
    "load",
]
