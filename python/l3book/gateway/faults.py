"""Faults: what `--fault` says, and when it happens to a session. Same seed, same session number, same faults."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from threading import Lock

from l3book.digits import whole_number
from l3book.sources.pacing import NS_PER_S

NUMBER_MAX = 10**15
STALL_S_MAX = 3600
FLIP_BITS_MAX = 1024
INJECT_RECORDS_MAX = 1_000_000
STALL_NS = 2 * NS_PER_S

ONE_OFF_KINDS = {
    "drop-connection": "resets the connection (RST)",
    "close": "ends the stream in order, though it is not over",
    "gap": "leaves records out, [:n[:silent]]; the next one of each book says so (MAYBE_BAD_BOOK) unless silent",
    "duplicate": "sends records twice, [:n]",
    "reorder": "sends an event only after the n records that follow it, [:n]",
    "flip": "flips bits of the next record on the wire, [:bits]",
    "truncate": "ends the stream in the middle of a record",
    "stall": "sends nothing for a while, [:2s]",
    "half-open": "keeps the connection, and neither sends nor reads any more",
}
LASTING_KINDS = {
    "latency": "sends everything later, :20ms[:5ms of jitter]",
    "throttle": "sends no more bytes per second than this, :1MB",
}

_RULE = re.compile(r"(?P<kind>[a-z-]+)(?:(?P<when>[@~])(?P<number>[0-9_]+)(?P<seconds>s?))?(?::(?P<arguments>.*))?")
_DURATION = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,9})?)(?P<unit>s|ms|us)")
_SIZE = re.compile(r"(?P<number>\d{1,15})(?P<unit>B|kB|KB|KiB|MB|MiB|GB|GiB)?")
_UNITS_NS = {"s": NS_PER_S, "ms": 1_000_000, "us": 1_000}
_UNITS_BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20}
_UNITS_BYTES["GiB"] = 2**30


class FaultError(ValueError):
    """A fault that cannot be understood; the text is ready for the user."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One `--fault`. Of a lasting kind `number` is 0."""

    text: str
    kind: str
    repeated: bool = False
    number: int = 0
    """Data records, or nanoseconds if `timed`."""
    timed: bool = False
    amount: int = 1
    """Records, bits, nanoseconds or bytes per second, as the kind has it."""
    silent: bool = False
    jitter_ns: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens now, and the seeded choices of it."""

    rule: FaultRule
    rng: Random


def parse_fault(text: str) -> FaultRule:
    """Read KIND@N[:ARG], KIND~N[:ARG] or a lasting KIND:ARG. Raises FaultError."""
    match = _RULE.fullmatch(text)
    kind = match["kind"] if match else text
    if match is None or kind not in ONE_OFF_KINDS | LASTING_KINDS:
        kinds = ", ".join((*ONE_OFF_KINDS, *LASTING_KINDS))
        raise FaultError(f"fault {text!r}: expected KIND@N, KIND~N, latency:… or throttle:…, KIND one of {kinds}")
    arguments = match["arguments"].split(":") if match["arguments"] is not None else []
    if kind in LASTING_KINDS:
        if match["when"]:
            raise FaultError(f"fault {text!r}: {kind} lasts: expected {kind}:… without {match['when']}")
        return _lasting(text, kind, arguments)
    if not match["when"]:
        raise FaultError(f"fault {text!r}: no time: expected {kind}@N or {kind}~N, N in records or, with an s, seconds")
    number = whole_number(match["number"].replace("_", "")) or 0
    timed = bool(match["seconds"])
    if not 0 < number <= NUMBER_MAX // (NS_PER_S if timed else 1):
        raise FaultError(
            f"fault {text!r}: N is too little or too much: expected 1 to {NUMBER_MAX:.0e} records, or as many ns"
        )
    amount, silent = _one_off_arguments(text, kind, arguments)
    return FaultRule(
        text,
        kind,
        repeated=match["when"] == "~",
        number=number * NS_PER_S if timed else number,
        timed=timed,
        amount=amount,
        silent=silent,
    )


def _lasting(text: str, kind: str, arguments: list[str]) -> FaultRule:
    if kind == "throttle":
        size = _SIZE.fullmatch(arguments[0]) if len(arguments) == 1 else None
        bytes_per_s = int(size["number"]) * _UNITS_BYTES[size["unit"] or ""] if size else 0
        if not bytes_per_s:
            raise FaultError(f"fault {text!r}: expected throttle:BYTES per second, such as throttle:1MB")
        return FaultRule(text, kind, amount=bytes_per_s)
    durations = [_duration_ns(argument) for argument in arguments]
    if len(durations) not in (1, 2) or None in durations:
        raise FaultError(f"fault {text!r}: expected latency:TIME[:JITTER], such as latency:20ms:5ms")
    return FaultRule(text, kind, amount=durations[0] or 0, jitter_ns=(durations[1:] or [0])[0] or 0)


def _one_off_arguments(text: str, kind: str, arguments: list[str]) -> tuple[int, bool]:
    silent = kind == "gap" and len(arguments) == 2 and arguments[1] == "silent"
    if silent:
        arguments = arguments[:1]
    if kind == "stall":
        duration_ns = _duration_ns(arguments[0]) if arguments else STALL_NS
        if len(arguments) > 1 or duration_ns is None or duration_ns > STALL_S_MAX * NS_PER_S:
            raise FaultError(f"fault {text!r}: expected stall[:TIME] up to an hour, such as stall@1000:2s")
        return duration_ns, False
    limits = dict.fromkeys(("gap", "duplicate", "reorder"), INJECT_RECORDS_MAX) | {"flip": FLIP_BITS_MAX}
    if kind not in limits:
        if arguments:
            raise FaultError(f"fault {text!r}: {kind} takes nothing after a colon: expected {kind}@N or {kind}~N")
        return 1, False
    given = arguments[0] if arguments else "1"
    amount = whole_number(given) or 0
    if len(arguments) > 1 or not 0 < amount <= limits[kind]:
        raise FaultError(f"fault {text!r}: expected {kind}[:N], N a whole number from 1 to {limits[kind]}")
    return amount, silent


def _duration_ns(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    whole, _, fraction = match["number"].partition(".")
    unit_ns = _UNITS_NS[match["unit"]]
    return int(whole) * unit_ns + int(fraction.ljust(9, "0")) * unit_ns // 10**9


def generator(seed: str) -> Random:
    """Make a generator whose numbers anybody can have again: that is the point, there is nothing to guess here."""
    return Random(seed)  # noqa: S311


class OnceFaults:
    """Which of the faults that happen once have happened. A client that comes back is to find the way free."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: set[int] = set()

    def take(self, index: int) -> bool:
        """Tell whether the caller is the first to ask for it."""
        with self._lock:
            first = index not in self._taken
            self._taken.add(index)
            return first


