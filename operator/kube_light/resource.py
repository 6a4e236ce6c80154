"""What the server knows about a resource: its names, its scope and its subresources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON."""

Storage: TypeAlias = tuple[str, str]
"""Group and plural under which objects are kept, whatever the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``kubectl get``: ``path`` is a JSONPath; priority above 0 shows with -o wide."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where the scale subresource finds its numbers; dotted paths such as ``.spec.replicas``."""

    spec_path: str
    status_path: str
    selector_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """A resource of one group and version. ``schema`` None: any content is taken as it is."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    status: bool = False
    generation: bool = False
    scale: Scale | None = None
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    schema: Mapping[str, Any] | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> Storage:
        """Return where objects are kept: core Events live with those of events.k8s.io."""
        return EVENTS if (self.group, self.plural) == ("", "events") else (self.group, self.plural)


EVENTS: Storage = ("events.k8s.io", "events")

NAMESPACE = Resource(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    status=True,
    short_names=("ns",),
    columns=(Column(name="Status", type="string", path=".status.phase"),),
)

CRD = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
    status=True,
    generation=True,
    short_names=("crd", "crds"),
)

EVENT = Resource(group="events.k8s.io", version="v1", kind="Event", plural="events")

CORE_EVENT = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    short_names=("ev",),
    columns=(
        Column(name="Last Seen", type="date", path=".lastTimestamp"),
        Column(name="Type", type="string", path=".type"),
        Column(name="Reason", type="string", path=".reason"),
        Column(name="Object", type="string", path=".involvedObject.name"),
        Column(name="Message", type="string", path=".message"),
    ),
)

SECRET = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    columns=(Column(name="Type", type="string", path=".type"),),
)

SERVICE = Resource(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    status=True,
    short_names=("svc",),
    columns=(
        Column(name="Type", type="string", path=".spec.type"),
        Column(name="Cluster-IP", type="string", path=".spec.clusterIP"),
        Column(name="Port", type="string", path=".spec.ports[0].port"),
    ),
)

BUILT_IN = (
    NAMESPACE,
    CRD,
    EVENT,
    CORE_EVENT,
    SECRET,
    SERVICE,
    Resource(group="", version="v1", kind="ConfigMap", plural="configmaps", short_names=("cm",)),
    Resource(group="", version="v1", kind="Pod", plural="pods", status=True, short_names=("po",)),
    Resource(
        group="", version="v1", kind="ServiceAccount", plural="serviceaccounts", short_names=("sa",)
    ),
    Resource(
        group="apps",
        version="v1",
        kind="Deployment",
        plural="deployments",
        status=True,
        generation=True,
        scale=Scale(spec_path=".spec.replicas", status_path=".status.replicas"),
        short_names=("deploy",),
    ),
    Resource(group="apps", version="v1", kind="ControllerRevision", plural="controllerrevisions"),
    Resource(
        group="discovery.k8s.io",
        version="v1",
        kind="EndpointSlice",
        plural="endpointslices",
        generation=True,
    ),
    Resource(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases"),
)
"""What a fresh server serves besides CRDs."""
