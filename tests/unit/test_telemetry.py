import io
import json
import logging
from collections.abc import Iterator

import pytest

from l3book import telemetry


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
    logging.getLogger("l3book.engine").info("two\nlines, %d%%", 50, extra={"ordinal": 7})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("ts").endswith("+00:00")
    assert entry == {"level": "info", "logger": "l3book.engine", "message": "two\nlines, 50%", "ordinal": 7}


def test_a_line_for_a_machine_is_readable_where_the_stream_can_write_it() -> None:
    message = "key …89abc\u2028\x85\u202e\udc80"
    for encoding, shown in (("utf-8", "key …89abc"), ("ascii", "key \\u202689abc")):
        written = io.BytesIO()
        telemetry.setup("info", io.TextIOWrapper(written, encoding=encoding, write_through=True))
        logging.getLogger("l3book").info(message)
        text = written.getvalue().decode(encoding)
        assert len(text.splitlines()) == 1
        assert f'"{shown}\\u2028\\u0085\\u202e\\udc80"' in text
        assert json.loads(text)["message"] == message


def test_a_traceback_stays_within_its_line() -> None:
    stream = io.StringIO()
    telemetry.setup("info", stream)
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logging.getLogger("l3book").exception("broken")
    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exc"]


def test_a_line_for_people_names_level_and_logger() -> None:
    stream = Terminal()
    telemetry.setup("warning", stream)
    logging.getLogger("l3book.hub").info("unheard")
    logging.getLogger("l3book.hub").warning("heard")
    assert stream.getvalue().endswith(" warning l3book.hub: heard\n")
    assert "unheard" not in stream.getvalue()