class FaultPlan:
    """The faults of one session, as they become due."""

    def __init__(self, rules: Sequence[FaultRule], seed: int, session: int, once: OnceFaults) -> None:
        self._once = once
        self._started_ns = 0
        self._rules = list(rules)
        # A generator for each rule: what one of them draws must not move the others.
        self._rngs = [generator(f"{seed}/{session}/{index}/{rule.text}") for index, rule in enumerate(self._rules)]
        self._next = {
            index: self._distance(index) for index, rule in enumerate(self._rules) if rule.kind in ONE_OFF_KINDS
        }

    def lasting(self, kind: str) -> tuple[FaultRule, Random] | None:
        """Return the rule of a lasting kind, the last one given, with its generator."""
        for rule, rng in zip(reversed(self._rules), reversed(self._rngs), strict=True):
            if rule.kind == kind:
                return rule, rng
        return None

    def begin(self, now_ns: int) -> None:
        """Say when the session's stream begins: seconds count from here."""
        self._started_ns = now_ns

    def due(self, records: int, now_ns: int) -> Iterator[Fault]:
        """Yield what is due once so many data records are sent."""
        if not self._next:
            return
        elapsed_ns = now_ns - self._started_ns
        for index, at in list(self._next.items()):
            rule = self._rules[index]
            if (elapsed_ns if rule.timed else records) < at:
                continue
            if rule.repeated:
                # From what was reached and not from what was meant: seconds without a chance to send do not pile up.
                self._next[index] = (elapsed_ns if rule.timed else at) + self._distance(index)
                yield Fault(rule, self._rngs[index])
            else:
                del self._next[index]
                if self._once.take(index):
                    yield Fault(rule, self._rngs[index])

    def records_left(self, records: int) -> int | None:
        """How many more records may be sent before the next fault; None: any number."""
        return min(
            (max(1, at - records) for index, at in self._next.items() if not self._rules[index].timed), default=None
        )

    def wait_ns(self, now_ns: int) -> int | None:
        """Time until the next fault that waits for a time."""
        elapsed_ns = now_ns - self._started_ns
        return min((max(0, at - elapsed_ns) for i, at in self._next.items() if self._rules[i].timed), default=None)

    def _distance(self, index: int) -> int:
        rule = self._rules[index]
        # From 1 to 2N - 1, all of them as likely: N on average.
        return self._rngs[index].randint(1, 2 * rule.number - 1) if rule.repeated else rule.number
