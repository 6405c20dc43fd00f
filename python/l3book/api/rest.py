"""The REST resources."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from l3book import telemetry, tracing
from l3book._core import AmbiguousInstrumentError, UnknownInstrumentError
from l3book.access.guard import Guard
from l3book.api import tables
from l3book.api.cursors import cursor_of_key
from l3book.api.negotiation import MEDIA_TYPES, Form, negotiated
from l3book.api.operations import BOOK_FORMS, INSTRUMENTS_FORMS, METRICS_FORMS, TRANSITIONS_FORMS
from l3book.api.params import (
    BookQuery,
    InstrumentsQuery,
    book_query,
    check_known,
    etag_matches,
    instruments_query,
    is_any_feed,
)
from l3book.api.past_problems import asked, known
from l3book.api.problems import Problem
from l3book.api.request_counts import RequestCounts
from l3book.api.schemas import Instrument, Instruments, Live, Metrics, Ready, Transition, Transitions
from l3book.config import Settings
from l3book.hub import Hub
from l3book.prometheus.exposition import Exposition
from l3book.prometheus.families import Told
from l3book.workers import in_worker

if TYPE_CHECKING:
    from l3book._core import Instrument as CoreInstrument

Key: TypeAlias = tuple[int, int]
Answered = TypeVar("Answered")


class Listed(Protocol):
    """What entries of a list are chosen by."""

    @property
    def publisher_id(self) -> int: ...  # noqa: D102  # as everywhere
    @property
    def instrument_id(self) -> int: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102


Entry = TypeVar("Entry", bound=Listed)

RETRY_AFTER_S = 1
INLINE_BOOKS_MAX = 100
"""So many are listed on the event loop; thousands take tens of milliseconds, in which nobody else would be answered."""
INLINE_DEPTH_MAX = 100
"""Books up to this depth are encoded on the event loop, in microseconds; deeper ones, those with queues and those
that become tables in a thread, so that one large answer does not hold up all others."""

PAST_CACHING = "private, max-age=300"
"""Of a book of the past to which nothing that is yet to be recorded can be added. No longer, since a later recording
of the same time takes its place."""

_NO_STORE = {"Cache-Control": "no-store"}
_VARIES = {**_NO_STORE, "Vary": "Accept"}
_JSON = MEDIA_TYPES["json"]

_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


class Rest:
    """Endpoints over the hub, and what the guard has counted."""

    def __init__(self, hub: Hub, settings: Settings, guard: Guard, counts: RequestCounts) -> None:
        self._hub = hub
        self._guard = guard
        self._settings = settings
        self._counts = counts
        self._exposition = Exposition(self._told)

    async def instruments(self, request: Request) -> Response:
        """Every book there is, with its state."""
        query = instruments_query(request)
        form, content_type = negotiated(request, INSTRUMENTS_FORMS)
        if self._hub.books > INLINE_BOOKS_MAX or form == "arrow":
            body, next_cursor = await in_worker(self._instruments, query, form)
        else:
            body, next_cursor = self._instruments(query, form)
        headers = dict(_VARIES)
        if next_cursor is not None:
            headers["Link"] = f'<{_next_page(query, next_cursor)}>; rel="next"'
        return Response(body, headers=headers, media_type=content_type)

    def _instruments(self, query: InstrumentsQuery, form: Form) -> tuple[bytes, str | None]:
        listed, next_cursor = page_of(self._hub.instruments(), query)
        page = [_told(entry) for entry in listed]
        if form == "arrow":
            return tables.instruments_arrow(page), next_cursor
        if form == "ndjson":
            return tables.lines(page), next_cursor
        return encoded(Instruments(instruments=page, next_cursor=next_cursor or msgspec.UNSET), form), next_cursor

    async def book(self, request: Request) -> Response:
        """One book: `level` 1, 2 or 3, `depth` levels a side."""
        query = book_query(request, self._settings)
        return await self._book(request, request.path_params["instrument"], query)

    async def get_snapshot(self, request: Request) -> Response:
        """Answer with the book of the only instrument, for clients that know no other."""
        query = book_query(request, self._settings)
        keys = self._hub.keys()
        if not keys:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            reason = self._hub.not_ready() or "the source has delivered its first book this moment"
            raise Problem(503, "no_instruments", reason, headers=headers)
        if len(keys) > 1:
            detail = f"there are {len(keys)} books: expected /v1/books/ with one of the choices"
            raise Problem(409, "ambiguous_instrument", detail, choices=_names(keys))
        return await self._book(request, keys[0], query)

    async def _book(self, request: Request, instrument: str | Key, query: BookQuery) -> Response:
        level, depth = query.level, query.depth
        form, content_type = negotiated(request, BOOK_FORMS)
        caching = "no-cache"
        if query.at is not None:
            history = known(self._hub)
            past = history.book_msgpack if form == "msgpack" else history.book_json
            body, etag, is_final = await asked(history.run(past, instrument, query.at, level, depth), instrument)
            caching = PAST_CACHING if is_final else caching
        else:
            body, etag = await self._encoded(instrument, level, depth, form)
        if form != "json":
            etag = f'{etag[:-1]}-{form}"'
        headers = {"Cache-Control": caching, "ETag": etag, "Vary": "Accept"}
        if etag_matches(request, etag):
            return Response(status_code=304, headers=headers)
        if form in {"ndjson", "arrow"}:
            tabulate = tables.book_lines if form == "ndjson" else tables.book_arrow
            body = await in_worker(tabulate, body, level)
        return Response(body, headers=headers, media_type=content_type)

    async def _encoded(
        self, instrument: str | Key, level: Literal[1, 2, 3], depth: int | None, form: Form
    ) -> tuple[bytes, str]:
        encode = self._hub.book_msgpack if form == "msgpack" else self._hub.book_json
        is_small = level < 3 and depth is not None and depth <= INLINE_DEPTH_MAX
        if tracing.active is None:
            if is_small:
                return found(encode, instrument, level, depth)
            return await in_worker(found, encode, instrument, level, depth)
        about = {"l3book.instrument": str(instrument), "l3book.level": level, "l3book.depth": depth}
        with tracing.active.book_span("encode book", about) as span:
            if is_small:
                body, etag = found(encode, instrument, level, depth)
            else:
                body, etag = await in_worker(found, encode, instrument, level, depth)
            span.set_attribute("l3book.bytes", len(body))
        return body, etag

    async def metrics(self, request: Request) -> Response:
        """Throughput, latency and counters."""
        check_known(request)
        form, content_type = negotiated(request, METRICS_FORMS)
        metrics = msgspec.convert(self._metrics(), Metrics)
        return Response(encoded(metrics, form), headers=_VARIES, media_type=content_type)

    async def prometheus(self, request: Request) -> Response:
        """Tell the same and more for Prometheus, in the format that it asks for."""
        check_known(request)
        body, content_type = self._exposition.text(request.headers.get("accept", ""))
        return Response(body, headers={**_VARIES, "Content-Type": content_type})

    def _metrics(self) -> dict[str, Any]:
        guard = self._guard
        return {
            **self._hub.metrics(),
            "access": asdict(guard.counts),
            "connections": guard.connections.metrics(),
        }

    def _told(self) -> Told:
        counts = self._counts
        return Told(
            metrics=self._metrics(),
            books=self._hub.books_by_state(),
            durations=self._hub.durations(),
            requests=counts.requests,
            request_durations=counts.durations,
            log_lines=telemetry.lines,
            log_lines_held_back=telemetry.held_back(),
            spans=tracing.counts(),
        )

    async def transitions(self, request: Request) -> Response:
        """List the last connections, losses and changes of books' states of a live feed."""
        check_known(request)
        form, content_type = negotiated(request, TRANSITIONS_FORMS)
        entries = msgspec.convert(self._hub.transitions(), list[Transition])
        body = tables.lines(entries) if form == "ndjson" else encoded(Transitions(transitions=entries), form)
        return Response(body, headers=_VARIES, media_type=content_type)

    async def livez(self, _request: Request) -> Response:
        """Say that the process runs."""
        return Response(_encode_json(Live(status="live")), headers=_NO_STORE, media_type=_JSON)

    async def readyz(self, request: Request) -> Response:
        """There are books to be served, and the source has not failed; with `feed=any` its line may be lost."""
        any_feed = is_any_feed(request)
        if reason := self._hub.not_ready(any_feed=any_feed):
            raise Problem(503, "not_ready", reason, headers={"Retry-After": str(RETRY_AFTER_S)})
        recording, warning = self._hub.recording.condition()
        warnings = "; ".join(filter(None, (warning, self._hub.not_ready() if any_feed else None)))
        ready = Ready(status="ready", recording=recording, warning=warnings or msgspec.UNSET)
        return Response(_encode_json(ready), headers=_NO_STORE, media_type=_JSON)


