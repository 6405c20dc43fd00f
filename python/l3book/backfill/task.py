"""What is done with one file, and how it went. Both go from process to process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["done", "there", "failed"]
Progress: TypeAlias = Callable[[int], object]
"""Told of bytes of the file that were read."""


@dataclass(frozen=True, slots=True)
class Task:
    """A file, and the folder or the stream that it goes to."""

    file: Path
    to: str
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """How it went; the error is one line, without the file's name."""

    task: Task
    outcome: Outcome
    records: int = 0
    error: str | None = None
