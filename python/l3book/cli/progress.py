"""A bar that shows how much of a file has been read."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRESS_FILE_MIN_BYTES = 64 * 1024 * 1024
"""Shorter files are read before a progress bar could be."""


@contextmanager
def file_progress(path: Path) -> Iterator[Callable[[int, int], object] | None]:
    """Give what shows (bytes read, bytes in all), or None where nobody would see it."""
    if not sys.stderr.isatty() or path.stat().st_size < PROGRESS_FILE_MIN_BYTES:
        yield None
        return
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(desc=path.name, unit="B", unit_scale=True, unit_divisor=1024, leave=False, file=sys.stderr) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update
