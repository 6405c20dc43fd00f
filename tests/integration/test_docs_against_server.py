"""Every row of the tables in docs/api.md, websocket.md, access.md, and of limits in configuration.md, against servers.

A row is a promise. Each has a probe that has a real server keep it: with small limits, hit. A row without a probe
fails, and so does a probe without a row; what cannot be provoked from outside is in UNPROVOKED, with the reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import documented_probes_http  # noqa: F401  # each registers its probes
import documented_probes_past  # noqa: F401
import documented_probes_sockets  # noqa: F401
from documented import names, tables
from documented_servers import PROBES, Row, Servers

if TYPE_CHECKING:
    from collections.abc import Iterator

UNPROVOKED: dict[Row, str] = {
    ("problem", "internal_error 500"): "a fault of the server: test_failures.py makes one",
    ("problem", "bad_handshake 403"): "only for an application that closes before it accepts, which ours never does",
    ("problem", "idempotency_key_running 409"): "a ticket is made before another request can come: "
    "test_access_idempotency.py has an endpoint that waits",
    ("answer for an Idempotency-Key", "idempotency_key_running"): "as above",
    ("problem", "too_many_idempotency_keys 429"): "after 5,000 requests: unit/test_access_limits.py",
    ("answer for an Idempotency-Key", "too_many_idempotency_keys"): "as above",
    ("problem", "shutting_down 503"): "a handshake has to be half done when the server ends: test_shutdown.py",
    ("close code", "1011"): "pings that go unanswered for 40 s, or a fault of the server: test_websocket.py",
    ("problem", "history_busy 503"): "so much at a time that a machine would have to be slow: unit/test_workers.py",
    ("error code", "history_busy"): "as above",
    ("limit in api.md", "questions about the past that are answered or wait"): "as above",
    ("problem", "store_unavailable 503"): "a store that cannot be read: test_past.py has one",
    ("error code", "history_damaged"): "as the problem of that name",
    ("setting", "idempotency_hours"): "an hour at the least: test_access_idempotency.py has a store with a clock",
    ("operation of orders", "Q"): "the synthetic market has no top-of-book quotes: property/test_streams.py has",
}


def rows_of_api() -> Iterator[Row]:
    for title, what in [("Routes", "route"), ("Parameters", "parameter"), ("Content types", "content type")]:
        (table,) = tables("api", title)
        yield from ((what, names(row[0])[0]) for row in table)
    asked, told, always = tables("api", "Headers")
    yield from (("header of a request", names(row[0])[0]) for row in asked)
    yield from (("header of an answer", names(row[0])[0]) for row in told)
    yield from (("header of every answer", names(row[0])[0]) for row in always)
    for table in tables("api", "Problems"):
        for code, statuses, *_ in table:
            yield from (("problem", f"{names(code)[0]} {status}") for status in statuses.split(", "))
    (table,) = tables("api", "Limits")
    yield from (("limit in api.md", row[0]) for row in table)


def rows_of_websocket() -> Iterator[Row]:
    for title, what in [("Handshake", "subprotocol"), ("What the server answers", "error code")]:
        (table,) = tables("websocket", title)
        yield from ((what, names(row[0])[0]) for row in table)
    (fields,) = tables("websocket", "What a client sends")
    yield from (("field", row[0]) for row in fields)
    yield from (("channel", name) for row in fields if row[0] == "channel" for name in names(row[1]))
    (operations,) = tables("websocket", "Channel `orders`")
    for form, *_ in operations:
        yield "operation of orders", "".join(re.findall(r'"(\w+)"', form))
    (closing,) = tables("websocket", "Closing")
    yield from (("close code", row[0]) for row in closing)
    (limits,) = tables("websocket", "Limits (defaults; settings of the server)")
    yield from (("limit in websocket.md", row[0]) for row in limits)


def rows_of_others() -> Iterator[Row]:
    (scopes,) = tables("access", "Keys")
    yield from (("scope", names(row[0])[0]) for row in scopes)
    (limits,) = tables("access", "Limits")
    yield from (("limit in access.md", row[0]) for row in limits)
    (answers,) = tables("access", "Requests that must be done once")
    yield from (("answer for an Idempotency-Key", names(row[0])[0]) for row in answers)
    for title in ("Limits of requests", "Limits of WebSockets"):
        (table,) = tables("configuration", title)
        yield from (("setting", names(row[0])[0]) for row in table)


ROWS = [*rows_of_api(), *rows_of_websocket(), *rows_of_others()]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    running = Servers(tmp_path_factory.mktemp("documented"))
    try:
        yield running
    finally:
        running.stop()


def test_every_row_has_a_probe_and_every_probe_a_row() -> None:
    assert len(ROWS) == len(set(ROWS)), "a row stands twice"
    assert not PROBES.keys() & UNPROVOKED.keys(), "it can be provoked after all"
    known = PROBES.keys() | UNPROVOKED.keys()
    assert sorted(set(ROWS) - known) == [], "in the documents, and nothing holds a server to it"
    assert sorted(known - set(ROWS)) == [], "held to, but not in the documents"


@pytest.mark.parametrize("row", sorted(PROBES), ids=" ".join)
def test_a_row(servers: Servers, row: Row) -> None:
    servers.hold_to(row)
