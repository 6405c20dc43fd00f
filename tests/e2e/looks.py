"""How a page looks, as numbers: accessibility, what sticks out, where the focus goes, how far colours are apart."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
SCRIPT = Path(__file__).with_name("looks.js")
GRAVE = ("serious", "critical")
STOPS_MAX = 400

# As Machado, Oliveira and Fernandes (2009) have them at full severity, for linear RGB.
DICHROMATS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
# sRGB's primaries and white in XYZ, and the white alone.
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE = (0.95047, 1.0, 1.08883)

Colour = tuple[float, float, float]


def called(page: Page, function: str, *arguments: object) -> Any:
    """What a function of looks.js says of the page."""
    _, _, functions = SCRIPT.read_text(encoding="utf-8").partition("\n")
    given = ", ".join(map(json.dumps, arguments))
    return page.evaluate(f"() => {functions.strip()}.{function}({given})")


@cache
def _axe() -> str:
    if not AXE.is_file():
        pytest.fail(f"{AXE} is missing: run `make setup`")
    return AXE.read_text(encoding="utf-8")


def grave_faults(page: Page) -> list[str]:
    """What axe finds to be serious or critical, of the state that the page is in."""
    # Past the page's security policy, which lets no script in that is not the server's.
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": _axe()})
    session.detach()
    report = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']}: {node['target']} {node['html'][:200]}"
        for fault in report["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


def overflowing(page: Page) -> list[str]:
    """What sticks out of the window or is cut off."""
    return list(called(page, "overflowing"))


def tabbed(page: Page) -> Iterator[dict[str, Any]]:
    """Press Tab until the focus leaves the page; what has it each time."""
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        focused = called(page, "focused")
        if focused is None:
            return
        yield focused


def rgb(text: str) -> Colour:
    """Of a "#rrggbb", or "#rgb" as a minifier writes it."""
    digits = text.removeprefix("#")
    text = f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"
    assert len(text) == 7, text
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _linear(colour: Colour) -> Colour:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return red, green, blue


def _turned(matrix: tuple[Colour, Colour, Colour], colour: Colour) -> Colour:
    first, second, third = (sum(a * b for a, b in zip(line, colour, strict=True)) for line in matrix)
    return first, second, third


def contrast(one: Colour, other: Colour) -> float:
    """As WCAG 2 has it, 1 to 21."""
    light = sorted(_turned(_XYZ, _linear(each))[1] for each in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def distance(one: Colour, other: Colour, vision: str | None = None) -> float:
    """How different two colours look, in CIELAB: 1 is what can just be told, black and white are 100 apart."""
    labs = [_lab(each, vision) for each in (one, other)]
    return sum((a - b) ** 2 for a, b in zip(*labs, strict=True)) ** 0.5


def _lab(colour: Colour, vision: str | None) -> Colour:
    light = _linear(colour)
    if vision is not None:
        red, green, blue = (min(1.0, max(0.0, part)) for part in _turned(DICHROMATS[vision], light))
        light = red, green, blue
    x, y, z = (_cube_root(part / white) for part, white in zip(_turned(_XYZ, light), _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube_root(value: float) -> float:
    return value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
