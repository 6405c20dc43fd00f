"""How long a history is kept: the oldest segments go, with all that only they could be asked for.

What is left can always be replayed: nothing is removed beyond a checkpoint or the begin of a session, and the newest
segment stays whatever its size. The order makes a crash harmless at any point. Checkpoints go first, since one without
the records behind it would be chosen and fail; then the log is told from where on it is kept, so that nobody misses
what is removed; then segments, oldest first, so that what is left has no gap; rows last, and again at the next start,
by what the log then has.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l3book.history.catalogue import checkpoints
from l3book.history.sqlite import SqliteStore
from l3book.history.sqlite_rows import SIGNED_MAX
from l3book.logs import Logger

if TYPE_CHECKING:
    from l3book._core import Log
    from l3book.history.store import Store

DAY_S = 86_400
_SIDECARS = (".index", ".orders")
_SEGMENT_ENDING = ".dbn.zst"
_ASIDE_ENDING = f"{_SEGMENT_ENDING}.damaged"

log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept; 0: all."""

    days_max: int = 0
    """Since the last record of a segment was recorded, whatever times its records have."""
    bytes_max: int = 0
    """Of the folder: log, what was damaged of it, checkpoints, and what SQLite and Parquet files hold."""


@dataclass(slots=True)
class Removed:
    """What was removed, in all."""

    segments: int = 0
    checkpoints: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    first_ordinal: int
    end_ordinal: int
    bytes: int
    ts_recv_min: int | None
    ts_recv_max: int | None
    age_s: float

    @classmethod
    def from_listed(cls, listed: dict[str, Any]) -> "_Segment":
        path = Path(listed["path"])
        files = [path, *_sidecars(path)]
        return cls(
            path,
            listed["first_ordinal"],
            listed["end_ordinal"],
            sum(file.stat().st_size for file in files if file.exists()),
            listed["ts_recv_min"],
            listed["ts_recv_max"],
            time.time() - path.stat().st_mtime,
        )


@dataclass(frozen=True, slots=True)
class _Aside:
    """A damaged segment, as it was when a recorder found it and kept what was good of it under its own name."""

    path: Path
    first_ordinal: int
    bytes: int
    age_s: float


