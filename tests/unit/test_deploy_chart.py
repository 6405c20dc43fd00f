"""The chart's values and their schema, without Helm: what is refused; chart and server know the same settings."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
import yaml

from deploying import CHART, DEPLOY, ENVIRONMENTS, read_yaml, script
from l3book.config import SETTING_NAMES

TABLE = script("environments/table.py")
VALIDATOR = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))
DEFAULTS = read_yaml(CHART / "values.yaml")


def values_of(name: str, changes: str = "{}") -> Any:
    """As Helm lays them over one another."""
    environment = read_yaml(DEPLOY / f"environments/{name}/values.yaml")
    return TABLE.merged(TABLE.merged(DEFAULTS, environment), yaml.safe_load(changes))


def wrong_places(values: Any) -> set[str]:
    return {".".join(map(str, error.instance_path)) for error in VALIDATOR.iter_errors(values)}


def test_the_schema_is_what_its_script_writes() -> None:
    module = script("helm/schema.py")
    assert (CHART / "values.schema.json").read_text(encoding="utf-8") == module.text(), "run deploy/helm/schema.py"
    assert set(module.OWNED) <= set(SETTING_NAMES)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_is_taken(name: str) -> None:
    assert wrong_places(values_of(name)) == set()


def test_what_the_check_renders_beside_them_is_taken() -> None:
    assert wrong_places(TABLE.merged(DEFAULTS, read_yaml(DEPLOY / "helm/everything.yaml"))) == set()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ("{shard: []}", ""),
        ("{shards: []}", "shards"),
        ("{shards: [{name: a}]}", "shards.0"),
        ("{shards: [{name: A, source: 'synthetic:'}]}", "shards.0.name"),
        ("{writer: {replicas: 2}}", "writer"),
        ("{settings: {depth: 1}}", "settings"),
        ("{settings: {depth_max: 10001}}", "settings.depth_max"),
        ("{settings: {depth_max: '10'}}", "settings.depth_max"),
        ("{settings: {source: 'synthetic:'}}", "settings"),
        ("{settings: {allowed_hosts: ['*']}}", "settings"),
        ("{settings: {debug: true}}", "settings.debug"),
        ("{settings: {log_level: debug}}", "settings.log_level"),
        ("{settings: {allow_unauthenticated: true}}", "settings.allow_unauthenticated"),
        ("{settings: {requests_per_s_max: 0}}", "settings.requests_per_s_max"),
        ("{settings: {cors_origins: ['*']}}", "settings.cors_origins.0"),
        ("{keys: {secretName: ''}}", "keys.secretName"),
        ("{tls: {secretName: ''}}", "tls.secretName"),
        ("{networkPolicy: {enabled: false}}", "networkPolicy.enabled"),
        ("{secrets: {DATABENTO_API_KEY: db-abc}}", "secrets.DATABENTO_API_KEY"),
        ("{secrets: {PASSWORD: {secretName: a, item: b}}}", "secrets"),
        ("{image: {digest: latest}}", "image.digest"),
        ("{environment: production}", "environment"),
    ],
)
def test_what_is_wrong_in_prod_is_refused(changes: str, place: str) -> None:
    assert place in wrong_places(values_of("prod", changes))


def test_what_prod_refuses_is_possible_elsewhere() -> None:
    changes = "{settings: {debug: true, log_level: debug, allow_unauthenticated: true, requests_per_s_max: 0}}"
    assert wrong_places(values_of("dev", changes)) == set()


def test_alerts_of_the_chart_are_those_of_prometheus() -> None:
    """One file, by a link: Helm reads nothing outside of a chart's folder, but it follows links."""
    link = CHART / "files/rules.yml"
    assert link.read_text(encoding="utf-8") == (DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8")
    assert link.is_symlink()


def test_templates_know_every_value_and_no_other() -> None:
    """A name that is no value is nothing to a template, without a word."""
    templates = "".join(file.read_text(encoding="utf-8") for file in (CHART / "templates").rglob("*.*"))
    asked = set(re.findall(r"\.Values\.([A-Za-z_.]+)", templates))
    known = {path for path, _ in TABLE.leaves(DEFAULTS)}
    groups = {path[: found.start()] for path in known for found in re.finditer(r"\.|$", path)}
    groups.add("settings.allow_unauthenticated")
    assert asked <= groups
    assert {name.partition(".")[0] for name in asked} == set(DEFAULTS)
