"""The operations on the past."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from l3book.api import history_cursors as cursors
from l3book.api.history_params import INTERVAL_PATTERN, PRICE_PATTERN, ROWS_PER_PAGE_DEFAULT, ROWS_PER_PAGE_MAX
from l3book.api.history_schemas import (
    BboEntry,
    BboHistory,
    ChangedReplay,
    ChangeReplay,
    Exported,
    ExportedFiles,
    GoneOrder,
    LevelEntry,
    LevelHistory,
    MakeExport,
    MakeReplay,
    Order,
    Recorded,
    Replay,
    Replays,
    TradeEntry,
    TradeHistory,
)
from l3book.api.negotiation import Form
from l3book.api.operation import (
    IDEMPOTENCY_KEY,
    INSTRUMENT,
    NO_BOOK,
    NOT_KNOWN,
    ORDER_ID,
    PAST_PROBLEMS,
    POST_PROBLEMS,
    ROWS_PROBLEMS,
    Operation,
    Parameter,
    types_of,
)
from l3book.wire import Side, TimeText

ROWS_FORMS: tuple[Form, ...] = ("json", "ndjson", "msgpack", "arrow")
RECORDED_FORMS: tuple[Form, ...] = ("json", "msgpack")

AT = Parameter(
    "at",
    "query",
    TimeText,
    "as of this time: after all events complete at or before it, by ts_event; ns since 1970, or ISO 8601",
    needs_history=True,
)
_START = Parameter("start", "query", TimeText, "rows from this time on, by ts_recv; from the first unless told")
_END = Parameter("end", "query", TimeText, "rows before this time (ts_recv), not before start; to the last unless told")
_Interval: TypeAlias = Annotated[str, Meta(pattern=INTERVAL_PATTERN, examples=["10s"])]
_INTERVAL = Parameter(
    "interval",
    "query",
    _Interval,
    "a row for each, such as 10s, 1m, 1h, 1d; unless told, a row where something changed",
)
_LIMIT = Parameter(
    "limit",
    "query",
    Annotated[int, Meta(ge=1, le=ROWS_PER_PAGE_MAX)],
    f"at most so many rows; {ROWS_PER_PAGE_DEFAULT} unless told",
)
_BODY_PROBLEMS = ("bad_body", "bad_parameter")


def _cursor(pattern: str) -> Parameter:
    kind = Annotated[str, Meta(pattern=pattern)]
    return Parameter("cursor", "query", kind, "`next_cursor` of the page before; opaque")


def history_operations() -> tuple[Operation, ...]:
    """All of them."""
    return (_RECORDED, _ORDER, *_rows(), *_replays(), *_exports())


_RECORDED = Operation(
    "/v1/history",
    "history",
    "What is recorded: from when to when, sessions, holes",
    (Recorded,),
    "All that is durable, also what is not in the tables of rows yet. Made to be asked for every few seconds.",
    owner="past",
    tag="History",
    content_types=types_of(RECORDED_FORMS),
    headers=("Cache-Control", "Vary"),
    problems=("unknown_parameter", "not_acceptable", *PAST_PROBLEMS),
    needs_history=True,
)


_ORDER = Operation(
    "/v1/books/{instrument}/orders/{order_id}",
    "order",
    "One order: its place in its queue, or what became of it",
    (Order, GoneOrder),
    "`life` is what is recorded of it, in the last session that knows it; the newest records follow within a second.",
    owner="past",
    tag="Books",
    parameters=(
        INSTRUMENT,
        ORDER_ID,
        AT,
        Parameter("life", "query", Literal["true", "false"], "false: without its life, which takes time to find"),
    ),
    problems=(*NO_BOOK, "unknown_order", *NOT_KNOWN, "bad_parameter", "not_recorded", *ROWS_PROBLEMS),
)


def _rows() -> tuple[Operation, ...]:
    shared: dict[str, Any] = {
        "owner": "past",
        "tag": "History",
        "content_types": types_of(ROWS_FORMS),
        "headers": ("Cache-Control", "Link", "Vary"),
        "problems": (*NO_BOOK, *NOT_KNOWN, "not_acceptable", "bad_parameter", *ROWS_PROBLEMS),
        "needs_history": True,
    }
    price = Annotated[str, Meta(pattern=PRICE_PATTERN)]
    path = "/v1/books/{instrument}/history"
    return (
        Operation(
            f"{path}/bbo",
            "bbo_history",
            "Best bid and offer over time",
            (BboHistory,),
            "By ts. A row tells how things were at the end of the second, or interval, that begins at its ts.",
            line=BboEntry,
            parameters=(INSTRUMENT, _START, _END, _INTERVAL, _LIMIT, _cursor(cursors.BBO_PATTERN)),
            **shared,
        ),
        Operation(
            f"{path}/trades",
            "trade_history",
            "Trades",
            (TradeHistory,),
            "By ts_recv and ordinal.",
            line=TradeEntry,
            parameters=(INSTRUMENT, _START, _END, _LIMIT, _cursor(cursors.TRADES_PATTERN)),
            **shared,
        ),
        Operation(
            f"{path}/levels",
            "level_history",
            "Price levels over time",
            (LevelHistory,),
            "By ts, side and price. A row tells how a level was at the end of a second, or interval, in which it "
            "changed; size 0: it was gone. With `side` and `price` and `interval` there is a row for each interval.",
            line=LevelEntry,
            parameters=(
                INSTRUMENT,
                _START,
                _END,
                _INTERVAL,
                Parameter("side", "query", Side, "levels of this side"),
                Parameter("price", "query", price, "the level at this price"),
                _LIMIT,
                _cursor(cursors.LEVELS_PATTERN),
            ),
            **shared,
        ),
    )


def _replays() -> tuple[Operation, ...]:
    shared: dict[str, Any] = {"owner": "replays", "tag": "History", "needs_history": True}
    replay_id = Parameter("replay", "path", Annotated[str, Meta(pattern="^[0-9a-f]{16}$")], "the id of a replay")
    return (
        Operation(
            "/v1/replays",
            "make_replay",
            "Play the past again",
            (Replay,),
            "WebSockets join it by its id, or make one of their own. It ends when nobody has used it for a while.",
            method="POST",
            status=201,
            body=MakeReplay,
            headers=("Cache-Control", "Location", "Idempotency-Replayed"),
            parameters=(IDEMPOTENCY_KEY,),
            problems=(
                *POST_PROBLEMS,
                "unknown_parameter",
                *_BODY_PROBLEMS,
                "not_recorded",
                "too_many_replays",
                *PAST_PROBLEMS,
            ),
            **shared,
        ),
        Operation(
            "/v1/replays",
            "replays",
            "Replays of yours that run",
            (Replays,),
            problems=("unknown_parameter", "history_unavailable"),
            **shared,
        ),
        Operation(
            "/v1/replays/{replay}",
            "replay",
            "One replay",
            (Replay,),
            parameters=(replay_id,),
            problems=("unknown_replay", "unknown_parameter", "history_unavailable"),
            **shared,
        ),
        Operation(
            "/v1/replays/{replay}",
            "change_replay",
            "Change its speed, hold it, step, or go elsewhere",
            (ChangedReplay,),
            "What is given is done in the order `speed`, `at`, `step`, `paused`.",
            method="PATCH",
            body=ChangeReplay,
            parameters=(replay_id,),
            problems=(
                "wrong_origin",
                "unknown_replay",
                *NO_BOOK,
                "unknown_parameter",
                *_BODY_PROBLEMS,
                "not_recorded",
                *PAST_PROBLEMS,
            ),
            **shared,
        ),
        Operation(
            "/v1/replays/{replay}",
            "end_replay",
            "End it",
            text="Sockets that are in it go back to the books as they are now.",
            method="DELETE",
            status=204,
            content_types=(),
            parameters=(replay_id,),
            problems=("wrong_origin", "unknown_replay", "unknown_parameter", "history_unavailable"),
            **shared,
        ),
    )


def _exports() -> tuple[Operation, ...]:
    shared: dict[str, Any] = {"owner": "exports", "tag": "History", "needs_history": True}
    export_id = Parameter("export", "path", Annotated[str, Meta(pattern="^[0-9a-f]{16}$")], "the id of an export")
    return (
        Operation(
            "/v1/exports",
            "make_export",
            "Write a stretch of the past to a file",
            (Exported,),
            "Of the records between the book as of `start` and as of `end`. The oldest files make way for new ones.",
            method="POST",
            status=201,
            body=MakeExport,
            headers=("Cache-Control", "Location", "Idempotency-Replayed"),
            parameters=(IDEMPOTENCY_KEY,),
            problems=(
                *POST_PROBLEMS,
                *NO_BOOK,
                "unknown_parameter",
                *_BODY_PROBLEMS,
                "not_recorded",
                "export_too_large",
                "export_failed",
                *PAST_PROBLEMS,
            ),
            **shared,
        ),
        Operation(
            "/v1/exports",
            "exports",
            "Files of yours that are there",
            (ExportedFiles,),
            problems=("unknown_parameter", "history_unavailable"),
            **shared,
        ),
        Operation(
            "/v1/exports/{export}",
            "remove_export",
            "Remove it",
            text="One of yours; whoever is fetching it gets it whole.",
            method="DELETE",
            status=204,
            content_types=(),
            parameters=(export_id,),
            problems=("wrong_origin", "unknown_export", "unknown_parameter", "history_unavailable"),
            **shared,
        ),
        Operation(
            "/v1/exports/{export}",
            "export",
            "The file",
            content_types=("application/zstd", "text/csv", "application/vnd.apache.parquet"),
            headers=("Cache-Control", "Content-Disposition"),
            parameters=(export_id,),
            problems=("unknown_export", "unknown_parameter", "history_unavailable"),
            **shared,
        ),
    )
