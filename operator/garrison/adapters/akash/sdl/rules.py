"""What the parts of an SDL must be to each other. Pure: an ``Sdl`` in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from garrison.adapters.akash.sdl.compilation import TEE_ATTRIBUTE
from garrison.adapters.akash.sdl.model import RAM_CLASS, Compute, Sdl, Service, Unit, Version
from garrison.adapters.akash.sdl.profiles import CPU_MILLIS, MEMORY, MOST_GPUS

MOST_REPLICAS = 50
"""Times the largest replica is what the chain takes for one group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    path: str
    message: str


def findings_of(sdl: Sdl) -> Iterator[Finding]:
    """Return what keeps a well-formed document from being deployed."""
    units = list(sdl.units())
    if not units:
        yield Finding(path="deployment", message="nothing is deployed; name a service")
    broken = [found for unit in units for found in _references(sdl, unit)]
    yield from broken
    yield from _targets(sdl)
    if broken or not units:
        return
    for unit in units:
        yield from _volumes(sdl, unit)
    yield from _unmounted(sdl, units)
    yield from _leased_ips(sdl, units)
    yield from _reachable(sdl, units)
    yield from _hostnames(sdl, units)
    yield from _confidential(sdl, units)
    yield from _denominations(sdl, units)
    yield from _totals(sdl, units)


def _references(sdl: Sdl, unit: Unit) -> Iterator[Finding]:
    here = f"deployment.{unit.service}"
    if unit.service not in sdl.services:
        yield Finding(path=here, message=f"services has no {unit.service!r}; add or rename it")
    if unit.placement not in sdl.placement:
        yield Finding(
            path=f"{here}.{unit.placement}",
            message=f"profiles.placement has no {unit.placement!r}; add or rename it",
        )
    elif unit.profile not in sdl.placement[unit.placement].pricing:
        yield Finding(
            path=f"profiles.placement.{unit.placement}.pricing",
            message=f"no price for profile {unit.profile!r}, which {unit.service} uses; add it",
        )
    if unit.profile not in sdl.compute:
        yield Finding(
            path=f"{here}.{unit.placement}.profile",
            message=f"profiles.compute has no {unit.profile!r}; add or rename it",
        )


def _targets(sdl: Sdl) -> Iterator[Finding]:
    for name, service in sdl.services.items():
        for index, expose in enumerate(service.expose):
            for at, target in enumerate(expose.to):
                here = f"services.{name}.expose[{index}].to[{at}]"
                if target.service and target.service not in sdl.services:
                    yield Finding(
                        path=f"{here}.service",
                        message=f"services has no {target.service!r}; add or rename it",
                    )
                if target.ip and target.ip not in sdl.endpoints:
                    yield Finding(
                        path=f"{here}.ip",
                        message=f"endpoints has no {target.ip!r}; add it with kind: ip",
                    )


def _volumes(sdl: Sdl, unit: Unit) -> Iterator[Finding]:
    service, compute = sdl.services[unit.service], sdl.compute[unit.profile]
    volumes = {volume.name: volume for volume in compute.storage}
    taken: dict[str, str] = {}
    for name, mount in (service.params.storage if service.params else {}).items():
        here = f"services.{unit.service}.params.storage.{name}"
        if name not in volumes:
            yield Finding(
                path=here,
                message=f"profile {unit.profile!r} has no volume {name!r}; add it to its storage",
            )
        elif mount.path in taken:
            yield Finding(
                path=f"{here}.mount",
                message=f"{mount.path} is where volume {taken[mount.path]!r} is; choose another",
            )
        elif (
            sdl.version is Version.V2_1
            and volumes[name].storage_class == RAM_CLASS
            and mount.read_only
        ):
            yield Finding(
                path=f"{here}.readOnly",
                message="memory that nobody may write is of no use; remove readOnly",
            )
        taken.setdefault(mount.path, name)


