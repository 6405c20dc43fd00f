"""Content codings: which one a client prefers of those there are."""

from __future__ import annotations

import pytest

from l3book.api.encodings import coding_for

BOTH = ("br", "gzip")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("deflate, zstd", "identity"),
        ("br;q=0.2, gzip;q=0.9", "gzip"),
        ("br;q=0, gzip;q=0", "identity"),
        ("br ; q=0 , gzip", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("*;q=0", "identity"),
        ("identity", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", "identity"),
        ("br;q=2, gzip;q=0.1", "gzip"),
        ("br;q=high, gzip;q=0.1", "gzip"),
        (";, ,;;q=1,=", "identity"),
        ("brotli", "identity"),
    ],
)
def test_the_coding_that_is_liked_best(accept: str | None, chosen: str) -> None:
    assert coding_for(accept, BOTH) == chosen


def test_only_of_those_there_are() -> None:
    assert coding_for("br, gzip", ("gzip",)) == "gzip"
    assert coding_for("br, gzip", ()) == "identity"
