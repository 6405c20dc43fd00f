import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l3book import telemetry
from l3book.history import indexing_main, indexing_process
from l3book.logs import CAUSE, REQUEST_ID, TRACE_ID, Logger

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
API_KEY = f"l3b_0123456789ab_{'f' * 64}"
DATABENTO_KEY = "db-0123456789abcdef0123456789abc"
TICKET = "l3book.ticket.abcDEF-_0123456789abcDEF-_0123456789abcdef"
HIDDEN = "p4ss-w0rd"


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    uvicorn_level = logging.getLogger("uvicorn").level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn").setLevel(uvicorn_level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_for_a_machine_is_one_json_object_whatever_it_says() -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream)
    logging.getLogger("somebody").info("two\nlines, %d%%", 50, extra={"ordinal": 7})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert re.fullmatch(TIME, entry.pop("time"))
    assert entry == {"level": "info", "logger": "somebody", "event": "two\nlines, 50%", "ordinal": 7}
    assert list(json.loads(line)) == ["time", "level", "logger", "event", "ordinal"]


def test_facts_are_in_the_text_and_beside_it() -> None:
    stream, terminal = io.StringIO(), Terminal()
    for target in (stream, terminal):
        telemetry.setup("info", target)
        Logger("l3book.engine").info("{source} waits {wait_s:.1f} s", source="live:", wait_s=0.25, attempt=3)
    entry = json.loads(stream.getvalue())
    del entry["time"]
    assert entry == {
        "level": "info",
        "logger": "l3book.engine",
        "event": "live: waits 0.2 s",
        "source": "live:",
        "wait_s": 0.25,
        "attempt": 3,
    }
    assert terminal.getvalue().endswith(" info l3book.engine: live: waits 0.2 s attempt=3\n")


def test_what_a_request_is_the_cause_of_has_its_ids() -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream)
    token = CAUSE.set({REQUEST_ID: "mine", TRACE_ID: "ab" * 16})
    try:
        logging.getLogger("uvicorn.error").warning("of a library")
    finally:
        CAUSE.reset(token)
    Logger("l3book").info("nobody's")
    of_request, of_nobody = map(json.loads, stream.getvalue().splitlines())
    assert (of_request["request_id"], of_request["trace_id"]) == ("mine", "ab" * 16)
    assert set(of_nobody) == {"time", "level", "logger", "event"}


def test_a_line_for_a_machine_is_readable_where_the_stream_can_write_it() -> None:
    message = "key …89abc\u2028\x85\u202e\udc80"
    for encoding, shown in (("utf-8", "key …89abc"), ("ascii", "key \\u202689abc")):
        written = io.BytesIO()
        telemetry.setup("info", io.TextIOWrapper(written, encoding=encoding, write_through=True))
        logging.getLogger("l3book").info(message)
        text = written.getvalue().decode(encoding)
        assert len(text.splitlines()) == 1
        assert f'"{shown}\\u2028\\u0085\\u202e\\udc80"' in text
        assert json.loads(text)["event"] == message


def fail_with(secret: str) -> None:
    local = secret
    raise ZeroDivisionError(f"nothing to do with it{local[:0]}")


def test_an_exception_is_fields_in_its_line_and_has_no_values_of_variables() -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream)
    try:
        try:
            fail_with(HIDDEN)
        except ZeroDivisionError as error:
            raise KeyError("outer") from error
    except KeyError:
        Logger("l3book").exception("broken {part}", part="here")
    (line,) = stream.getvalue().splitlines()
    outer, inner = json.loads(line)["exception"]
    assert (outer["exc_type"], inner["exc_type"]) == ("KeyError", "ZeroDivisionError")
    assert inner["is_cause"]
    assert inner["frames"][-1]["name"] == "fail_with"
    assert inner["frames"][-1]["filename"] == __file__
    assert HIDDEN not in line


