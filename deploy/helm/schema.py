"""Write deploy/helm/l3book/values.schema.json: `python deploy/helm/schema.py`.

Settings, their ranges and the names of secrets are l3book's own, so that the chart knows those that the server knows. A
test compares the file with what this makes.
"""

import json
from pathlib import Path
from typing import Any

from l3book.config import ENVIRONMENTS, Settings
from l3book.secret import SECRET_VARIABLES

FILE = Path(__file__).parent / "l3book/values.schema.json"

# What the chart sets itself, and allowed_hosts: probes and Prometheus ask by the address of a pod.
OWNED = frozenset(
    {"source", "host", "port", "gateway", "state_dir", "tls_cert", "tls_key", "history", "no_history", "allowed_hosts"}
)
# Of the gateway, which the chart does not start.
OTHER_SECRETS = frozenset({"L3BOOK_GATEWAY_KEYS"})

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}
TEXT_MAP = {"type": "object", "additionalProperties": TEXT}
# Kubernetes' own types: what they hold is checked where the manifests are, by the API server and by deploy/helm/check.
KUBERNETES_LIST = {"type": "array", "items": {"type": "object"}}
SECRET_NAME = {"type": "string", "pattern": "^$|^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"}


def whole(low: int, high: int) -> dict[str, Any]:
    """Make the schema of a number."""
    return {"type": "integer", "minimum": low, "maximum": high}


def strict(properties: dict[str, Any], **more: object) -> dict[str, Any]:
    """Make the schema of an object that has these properties and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


def in_secret(secret_name: dict[str, Any] = SECRET_NAME) -> dict[str, Any]:
    """Make the schema of a reference to a part of a Secret."""
    return strict({"secretName": secret_name, "item": {"type": "string", "minLength": 1}})


def settings() -> dict[str, Any]:
    """Take over what the server says of its settings."""
    known = Settings.model_json_schema()["properties"]
    kept = ("type", "minimum", "maximum", "enum", "items", "minLength")
    described = {
        name: {key: value for key, value in schema.items() if key in kept}
        for name, schema in known.items()
        if name not in OWNED
    }
    return strict(described, required=["drain_delay_s", "shutdown_timeout_s"])


def pods() -> dict[str, Any]:
    """Describe what writers and readers have in common."""
    resources = strict({"requests": {"type": "object"}, "limits": {"type": "object"}})
    return {
        "resources": resources,
        "podAnnotations": TEXT_MAP,
        "nodeSelector": TEXT_MAP,
        "tolerations": KUBERNETES_LIST,
    }


def shards() -> dict[str, Any]:
    """Describe the shards: the name is part of names of at most 63 characters."""
    properties = {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$"},
        "source": {"type": "string", "minLength": 1},
        "readSource": TEXT,
    }
    return {"type": "array", "minItems": 1, "items": strict(properties, required=["name", "source"])}


def monitoring() -> dict[str, Any]:
    """Describe what the Prometheus operator is told."""
    monitor = {
        "enabled": FLAG,
        "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
        "labels": TEXT_MAP,
        "key": in_secret(),
        "serverName": TEXT,
        "ca": in_secret(),
    }
    return {"serviceMonitor": strict(monitor), "prometheusRule": strict({"enabled": FLAG, "labels": TEXT_MAP})}


def prod_rules() -> dict[str, Any]:
    """Say what prod has to have, as `l3book serve` would: keys, and nothing that everybody could reach; and TLS."""
    a_name = {"properties": {"secretName": {"minLength": 1}}, "required": ["secretName"]}
    forbidden = {
        "debug": {"const": False},
        "log_level": {"enum": ["info", "warning", "error"]},
        "allow_unauthenticated": {"const": False},
        "requests_per_s_max": {"minimum": 1},
        **{name: {"items": {"not": {"const": "*"}}} for name in ("origins", "cors_origins")},
    }
    needed = {"keys": a_name, "tls": a_name, "settings": {"properties": forbidden}}
    network = {"networkPolicy": {"properties": {"enabled": {"const": True}}}}
    return {
        "if": {"properties": {"environment": {"const": "prod"}}},
        "then": {"properties": {**needed, **network}, "required": ["keys", "tls"]},
    }


def schema() -> dict[str, Any]:
    """Put all of it together."""
    secrets = {name: in_secret() for name in SECRET_VARIABLES if name not in OTHER_SECRETS}
    image = {
        "repository": TEXT,
        "tag": TEXT,
        "digest": {"type": "string", "pattern": "^$|^sha256:[0-9a-f]{64}$"},
        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
        "pullSecrets": TEXTS,
    }
    storage = strict({"gibibytes": whole(1, 65_536), "className": TEXT})
    scaling = {
        "enabled": FLAG,
        "minReplicas": whole(1, 1000),
        "maxReplicas": whole(1, 1000),
        "cpuPercent": whole(1, 100),
    }
    service = {
        "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        "port": whole(1, 65_535),
        "annotations": TEXT_MAP,
    }
    network = {"enabled": FLAG, "clients": KUBERNETES_LIST, "scrapers": KUBERNETES_LIST, "egress": KUBERNETES_LIST}
    properties = {
        "environment": {"enum": list(ENVIRONMENTS)},
        "image": strict(image),
        "shards": shards(),
        "settings": settings(),
        "keys": in_secret(),
        "tls": strict({"secretName": SECRET_NAME}),
        "secrets": strict(secrets),
        "writer": strict({"storage": storage, **pods()}),
        "readers": strict({"enabled": FLAG, "replicas": whole(1, 1000), "autoscaling": strict(scaling), **pods()}),
        "service": strict(service),
        "podDisruptionBudget": strict({"enabled": FLAG}),
        "networkPolicy": strict(network),
        **monitoring(),
        "startupSeconds": whole(5, 86_400),
        "terminationMarginSeconds": whole(0, 3600),
        # Helm's own, for charts that are part of others.
        "global": {"type": "object"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart l3book",
        **strict(properties, required=["environment", "shards", "settings"]),
        **prod_rules(),
    }


def text() -> str:
    """Make the file's content."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
