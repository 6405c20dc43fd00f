"""What is wrong with a body or a message that was sent, in a sentence: where, what came, what was expected."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

import msgspec

from l3book.spelling import meant

_FAULT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<how>contains unknown|missing required) field `(?P<name>[^`]*)`")
_KIND = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?(?P<more>.*)", re.DOTALL)
_VALUE = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)
_WORDS = {
    "object": "an object",
    "array": "an array",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}


def fields_of(kind: type[msgspec.Struct], where: str) -> dict[str, tuple[str, ...]]:
    """List the fields of what is sent, and of the objects in it by their place."""
    fields = msgspec.structs.fields(kind)
    found = {where: tuple(field.encode_name for field in fields)}
    for field in fields:
        for inner in get_args(field.type):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                found |= fields_of(inner, field.encode_name)
    return found


def sentence(
    fault: str,
    whole: str,
    choices: Mapping[str, tuple[Any, ...]],
    fields: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> str:
    """Say a ValidationError of msgspec's in words: `whole` is the thing that was sent, such as "the body".

    `choices` are the values of fields that have few, `fields` what objects may hold: msgspec lists neither.
    """
    told = _FAULT.fullmatch(fault)
    what, where = (told["what"], told["where"] or whole) if told else (fault, whole)
    if field := _FIELD.fullmatch(what):
        if field["how"].startswith("contains"):
            there = fields.get(where, ())
            near = meant(field["name"], there)
            expected = _listed(there) or "only what is documented"
            text = f"{where}: nothing is called {field['name']!r} there: expected {expected}"
            return f"{text}: did you mean {near}?" if near else text
        listed = _listed(choices.get(field["name"]))
        return f"{where}: {field['name']} is missing" + (f": expected {listed}" if listed else "")
    if value := _VALUE.fullmatch(what):
        return f"{where} is {value['value']}: expected {_listed(choices.get(where)) or 'one of its values'}"
    if not (kind := _KIND.fullmatch(what)):
        return f"{where}: {what[:1].lower()}{what[1:]}"
    expected = _listed(choices.get(where)) or _words(kind["expected"]) + kind["more"]
    return f"{where} is {_words(kind['got'])}: expected {expected}" if kind["got"] else f"{where}: expected {expected}"


def _listed(values: tuple[Any, ...] | None) -> str:
    return ", ".join(map(str, values)) if values else ""


def _words(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