def test_a_line_for_people_has_its_traceback_below() -> None:
    stream = Terminal()
    telemetry.setup("info", stream)
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        Logger("l3book").exception("broken")
    first, *others = stream.getvalue().splitlines()
    assert first.endswith(" error l3book: broken")
    assert others[0] == "Traceback (most recent call last):"
    assert others[-1].startswith("ZeroDivisionError")


def test_a_line_for_people_names_level_and_logger() -> None:
    stream = Terminal()
    telemetry.setup("warning", stream)
    logging.getLogger("l3book.hub").info("unheard")
    logging.getLogger("l3book.hub").warning("heard")
    assert stream.getvalue().endswith(" warning l3book.hub: heard\n")
    assert "unheard" not in stream.getvalue()


@pytest.mark.parametrize(("form", "begin"), [("text", ""), ("json", '{"time"')])
def test_the_form_can_be_chosen(form: str, begin: str) -> None:
    stream = io.StringIO() if form == "text" else Terminal()
    telemetry.setup("info", stream, form)
    Logger("l3book").info("said")
    assert stream.getvalue().startswith(begin)
    assert ('"event"' in stream.getvalue()) == (form == "json")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_gets_out_in_any_part_of_a_line(form: str) -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream, form)
    uri = f"postgresql://desk:{HIDDEN}@db.example/books"
    for secret in (API_KEY, API_KEY.replace("_", "%5F"), DATABENTO_KEY, TICKET, f"ticket={TICKET[-20:]}", uri):
        Logger("l3book").info("{what} came", what=secret, more={"nested": [secret]})
        logging.getLogger("somebody").warning("in a text: %s", secret)
        Logger("l3book").exception("failed", exc_info=ValueError(secret))
    text = stream.getvalue()
    for hidden in ("f" * 20, "abcdef0123456789abc", "abcDEF", "0123456789abcdef", HIDDEN):
        assert hidden not in text, hidden
    for kept in ("l3b_0123456789ab_***", "db-***", "l3book.ticket.***", "postgresql://desk:***@db.example/books"):
        assert kept in text, kept


def test_what_was_held_back_is_said_at_the_end() -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream, "json")
    (handler,) = logging.getLogger().handlers
    before = telemetry.lines["warning"]
    for client in range(5):
        logging.getLogger("uvicorn.error").warning("no HTTP from %s", client)
    assert len(stream.getvalue().splitlines()) == 1
    assert telemetry.held_back() == 4
    handler.close()
    _, last = map(json.loads, stream.getvalue().splitlines())
    assert (last["event"], last["held_back"]) == ("no HTTP from 4 (4 like it, said once)", 4)
    assert telemetry.lines["warning"] == before + 2


def test_a_line_of_the_process_is_passed_on_whole() -> None:
    told: list[dict[str, Any]] = []

    class Parent:
        def tell(self, message: dict[str, Any]) -> None:
            told.append(json.loads(json.dumps(message, default=str)))

    child = logging.getLogger("l3book.history.made")
    handler = indexing_main._LogToParent(Parent())  # type: ignore[arg-type]
    child.addHandler(handler)
    child.propagate = False
    try:
        Logger(child.name).warning("history {folder}: {error}", folder=Path("here"), error="full", rows=3)
        Logger(child.name).exception("history {folder}: failed", folder="here", exc_info=ZeroDivisionError("nothing"))
    finally:
        child.removeHandler(handler)
        child.propagate = True
    stream = io.StringIO()
    telemetry.setup("info", stream, "json")
    for message in told:
        indexing_process._log_again(message["log"])
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert {key: first[key] for key in ("level", "logger", "event", "folder", "error", "rows")} == {
        "level": "warning",
        "logger": child.name,
        "event": "history here: full",
        "folder": "here",
        "error": "full",
        "rows": 3,
    }
    assert (second["exception"][0]["exc_type"], second["exception"][0]["exc_value"]) == ("ZeroDivisionError", "nothing")
    stream = io.StringIO()
    telemetry.setup("info", stream, "text")
    indexing_process._log_again(told[1]["log"])
    assert stream.getvalue().endswith("error l3book.history.made: history here: failed\nZeroDivisionError: nothing\n")
