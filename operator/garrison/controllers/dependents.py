"""What a workload owns: its revisions, and the AkashLeases of its ledger."""

from __future__ import annotations

from garrison.api.container import TEMPLATE_ADAPTER
from garrison.api.lease import SPEC_ADAPTER as LEASE_SPEC
from garrison.api.lease import LeaseSpec, SentinelRef
from garrison.api.meta import (
    ANNOTATION_PROCESS,
    FINALIZER,
    LABEL_MANAGED_BY,
    LABEL_REVISION,
    LABEL_WORKLOAD,
    LEASE,
    MANAGED_BY,
    REVISION,
    WORKLOAD,
    LocalRef,
    parse_meta,
)
from garrison.api.parsing import dump
from garrison.api.workload import Adopt, ReplicaStatus, Workload, template_of
from garrison.controllers.catalog import PROCESS, Catalog, ImageProcess
from garrison.controllers.images import Images
from garrison.core.identity import bootstrap_secret
from garrison.core.revision import outdated
from garrison.errors import AlreadyExistsError, UnavailableError
from garrison.ports.kube import Kube, Object
from garrison.ports.sentinel import Bootstraps
from garrison.runtime.cache import Cache


class Dependents:
    """Creates and deletes them. What exists already under its name is left as it is."""

    def __init__(
        self, *, cache: Cache, catalog: Catalog, kube: Kube, images: Images, bootstraps: Bootstraps
    ) -> None:
        self._cache = cache
        self._catalog = catalog
        self._kube = kube
        self._images = images
        self._bootstraps = bootstraps

    async def accept(self, workload: Workload, name: str) -> None:
        """Store the spec's template as the revision ``name``; one that is there already is the same."""
        body: Object = {
            "apiVersion": REVISION.api_version,
            "kind": REVISION.kind,
            "metadata": {
                "name": name,
                "namespace": workload.meta.namespace,
                "labels": _labels(workload),
                "annotations": {ANNOTATION_PROCESS: self._process(workload)},
                "ownerReferences": [owner_of(workload)],
            },
            "revision": workload.meta.generation,
            "data": dump(TEMPLATE_ADAPTER, template_of(workload.spec)),
        }
        try:
            self._catalog.remember_revision(await self._kube.create(REVISION, body))
        except AlreadyExistsError:
            return

    def _process(self, workload: Workload) -> str:
        image = self._images.image(workload)
        if image is None:
            raise UnavailableError(
                f"image {workload.spec.image} has not been read; it is read again"
            )
        process = ImageProcess(entrypoint=image.entrypoint, command=image.command)
        return PROCESS.dump_json(process).decode()

    async def prune(self, workload: Workload, *, kept: frozenset[str]) -> None:
        """Delete old revisions but for those in ``kept``."""
        found = await self._kube.list(
            REVISION, namespace=workload.meta.namespace, labels=_labels(workload)
        )
        mine = [each for each in found if workload.meta.uid in parse_meta(each).owners]
        rows = [(each["metadata"]["name"], int(each["revision"])) for each in mine]
        for name in outdated(rows, used=kept):
            await self._kube.delete(REVISION, workload.meta.namespace, name)

    async def create(
        self, workload: Workload, entry: ReplicaStatus, *, account: str, excluded: tuple[str, ...]
    ) -> None:
        """Create the AkashLease of a ledger entry; one that is there already is the same."""
        template = await self._catalog.template(workload.meta.namespace, entry.revision)
        spec = LeaseSpec(
            workload=workload.meta.name,
            revision=entry.revision,
            account=account,
            excluded_providers=excluded,
            adopts=_adopts(workload, entry),
            sentinel=self._sentinel(workload, entry)
            if template is None or template.trust == "Verified"
            else None,
        )
        body: Object = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                "name": entry.name,
                "namespace": workload.meta.namespace,
                "labels": {**_labels(workload), LABEL_REVISION: entry.revision[-63:]},
                "finalizers": [FINALIZER],
                "ownerReferences": [owner_of(workload)],
            },
            "spec": dump(LEASE_SPEC, spec),
        }
        try:
            self._cache.put(await self._kube.create(LEASE, body))
        except AlreadyExistsError:
            return

    def _sentinel(self, workload: Workload, entry: ReplicaStatus) -> SentinelRef:
        name = bootstrap_secret(workload.meta.uid, entry.name)
        return SentinelRef(digest=self._bootstraps.digest, secret_ref=LocalRef(name=name))


def _adopts(workload: Workload, entry: ReplicaStatus) -> Adopt | None:
    """What a ledger entry takes over; its number stands, whatever the spec says by now."""
    if entry.adopts is None:
        return None
    wish = workload.spec.adopt
    if wish is not None and wish.deployment == entry.adopts:
        return wish
    return Adopt(deployment=entry.adopts)


def owner_of(workload: Workload) -> dict[str, object]:
    """Return the ownerReference to a workload."""
    return {
        "apiVersion": WORKLOAD.api_version,
        "kind": WORKLOAD.kind,
        "name": workload.meta.name,
        "uid": workload.meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _labels(workload: Workload) -> dict[str, str]:
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_WORKLOAD: workload.meta.name}
