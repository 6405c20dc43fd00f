"""Control lines and requests, as clients write them and as nobody should."""

import pytest
from databento.live.gateway import AuthenticationRequest, SubscriptionRequest
from databento_dbn import Compression, Schema, SType
from hypothesis import given
from hypothesis import strategies as st

from l3book.gateway.lines import LINE_BYTES_MAX, LineBuffer, LineError, clean, fields, refusal
from l3book.gateway.requests import (
    LINE_SYMBOLS_MAX,
    Authentication,
    RequestAssembler,
    RequestError,
    Subscription,
)
from streams import cut, cuts

T = 1_758_742_200_123_456_789


def lines_of(pieces: list[bytes]) -> list[str]:
    buffer, found = LineBuffer(), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.take()) is not None:
            found.append(line)
    return found


@given(st.data())
def test_lines_do_not_depend_on_how_they_arrive(data: st.DataObject) -> None:
    text = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=20)
    lines = data.draw(st.lists(text, max_size=8))
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r\n"]), min_size=len(lines), max_size=len(lines)))
    raw = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    assert lines_of(cut(raw, data.draw(cuts(len(raw))))) == lines


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_without_end_is_given_up_at_its_limit(end: bytes) -> None:
    buffer = LineBuffer()
    buffer.feed(b"x" * LINE_BYTES_MAX)
    assert buffer.take() is None
    assert buffer.room_bytes == 1
    buffer.feed(b"x" + end)
    with pytest.raises(LineError, match="a line of more than 65536 bytes"):
        buffer.take()


def test_the_longest_line_is_taken() -> None:
    assert lines_of([b"x" * LINE_BYTES_MAX + b"\n"]) == ["x" * LINE_BYTES_MAX]


@pytest.mark.parametrize("raw", [b"\xff\xfe\n", b"a=\0\n", b"a=\x1b[31m\n", b"a=b\rc=d\n"])
def test_binary_is_no_line(raw: bytes) -> None:
    with pytest.raises(LineError):
        lines_of([raw])


def test_fields() -> None:
    assert fields("a=1|b=|c|d==x") == {"a": "1", "b": "", "c": "", "d": "=x"}


@pytest.mark.parametrize("line", ["", "|", "a=1|", "=1", "a=1|a=2"])
def test_fields_that_are_none(line: str) -> None:
    with pytest.raises(LineError):
        fields(line)


@given(st.text())
def test_a_refusal_is_one_line_the_client_can_read(text: str) -> None:
    raw = refusal(text)
    assert raw.count(b"\n") == 1
    assert raw.count(b"|") == 1
    assert raw.decode().splitlines(keepends=True) == [raw.decode()]
    assert len(clean(text).encode()) <= 300


def authentication(**changes: object) -> AuthenticationRequest:
    return AuthenticationRequest(
        **{"auth": "0-FFFFF", "dataset": "GLBX.MDP3", "compression": str(Compression.NONE), **changes}
    )


def parsed(request: object) -> dict[str, str]:
    return fields(str(request).removesuffix("\n"))


