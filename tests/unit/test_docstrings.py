"""`help(l3book)`: every public name, method and attribute says what it is."""

from __future__ import annotations

import inspect

import pytest

import l3book

CLASSES = [name for name in l3book.__all__ if inspect.isclass(getattr(l3book, name))]
OF_EXCEPTIONS = set(dir(Exception))


@pytest.mark.parametrize("name", CLASSES)
def test_every_attribute_says_what_it_is(name: str) -> None:
    documented = getattr(l3book, name)
    assert documented.__doc__
    attributes = [attribute for attribute in dir(documented) if not attribute.startswith("_")]
    silent = [attribute for attribute in attributes if not getattr(documented, attribute).__doc__]
    assert set(silent) <= OF_EXCEPTIONS
