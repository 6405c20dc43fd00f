"""A bar that shows how much of something has been done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRESS_FILE_MIN_BYTES = 64 * 1024 * 1024
"""Shorter files are read before a progress bar could be."""


@contextmanager
def file_progress(path: Path) -> Iterator[Callable[[int, int], object] | None]:
    """Give what shows (bytes read, bytes in all), or None where nobody would see it."""
    with bytes_progress(path.name, path.stat().st_size) as progress:
        yield progress


@contextmanager
def bytes_progress(name: str, size: int) -> Iterator[Callable[[int, int], object] | None]:
    """Like `file_progress`, of `size` bytes that are no one file's."""
    if not sys.stderr.isatty() or size < PROGRESS_FILE_MIN_BYTES:
        yield None
        return
    with _bar(desc=name, unit="B", unit_scale=True, unit_divisor=1024) as update:
        yield update


@contextmanager
def rows_progress(name: str) -> Iterator[Callable[[int, int], object] | None]:
    """Give what shows (rows done, rows in all), or None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bar(desc=name, unit=" rows", unit_scale=True) as update:
        yield update


@contextmanager
def count_progress(name: str, unit: str) -> Iterator[Callable[[int], object]]:
    """Give what counts something of which nobody knows how much there is; shown where somebody sees it."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(
        desc=name, unit=unit, unit_scale=True, leave=False, file=sys.stderr, disable=not sys.stderr.isatty()
    ) as bar:
        yield bar.update


@contextmanager
def _bar(**options: str | float) -> Iterator[Callable[[int, int], object]]:
    from tqdm import tqdm

    with tqdm(leave=False, file=sys.stderr, **options) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update
