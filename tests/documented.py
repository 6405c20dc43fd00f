"""The tables of the documents, as tests read them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

Table = list[list[str]]


def tables(page: str, section: str) -> list[Table]:
    """Every table of a section of docs/PAGE.md: its rows: their cells, without the head."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    body = re.split(r"\n## ", text.split(f"\n## {section}\n", 1)[1])[0]
    found = re.findall(r"(?:^\|.*\n)+", body + "\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().split("\n")[2:]]
        for table in found
    ]


def names(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
