"""Writes what is generated: CRDs and reference from ``garrison.api``, the chain's messages.

``python -m devenv.generate`` writes, ``--check`` only says whether a file is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from devenv import protos
from devenv.checkout import ROOT
from garrison.api.form import INT_OR_STRING
from garrison.api.schema import crds

Schema: TypeAlias = Mapping[str, Any]

CRDS = Path("charts/garrison/crds")
REFERENCE = Path("docs/reference.md")
_NOTICE = "Generated from operator/garrison/api by `make generate`; do not edit."
_INTRODUCTION = f"""\
<!-- {_NOTICE} -->
# Custom resources

Group `garrison.dev`, version `v1alpha1`. Every kind is in the category `garrison`, so
`kubectl get garrison -A` lists them all. People write `spec`, Garrison writes `status`.

Quantities and prices may be written without quotes when they are whole numbers (`cpu: 8`); a
number with a fraction needs quotes (`maxPricePerHour: "1.25"`).
"""


def generated() -> dict[Path, str]:
    """Return the text of every generated file by its path below the repository's root."""
    definitions = crds()
    files = {CRDS / f"{each['metadata']['name']}.yaml": _yaml(each) for each in definitions}
    return files | {REFERENCE: _reference(definitions)} | protos.compiled()


def stale(root: Path) -> list[Path]:
    """Return the files below ``root`` that differ from what would be generated, or are too many."""
    files = generated()
    wrong = [path for path, text in files.items() if _read(root / path) != text]
    there = [path.relative_to(root) for path in (root / CRDS).glob("*.yaml")]
    extra = [path for path in (*there, *protos.present(root)) if path not in files]
    return sorted({*wrong, *extra})


def write(root: Path) -> list[Path]:
    """Bring the files below ``root`` up to date. Returns those that were written or removed."""
    changed = stale(root)
    files = generated()
    for path in changed:
        if path not in files:
            (root / path).unlink()
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return changed


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _yaml(definition: Schema) -> str:
    text = yaml.safe_dump(definition, sort_keys=False, width=100, allow_unicode=True)
    return f"# {_NOTICE}\n{text}"


def _reference(definitions: Sequence[Schema]) -> str:
    return "\n".join((_INTRODUCTION, *(_section(each) for each in definitions)))


def _section(definition: Schema) -> str:
    spec = definition["spec"]
    names = spec["names"]
    root = spec["versions"][0]["schema"]["openAPIV3Schema"]
    scope = "cluster-scoped" if spec["scope"] == "Cluster" else "namespaced"
    parts = [
        f"## {names['kind']} (`{names['shortNames'][0]}`, {scope})\n\n{root['description']}\n",
        _table("spec", root["properties"]["spec"], written_by_people=True),
        _table("status", root["properties"]["status"], written_by_people=False),
    ]
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    path: str
    schema: Schema
    required: bool


def _rows(path: str, schema: Schema) -> Iterator[_Row]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield _Row(path=here, schema=field, required=name in required)
        yield from _rows(here, field)
        yield from _rows(f"{here}[]", field.get("items", {}))


def _table(title: str, schema: Schema, *, written_by_people: bool) -> str:
    rows = list(_rows(title, schema))
    if not rows:
        return f"`{title}` has no fields. {schema.get('description', '')}\n"
    if written_by_people:
        head = "| Field | Type | Default | Description |\n|---|---|---|---|"
        lines = [_spec_line(row) for row in rows]
    else:
        head = "| Field | Type | Description |\n|---|---|---|"
        lines = [f"| `{row.path}` | {_type(row.schema)} | {_text(row.schema)} |" for row in rows]
    return "\n".join((head, *lines, ""))


def _spec_line(row: _Row) -> str:
    return f"| `{row.path}` | {_type(row.schema)} | {_default(row)} | {_text(row.schema)} |"


def _default(row: _Row) -> str:
    if row.required:
        return "required"
    default = row.schema.get("default")
    if default in (None, {}):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(schema: Schema) -> str:
    if schema.get(INT_OR_STRING):
        return "text or whole number"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_type(schema['items'])}{_bounds(schema, 'minItems', 'maxItems')}"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case "string":
            return f"text{_bounds(schema, 'minLength', 'maxLength')}"
        case "integer":
            return f"integer{_bounds(schema, 'minimum', 'maximum')}"
        case "boolean":
            return "true or false"
        case other:
            return str(other)


def _bounds(schema: Schema, low: str, high: str) -> str:
    match schema.get(low), schema.get(high):
        case None, None:
            return ""
        case None, most:
            return f", at most {most}"
        case least, None:
            return f", at least {least}"
        case least, most:
            return f", {least} to {most}"


def _text(schema: Schema) -> str:
    text = str(schema.get("description", ""))
    rules = [each["message"] for each in schema.get("x-kubernetes-validations", [])]
    told = [f"{rule[0].upper()}{rule[1:]}." for rule in rules if rule.startswith("must")]
    return " ".join((text, *told)).replace("|", "\\|").replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 when ``--check`` finds a stale file."""
    parser = argparse.ArgumentParser(prog="python -m devenv.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    if not parser.parse_args(arguments).check:
        for path in write(ROOT):
            print(f"wrote {path}")
        return 0
    wrong = stale(ROOT)
    for path in wrong:
        print(f"{path} is stale: run `make generate` and commit the result", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
