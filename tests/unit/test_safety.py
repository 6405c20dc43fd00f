"""What a server refuses to start with."""

from pathlib import Path

import pytest

from l3book.config import load
from l3book.config.safety import (
    NO_KEYS,
    NO_KEYS_IN_PROD,
    PROD_RULES,
    is_served_to_others,
    public_refusal,
    refusal,
)

UNSAFE = {
    "debug": "true",
    "log_level": "debug",
    "cors_origins": "https://a.example,*",
    "origins": "*",
    "allowed_hosts": "*",
    "allow_unauthenticated": "true",
    "requests_per_s_max": "0",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file but the package's own is found."""
    monkeypatch.chdir(tmp_path)


def both_refusals(env: str | None, **values: str) -> list[str]:
    loaded = load(env=env, environ={f"L3BOOK_{name.upper()}": value for name, value in values.items()})
    return [text for text in (refusal(loaded), public_refusal(loaded, lambda: True)) if text]


def test_every_rule_is_tried_here() -> None:
    assert set(UNSAFE) == {rule.setting for rule in PROD_RULES}


@pytest.mark.parametrize("rule", PROD_RULES, ids=lambda rule: rule.setting)
def test_prod_refuses_with_the_reason_and_the_origin(rule: object) -> None:
    name = rule.setting  # type: ignore[attr-defined]
    (text,) = both_refusals("prod", **{name: UNSAFE[name]})
    assert f"prod refuses {name} as it is (L3BOOK_{name.upper()}): " in text
    assert rule.reason in text  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("env", [None, "dev", "staging"])
def test_elsewhere_the_same_is_allowed(env: str | None, name: str) -> None:
    assert both_refusals(env, **{name: UNSAFE[name]}) == []


@pytest.mark.parametrize("name", [rule.setting for rule in PROD_RULES if rule.only_public])
def test_on_loopback_prod_allows_what_only_others_could_misuse(name: str) -> None:
    assert refusal(load(env="prod", environ={f"L3BOOK_{name.upper()}": UNSAFE[name]})) is None


def test_prod_as_it_comes_is_safe() -> None:
    assert both_refusals("prod") == []


@pytest.mark.parametrize("env", [None, "dev", "staging", "prod"])
def test_a_public_address_needs_a_key(env: str | None) -> None:
    loaded = load(env=env)
    assert public_refusal(loaded, lambda: True) is None
    assert public_refusal(loaded, lambda: False) == (NO_KEYS_IN_PROD if env == "prod" else NO_KEYS)


def test_nobody_asks_for_keys_where_everybody_may_come_in() -> None:
    def has_keys() -> bool:
        raise AssertionError("asked")

    assert public_refusal(load(flags={"allow_unauthenticated": True}), has_keys) is None


@pytest.mark.parametrize(("env", "is_served"), [("prod", True), ("staging", False), (None, False)])
def test_prod_behind_a_proxy_on_the_same_machine_is_served_to_others(env: str | None, is_served: bool) -> None:
    assert is_served_to_others(load(env=env, environ={"L3BOOK_ALLOWED_HOSTS": "books.example"})) is is_served
    assert not is_served_to_others(load(env=env, environ={}))