class Retention:
    """Applies the limits to one folder, now and then, on one thread."""

    def __init__(self, folder: Path, store: "Store", limits: Limits) -> None:
        self._folder = folder
        self._store = store
        self._limits = limits
        self._kept_from: int | None = None
        self._has_complained = False
        self.removed = Removed()

    def apply(self, history: "Log") -> bool:
        """Remove what is over the limits; -> whether anything was. Raises HistoryError, OSError or StoreError."""
        if self._limits == Limits():
            return False
        was_any = False
        # Again: what leaves a store's tables makes less room than one would think, or more.
        while self._remove_once(history):
            was_any = True
            history.refresh()
        return was_any

    def _remove_once(self, history: "Log") -> bool:
        segments = [_Segment.from_listed(listed) for listed in history.segments()]
        if not segments:
            return False
        saved = checkpoints(self._folder)
        starts = [one["ordinal"] for one in (*saved, *history.sessions())]
        asides = self._asides()
        if useless := [one for one in asides if one.age_s > self._age_s_max]:
            self._remove_asides(useless)
            return True
        count, aged, is_over = self._how_many(segments, saved, starts, asides)
        if is_over and not count and asides:
            # Nothing of the log can go now: of what can only be looked at, the oldest.
            self._remove_asides(asides[:1])
            return True
        if count:
            self._remove(history, segments[:count], segments[count].first_ordinal, saved)
            self._remove_asides([one for one in asides if one.first_ordinal < segments[count].first_ordinal])
        if segments[count].first_ordinal != self._kept_from:
            # Also at a start: whoever was at it before may not have come to this.
            self._remove_orphans(segments[count].first_ordinal)
            self._prune(segments, count, aged)
            self._kept_from = segments[count].first_ordinal
        return count > 0

    @property
    def _age_s_max(self) -> float:
        return self._limits.days_max * DAY_S or float("inf")

    def _how_many(
        self, segments: list[_Segment], saved: list[dict[str, Any]], starts: list[int], asides: list[_Aside]
    ) -> tuple[int, int, bool]:
        """How many of the oldest segments go; how many of those for their age; whether it is still too much then."""
        position = self._store.position()
        rows_bytes = self._store.bytes_used() if isinstance(self._store, SqliteStore) else 0
        used = sum(segment.bytes for segment in segments) + sum(one["bytes"] for one in saved) + rows_bytes
        used += sum(one.bytes for one in asides)
        over = used - (self._limits.bytes_max or float("inf"))
        records = max(1, segments[-1].end_ordinal - segments[0].first_ordinal)
        count = aged = 0
        is_over = over > 0
        for number, segment in enumerate(segments[:-1], 1):
            is_old = segment.age_s > self._age_s_max
            if not is_old and over <= 0:
                return count, aged, is_over
            # Rows of records that are not derived yet could never be.
            if segment.end_ordinal > position:
                return count, aged, is_over
            over -= segment.bytes + rows_bytes * (segment.end_ordinal - segment.first_ordinal) / records
            over -= sum(one["bytes"] for one in saved if segment.first_ordinal <= one["ordinal"] < segment.end_ordinal)
            over -= sum(one.bytes for one in asides if segment.first_ordinal <= one.first_ordinal < segment.end_ordinal)
            if any(segment.end_ordinal <= start <= position for start in starts):
                count = number
                aged = number if is_old else aged
                is_over = over > 0
        if over > 0 and not asides and not self._has_complained:
            self._has_complained = True
            log.warning(
                "history {folder}: larger than allowed, and nothing more can be removed: "
                "expected the newest segment, a checkpoint and the records after it to fit",
                folder=self._folder,
            )
        return count, aged, is_over

    def _asides(self) -> list[_Aside]:
        found = []
        for path in self._folder.glob(f"log/*/*/*{_ASIDE_ENDING}"):
            stem = path.name.removesuffix(_ASIDE_ENDING)
            if stem.isdigit():
                stat = path.stat()
                found.append(_Aside(path, int(stem), stat.st_size, time.time() - stat.st_mtime))
        return sorted(found, key=lambda one: one.first_ordinal)

    def _remove_asides(self, asides: list[_Aside]) -> None:
        for one in asides:
            one.path.unlink(missing_ok=True)
            _remove_if_empty(one.path.parent)
            log.info(
                "history {folder}: removed the damaged {file}, {bytes} bytes",
                folder=self._folder,
                file=one.path.name,
                bytes=one.bytes,
            )
            self.removed.bytes += one.bytes

    def _remove(self, history: "Log", segments: list[_Segment], kept_from: int, saved: list[dict[str, Any]]) -> None:
        useless = [one for one in saved if one["ordinal"] < kept_from]
        for one in useless:
            Path(one["path"]).unlink(missing_ok=True)
        # Or else they would be taken for lost.
        history.keep_from(kept_from)
        for segment in segments:
            segment.path.unlink(missing_ok=True)
            for sidecar in _sidecars(segment.path):
                sidecar.unlink(missing_ok=True)
            _remove_if_empty(segment.path.parent)
        freed = sum(segment.bytes for segment in segments) + sum(one["bytes"] for one in useless)
        self.removed.segments += len(segments)
        self.removed.checkpoints += len(useless)
        self.removed.bytes += freed
        log.info(
            "history {folder}: removed {segments} segments and {checkpoints} checkpoints, {bytes} bytes: "
            "it begins at record {ordinal} now",
            folder=self._folder,
            segments=len(segments),
            checkpoints=len(useless),
            bytes=freed,
            ordinal=kept_from,
        )

    def _remove_orphans(self, kept_from: int) -> None:
        for ending in _SIDECARS:
            for sidecar in self._folder.glob(f"log/*/*/*{ending}"):
                if sidecar.stem.isdigit() and int(sidecar.stem) < kept_from:
                    sidecar.unlink(missing_ok=True)
                    _remove_if_empty(sidecar.parent)

    def _prune(self, segments: list[_Segment], count: int, aged: int) -> None:
        if isinstance(self._store, SqliteStore):
            times = _known([segment.ts_recv_min for segment in segments[count:]])
            if times:
                self._store.prune(min(times))
            return
        # A store elsewhere may keep what this disk has no room for, but nothing that is too old.
        # Kept segments may tell of earlier times: a recording that was served again.
        removed = _known([segment.ts_recv_max for segment in segments[:aged]])
        kept = _known([segment.ts_recv_min for segment in segments[aged:]])
        if removed:
            self._store.prune(min([max(removed), *kept]))


def _known(times: list[int | None]) -> list[int]:
    """Leave out the times of segments without one, or with a record that has none, or one from after 2262."""
    return [time_ns for time_ns in times if time_ns is not None and time_ns <= SIGNED_MAX]


def _sidecars(segment: Path) -> list[Path]:
    stem = segment.name.removesuffix(_SEGMENT_ENDING)
    return [segment.with_name(stem + ending) for ending in _SIDECARS]


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
