"""How much one may do at a time: requests, their bodies, wrong keys, sockets, their operations, subscriptions."""

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from l3book.access.identity import Identity
from l3book.access.rates import Quota, Taken
from l3book.api.problems import Problem
from l3book.config import Settings

FAILED_AUTHENTICATIONS_MAX = 20
FAILED_AUTHENTICATIONS_WINDOW_S = 60
RETRY_AFTER_S = 1


class Limits:
    """All of them. For the event loop's thread."""

    def __init__(self, settings: Settings) -> None:
        self.sockets = Sockets(settings)
        self._failures = Quota("failed-authentications", FAILED_AUTHENTICATIONS_MAX, FAILED_AUTHENTICATIONS_WINDOW_S)
        self._requests: Quota | None = None
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        """Take over the settings' limits from now on. What is open stays open, also where it is too much now."""
        amount = settings.requests_per_s_max
        if amount != (self._requests.amount if self._requests else 0):
            self._requests = Quota("requests", amount, 1) if amount else None
        self.socket_ops_per_s_max = settings.socket_ops_per_s_max
        self.body_bytes_max = settings.body_bytes_max
        self.body_timeout_s = settings.request_body_timeout_s
        self.sockets.reconfigure(settings)

    def take_request(self, counted_as: str) -> Taken | None:
        """Count a request; None where requests are not limited."""
        return self._requests.take(counted_as) if self._requests else None

    def take_failure(self, address: str) -> Taken:
        """Count a wrong key."""
        return self._failures.take(address)

    def ops(self, identity: Identity) -> "Ops":
        """Count the operations of one socket."""
        return Ops(self, identity)


class Ops:
    """Operations of one socket, in windows of a second; each is also a request of its key or address."""

    def __init__(self, limits: Limits, identity: Identity, now_s: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._identity = identity
        self._now_s = now_s
        self._window_end_s = 0.0
        self._taken = 0

    def take(self) -> str | None:
        """Count one; -> why it must not be carried out, None: it may."""
        now_s, at_most = self._now_s(), self._limits.socket_ops_per_s_max
        if now_s >= self._window_end_s:
            self._window_end_s, self._taken = now_s + 1, 0
        self._taken += 1
        if at_most and self._taken > at_most:
            return f"expected at most {at_most} operations a second on this socket"
        taken = self._limits.take_request(self._identity.counted_as)
        if taken is not None and not taken.is_allowed:
            return f"expected fewer requests and operations of {self._identity.name}, over all its sockets"
        return None


class Sockets:
    """Open WebSockets and their subscriptions, counted per key and, without one, per address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()
        self._open_in_all = 0
        self._subscribed: Counter[str] = Counter()
        self._whole_books: Counter[str] = Counter()

    def reconfigure(self, settings: Settings) -> None:
        """Take over the settings' limits from now on."""
        self._settings = settings

    def __len__(self) -> int:
        return self._open_in_all

    def acquire(self, identity: Identity) -> "SocketPlace | Problem":
        """Take a place for one socket: a context manager that gives it back. 429 and 503 problems."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        at_most = self._settings.sockets_per_key_max
        if self._open[identity.counted_as] >= at_most:
            detail = f"{identity.name} has {self._open[identity.counted_as]} sockets open: expected at most {at_most}"
            return Problem(429, "too_many_sockets", detail, headers=headers)
        if self._open_in_all >= self._settings.sockets_max:
            detail = f"{self._open_in_all} sockets are open: expected at most {self._settings.sockets_max}"
            return Problem(503, "too_many_sockets", detail, headers=headers)
        self._open[identity.counted_as] += 1
        self._open_in_all += 1
        return SocketPlace(self, identity.counted_as)

    def subscriptions(self, identity: Identity) -> "Subscriptions":
        """Count the subscriptions of the identity, over all of its sockets."""
        return Subscriptions(self, identity)

    def _give_back(self, counted_as: str) -> None:
        self._open_in_all -= 1
        _subtract(self._open, counted_as, 1)

    def _subscribe(self, identity: Identity, count: int, whole_books: int) -> Problem | None:
        name, settings = identity.counted_as, self._settings
        for what, there, more, at_most in (
            ("subscriptions", self._subscribed[name], count, settings.subscriptions_per_key_max),
            ("subscriptions of whole books", self._whole_books[name], whole_books, settings.whole_books_per_key_max),
        ):
            if more and there + more > at_most:
                detail = f"{identity.name} has {there} {what}, and asks for {more} more: expected at most {at_most}"
                return Problem(429, "too_many_subscriptions", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        self._subscribed[name] += count
        if whole_books:
            self._whole_books[name] += whole_books
        return None

    def _unsubscribe(self, counted_as: str, count: int, whole_books: int) -> None:
        _subtract(self._subscribed, counted_as, count)
        _subtract(self._whole_books, counted_as, whole_books)


class SocketPlace:
    """A place taken by a socket, until it is left; leaving it twice is leaving it once."""

    def __init__(self, sockets: Sockets, counted_as: str) -> None:
        self._sockets = sockets
        self._counted_as = counted_as
        self._is_held = True

    def __enter__(self) -> "SocketPlace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_held:
            self._is_held = False
            self._sockets._give_back(self._counted_as)


class Subscriptions:
    """Subscriptions of one identity. Whoever adds them removes them."""

    def __init__(self, sockets: Sockets, identity: Identity) -> None:
        self._sockets = sockets
        self.identity = identity

    def add(self, count: int, whole_books: int = 0) -> Problem | None:
        """Count so many more, some of them of whole books; a problem, and none is counted, where that is too many."""
        return self._sockets._subscribe(self.identity, count, whole_books)

    def remove(self, count: int, whole_books: int = 0) -> None:
        """Count so many less."""
        self._sockets._unsubscribe(self.identity.counted_as, count, whole_books)


def _subtract(counter: Counter[str], name: str, count: int) -> None:
    # Whoever has none is not kept, or every address ever seen would be.
    counter[name] -= count
    if counter[name] <= 0:
        del counter[name]
