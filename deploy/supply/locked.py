"""What a lock file has for the Python and the platform this runs on: `python locked.py FILE` prints it as JSON."""

import json
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def here(lock: Path) -> dict[str, str]:
    """-> by name, as indexes compare names, the version of each package whose marker holds here."""
    lines = re.findall(r"^[a-zA-Z0-9][\w.-]*==[^\\\n]*", lock.read_text(encoding="utf-8"), re.MULTILINE)
    requirements = map(Requirement, lines)
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


if __name__ == "__main__":
    print(json.dumps(here(Path(sys.argv[1]))))
