"""``garrison adopt``: a running deployment becomes a managed workload, without a restart."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import click

from garrison.adapters.akash.conversion import Converted, convert, sdl_of_manifest, texts_of
from garrison.adapters.akash.opening import Opened, Opener, credential_of
from garrison.adapters.akash.pricing import per_block
from garrison.adapters.akash.sdl import Sdl, compile_sdl
from garrison.adapters.kube.client import connect as connect_kube
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.openai.prober import HttpProber
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, parse_account
from garrison.api.lease import EndpointStatus, parse_lease
from garrison.api.meta import ACCOUNT, LEASE, POLICY, WORKLOAD, Raw
from garrison.api.money import MicroUSD, format_dollars, parse_dollars
from garrison.api.workload import parse_workload
from garrison.cli.documents import read_sdl
from garrison.cli.place import Place, completed, placed
from garrison.core.adoption import denied, endpoint_of, paying
from garrison.core.marker import parse_marker
from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    GarrisonError,
    NotFoundError,
    RejectedError,
)
from garrison.ports.kube import Kube
from garrison.ports.market import (
    Deployment,
    DeploymentState,
    LeaseTarget,
    MarketLease,
    ServiceStatus,
)
from garrison.ports.probe import ProbeOutcome, Screen

HEALTH_PATHS = ("/health", "/healthz", "/v1/models", "/")
HEADROOM_PERCENT = 10
"""Added to the price of today: with the blocks' pace the same rent differs a little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line says."""

    number: str
    sdl: Sdl | None
    account: str | None
    name: str | None
    image: str | None
    health_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deployment that can be adopted, and where it is reached."""

    deployment: Deployment
    lease: MarketLease
    target: LeaseTarget
    service: ServiceStatus | None


@click.command()
@click.argument("dseq")
@click.option(
    "--sdl", "sdl_file", default=None, help="The SDL that it was deployed with (-: stdin)."
)
@click.option("--unverified", is_flag=True, help="Agree to manage a container without the agent.")
@click.option("--dry-run", is_flag=True, help="Print the YAML, change nothing.")
@click.option(
    "--account", default=None, help="The AkashAccount that owns it. Default: the default one."
)
@click.option("--name", default=None, help="Name of the workload. Default: the service's.")
@click.option(
    "--image", default=None, help="Image by digest for later replicas: HOST/NAME@sha256:..."
)
@click.option("--health-path", default=None, help="What answers GET with 2xx. Default: found out.")
@placed
def adopt(
    *,
    place: Place,
    dseq: str,
    sdl_file: str | None,
    unverified: bool,
    dry_run: bool,
    account: str | None,
    name: str | None,
    image: str | None,
    health_path: str | None,
) -> None:
    """Make the running deployment DSEQ of an AkashAccount a managed workload.

    \b
    garrison adopt 1763912345678 -n prod --dry-run           what would be created
    garrison adopt 1763912345678 -n prod --unverified        do it
    garrison adopt 1763912345678 -n prod --unverified --sdl deploy.yaml

    Nothing is restarted, sent or signed: one InferenceWorkload is created, and the operator records
    the deployment under the account's ceilings. From then on it is watched, paid for, replaced when
    it fails, and closed when the workload is deleted. It has no agent inside, so nothing about it is
    verified and requests reach it in the clear: --unverified says that you agree. Setting trust:
    Verified later replaces it by a replica that has one, before it is closed.

    The chain keeps only the hash of what runs. The specification comes from the SDL, or else from
    the provider; either must have that hash.
    """
    _check_agreed(unverified=unverified, dry_run=dry_run)
    wish = Wish(
        number=dseq,
        sdl=read_sdl(sdl_file) if sdl_file is not None else None,
        account=account,
        name=name,
        image=image,
        health_path=health_path,
    )
    completed(_adopt(place, wish, dry_run=dry_run))


def _check_agreed(*, unverified: bool, dry_run: bool) -> None:
    if not unverified and not dry_run:
        raise click.UsageError(
            "an adopted container has no agent: nothing about it is verified, and requests reach it "
            "in the clear. Add --unverified to agree, or --dry-run to see what would be created."
        )


async def _adopt(place: Place, wish: Wish, *, dry_run: bool) -> None:
    kube = await connect_kube(place.kubeconfig, place.context)
    try:
        payer = await _account(kube, wish.account)
        if payer.spec.adoption != "Allow" and not dry_run:
            raise RejectedError(denied(payer))
        await _check_free(kube, wish.number)
        found = await _described(kube, place, payer, wish)
        if dry_run:
            click.echo(texts_of(found), nl=False)
        else:
            await _create(kube, place, found)
    finally:
        await kube.close()


async def _account(kube: Kube, name: str | None) -> Account:
    if name is not None:
        raw = await kube.get(ACCOUNT, "", name)
        if raw is None:
            raise NotFoundError(f"AkashAccount {name} does not exist; see: kubectl get aa")
        return parse_account(raw)
    known = [parse_account(each) for each in await kube.list(ACCOUNT)]
    default = next((each for each in known if each.spec.default), None)
    if default is None:
        names = ", ".join(each.meta.name for each in known) or "none exists"
        raise NotFoundError(f"no AkashAccount has spec.default: true ({names}); use --account")
    return default


async def _check_free(kube: Kube, number: str) -> None:
    """Refuse what is adopted already, as far as this person may look; the operator looks again."""
    with contextlib.suppress(AuthError):
        for raw in await kube.list(WORKLOAD):
            workload = parse_workload(raw)
            wish = workload.spec.adopt
            if wish is not None and wish.deployment == number:
                raise AlreadyExistsError(
                    f"InferenceWorkload {workload.meta.namespace}/{workload.meta.name} adopts "
                    f"deployment {number} already"
                )
        for raw in await kube.list(LEASE):
            lease = parse_lease(raw)
            held = lease.status.deployment
            if held is not None and held.id == number and lease.status.closed_at is None:
                raise AlreadyExistsError(
                    f"AkashLease {lease.meta.namespace}/{lease.meta.name} holds deployment {number} "
                    "already"
                )


async def _described(kube: Kube, place: Place, payer: Account, wish: Wish) -> list[Converted]:
    screen = NetScreen()
    credential = credential_of(payer, place.operator_namespace)
    secret = await credential.secret(kube)
    opened = Opener(screen=screen, clock=SystemClock()).open(payer, credential.text(secret))
    try:
        running = await _running(opened, payer, wish.number)
        sdl = await _proved(opened, running, wish)
        private = place.allow_private or payer.spec.allow_private_addresses
        found = _resources(payer, running, sdl, wish)
        await _add_health(found[-1], running, wish, screen, allow_private=private)
        return found
    finally:
        await opened.close()


async def _running(opened: Opened, payer: Account, number: str) -> Running:
    """Return what runs. Raises NotFoundError or RejectedError for what cannot be adopted."""
    market = opened.exchange.market
    deployment = await market.deployment(number)
    if deployment is None:
        raise NotFoundError(
            f"AkashAccount {payer.meta.name} has no deployment {number}; another owner's cannot be "
            "adopted: check the number, or use --account"
        )
    if deployment.state is DeploymentState.CLOSED:
        raise RejectedError(f"deployment {number} is closed; use: garrison convert deploy.yaml")
    if parse_marker(deployment.marker) is not None:
        raise RejectedError(
            f"deployment {number} is managed by Garrison already (its group is {deployment.marker})"
        )
    leases = paying(deployment.leases)
    if len(leases) != 1:
        raise RejectedError(
            f"deployment {number} has {len(leases)} open leases, and a replica is exactly one; use: "
            "garrison convert deploy.yaml"
        )
    target = await _target(opened, deployment, leases[0])
    service = await opened.exchange.gateway.status(target)
    return Running(deployment=deployment, lease=leases[0], target=target, service=service)


async def _target(opened: Opened, deployment: Deployment, lease: MarketLease) -> LeaseTarget:
    known = {each.id: each for each in await opened.exchange.market.providers()}
    provider = known.get(lease.provider)
    if provider is None:
        raise NotFoundError(
            f"provider {lease.provider} is not listed on the market; try again later"
        )
    return LeaseTarget(
        deployment=deployment.id,
        gseq=lease.gseq,
        oseq=lease.oseq,
        provider=lease.provider,
        host_uri=provider.host_uri,
    )


async def _proved(opened: Opened, running: Running, wish: Wish) -> Sdl:
    """Return the SDL of what runs: the one that is given, else the provider's, if the hash agrees."""
    version, number = running.deployment.version, running.deployment.id
    if wish.sdl is not None:
        made = compile_sdl(wish.sdl).version
        if version and made != version:
            raise RejectedError(
                f"the SDL is not the one of deployment {number}: its manifest has the hash {made}, the "
                f"market says {version}; give the file of the newest update, with the same values"
            )
        return wish.sdl
    text = await opened.exchange.gateway.manifest(running.target)
    price = per_block(running.lease.price_per_hour)
    found = sdl_of_manifest(text, price) if text is not None else None
    if found is None or not version or compile_sdl(found).version != version:
        raise RejectedError(
            f"what the provider says of deployment {number} does not have the hash that the market "
            "keeps, or says more than one service; give the SDL: --sdl deploy.yaml"
        )
    return found


