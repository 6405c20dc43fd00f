from pathlib import Path

import pytest

from l3book.sources import SourceError, open_source
from l3book.sources.file import _local_path
from l3book.sources.uri import parse_uri


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
        ("tcp://127.0.0.1:9000", "tcp sources are not in this version"),
        ("live://GLBX.MDP3?symbols=ES.FUT", "live sources are not in this version"),
        ("nats://127.0.0.1:4222/s", "nats sources are not in this version"),
        ("synthetic:?speed=2", "unknown key 'speed': expected instruments or rate or seed"),
        ("synthetic:x", "unexpected 'x'"),
        ("synthetic:?rate", "expected KEY=VALUE"),
        ("synthetic:?rate=1&rate=2", "'rate' is given twice"),
        ("synthetic:?rate=fast", "rate is 'fast': expected a whole number from 0 to 1000000000"),
        ("synthetic:?rate=1.5", "rate is '1.5': expected a whole number"),
        ("synthetic:?rate=-1", "expected a whole number"),
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
def test_what_is_no_source_is_refused_with_what_was_expected(uri: str, expected: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(uri)
    assert expected in str(refused.value)
    assert repr(uri) in str(refused.value)


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(f"file:{tmp_path}/none.dbn")
