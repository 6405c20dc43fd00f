"""The REST resources of what is recorded: lives of orders, and rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from l3book._core import UNDEF_PRICE, UnknownOrderError
from l3book.api import history_cursors as cursors
from l3book.api import tables
from l3book.api.history_operations import RECORDED_FORMS, ROWS_FORMS
from l3book.api.history_params import (
    RowsQuery,
    bad_cursor,
    interval_ns,
    price,
    rows_query,
    side,
    wants_life,
)
from l3book.api.history_schemas import (
    BboEntry,
    BboHistory,
    GoneOrder,
    LevelEntry,
    LevelHistory,
    Order,
    OrderEvent,
    Recorded,
    RecordedHole,
    RecordedSession,
    TradeEntry,
    TradeHistory,
)
from l3book.api.negotiation import MEDIA_TYPES, negotiated
from l3book.api.params import ORDER_ID_MAX, check_known, order_id, time_of
from l3book.api.past_problems import asked, known
from l3book.api.problems import Problem
from l3book.api.rest import encoded, found
from l3book.api.schemas import QueuedBook
from l3book.hub import Hub
from l3book.prices import price_text

if TYPE_CHECKING:
    from l3book.history.holes import Hole
    from l3book.history.life import Life
    from l3book.history.past import History
    from l3book.history.store import BboRow, Book, LevelRow, LifeRow, Store, TradeRow

_NO_STORE = {"Cache-Control": "no-store"}
_VARIES = {**_NO_STORE, "Vary": "Accept"}

_encode = msgspec.json.Encoder().encode
_ORDER: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_QUEUED_BOOK: msgspec.json.Decoder[QueuedBook] = msgspec.json.Decoder(QueuedBook)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that were found, and where those behind them begin."""

    entries: Sequence[msgspec.Struct]
    next_cursor: str | None


