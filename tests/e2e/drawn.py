"""What canvases have written, which no element tells: texts and where they stand, in device pixels."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page

_SCRIPT = Path(__file__).with_name("drawn.js")


@dataclass(frozen=True)
class Text:
    """One text of a canvas that is `room` wide."""

    text: str
    left: float
    right: float
    y: float
    font: float
    room: float


def watch_canvases(page: Page) -> None:
    """From the next navigation on."""
    page.add_init_script(path=_SCRIPT)


def drawn(page: Page, name: str) -> list[Text]:
    """The texts of the last painting of a canvas, by the test id of it or of what is around it."""
    return [Text(**each) for each in page.evaluate("name => window.drawnTexts(name)", name)]


def crowded(texts: list[Text]) -> list[str]:
    """What is cut by an edge, or touches its neighbour in the same line."""
    faults = [f"{each.text} is cut" for each in texts if each.left < 0 or each.right > each.room]
    lines: dict[int, list[Text]] = {}
    for each in texts:
        lines.setdefault(round(each.y), []).append(each)
    for line in lines.values():
        line.sort(key=lambda each: each.left)
        for one, other in pairwise(line):
            if one.right + one.font / 4 > other.left:
                faults.append(f"{one.text} touches {other.text}")
    return faults