def _unmounted(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    """In 2.0 a service with a persistent volume and no mount at all is refused by the reference."""
    for unit in units:
        if sdl.version is Version.V2_0 and not _mounted(sdl.services[unit.service]):
            yield from _kept_nowhere(sdl, unit, frozenset())


def doubts_of(sdl: Sdl) -> Iterator[Finding]:
    """Return what a document that can be deployed says in vain."""
    units = list(sdl.units())
    for unit in units:
        sharing = [each for each in units if each.profile == unit.profile]
        mounted = frozenset[str]().union(*(_mounted(sdl.services[u.service]) for u in sharing))
        yield from _kept_nowhere(sdl, unit, mounted)


def _kept_nowhere(sdl: Sdl, unit: Unit, mounted: frozenset[str]) -> Iterator[Finding]:
    """A persistent volume that nobody mounts is paid for, and keeps nothing."""
    for volume in sdl.compute[unit.profile].storage:
        if volume.persistent and volume.name not in mounted:
            yield Finding(
                path=f"services.{unit.service}",
                message=f"persistent volume {volume.name!r} of profile {unit.profile!r} is "
                f"mounted nowhere; add params.storage.{volume.name}.mount",
            )


def _mounted(service: Service) -> frozenset[str]:
    return frozenset(service.params.storage if service.params else ())


def _leased_ips(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    taken: dict[tuple[str, str, int, str], str] = {}
    used = set()
    for unit in units:
        for index, expose in enumerate(sdl.services[unit.service].expose):
            for target in expose.to:
                if not target.ip:
                    continue
                used.add(target.ip)
                effective = expose.external_port or expose.port
                # The reference tells ports apart as they are written, so two without `as` collide.
                keys = (
                    (target.ip, "written", expose.external_port, expose.protocol),
                    (target.ip, "effective", effective, expose.protocol),
                )
                other = next((taken[key] for key in keys if key in taken), None)
                if other is not None:
                    yield Finding(
                        path=f"services.{unit.service}.expose[{index}]",
                        message=f"port {effective} of endpoint {target.ip!r} is taken by service "
                        f"{other!r}; give each an `as` of its own",
                    )
                taken.update(dict.fromkeys(keys, unit.service))
    for name in sdl.endpoints:
        if name not in used:
            yield Finding(path=f"endpoints.{name}", message="never used; remove it")


def _reachable(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    targets = (
        target
        for unit in units
        for expose in sdl.services[unit.service].expose
        for target in expose.to
    )
    if not any(target.everybody for target in targets):
        yield Finding(
            path="services",
            message="nothing is reachable from outside; expose a port with to: [{global: true}]",
        )


def _hostnames(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    seen: set[str] = set()
    for unit in units:
        for index, expose in enumerate(sdl.services[unit.service].expose):
            for host in (expose.accept or ()) * max(1, len(expose.to)):
                if host in seen:
                    yield Finding(
                        path=f"services.{unit.service}.expose[{index}].accept",
                        message=f"{host} is accepted twice in this deployment; keep one, in an "
                        "expose with one `to` and a service in one placement",
                    )
                seen.add(host)


def _confidential(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    kinds: dict[str, str] = {}
    for unit in units:
        params = sdl.services[unit.service].params
        if params is None or params.tee is None:
            continue
        here = f"services.{unit.service}.params.tee"
        if params.tee == "cpu-gpu" and sdl.compute[unit.profile].gpu is None:
            yield Finding(path=here, message="cpu-gpu needs a GPU; write cpu, or ask for a GPU")
        if kinds.setdefault(unit.placement, params.tee) != params.tee:
            yield Finding(
                path=here,
                message=f"placement {unit.placement!r} has {kinds[unit.placement]!r} already; "
                "one kind to a placement",
            )
        if TEE_ATTRIBUTE in dict(sdl.placement[unit.placement].attributes):
            yield Finding(
                path=f"profiles.placement.{unit.placement}.attributes.{TEE_ATTRIBUTE}",
                message="params.tee of the service sets this; remove it here",
            )


def _denominations(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    first = sdl.placement[units[0].placement].pricing[units[0].profile].denom
    for unit in units:
        denom = sdl.placement[unit.placement].pricing[unit.profile].denom
        if denom != first:
            yield Finding(
                path=f"profiles.placement.{unit.placement}.pricing.{unit.profile}.denom",
                message=f"{denom} beside {first}; a deployment is paid in one denomination: uact",
            )
            return


def _totals(sdl: Sdl, units: list[Unit]) -> Iterator[Finding]:
    for placement in sorted({unit.placement for unit in units}):
        here = [unit for unit in units if unit.placement == placement]
        for what, most, amount in _LIMITED:
            total = sum(amount(sdl.compute[unit.profile]) * unit.count for unit in here)
            if total > most * MOST_REPLICAS:
                share = total / (most * MOST_REPLICAS)
                yield Finding(
                    path=f"deployment.{here[0].service}.{placement}.count",
                    message=f"placement {placement!r} asks for {share:.2f} times the {what} that "
                    "one group may have; lower the counts",
                )


def _gpus(compute: Compute) -> int:
    return compute.gpu.units if compute.gpu is not None else 0


_LIMITED: tuple[tuple[str, int, Callable[[Compute], int]], ...] = (
    ("CPU", CPU_MILLIS[1], attrgetter("cpu")),
    ("memory", MEMORY[1], attrgetter("memory")),
    ("GPUs", MOST_GPUS, _gpus),
)
