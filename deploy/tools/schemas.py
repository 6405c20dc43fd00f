"""Make the JSON schemas that kubeconform checks manifests with: `python deploy/tools/schemas.py FOLDER`.

They come from where Kubernetes and the Prometheus operator publish them, in their Go modules: the API's OpenAPI
document, and the operator's definitions of its resources. `go mod download` fetches them, and schemas.sum says what
they have to be. Strict: a name that Kubernetes does not know is wrong.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SUMS = Path(__file__).parent / "schemas.sum"
OPENAPI = "api/openapi-spec/swagger.json"
CRDS = "example/prometheus-operator-crd"
REFERENCE = "#/definitions/"
GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"
DRAFT = "http://json-schema.org/draft-07/schema#"


# A value "=" in the operator's lists is text; to YAML 1.1 it is a type of its own, which no reader makes anything of.
yaml.SafeLoader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


def module(name: str, version: str, expected_sum: str) -> Path:
    """Fetch a module into Go's cache and compare what came with what is expected; -> its folder."""
    command = ["go", "mod", "download", "-json", f"{name}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout or "{}")
    if "Dir" not in found:
        sys.exit(f"schemas.py: {name}@{version}: {found.get('Error') or done.stderr.strip()}")
    if found["Sum"] != expected_sum:
        sys.exit(f"schemas.py: {name}@{version} is {found['Sum']}: expected {expected_sum}, as {SUMS} says")
    return Path(found["Dir"])


def strict(schema: Any) -> Any:
    """Make an OpenAPI schema a JSON schema under which unknown names are wrong."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    made = {
        # Under `properties` keys are names of fields, whatever they look like.
        key: {name: strict(field) for name, field in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
        if key == "properties" or (key != "format" and not key.startswith("x-kubernetes-"))
    }
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and not is_open:
        made["additionalProperties"] = False
    return made


def references(schema: Any) -> Iterator[str]:
    """Find the definitions that a schema refers to."""
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REFERENCE)
            else:
                yield from references(value)


def with_definitions(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Put everything that a definition needs into one schema."""
    needed: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        wanted = waiting.pop()
        if wanted not in needed:
            needed[wanted] = definitions[wanted]
            waiting.extend(references(definitions[wanted]))
    return {"$schema": DRAFT, "$ref": REFERENCE + name, "definitions": needed}


def write(folder: Path, group: str, version: str, kind: str, schema: dict[str, Any]) -> None:
    """Write it under the name that kubeconform's template {{.ResourceKind}}{{.KindSuffix}} makes."""
    parts = [kind.lower(), *([group.partition(".")[0]] if group else []), version]
    (folder / f"{'-'.join(parts)}.json").write_text(json.dumps(schema), encoding="utf-8")


def kubernetes(source: Path, folder: Path) -> int:
    """Write a schema for every kind of the API; -> how many."""
    openapi = json.loads((source / OPENAPI).read_text(encoding="utf-8"))["definitions"]
    definitions = {name: strict(schema) for name, schema in openapi.items()}
    # What OpenAPI calls a string may be a number in a manifest.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    count = 0
    for name, schema in openapi.items():
        kinds = schema.get(GROUP_VERSION_KIND, [])
        # Those of several groups, such as DeleteOptions, are no objects of their own.
        if len(kinds) == 1:
            write(folder, kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"], with_definitions(name, definitions))
            count += 1
    return count


def operator(source: Path, folder: Path) -> int:
    """Write a schema for every resource that the Prometheus operator defines; -> how many."""
    count = 0
    for file in sorted((source / CRDS).glob("*.yaml")):
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            write(folder, spec["group"], version["name"], spec["names"]["kind"], {"$schema": DRAFT, **schema})
            count += 1
    return count


def main() -> None:
    """Make them all."""
    folder = Path(sys.argv[1])
    makers = {"k8s.io/kubernetes": kubernetes, "github.com/prometheus-operator/prometheus-operator": operator}
    for line in SUMS.read_text(encoding="utf-8").splitlines():
        name, version, expected_sum = line.split()
        target = folder / version if name == "k8s.io/kubernetes" else folder / "operator"
        target.mkdir(parents=True, exist_ok=True)
        count = makers[name](module(name, version, expected_sum), target)
        print(f"{name} {version}: {count} schemas in {target}")


if __name__ == "__main__":
    main()