def test_the_official_clients_answer_is_read() -> None:
    request = Authentication.parse(parsed(authentication()))
    assert (request.dataset, request.ts_out, request.compression) == ("GLBX.MDP3", False, "none")
    assert (request.heartbeat_interval_s, request.slow_reader_behavior) == (30, "warn")
    assert request.client.startswith("Databento/")
    other = authentication(ts_out="1", compression="zstd", heartbeat_interval_s=5, slow_reader_behavior="skip")
    request = Authentication.parse(parsed(other))
    assert (request.ts_out, request.compression) == (True, "zstd")
    assert (request.heartbeat_interval_s, request.slow_reader_behavior) == (5, "skip")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": ""}, "no dataset"),
        ({"encoding": "csv"}, "encoding is 'csv': expected dbn"),
        ({"ts_out": "2"}, "ts_out is '2': expected 0 or 1"),
        ({"compression": "gzip"}, "compression is 'gzip': expected none or zstd"),
        ({"heartbeat_interval_s": 4}, "heartbeat_interval_s is '4': expected 5 to 1800 seconds"),
        ({"heartbeat_interval_s": 1801}, "expected 5 to 1800"),
        ({"heartbeat_interval_s": "1e3"}, "expected 5 to 1800"),
        ({"slow_reader_behavior": "drop"}, "expected warn or skip"),
    ],
)
def test_a_wrong_answer_says_what_was_expected(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        Authentication.parse(parsed(authentication(**changes)))


def test_a_first_line_that_is_no_answer() -> None:
    with pytest.raises(RequestError, match="no auth field"):
        Authentication.parse(fields("GET / HTTP/1.1"))


def subscription(**changes: object) -> Subscription:
    request = SubscriptionRequest(
        **{"schema": Schema.MBO, "stype_in": SType.RAW_SYMBOL, "symbols": "ALL_SYMBOLS", **changes}
    )
    return Subscription.parse(parsed(request))


def test_the_official_clients_subscription_is_read() -> None:
    found = subscription(id=7)
    assert found == Subscription("mbo", "raw_symbol", None, None, snapshot=False, id=7, is_last=True)
    found = subscription(symbols="A, B", start=T, is_last=0, schema="mbp-10", stype_in="parent")
    assert found == Subscription("mbp-10", "parent", ("A", "B"), T, snapshot=False, id=None, is_last=False)
    assert subscription(snapshot=1).snapshot


@pytest.mark.parametrize("start", [str(T), "2025-09-24T19:30:00.123456789Z", "2025-09-24T19:30:00.123456789"])
def test_start_is_exact_in_every_notation(start: str) -> None:
    assert subscription(start=start).start == T
    assert subscription(start="0").start == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbols": ""}, "symbols is '': expected ALL_SYMBOLS or"),
        ({"symbols": "A,,B"}, "expected ALL_SYMBOLS or"),
        ({"symbols": ",".join("x" * (LINE_SYMBOLS_MAX + 1))}, "501 symbols in a line: expected at most 500"),
        ({"start": "yesterday"}, "start: time 'yesterday': expected nanoseconds"),
        ({"start": "-1"}, "start: time"),
        ({"start": 0, "snapshot": 1}, "start and snapshot=1 exclude each other"),
        ({"snapshot": 2}, "snapshot is '2': expected 0 or 1"),
        ({"is_last": "no"}, "is_last is 'no'"),
        ({"id": "x"}, "id is 'x'"),
        ({"id": 2**32}, "id is '4294967296'"),
    ],
)
def test_a_wrong_subscription_says_what_was_expected(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        subscription(**changes)


@given(st.lists(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_lines_of_a_request_are_joined(batches: list[list[str]]) -> None:
    assembler, found = RequestAssembler(), []
    for _ in range(2):
        for n, batch in enumerate(batches):
            line = subscription(symbols=",".join(batch), id=3, is_last=int(n == len(batches) - 1))
            found.append(assembler.add(line))
    whole = [request for request in found if request is not None]
    expected = list(dict.fromkeys(symbol for batch in batches for symbol in batch))
    assert [list(request.symbols or ()) for request in whole] == [expected] * 2
    assert [n for n, request in enumerate(found, 1) if request] == [len(batches), 2 * len(batches)]


@pytest.mark.parametrize("changes", [{"id": 2}, {"schema": Schema.TRADES}, {"start": T}, {"symbols": "ALL_SYMBOLS"}])
def test_lines_that_do_not_belong_together_are_refused(changes: dict[str, object]) -> None:
    assembler = RequestAssembler()
    assert assembler.add(subscription(symbols="A", id=1, is_last=0)) is None
    with pytest.raises(RequestError):
        assembler.add(subscription(**{"symbols": "B", "id": 1, **changes}))