def _resources(payer: Account, running: Running, sdl: Sdl, wish: Wish) -> list[Converted]:
    """Return the policy, where there is one, and the workload. Raises RejectedError."""
    units = list(sdl.units())
    if len(units) != 1 or units[0].count != 1:
        raise RejectedError(
            f"deployment {wish.number} has {len(units)} services, or more than one instance; a replica "
            "is one container: use garrison convert, and move over service by service"
        )
    found = convert(sdl)
    workload = found[-1]
    spec = workload.body["spec"]
    if wish.name is not None:
        workload.body["metadata"]["name"] = wish.name
    if wish.image is not None:
        spec["image"] = wish.image
        workload.notes[:] = [each for each in workload.notes if "needs a digest" not in each]
    if wish.account is not None:
        spec["accountRef"] = {"name": payer.meta.name}
    spec["trust"] = "Unverified"
    spec["adopt"] = {"deployment": wish.number, **_external(sdl, spec["port"])}
    spec["budget"] = {"maxPricePerHour": _budget(spec, running.lease.price_per_hour)}
    return found


def _external(sdl: Sdl, port: int) -> dict[str, int]:
    (unit,) = sdl.units()
    external = {each.port: each.external_port for each in sdl.services[unit.service].expose}
    differs = external.get(port, 0) not in {0, port}
    return {"externalPort": external[port]} if differs else {}


