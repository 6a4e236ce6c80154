"""From a whole SDL to resources.

Each service of each placement becomes a workload; a placement with requirements becomes a
ProviderPolicy. Values that look like credentials are left out, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import yaml

from garrison.adapters.akash.conversion.container import (
    command_line,
    environment,
    image_by_digest,
    note_unsupported,
    port,
    pull_secret,
)
from garrison.adapters.akash.conversion.hardware import budget, resources
from garrison.adapters.akash.conversion.notes import Converted, Raw
from garrison.adapters.akash.sdl.model import Placement, Sdl, Unit

API_VERSION = "garrison.dev/v1alpha1"
MOST_REPLICAS = 50
MOST_NAME = 50
MOST_ATTRIBUTES = 32
MOST_AUDITORS = 8
_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_/.-]{0,126}")


def convert(sdl: Sdl) -> list[Converted]:
    """Return the resources: policies first, then the workloads that name them."""
    units = list(sdl.units())
    places = _names(sorted({unit.placement for unit in units}))
    policies = {
        place: policy
        for place, name in places.items()
        if (policy := _policy(place, name, sdl.placement[place])) is not None
    }
    names = _names([_wished(sdl, unit) for unit in units])
    workloads = []
    for unit in units:
        workload = _workload(names[_wished(sdl, unit)], unit, sdl)
        if unit.placement in policies:
            workload.body["spec"]["providerPolicyRef"] = {"name": places[unit.placement]}
        workloads.append(workload)
    for where, what in _whole(sdl):
        workloads[0].note(where, what)
    return [*policies.values(), *workloads]


def _wished(sdl: Sdl, unit: Unit) -> str:
    alone = len(sdl.deployment[unit.service]) == 1
    return unit.service if alone else f"{unit.service}-{unit.placement}"


def _names(wished: Iterable[str]) -> dict[str, str]:
    """Return names that Kubernetes and our schema take, all different."""
    found: dict[str, str] = {}
    for wish in wished:
        name, number = _name(wish), 2
        while name in found.values():
            name, number = f"{_name(wish)[: MOST_NAME - 3]}-{number}", number + 1
        found[wish] = name
    return found


def convert_text(sdl: Sdl) -> str:
    """Return the resources as YAML documents, each under comments on what needs a look."""
    return texts_of(convert(sdl))


def texts_of(found: Iterable[Converted]) -> str:
    """Return resources as YAML documents, each under its comments."""
    return "---\n".join(_text(each) for each in found)


def _text(converted: Converted) -> str:
    body = converted.body
    lines = [f"# {body['kind']} {body['metadata']['name']}"]
    if converted.notes:
        lines.append("# To look at:")
        lines += [f"# - {_one_line(note)}" for note in converted.notes]
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1 << 16)
    return "\n".join(lines) + "\n" + text


def _one_line(text: str) -> str:
    """Comments end with the line: what would end it early, or is no character, is written out."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _whole(sdl: Sdl) -> Iterator[tuple[str, str]]:
    """What the document says beyond what it deploys."""
    if sdl.include:
        yield "include", "has no effect in the reference library either; left out"
    if sdl.reclamation is not None:
        yield "reclamation", "no counterpart: a replica is replaced when a provider gives notice"
    for name in sdl.endpoints:
        yield f"endpoints.{name}", "no counterpart: replicas are reached at forwarded ports"
    deployed = {unit.service for unit in sdl.units()}
    for name in sorted(set(sdl.services) - deployed):
        yield f"services.{name}", "not deployed by the SDL; left out"
    for name in sorted(set(sdl.compute) - {unit.profile for unit in sdl.units()}):
        yield f"profiles.compute.{name}", "not used by the SDL; left out"
    for name in sorted(set(sdl.placement) - {unit.placement for unit in sdl.units()}):
        yield f"profiles.placement.{name}", "not used by the SDL; left out"


def _policy(place: str, name: str, placement: Placement) -> Converted | None:
    if not placement.attributes and not placement.any_of and not placement.all_of:
        return None
    converted = Converted(body=_resource("ProviderPolicy", name))
    spec = converted.body["spec"]
    here = f"profiles.placement.{place}"
    attributes: list[Raw] = []
    for key, value in placement.attributes:
        if _KEY.fullmatch(key) and 0 < len(value) <= 256 and len(attributes) < MOST_ATTRIBUTES:
            attributes.append({"key": key, "value": value})
        else:
            converted.note(
                f"{here}.attributes.{key}", "no counterpart: a policy has up to 32 exact pairs"
            )
    if attributes:
        spec["attributes"] = attributes
    auditors = [each for each in placement.any_of or placement.all_of or () if 0 < len(each) < 254]
    if auditors:
        spec["auditedBy"] = auditors[:MOST_AUDITORS]
    if len(auditors) > MOST_AUDITORS:
        converted.note(f"{here}.signedBy", f"only the first {MOST_AUDITORS} auditors are kept")
    if placement.all_of and (placement.any_of or len(placement.all_of) > 1):
        converted.note(
            f"{here}.signedBy.allOf",
            f"no counterpart: any auditor of auditedBy is enough here, not all of "
            f"{', '.join(placement.all_of)}",
        )
    return converted


def _resource(kind: str, name: str) -> Raw:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {},
    }


def _name(name: str) -> str:
    """Return a name that Kubernetes and our schema take."""
    clean = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    if not clean or not clean[0].isalpha():
        clean = f"w-{clean}".rstrip("-")
    return clean[:MOST_NAME].rstrip("-")


def _workload(name: str, unit: Unit, sdl: Sdl) -> Converted:
    service, compute = sdl.services[unit.service], sdl.compute[unit.profile]
    converted = Converted(body=_resource("InferenceWorkload", name))
    spec = converted.body["spec"]
    here = f"services.{unit.service}"
    if name != _wished(sdl, unit):
        converted.note(here, f"{_wished(sdl, unit)} is no name for a workload; renamed")
    spec["image"] = image_by_digest(converted, here, service.image)
    if service.credentials is not None:
        spec["imagePullSecrets"] = [pull_secret(converted, here, name, service.credentials)]
    spec.update(command_line(converted, here, service))
    variables = environment(converted, here, service)
    if variables:
        spec["env"] = variables
    spec["port"] = port(converted, here, service)
    spec["replicas"] = min(unit.count, MOST_REPLICAS)
    if unit.count > MOST_REPLICAS:
        where = f"deployment.{unit.service}.{unit.placement}.count"
        converted.note(where, f"{unit.count} is more than {MOST_REPLICAS}, the most here")
    spec["resources"] = resources(converted, f"profiles.compute.{unit.profile}", compute)
    placement = f"profiles.placement.{unit.placement}"
    price = sdl.placement[unit.placement].pricing[unit.profile]
    ceiling = budget(converted, f"{placement}.pricing.{unit.profile}", price)
    if ceiling is not None:
        spec["budget"] = {"maxPricePerHour": ceiling}
    note_unsupported(converted, here, service)
    return converted
