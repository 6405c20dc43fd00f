"""The page that shows both documents to people: plain HTML, without scripts."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

STYLE_PATH = "/docs/style.css"
ICON_PATH = "/docs/icon.svg"

_CODE = re.compile("`([^`]+)`")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>l3book API</title>
<link rel="icon" type="image/svg+xml" href="{icon}">
<link rel="stylesheet" href="{style}">
</head>
<body>
<nav aria-label="Contents">
<p class="brand">l3book <small>{version}</small></p>
{contents}
<p class="files"><a href="/openapi.json">openapi.json</a> <a href="/asyncapi.json">asyncapi.json</a></p>
</nav>
<main>
{body}
</main>
</body>
</html>
"""


def docs_page(rest: Json, stream: Json) -> str:
    """Write the page of an OpenAPI and an AsyncAPI document."""
    components = stream["components"]
    parts = {name: schema for name, schema in components["schemas"].items() if name not in components["messages"]}
    sections = [
        ("rest", "REST", f"{_paragraphs(rest['info']['description'])}{_operations(rest)}"),
        ("websocket", "WebSocket", f"{_paragraphs(stream['info']['description'])}{_messages(stream)}"),
        ("problems", "Problems", _problems(rest)),
        ("headers", "Headers", _headers(rest)),
        ("types", "Types", _types({**parts, **rest["components"]["schemas"]})),
    ]
    body = "\n".join(
        f'<section id="{anchor}"><h1>{title}</h1>\n{content}\n</section>' for anchor, title, content in sections
    )
    return _PAGE.format(
        style=STYLE_PATH,
        icon=ICON_PATH,
        version=escape(rest["info"]["version"]),
        contents=_contents(rest, stream),
        body=body,
    )


def _contents(rest: Json, stream: Json) -> str:
    operations = [
        f'<li><a href="#{operation["operationId"]}"><b class="{method}">{method.upper()}</b> {_path(path)}</a></li>'
        for path, method, operation in _each(rest)
    ]
    messages = [
        f'<li><a href="#ws-{escape(name)}">{escape(name)}</a></li>' for name in stream["components"]["messages"]
    ]
    others = ["problems", "headers", "types"]
    return (
        f'<h2><a href="#rest">REST</a></h2><ul>{"".join(operations)}</ul>'
        f'<h2><a href="#websocket">WebSocket</a></h2><ul>{"".join(messages)}</ul>'
        + "".join(f'<h2><a href="#{name}">{name.capitalize()}</a></h2>' for name in others)
    )


def _each(rest: Json) -> Iterable[tuple[str, str, Json]]:
    for path, methods in rest["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _operations(rest: Json) -> str:
    return "\n".join(_operation(path, method, operation) for path, method, operation in _each(rest))


def _operation(path: str, method: str, operation: Json) -> str:
    own = [parameter for parameter in operation["parameters"] if "$ref" not in parameter]
    parameters = _table(
        ("Parameter", "In", "Value", "Meaning"),
        [
            (f"<code>{escape(entry['name'])}</code>", entry["in"], _kind(entry["schema"]), _text(entry["description"]))
            for entry in own
        ],
    )
    good = {status: answer for status, answer in operation["responses"].items() if status < "4"}
    answers = _table(("Status", "Answer", "Type"), [_answer(status, answer) for status, answer in good.items()])
    problems = " ".join(
        f'<a class="code" href="#problem-{code}">{status} {code}</a>'
        for status, answer in operation["responses"].items()
        if status >= "4"
        for code in answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    )
    key = "" if operation["security"] else '<span class="open">no key needed</span>'
    return (
        f'<article id="{operation["operationId"]}">'
        f'<h2><b class="{method}">{method.upper()}</b> {_path(path)} {key}</h2>'
        f"<p>{_text(operation['summary'])}. {_text(operation.get('description', ''))}</p>"
        f"{parameters if own else ''}{answers}"
        f'<details><summary>Problems</summary><p class="codes">{problems}</p></details></article>'
    )


def _answer(status: str, answer: Json) -> tuple[str, str, str]:
    kinds = []
    for content_type, content in answer.get("content", {}).items():
        shown = f"{_kind(content['x-line'])}, one a line" if "x-line" in content else _kind(content["schema"])
        kinds.append(f"<code>{escape(content_type)}</code> {shown}")
    return status, _text(answer["description"]), "<br>".join(kinds)


def _messages(stream: Json) -> str:
    parts = []
    schemas = stream["components"]["schemas"]
    for name, operation in stream["operations"].items():
        parts.append(f'<h2 id="ws-{name}">{_text(operation["summary"])}</h2>')
        for reference in operation["messages"]:
            message = reference["$ref"].rpartition("/")[2]
            parts.append(f'<article id="ws-{message}"><h3>{message}</h3>{_fields(schemas[message])}</article>')
    codes = [(f"<code>{code}</code>", _text(reason)) for code, reason in stream["x-close-codes"].items()]
    return "\n".join([*parts, "<h2>Close codes</h2>", _table(("Code", "Why the server closes"), codes)])


def _problems(rest: Json) -> str:
    rows = [
        (
            " ".join(map(str, entry["statuses"])),
            f'<code id="problem-{entry["code"]}">{entry["code"]}</code>',
            _text(entry["title"]),
            _text(entry["when"]),
        )
        for entry in rest["x-problems"]
    ]
    return _table(("Status", "Code", "Title", "When"), rows)


def _headers(rest: Json) -> str:
    components = rest["components"]
    asked = [(f"<code>{name}</code>", _text(entry["description"])) for name, entry in components["parameters"].items()]
    told = [(f"<code>{name}</code>", _text(entry["description"])) for name, entry in components["headers"].items()]
    return f"{_table(('Of any request', 'Meaning'), asked)}{_table(('Of answers', 'Meaning'), told)}"


def _types(schemas: Json) -> str:
    return "\n".join(
        f'<article id="type-{name}"><h3>{name}</h3>{_fields(schema)}</article>'
        for name, schema in sorted(schemas.items())
    )


def _fields(schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (
            f"<code>{escape(name)}</code>{'' if name in required else ' <small>optional</small>'}",
            _kind(field),
            _text(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return f"<p>{_text(schema.get('description', ''))}</p>{_table(('Field', 'Value', 'Meaning'), rows) if rows else ''}"


def _kind(schema: Json) -> str:
    """Say in a few words what a value may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(_kind(choice) for choice in choices)
    if values := schema.get("enum"):
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    kind = str(schema.get("type", "any"))
    if kind == "array":
        if items := schema.get("prefixItems"):
            return f"[{', '.join(_kind(item) for item in items)}]"
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    if kind == "object" and isinstance(inner := schema.get("additionalProperties"), dict):
        return f"map to {_kind(inner)}"
    if kind == "integer" and "maximum" in schema:
        return f"integer, {schema['minimum']:,} to {schema['maximum']:,}"
    if schema.get("contentMediaType"):
        return "binary"
    return escape(kind)


def _path(path: str) -> str:
    return f'<code class="path">{escape(path)}</code>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(paragraph)}</p>" for paragraph in text.split("\n\n"))


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>'
