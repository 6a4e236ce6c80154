"""SDLs for tests: one to change a line of, and arbitrary sound ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from garrison.adapters.akash.sdl.model import (
    Assignment,
    Compute,
    Credentials,
    Expose,
    Gpu,
    GpuModel,
    HttpOptions,
    Mount,
    Params,
    Placement,
    Price,
    Sdl,
    Service,
    Target,
    Version,
    Volume,
)

BASE = """\
version: "2.0"
services:
  web:
    image: nginx:1.27.3
    expose:
      - port: 80
        as: 80
        to:
          - global: true
profiles:
  compute:
    web:
      resources:
        cpu: {units: 1}
        memory: {size: 512Mi}
        storage: {size: 512Mi}
  placement:
    p:
      pricing:
        web: {denom: uact, amount: 1}
deployment:
  web:
    p: {profile: web, count: 1}
"""


GPU = "storage: {size: 512Mi}\n        gpu: "
"""What replaces ``storage`` in ``BASE``, before a GPU's own words."""
ONE_GPU = GPU + "{units: 1, attributes: {vendor: {nvidia: %s}}}"


def changed(*edits: tuple[str, str]) -> str:
    """Return the base document with texts replaced; each must be there."""
    text = BASE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=20)
OPTIONAL_TEXTS = st.none() | st.lists(TEXTS, max_size=3).map(tuple)
NAMES = st.from_regex(r"[a-z]([a-z0-9]{0,6})", fullmatch=True)
PORTS = st.integers(1, 65_535)
CLASSES = st.sampled_from(["default", "beta1", "beta2", "beta3"])
HTTP_OPTIONS = st.builds(
    HttpOptions,
    max_body_size=st.integers(1, 104_857_600),
    read_timeout=st.integers(1, 60_000),
    send_timeout=st.integers(1, 60_000),
    next_tries=st.integers(1, 100),
    next_timeout=st.integers(0, 100_000),
    next_cases=st.sampled_from([("error", "timeout"), ("off",), ("500", "429")]),
    proxy_buffer_size=st.integers(0, 1_048_576),
)
GPU_MODELS = st.builds(
    GpuModel,
    model=NAMES,
    ram=st.none() | st.integers(1, 200),
    interface=st.sampled_from([None, "pcie", "sxm"]),
)
GPUS = st.builds(
    Gpu,
    units=st.integers(1, 24),
    models=st.lists(GPU_MODELS, max_size=3, unique=True).map(tuple),
)
PRICES = st.builds(Price, denom=st.just("uact"), amount=st.integers(1, 10**25))
PLACEMENTS = st.fixed_dictionaries(
    {
        "attributes": st.dictionaries(
            st.from_regex(r"[a-zA-Z][a-z/]{1,8}", fullmatch=True), TEXTS, max_size=3
        ).map(lambda pairs: tuple(sorted(pairs.items()))),
        "all_of": OPTIONAL_TEXTS,
        "any_of": OPTIONAL_TEXTS,
    }
)


@st.composite
def volumes(draw: Any) -> tuple[Volume, ...]:
    """Volumes of one profile, with many equal sizes, which are what is hard to order."""
    found = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        size = draw(st.sampled_from([5 << 20, 1 << 30, 1 << 31]))
        persistent, storage_class = draw(
            st.sampled_from([(None, None), (False, None), (False, "ram"), (True, None)])
            | st.tuples(st.just(True), CLASSES)
        )
        found.append(
            Volume(name=name, size=size, persistent=persistent, storage_class=storage_class)
        )
    return tuple(found)


@st.composite
def computes(draw: Any) -> Compute:
    return Compute(
        cpu=draw(st.integers(10, 384_000)),
        memory=draw(st.integers(1 << 20, 1 << 41)),
        storage=draw(volumes()),
        gpu=draw(st.none() | GPUS),
        arch=draw(st.sampled_from([None, "amd64", "arm64"])),
    )


@st.composite
def services(draw: Any, compute: Compute, version: Version) -> Service:
    """A service that mounts every persistent volume of its profile."""
    mounts = {
        volume.name: Mount(path=f"/{volume.name}", read_only=draw(st.booleans()))
        for volume in compute.storage
        if volume.persistent
    }
    needed = st.builds(
        Params,
        storage=st.just(mounts),
        permissions=st.sampled_from([None, (), ("logs",), ("deployment", "events")]),
        tee=st.just("cpu-gpu" if compute.gpu else "cpu") | st.none(),
    )
    email = TEXTS.map(str.strip) if version is Version.V2_1 else st.just("")
    words = st.from_regex(r"[a-z:/.]{1,12}", fullmatch=True)
    return Service(
        image=draw(TEXTS.filter(bool)),
        command=draw(OPTIONAL_TEXTS),
        args=draw(OPTIONAL_TEXTS),
        env=draw(st.none() | st.lists(TEXTS.map("NAME={}".format), max_size=3).map(tuple)),
        expose=draw(st.lists(exposes(), max_size=3).map(tuple)),
        dependencies=draw(st.lists(NAMES, max_size=2).map(tuple)),
        params=draw(needed if mounts else st.none() | needed),
        credentials=draw(
            st.none()
            | st.builds(Credentials, host=words, username=words, password=words, email=email)
        ),
    )


@st.composite
def exposes(draw: Any) -> Expose:
    return Expose(
        port=draw(PORTS),
        external_port=draw(st.just(0) | PORTS),
        protocol=draw(st.sampled_from(["TCP", "UDP"])),
        accept=draw(st.sampled_from([None, ()])),
        to=draw(st.lists(st.builds(Target, everybody=st.booleans()), max_size=2).map(tuple)),
        http=draw(HTTP_OPTIONS | st.just(HttpOptions())),
    )


@st.composite
def sdls(draw: Any) -> Sdl:
    """A sound document: one group, several services, one of them reachable."""
    version = draw(st.sampled_from(list(Version)))
    profiles = draw(st.dictionaries(NAMES, computes(), min_size=1, max_size=2))
    pricing = {name: draw(PRICES) for name in profiles}
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    using = {name: draw(st.sampled_from(sorted(profiles))) for name in names}
    found = {name: draw(services(profiles[using[name]], version)) for name in names}
    tee = {each.params.tee for each in found.values() if each.params} - {None}
    first = names[0]
    found[first] = _reachable(found[first])
    placements = {draw(NAMES): Placement(**draw(PLACEMENTS), pricing=pricing)}
    if len(tee) > 1:
        found = {name: _without_tee(each) for name, each in found.items()}
    return Sdl(
        version=version,
        services=found,
        compute=profiles,
        placement=placements,
        deployment={
            name: {place: Assignment(profile=using[name], count=1) for place in placements}
            for name in names
        },
        include=draw(st.lists(TEXTS, max_size=1).map(tuple)),
        reclamation=draw(st.none() | st.integers(1, 10**15)),
    )


def _reachable(service: Service) -> Service:
    port = Expose(port=8080, to=(Target(everybody=True),))
    return replace(service, expose=(*service.expose, port))


def _without_tee(service: Service) -> Service:
    if service.params is None:
        return service
    params = Params(storage=service.params.storage, permissions=service.params.permissions)
    return replace(service, params=params)
