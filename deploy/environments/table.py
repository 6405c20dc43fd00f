"""Write what differs between dev, staging and prod into docs/deploy.md: `python deploy/environments/table.py`.

Everything that differs, of all four files of an environment, is in the table, and nothing else; a test compares.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from l3book.config import ENVIRONMENTS, SETTING_NAMES, load

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
DOCUMENT = REPOSITORY / "docs/deploy.md"
BEGIN, END = "<!-- deploy/environments/table.py writes from here -->\n", "<!-- to here -->\n"
NOTHING = "none"
# Long, and what they say is one thing: who may come, and where to.
SHORTENED = ("networkPolicy.clients", "networkPolicy.scrapers", "networkPolicy.egress")

Leaves = dict[str, Any]


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Find every value below a tree of names; lists are values."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def merged(below: Any, above: Any) -> Any:
    """Lay values over others as Helm does: maps are merged, anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}
    return above


def read_yaml(path: Path) -> Any:
    """Read it."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def values(name: str) -> Leaves:
    """Read the chart's values with those of an environment laid over them."""
    chart = read_yaml(REPOSITORY / "deploy/helm/l3book/values.yaml")
    return dict(leaves(merged(chart, read_yaml(FOLDER / name / "values.yaml"))))


def compose(name: str) -> Leaves:
    """Read what an overlay says of the server; all else is docker-compose.yml's."""
    return dict(leaves(read_yaml(FOLDER / name / "compose.yml")["services"]["l3book"]))


def tfvars(name: str) -> Leaves:
    """Read variables, each of which is on one line in JSON's notation."""
    text = (FOLDER / name / "terraform.tfvars").read_text(encoding="utf-8")
    return {found[1]: json.loads(found[2]) for found in re.finditer(r"(?m)^(\w+) *= (.*?)(?: #.*)?$", text)}


def settings(name: str) -> Leaves:
    """Settle the settings of config/NAME.toml over the defaults."""
    loaded = load(env=name).settings
    return {setting: getattr(loaded, setting) for setting in SETTING_NAMES if setting != "state_dir"}


FILES = {
    "config/NAME.toml": settings,
    "compose.yml": compose,
    "values.yaml": values,
    "terraform.tfvars": tfvars,
}


def shown(path: str, value: Any) -> str:
    """Make a cell of a value."""
    if value is None or value == "" or value == [] or value == {}:
        return NOTHING
    if path in SHORTENED:
        return f"{len(value)} rule{'s' if len(value) > 1 else ''}"
    if path == "shards":
        value = [f"{shard['name']}: {shard['source']}" for shard in value]
    if isinstance(value, list | tuple):
        return "<br>".join(f"`{item}`" for item in value)
    # A variable of Compose is shown by what it is without one, or as what has to be told.
    if found := re.fullmatch(r"\$\{(\w+):([-?])(.*)\}", str(value)):
        return f"`{found[3]}`" if found[2] == "-" else f"`{found[1]}`, needed"
    return f"`{json.dumps(value)}`" if isinstance(value, bool) else f"`{value}`"


def rows() -> Iterator[str]:
    """Make a row of everything that is not the same in all three."""
    for file, read in FILES.items():
        trees = [read(name) for name in ENVIRONMENTS]
        for path in dict.fromkeys(path for tree in trees for path in tree):
            cells = [shown(path, tree.get(path)) for tree in trees]
            # Two things that look the same, such as one rule and another, differ nevertheless.
            if len({json.dumps(tree.get(path), default=str) for tree in trees}) > 1:
                yield f"| `{file}` | `{path}` | {' | '.join(cells)} |"


def table() -> str:
    """Make the table."""
    return "\n".join(["| File | Name | dev | staging | prod |", "|---|---|---|---|---|", *rows()]) + "\n"


def text() -> str:
    """Make the document with the table in it."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
