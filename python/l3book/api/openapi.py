"""The OpenAPI 3.1 document, made from the operations, the types that encode, and the table of problems."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from l3book._core import __version__
from l3book.api.codes import CODES
from l3book.api.negotiation import MEDIA_TYPES, OTHER_NAMES, Form
from l3book.api.operation import ANSWER_HEADERS, COMMON_PROBLEMS, KEY_PROBLEMS, REQUEST_HEADERS, Operation, Parameter
from l3book.api.problems import MEDIA_TYPE as PROBLEM_TYPE
from l3book.api.schemas import ProblemDetails

Json: TypeAlias = dict[str, Any]

REF_TEMPLATE = "#/components/schemas/{name}"
_BEARER = "apiKey"

BODY_FORMS: tuple[Form, ...] = ("json", "msgpack")

_INTRODUCTION = """Full-depth order books, rebuilt exactly from Databento DBN data.

Prices are exact decimals, times (ns) and order ids digits, all as text: they exceed what a JSON number holds exactly.
A price level is [price, size, order count], best first; at level 3 a fourth element is its queue, [order_id, size,
ts_event] in priority order.

Errors are `application/problem+json` (RFC 9457), whatever `Accept` says. HEAD answers as GET without a body; OPTIONS
answers 204 with `Allow`. The WebSocket is described in /asyncapi.json."""


def openapi(operations: Sequence[Operation], *, needs_key: bool) -> Json:
    """Make the document; `needs_key`: whether this server asks for API keys."""
    types = [kind for operation in operations for kind in _types_of(operation)]
    schemas, components = msgspec.json.schema_components([*types, ProblemDetails], ref_template=REF_TEMPLATE)
    by_type = dict(zip(map(id, types), schemas, strict=False))
    paths: dict[str, Json] = {}
    for operation in operations:
        writer = _Writer(operation, by_type, needs_key=needs_key)
        paths.setdefault(operation.path, {})[operation.method.lower()] = writer.operation()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "l3book",
            "version": __version__,
            "summary": "Order books, order by order",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": "Books"}, {"name": "History"}, {"name": "Server"}, {"name": "Documents"}],
        "paths": paths,
        "components": {
            "schemas": {name: without_names(schema) for name, schema in components.items()},
            "headers": {
                name: {"description": text, "schema": {"type": "string"}} for name, text in ANSWER_HEADERS.items()
            },
            "parameters": {parameter.name: _parameter(parameter, {"type": "string"}) for parameter in REQUEST_HEADERS},
            "securitySchemes": {
                _BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "l3b_…", "description": "an API key"}
            },
        },
        "x-problems": [
            {"code": code.name, "statuses": list(code.statuses), "title": code.title, "when": code.when}
            for code in CODES.values()
        ],
    }


def without_names(schema: Any) -> Any:
    """Take away the titles that msgspec gives to types: a reader sees the name already."""
    if isinstance(schema, dict):
        return {key: without_names(value) for key, value in schema.items() if not (key == "title" and _is_name(value))}
    if isinstance(schema, list):
        return [without_names(entry) for entry in schema]
    return schema


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[A-Za-z]+", value) is not None


def _types_of(operation: Operation) -> Iterable[Any]:
    yield from operation.answers
    yield from filter(None, (operation.line, operation.body))
    yield from (parameter.kind for parameter in operation.parameters)


def _parameter(parameter: Parameter, schema: Json) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.text,
        "schema": schema,
    }


class _Writer:
    """Writes one operation."""

    def __init__(self, operation: Operation, schemas: dict[int, Json], *, needs_key: bool) -> None:
        self._operation = operation
        self._schemas = schemas
        self._needs_key = needs_key

    def operation(self) -> Json:
        operation = self._operation
        written: Json = {
            "operationId": operation.name,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": [
                *(_parameter(entry, without_names(self._schemas[id(entry.kind)])) for entry in operation.parameters),
                *({"$ref": f"#/components/parameters/{parameter.name}"} for parameter in REQUEST_HEADERS),
            ],
            "responses": self._responses(),
            "security": [{_BEARER: []}] if self._needs_key and operation.needs_key else [{}, {_BEARER: []}],
        }
        if not operation.needs_key:
            written["security"] = []
        if operation.text:
            written["description"] = operation.text
        if operation.body is not None:
            schema = without_names(self._schemas[id(operation.body)])
            content = {MEDIA_TYPES[form]: {"schema": schema} for form in BODY_FORMS}
            written["requestBody"] = {"required": True, "content": content}
        return written

    def _responses(self) -> Json:
        operation = self._operation
        rate = ("RateLimit", "RateLimit-Policy") if operation.needs_key else ()
        headers = _headers(*operation.headers, "X-Request-Id", *rate)
        good: Json = {"description": operation.summary, "headers": headers}
        if content := self._content():
            good["content"] = content
        responses: Json = {str(operation.status): good}
        if operation.is_conditional:
            responses["304"] = {"description": "It has not changed since the ETag", "headers": headers}
        problems = (*operation.problems, *COMMON_PROBLEMS, *(KEY_PROBLEMS if operation.needs_key else ()))
        by_status: dict[int, list[str]] = {}
        for code in problems:
            for status in CODES[code].statuses:
                by_status.setdefault(status, []).append(code)
        responses.update({str(status): _problem(status, by_status[status]) for status in sorted(by_status)})
        return responses

    def _content(self) -> Json:
        operation = self._operation
        content: Json = {}
        for content_type in operation.content_types:
            others = (name for name, form in OTHER_NAMES.items() if MEDIA_TYPES[form] == content_type)
            if content_type == MEDIA_TYPES["ndjson"]:
                line = self._schemas[id(operation.line)]
                lines = {"schema": {"type": "string", "description": "a JSON object a line"}, "x-line": line}
                content.update(dict.fromkeys((content_type, *others), lines))
            elif content_type == MEDIA_TYPES["arrow"]:
                content[content_type] = {"schema": {"type": "string", "contentMediaType": content_type}}
            elif operation.answers:
                schema = self._answer()
                content.update({name: {"schema": schema} for name in (content_type, *others)})
            elif content_type == MEDIA_TYPES["json"]:
                content[content_type] = {"schema": {"type": "object"}}
            else:
                content[content_type.partition(";")[0]] = {"schema": {"type": "string"}}
        return content

    def _answer(self) -> Json:
        schemas = [self._schemas[id(kind)] for kind in self._operation.answers]
        # Not oneOf: a book without levels is of both kinds.
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _problem(status: int, codes: list[str]) -> Json:
    names = ["X-Request-Id", "Cache-Control"]
    names += ["Retry-After"] if status in {429, 503} else []
    names += ["RateLimit", "RateLimit-Policy"] if status == 429 else []
    names += ["WWW-Authenticate"] if status == 401 else []
    schema = {
        "allOf": [
            {"$ref": REF_TEMPLATE.format(name="ProblemDetails")},
            {"properties": {"code": {"enum": codes}, "status": {"const": status}}},
        ]
    }
    return {
        "description": "; ".join(f"`{code}`: {CODES[code].when}" for code in codes),
        "headers": _headers(*names),
        "content": {PROBLEM_TYPE: {"schema": schema}},
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
