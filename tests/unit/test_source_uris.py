import sys
from pathlib import Path

import pytest

from l3book.masking import masked_line
from l3book.sources import SourceError, open_source
from l3book.sources.file import _local_path
from l3book.sources.live import LiveConnector
from l3book.sources.uri import parse_uri
from small_gateway import KEY


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:a.dbn", "a.dbn"),
        ("file:/data/a.dbn", "/data/a.dbn"),
        ("file:///data/a.dbn", "/data/a.dbn"),
        ("file://localhost/data/a.dbn", "/data/a.dbn"),
        ("FILE:a.dbn", "a.dbn"),
        ("file:a%20b%3Fc.dbn", "a b?c.dbn"),
        ("file:a#1.dbn", "a#1.dbn"),
        ("file:100%.dbn", "100%.dbn"),
        ("file:C%C3%A9.dbn?speed=2", "Cé.dbn"),
        ("file:a:b.dbn", "a:b.dbn"),
    ],
)
def test_file_path(uri: str, path: str) -> None:
    assert _local_path(parse_uri(uri)) == path


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "no scheme: expected synthetic: or file:PATH, tcp:"),
        ("data.dbn", "no scheme: expected synthetic: or file:PATH, tcp:"),
        ("/data/a.dbn", "no scheme"),
        ("ftp://host/a.dbn", "unknown scheme 'ftp': expected synthetic: or file:, tcp:"),
        ("tcp:127.0.0.1:9000", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1:0", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1:65536", "expected tcp://HOST:PORT"),
        ("tcp://user@host:1", "expected tcp://HOST:PORT"),
        ("tcp://::1:9000", "expected tcp://HOST:PORT"),
        ("tcp://host:1?speed=2", "unknown key 'speed': expected idle_s or end"),
        ("tcp://host:1?end=never", "end is 'never': expected stop or reconnect"),
        ("tcp://host:1?idle_s=0", "idle_s is '0': expected a number above 0"),
        ("live:GLBX.MDP3", "expected live://DATASET, like live://GLBX.MDP3"),
        ("live://", "expected live://DATASET"),
        ("live://glbx", "'glbx': expected live://DATASET"),
        ("live://A.B|C", "expected live://DATASET"),
        ("live://GLBX.MDP3?symbol=A", "unknown key 'symbol': expected symbols or stype_in"),
        ("live://GLBX.MDP3?schema=mbp-10", "schema is 'mbp-10': expected mbo"),
        ("live://GLBX.MDP3?start=yesterday", "start is 'yesterday': expected a whole number"),
        ("live://GLBX.MDP3?start=0&snapshot=1", "start and snapshot=1 exclude each other"),
        ("live://GLBX.MDP3?snapshot=yes", "snapshot is 'yes': expected 0 or 1"),
        ("live://GLBX.MDP3?compression=gzip", "compression is 'gzip': expected none or zstd"),
        ("live://GLBX.MDP3?heartbeat_s=1", "heartbeat_s is '1': expected a whole number from 5 to 1800"),
        ("live://GLBX.MDP3?gateway=nowhere:x", "gateway is 'nowhere:x': expected HOST:PORT"),
        ("live://GLBX.MDP3?symbols=", "an empty string is not allowed"),
        ("live://GLBX.MDP3?symbols=A%0Astart_session", "expected symbols separated by commas"),
        ("live://GLBX.MDP3?symbols=A|snapshot=1", "expected symbols separated by commas"),
        ("live://GLBX.MDP3?stype_in=name", "stype_in is 'name': expected raw_symbol"),
        ("nats://127.0.0.1:4222", "expected nats://HOST:PORT/STREAM"),
        ("nats:S", "expected nats://HOST:PORT/STREAM"),
        ("nats://127.0.0.1:4222/a.b", "'a.b': expected a stream's name"),
        ("nats://127.0.0.1:4222/a/b", "'a/b': expected a stream's name"),
        ("nats://127.0.0.1:4222/S?from=later", "from: time 'later': expected nanoseconds since 1970"),
        ("nats://127.0.0.1:4222/S?shard=x", "shard is 'x': expected a whole number from 0 to 255"),
        ("nats://127.0.0.1:4222/S?end=never", "end is 'never': expected stop or reconnect"),
        ("nats://127.0.0.1:4222/S?user=me", "unknown key 'user'"),
        ("synthetic:?speed=2", "unknown key 'speed': expected instruments or rate or seed"),
        ("synthetic:x", "unexpected 'x'"),
        ("synthetic:?rate", "expected KEY=VALUE"),
        ("synthetic:?rate=1&rate=2", "'rate' is given twice"),
        ("synthetic:?rate=fast", "rate is 'fast': expected a whole number from 0 to 1000000000"),
        ("synthetic:?rate=1.5", "rate is '1.5': expected a whole number"),
        ("synthetic:?rate=-1", "rate is '-1': expected a whole number from 0 to 1000000000, or max"),
        ("synthetic:?rate=" + "9" * 5000, "expected a whole number from 0 to 1000000000"),
        ("synthetic:?seed=" + "9" * 5000, "expected a whole number from 0"),
        ("file:a.dbn?rate=" + "9" * 5000, "expected a whole number from 1"),
        ("synthetic:?instruments=0", "instruments is '0': expected a whole number from 1 to 10000"),
        ("synthetic:?seed=18446744073709551616", "expected a whole number from 0 to 18446744073709551615"),
        ("file:", "no path: expected file:PATH"),
        ("file:?speed=1", "no path"),
        ("file://host/a.dbn", "on host 'host'"),
        ("file:a%00b", "a zero byte in the path"),
        ("file:%FF.dbn", "does not decode to UTF-8"),
        ("file:a.dbn?pace=1", "unknown key 'pace': expected speed or rate"),
        ("file:a.dbn?speed=0", "speed is '0': expected a number above 0"),
        ("file:a.dbn?speed=nan", "expected a number above 0"),
        ("file:a.dbn?speed=inf", "expected a number above 0"),
        ("file:a.dbn?rate=0", "rate is '0': expected a whole number from 1"),
        ("file:a.dbn?speed=1&rate=1", "speed and rate exclude each other"),
    ],
)
def test_what_is_no_source_is_refused_with_what_was_expected(
    uri: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    with pytest.raises(SourceError) as refused:
        open_source(uri)
    assert expected in str(refused.value)
    assert repr(uri) in str(refused.value)


def test_a_live_source_needs_a_key_from_the_environment_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABENTO_API_KEY", raising=False)
    with pytest.raises(SourceError, match="DATABENTO_API_KEY is not set: expected a key in the environment"):
        open_source("live://GLBX.MDP3?symbols=A")
    with pytest.raises(SourceError, match="a key in the URI: expected it in DATABENTO_API_KEY only") as refused:
        open_source(f"live://GLBX.MDP3?key={KEY}")
    assert KEY not in str(refused.value)


def test_a_live_source_without_the_official_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "databento", None)
    monkeypatch.delitem(sys.modules, "l3book.sources.live_protocol", raising=False)
    monkeypatch.delattr("l3book.sources.live_protocol", raising=False)
    for name in [name for name in sys.modules if name.startswith("databento.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match="pip install databento"):
        open_source("live://GLBX.MDP3?symbols=A")


def test_a_gateway_is_for_live_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    with pytest.raises(SourceError, match="is for live sources"):
        open_source("tcp://host:1", "host:2")
    source = open_source("live://GLBX.MDP3?gateway=host:1", "[::1]:2")
    assert isinstance(source, LiveConnector)
    assert (source.host, source.port) == ("::1", 2)


def test_the_address_of_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABENTO_API_KEY", KEY)
    source = open_source("live://GLBX.MDP3?symbols=A")
    assert isinstance(source, LiveConnector)
    assert (source.host, source.port) == ("glbx-mdp3.lsg.databento.com", 13_000)
    assert KEY not in repr(source) + str(vars(source)["uri"])


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(f"file:{tmp_path}/none.dbn")


@pytest.mark.parametrize("user", ["me:secret", "me:sec/ret", "me:se?cret", "me:s@ec/r?et", "secret"])
@pytest.mark.parametrize("begin", ["nats://", "nats:"])
def test_a_password_in_a_uri_is_refused_and_not_shown(begin: str, user: str) -> None:
    """Generated ones hold what a URI is cut by."""
    uri = f"{begin}{user}@127.0.0.1:4222/S"
    with pytest.raises(SourceError, match=r"source 'nats:(//)?…@127.0.0.1:4222/S': a user in the URI") as refused:
        open_source(uri)
    assert "ret" not in str(refused.value)
    assert "ret" not in masked_line(f"connecting to {uri}, again")