def _budget(spec: dict[str, object], price: MicroUSD) -> str:
    """Return the SDL's ceiling, or what is paid today and a little more."""
    stated = spec.get("budget")
    own = parse_dollars(stated["maxPricePerHour"]) if isinstance(stated, dict) else MicroUSD(0)
    return format_dollars(MicroUSD(max(own, -(-price * (100 + HEADROOM_PERCENT) // 100))))


async def _add_health(
    workload: Converted, running: Running, wish: Wish, screen: Screen, *, allow_private: bool
) -> None:
    spec = workload.body["spec"]
    if wish.health_path is not None:
        spec["health"] = {"path": wish.health_path}
        return
    service, external = running.service, spec["adopt"].get("externalPort")
    endpoint = endpoint_of(service, spec["port"], external) if service is not None else None
    found = await _answering(endpoint, screen, allow_private=allow_private)
    if found is not None:
        spec["health"] = {"path": found}
        return
    workload.note(
        "health.path",
        f"none of {', '.join(HEALTH_PATHS)} answers with 2xx; set the one that does. The deployment "
        "is not closed for it, and the workload is not Ready before one answers",
    )


async def _answering(
    endpoint: EndpointStatus | None, screen: Screen, *, allow_private: bool
) -> str | None:
    if endpoint is None:
        return None
    with contextlib.suppress(GarrisonError):
        there = await screen.destination(endpoint.host, endpoint.port, allow_private=allow_private)
        for path in HEALTH_PATHS:
            result = await HttpProber().probe(there, path, timeout_seconds=5)
            if result.outcome is ProbeOutcome.HEALTHY:
                return path
    return None


async def _create(kube: Kube, place: Place, found: Sequence[Converted]) -> None:
    """Create the policy, then the one object that counts: before it nothing has happened."""
    workload = found[-1]
    name = workload.body["metadata"]["name"]
    for each in found:
        each.body["metadata"]["namespace"] = place.namespace
    _check(workload.body)
    for each in found[:-1]:
        with contextlib.suppress(AlreadyExistsError):
            await kube.create(POLICY, each.body)
    for note in workload.notes:
        click.echo(f"look at {note}", err=True)
    await kube.create(WORKLOAD, workload.body)
    click.echo(
        f"inferenceworkload/{name} created; nothing was restarted. It is unverified: requests reach it "
        f"in the clear.\nkubectl wait iw/{name} -n {place.namespace} --for=condition=Ready"
    )


def _check(body: Raw) -> None:
    """Refuse a digest of zeros before anything is created: no replacement could ever be pulled."""
    image = body["spec"]["image"]
    if image.endswith("0" * 64):
        tagged = image.partition("@")[0]
        raise RejectedError(
            f"the SDL names {tagged} by a tag, and later replicas need a digest; `docker buildx "
            f"imagetools inspect {tagged}` prints it: --image {tagged}@sha256:..."
        )