class Past:
    """Endpoints over the hub's history."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def history(self, request: Request) -> Response:
        """Tell what is recorded, from when to when."""
        check_known(request)
        history = known(self._hub)
        form, content_type = negotiated(request, RECORDED_FORMS)
        found = await asked(history.overviews.newest())
        state, _ = self._hub.recording.condition()
        answer = Recorded(
            state=state,
            start=_time_or_none(found.start),
            end=_time_or_none(found.end),
            records=found.records,
            sessions=[
                RecordedSession(
                    ordinal=session.ordinal,
                    source=session.source,
                    start=_time_or_none(session.start),
                    end=_time_or_none(session.end),
                    records=session.records,
                )
                for session in found.sessions
            ],
            sessions_in_all=found.sessions_in_all,
            holes=[told_hole(hole) for hole in found.holes],
            holes_in_all=found.holes_in_all,
        )
        return Response(encoded(answer, form), headers=_VARIES, media_type=content_type)

    async def order(self, request: Request) -> Response:
        """One order: where it rests, or what became of it."""
        check_known(request, "at", "life")
        at, with_life = time_of(request, "at"), wants_life(request)
        number = order_id(request)
        instrument: str = request.path_params["instrument"]
        answer: bytes | Order | GoneOrder | None
        if at is not None:
            history = known(self._hub)
            answer = await asked(history.run(self._order_at, history, instrument, number, at, with_life), instrument)
        else:
            answer = await self._order_now(instrument, number, with_life=with_life)
        if answer is None:
            when = "now" if at is None else f"at {at}"
            raise Problem(
                404, "unknown_order", f"no order {number} rests in {instrument!r} {when}, or is known to have"
            )
        body = answer if isinstance(answer, bytes) else _encode(answer)
        return Response(body, headers=_NO_STORE, media_type=MEDIA_TYPES["json"])

    async def _order_now(self, instrument: str, number: int, *, with_life: bool) -> bytes | Order | GoneOrder | None:
        history = self._hub.history
        # An id beyond 64 bits is no order's, but there may be no such book either, which the caller should hear first.
        key = await key_of(self._hub, instrument)
        if number > ORDER_ID_MAX:
            return None
        try:
            body = found(self._hub.order_json, key, number)
        except (UnknownOrderError, Problem):
            body = None
        if history is None or (body is not None and not with_life):
            return body
        life = await asked(history.run(history.life, key, number, None), instrument)
        if body is None:
            return _gone(key, self._hub.symbol(key), number, life, with_life=with_life)
        order = _ORDER.decode(body)
        order.life = _events(life)
        return order

    @staticmethod
    def _order_at(
        history: "History",
        instrument: str,
        number: int,
        at: int,
        with_life: bool,  # called by position
    ) -> Order | GoneOrder | None:
        book = _QUEUED_BOOK.decode(history.book_json(instrument, at, 3, None).body)
        if number > ORDER_ID_MAX:
            return None
        key = (book.publisher_id, book.instrument_id)
        order = _in_queue(book, str(number))
        if order is not None and not with_life:
            return order
        life = history.life(key, number, at)
        if order is None:
            return _gone(key, book.symbol, number, life, with_life=with_life)
        order.life = _events(life)
        return order

    async def bbo_history(self, request: Request) -> Response:
        """Best bid and offer over time."""
        query, interval = rows_query(request, "interval"), interval_ns(request)
        after = _read(cursors.bbo_of, query)

        def page(store: "Store", book: "Book") -> Page:
            rows = store.bbo(book, query.start, query.end, interval, query.limit, after)
            return _page(rows, query, _bbo_entry, lambda row: cursors.of_bbo(row.ts))

        return await self._rows(request, page, BboHistory, "bbo")

    async def trade_history(self, request: Request) -> Response:
        """Trades."""
        query = rows_query(request)
        after = _read(cursors.trade_of, query)

        def page(store: "Store", book: "Book") -> Page:
            rows = store.trades(book, query.start, query.end, query.limit, after)
            return _page(rows, query, _trade_entry, lambda row: cursors.of_trade(row.ts_recv, row.ordinal))

        return await self._rows(request, page, TradeHistory, "trades")

    async def level_history(self, request: Request) -> Response:
        """Price levels over time."""
        query, interval = rows_query(request, "interval", "side", "price"), interval_ns(request)
        after = _read(cursors.level_of, query)
        wanted = {"side": side(request), "price": price(request)}

        def page(store: "Store", book: "Book") -> Page:
            rows = store.levels(book, query.start, query.end, interval, query.limit, after, **wanted)  # type: ignore[arg-type]
            return _page(rows, query, _level_entry, lambda row: cursors.of_level(row.ts, row.side, row.price))

        return await self._rows(request, page, LevelHistory, "levels")

    async def _rows(
        self, request: Request, page: Callable[["Store", "Book"], Page], answer: type[Any], name: str
    ) -> Response:
        history = known(self._hub)
        if (store := history.store) is None:
            raise Problem(501, "history_unavailable", "this server keeps no rows of the past")
        form, content_type = negotiated(request, ROWS_FORMS)
        instrument: str = request.path_params["instrument"]
        key = await key_of(self._hub, instrument)

        def made() -> tuple[bytes, str | None]:
            result = page(store, key)
            if form == "arrow":
                body = tables.rows_arrow(result.entries, _ENTRIES[name])
            elif form == "ndjson":
                body = tables.lines(result.entries)
            else:
                told = {name: result.entries, "next_cursor": result.next_cursor or UNSET}
                body = encoded(answer(publisher_id=key[0], instrument_id=key[1], **told), form)
            return body, result.next_cursor

        body, next_cursor = await asked(history.run(made), instrument)
        headers = dict(_VARIES)
        if next_cursor is not None:
            headers["Link"] = f'<{_next_page(request, next_cursor)}>; rel="next"'
        return Response(body, headers=headers, media_type=content_type)


async def key_of(hub: Hub, instrument: str) -> "Book":
    """Find the book that the name means now, or else that went by it."""
    try:
        return found(hub.streams.resolve, instrument)
    except Problem as problem:
        history = hub.history
        if problem.code != "unknown_instrument" or history is None:
            raise
        return await asked(history.run(history.resolve, instrument), instrument)


def _read(read: Callable[[str], Any], query: RowsQuery) -> Any:
    """Read the cursor, if there is one."""
    if query.cursor is None:
        return None
    after = read(query.cursor)
    if after is None:
        raise bad_cursor(query.cursor)
    return after


def _page(
    rows: Sequence[Any], query: RowsQuery, entry: Callable[[Any], msgspec.Struct], cursor: Callable[[Any], str]
) -> Page:
    return Page([entry(row) for row in rows], cursor(rows[-1]) if len(rows) == query.limit else None)


def _next_page(request: Request, cursor: str) -> str:
    given = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{quote(request.url.path)}?{urlencode({**given, 'cursor': cursor})}"


def told_hole(hole: "Hole") -> RecordedHole:
    """Tell of what is missing as every answer does."""
    return RecordedHole(
        ordinal=hole.ordinal,
        records=hole.records,
        start=_time_or_none(hole.start),
        end=_time_or_none(hole.end),
        reason=hole.reason,
    )


def _time_or_none(ts: int | None) -> str | None:
    return None if ts is None else str(ts)


def _price_or_none(value: int) -> str | None:
    return None if value == UNDEF_PRICE else price_text(value)


def _bbo_entry(row: "BboRow") -> BboEntry:
    return BboEntry(
        ts=str(row.ts),
        bid_price=_price_or_none(row.bid_px),
        bid_size=row.bid_size,
        bid_count=row.bid_count,
        ask_price=_price_or_none(row.ask_px),
        ask_size=row.ask_size,
        ask_count=row.ask_count,
        state=row.state,  # type: ignore[arg-type]
        ordinal=row.ordinal,
    )


def _trade_entry(row: "TradeRow") -> TradeEntry:
    return TradeEntry(
        ts_event=str(row.ts_event),
        ts_recv=str(row.ts_recv),
        price=_price_or_none(row.price),
        size=row.size,
        side=row.side,  # type: ignore[arg-type]
        order_id=str(row.order_id),
        sequence=row.sequence,
        ordinal=row.ordinal,
    )


def _level_entry(row: "LevelRow") -> LevelEntry:
    return LevelEntry(
        ts=str(row.ts),
        side=row.side,  # type: ignore[arg-type]
        price=price_text(row.price),
        size=row.size,
        count=row.count,
        ordinal=row.ordinal,
    )


_ENTRIES: dict[str, type[msgspec.Struct]] = {"bbo": BboEntry, "trades": TradeEntry, "levels": LevelEntry}


def _event(row: "LifeRow") -> OrderEvent:
    return OrderEvent(
        ordinal=row.ordinal,
        ts_event=str(row.ts_event),
        ts_recv=str(row.ts_recv),
        action=row.action,  # type: ignore[arg-type]
        side=row.side,  # type: ignore[arg-type]
        price=_price_or_none(row.price),
        size=row.size,
        sequence=row.sequence,
    )


def _events(life: "Life | None") -> list[OrderEvent]:
    return [] if life is None else list(map(_event, life.records))


def _gone(key: "Book", symbol: str | None, number: int, life: "Life | None", *, with_life: bool) -> GoneOrder | None:
    if life is None:
        return None
    return GoneOrder(
        publisher_id=key[0],
        instrument_id=key[1],
        symbol=symbol,
        order_id=str(number),
        status="removed" if life.status == "resting" else life.status,
        side=life.side,  # type: ignore[arg-type]
        price=_price_or_none(life.price),
        size=life.size,
        filled=life.filled,
        life=_events(life) if with_life else UNSET,
    )


def _in_queue(book: QueuedBook, number: str) -> Order | None:
    """Find a resting order in a whole book, and its place."""
    for name, levels in (("B", book.bids), ("A", book.asks)):
        for level_price, _, _, queue in levels:
            for place, (order, size, ts_event) in enumerate(queue):
                if order == number:
                    ahead, behind = queue[:place], queue[place + 1 :]
                    return Order(
                        instrument_id=book.instrument_id,
                        publisher_id=book.publisher_id,
                        symbol=book.symbol,
                        epoch=book.epoch,
                        seq=book.seq,
                        order_id=number,
                        status="resting",
                        side=name,  # type: ignore[arg-type]
                        price=level_price,
                        size=size,
                        ts_event=ts_event,
                        orders_ahead=len(ahead),
                        size_ahead=sum(entry[1] for entry in ahead),
                        orders_behind=len(behind),
                        size_behind=sum(entry[1] for entry in behind),
                    )
    return None
