"""docs/api.md names every route, parameter, content type, header and problem there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from l3book.api.asyncapi import asyncapi
from l3book.api.codes import CODES
from l3book.api.negotiation import OTHER_NAMES
from l3book.api.openapi import openapi
from l3book.api.operation import COMMON_PROBLEMS, KEY_PROBLEMS, POST_PROBLEMS
from l3book.api.operations import operations
from l3book.config import Settings
from l3book.wire import CLOSE_CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENT = openapi(operations(Settings()), needs_key=False)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def tables(text: str) -> list[list[list[str]]]:
    """Every table: its rows: their cells, without the head."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[line.strip("|").split("|") for line in table.strip().split("\n")[2:]] for table in found]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def good(operation: dict[str, Any]) -> dict[str, Any]:
    """The content of the answer that was asked for."""
    (answer,) = [answer for status, answer in operation["responses"].items() if status in {"200", "201", "204"}]
    content: dict[str, Any] = answer.get("content", {})
    return content


def codes_of(operation: dict[str, Any]) -> set[str]:
    answers = [answer for status, answer in operation["responses"].items() if status >= "4"]
    schemas = [answer["content"]["application/problem+json"]["schema"] for answer in answers]
    return {code for schema in schemas for code in schema["allOf"][1]["properties"]["code"]["enum"]}


def test_every_route_with_its_parameters_content_types_and_problems() -> None:
    (rows,) = tables(section("Routes"))
    documented = {
        names(route)[0]: (set(names(parameters)), set(names(types)), set(names(problems)))
        for route, parameters, types, problems in rows
    }
    other_names = set(OTHER_NAMES)
    served = {
        f"{method.upper()} {path}": (
            {entry["name"] for entry in operation["parameters"] if "name" in entry},
            set(good(operation)) - other_names,
            codes_of(operation) - set(COMMON_PROBLEMS) - set(KEY_PROBLEMS),
        )
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert documented == served


def test_every_parameter() -> None:
    (rows,) = tables(section("Parameters"))
    served = {
        entry["name"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for entry in operation["parameters"]
        if "name" in entry
    }
    assert {names(row[0])[0] for row in rows} == served


def test_every_content_type() -> None:
    (rows,) = tables(section("Content types"))
    served = {
        content_type
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for content_type in good(operation)
    }
    documented = {
        name for row in rows for cell in row for name in names(cell) if name.startswith(("application/", "text/"))
    }
    assert documented == served - {"text/html"}


def test_every_header() -> None:
    asked, told, _always = tables(section("Headers"))
    components = DOCUMENT["components"]
    assert {names(row[0])[0] for row in asked} == {
        *components["parameters"],
        "Accept",
        "Authorization",
        "Idempotency-Key",
        "If-None-Match",
    }
    assert {names(row[0])[0] for row in told} == set(components["headers"])


def test_every_problem_with_its_status() -> None:
    of_requests, of_keys, of_posts, others, of_sockets = tables(section("Problems"))
    documented = {
        names(row[0])[0]: tuple(map(int, row[1].split(",")))
        for row in [*of_requests, *of_keys, *of_posts, *others, *of_sockets]
    }
    assert documented == {code.name: code.statuses for code in CODES.values()}
    assert {names(row[0])[0] for row in of_requests} == set(COMMON_PROBLEMS)
    assert {names(row[0])[0] for row in of_keys} == set(KEY_PROBLEMS)
    assert {names(row[0])[0] for row in of_posts} == set(POST_PROBLEMS)


def test_every_problem_that_is_raised_is_in_the_table() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "python" / "l3book").rglob("*.py"))
    raised = re.findall(r'Problem\(\s*(\d+),\s*"(\w+)"', source)
    assert len(raised) > 10
    for status, code in raised:
        assert int(status) in CODES[code].statuses


def test_a_ticket_is_made_by_a_key() -> None:
    document = openapi(operations(Settings()), needs_key=True)
    operation = document["paths"]["/v1/tickets"]["post"]
    assert operation["security"] == [{"apiKey": []}]
    assert set(operation["responses"]) >= {"201", "401", "403", "409", "422", "429"}
    assert {*POST_PROBLEMS, *KEY_PROBLEMS, *COMMON_PROBLEMS, "too_many_tickets"} < codes_of(operation)


@pytest.mark.parametrize("document", [DOCUMENT, asyncapi()], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        if isinstance(node, list):
            return [found for value in node for found in references(value)]
        return []

    found = references(document)
    assert found
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_the_depth_allowed_is_a_setting() -> None:
    def depth(settings: Settings) -> dict[str, Any]:
        parameters = openapi(operations(settings), needs_key=False)["paths"]["/get_snapshot"]["get"]["parameters"]
        schema: dict[str, Any] = next(entry for entry in parameters if entry.get("name") == "depth")["schema"]
        return schema

    assert depth(Settings(depth_max=50)) == {"type": "integer", "minimum": 1, "maximum": 50}
    assert depth(Settings())["anyOf"] == [{"type": "integer", "minimum": 1, "maximum": 10_000}, {"enum": ["all"]}]


def test_a_server_with_keys_asks_for_them_except_for_health_and_documents() -> None:
    paths = openapi(operations(Settings()), needs_key=True)["paths"]
    asks = {path for path, methods in paths.items() for one in methods.values() if one["security"] == [{"apiKey": []}]}
    assert set(paths) - asks == {"/livez", "/readyz", "/openapi.json", "/asyncapi.json", "/docs"}


def test_close_codes_are_in_the_stream_document() -> None:
    assert set(asyncapi()["x-close-codes"]) == {str(code) for code in CLOSE_CODES}


def test_codes_of_errors_are_in_the_stream_document() -> None:
    code = asyncapi()["components"]["schemas"]["Error"]["properties"]["code"]
    assert {"bad_op", "history_unavailable"} < set(code["enum"])


def test_the_depth_allowed_is_in_the_stream_document() -> None:
    depth = asyncapi()["components"]["schemas"]["Subscribe"]["properties"]["depth"]["anyOf"][0]
    assert (depth["minimum"], depth["maximum"]) == (1, 10_000)
