"""Which of some names was meant by another one: only where a reader would see a slip of the finger."""

from collections.abc import Iterable

_LETTERS_PER_SLIP = 4
"""A name of so many letters may have one slip, twice as long a one two."""
_SLIPS_MAX = 2
_LETTERS_MIN = 3
"""Shorter ones are like too many others."""


def meant(name: str, known: Iterable[str]) -> str | None:
    """Find the one of `known` that `name` is nearest to; None: nobody would take it for any of them.

    Case and the sign between words do not matter; words in another order, and a name cut short, are slips too.
    """
    plain = _plain(name)
    if len(plain) < _LETTERS_MIN:
        return None
    at_most = min(_SLIPS_MAX, max(1, len(plain) // _LETTERS_PER_SLIP))
    slips = {candidate: _slips(plain, _plain(candidate)) for candidate in known}
    near = min(slips, key=slips.__getitem__, default="")
    if near and slips[near] <= at_most:
        return near
    return next((candidate for candidate in slips if _is_cut(plain, _plain(candidate))), None)


def _plain(name: str) -> str:
    return name.lower().strip("-_").replace("_", "-")


def _slips(name: str, known: str) -> int:
    return 0 if sorted(name.split("-")) == sorted(known.split("-")) else _distance(name, known)


def _is_cut(name: str, known: str) -> bool:
    """Whether one is the other cut short: `--instr`, `L3BOOK_ENVIRON`."""
    shorter, longer = sorted((name, known), key=len)
    return len(shorter) >= _LETTERS_MIN and longer.startswith(shorter)


def _distance(one: str, other: str) -> int:
    """Count letters to be put in, left out, taken for others or exchanged with the next one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        two_before, before, row = before, row, [at]
        for there, its in enumerate(other, 1):
            best = min(before[there] + 1, row[there - 1] + 1, before[there - 1] + (letter != its))
            if at > 1 and there > 1 and letter == other[there - 2] and one[at - 2] == its:
                best = min(best, two_before[there - 2] + 1)
            row.append(best)
    return row[-1]
