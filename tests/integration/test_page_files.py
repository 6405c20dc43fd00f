"""The page's files as a browser gets them: in which coding, how long it may keep them, and how many bytes come."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dbn_bytes import metadata
from http_contract import problem, raw_answer
from l3book.api.page import CODINGS, STATIC_FOLDER, page_is_built
from running import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRANSFER_BYTES_MAX = 100_000
"""Of the page with all its panes, also those that are loaded later: in gzip, heads included."""
ON_DEMAND = ("performance-",)
"""What only the performance page loads, once it is opened: it comes on top."""
FILES = sorted(file for file in STATIC_FOLDER.rglob("*") if file.is_file() and file.suffix not in CODINGS.values())
CODED = [file for file in FILES if file.with_name(f"{file.name}.br").is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    if not page_is_built():
        pytest.fail("the page is not built: run `make setup`")
    path = tmp_path_factory.mktemp("page") / "empty.dbn"
    path.write_bytes(metadata())
    server = RunningServer("--source", f"file:{path}")
    try:
        server.wait_until_listening()
        yield server
    finally:
        server.kill()


def path_of(file: Path) -> str:
    return f"/{file.relative_to(STATIC_FOLDER).as_posix()}"


def fetched(server: RunningServer, path: str, *fields: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """By a raw socket: nothing decodes, adds or keeps anything."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
    return raw_answer(server, "".join(f"{line}\r\n" for line in [*lines, ""]).encode())


def unbrotli(content: bytes) -> bytes:
    """Python has no Brotli; node, which built the page, does."""
    script = "process.stdout.write(require('node:zlib').brotliDecompressSync(require('node:fs').readFileSync(0)))"
    return subprocess.run(["node", "-e", script], input=content, capture_output=True, check=True).stdout


def test_every_text_of_some_size_is_built_in_both_codings() -> None:
    assert {file.suffix for file in CODED} >= {".html", ".js", ".css"}
    for file in FILES:
        if file.suffix in {".html", ".js", ".css"} and file.stat().st_size > 1_000:
            endings = [ending for ending in CODINGS.values() if file.with_name(file.name + ending).is_file()]
            assert endings == list(CODINGS.values()), file.name


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_every_coding_is_of_the_file_itself(server: RunningServer) -> None:
    for file in CODED:
        plain = file.read_bytes()
        for coding, decode in (("br", unbrotli), ("gzip", gzip.decompress)):
            status, headers, body = fetched(server, path_of(file), f"Accept-Encoding: {coding}")
            assert status == 200
            assert headers["content-encoding"] == coding
            assert int(headers["content-length"]) == len(body) < len(plain)
            assert decode(body) == plain, f"{file.name} in {coding}"


@pytest.mark.parametrize("accept", [None, "identity", "zstd", "br;q=0, gzip;q=0"])
def test_whoever_takes_no_coding_gets_the_file(server: RunningServer, accept: str | None) -> None:
    fields = [] if accept is None else [f"Accept-Encoding: {accept}"]
    for file in FILES:
        status, headers, body = fetched(server, path_of(file), *fields)
        assert (status, body) == (200, file.read_bytes())
        assert "content-encoding" not in headers
        assert file not in CODED or headers["vary"] == "Accept-Encoding"


def test_each_coding_has_a_tag_of_its_own_by_which_it_is_304(server: RunningServer) -> None:
    for file in CODED:
        path, tags = path_of(file), {}
        for coding in ("br", "gzip", "identity"):
            accepts = f"Accept-Encoding: {coding}"
            _, headers, _ = fetched(server, path, accepts)
            tags[coding] = headers["etag"]
            status, again, body = fetched(server, path, accepts, f"If-None-Match: {headers['etag']}")
            assert (status, body) == (304, b"")
            assert again["etag"] == headers["etag"]
            assert (again["vary"], again["cache-control"]) == ("Accept-Encoding", headers["cache-control"])
        assert len(set(tags.values())) == 3, f"a cache would take one for another: {tags}"
        status, _, _ = fetched(server, path, "Accept-Encoding: br", f"If-None-Match: {tags['gzip']}")
        assert status == 200


def test_head_has_the_headers_of_get(server: RunningServer) -> None:
    for accept in ("br", "identity"):
        for path in ("/", path_of(CODED[0])):
            got = fetched(server, path, f"Accept-Encoding: {accept}")
            head = fetched(server, path, f"Accept-Encoding: {accept}", method="HEAD")
            assert head[0] == got[0] == 200
            assert head[2] == b""
            changing = {"date": "", "ratelimit": "", "x-request-id": ""}
            assert {**head[1], **changing} == {**got[1], **changing}


def test_names_with_a_hash_are_kept_for_ever_and_others_asked_for_again(server: RunningServer) -> None:
    assert fetched(server, "/")[1]["cache-control"] == "no-cache"
    for file in FILES:
        kept = fetched(server, path_of(file))[1]["cache-control"]
        if file.parent == STATIC_FOLDER:
            assert kept == "no-cache", file.name
        else:
            assert kept == "public, max-age=31536000, immutable", file.name
            assert re.search(r"-[\w-]{8}\.\w+$", file.name), f"{file.name} carries no hash, and would never be renewed"


def test_the_coded_files_have_no_address(server: RunningServer) -> None:
    for path in ("/index.html.br", f"{path_of(CODED[-1])}.gz", "/assets", "/assets/", "/assets/none.js"):
        problem(server.get(path), 404, "not_found")
    problem(server.client.post("/", content=b""), 405, "method_not_allowed")


def test_types_and_the_policy_let_a_browser_run_them(server: RunningServer) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for file in FILES:
        _, headers, _ = fetched(server, path_of(file))
        assert headers["content-type"].partition(";")[0] == types[file.suffix]
        assert headers["x-content-type-options"] == "nosniff"
        policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert {"'none'"} == {policy[name] for name in ("object-src", "base-uri", "form-action", "frame-ancestors")}
        assert "unsafe" not in headers["content-security-policy"]


def test_nothing_in_the_page_is_inline_or_from_elsewhere() -> None:
    html = (STATIC_FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        # Names of XML vocabularies are no addresses that anybody asks for.
        addresses = set(re.findall(r"(?:https?|wss?):?//[\w.-]+[\w/.-]*", text)) - {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xhtml",
        }
        assert not addresses, f"{file.name}: {addresses}"


def test_the_whole_page_is_under_100_kb(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte on the wire, but for what only the performance page loads; the first view is in test_page_budget."""
    total = dict.fromkeys(("identity", "gzip", "br"), 0)
    for coding in total:
        for file in FILES:
            if file.name.startswith(ON_DEMAND):
                continue
            _, headers, body = fetched(server, path_of(file), f"Accept-Encoding: {coding}")
            total[coding] += len(body) + sum(len(f"{name}: {value}\r\n") for name, value in headers.items())
    with capsys.disabled():
        weights = ", ".join(f"{coding} {count:,}" for coding, count in total.items())
        sys.stdout.write(f"\nthe page with all panes and the heads of its files, in bytes: {weights}\n")
    assert total["gzip"] < TRANSFER_BYTES_MAX
    assert total["br"] < total["gzip"] < total["identity"]