def found(look_up: Callable[..., Answered], instrument: str | Key, *arguments: Any) -> Answered:
    """Look a book up; where there is none, or several, that is the Problem raised."""
    try:
        return look_up(instrument, *arguments)
    except UnknownInstrumentError:
        detail = f"no book goes by {instrument!r}: see /v1/instruments"
        raise Problem(404, "unknown_instrument", detail) from None
    except AmbiguousInstrumentError as error:
        detail = f"{instrument!r} is the name of {len(error.choices)} books: expected one of the choices"
        raise Problem(409, "ambiguous_instrument", detail, choices=_names(error.choices)) from None


def page_of(entries: list[Entry], query: InstrumentsQuery) -> tuple[list[Entry], str | None]:
    """Of the entries, which are in order, those asked for; and the cursor of what is left."""
    if query.after is not None:
        entries = [entry for entry in entries if (entry.publisher_id, entry.instrument_id) > query.after]
    if query.state is not None:
        entries = [entry for entry in entries if entry.state == query.state]
    if query.limit is None or len(entries) <= query.limit:
        return entries, None
    page = entries[: query.limit]
    return page, cursor_of_key((page[-1].publisher_id, page[-1].instrument_id))


def _told(entry: "CoreInstrument") -> Instrument:
    return Instrument(
        symbol=entry.symbol,
        instrument_id=entry.instrument_id,
        publisher_id=entry.publisher_id,
        state=entry.state,
        seq=entry.seq,
        orders=entry.orders,
        ts_event=str(entry.ts_event),
    )


def _next_page(query: InstrumentsQuery, cursor: str) -> str:
    state = f"&state={query.state}" if query.state else ""
    return f"/v1/instruments?limit={query.limit}&cursor={cursor}{state}"


def encoded(answer: msgspec.Struct, form: Form) -> bytes:
    """Encode an answer as JSON or MessagePack."""
    return _encode_msgpack(answer) if form == "msgpack" else _encode_json(answer)


def _names(keys: list[Key]) -> list[str]:
    return [f"{publisher_id}:{instrument_id}" for publisher_id, instrument_id in keys]
