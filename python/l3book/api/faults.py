"""What is wrong with a body or a message that was sent, in a sentence: where, what came, what was expected."""

import re
from collections.abc import Mapping
from typing import Any

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


def sentence(fault: str, whole: str, choices: Mapping[str, tuple[Any, ...]]) -> str:
    """Say a ValidationError of msgspec's in words: `whole` is the thing that was sent, such as "the body".

    `choices` are the values of fields that have few, which msgspec does not list.
    """
    told = _FAULT.fullmatch(fault)
    what, where = (told["what"], told["where"] or whole) if told else (fault, whole)
    if field := _FIELD.fullmatch(what):
        return _of_field(where, field["name"], choices, is_missing=field["how"].startswith("missing"))
    if value := _VALUE.fullmatch(what):
        return f"{where} is {value['value']}: expected {_listed(choices.get(where)) or 'one of its values'}"
    if not (kind := _KIND.fullmatch(what)):
        return f"{where}: {what[:1].lower()}{what[1:]}"
    expected = _listed(choices.get(where)) or _words(kind["expected"]) + kind["more"]
    return f"{where} is {_words(kind['got'])}: expected {expected}" if kind["got"] else f"{where}: expected {expected}"


def _of_field(where: str, name: str, choices: Mapping[str, tuple[Any, ...]], *, is_missing: bool) -> str:
    if not is_missing:
        return f"{where}: nothing is called {name!r} there: expected only what is documented"
    listed = _listed(choices.get(name))
    return f"{where}: {name} is missing" + (f": expected {listed}" if listed else "")


def _listed(values: tuple[Any, ...] | None) -> str:
    return ", ".join(map(str, values)) if values else ""


def _words(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
