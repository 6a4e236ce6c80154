"""What a process in a container may do, by the seccomp profile of the provider's machine."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from akash_sandbox.runtimes.capabilities import KEPT
from akash_sandbox.runtimes.seccomp import Confinement, profile
from akash_sandbox.settings import RuntimeName
from tests.sandbox.workloads.bench import Bench, get, running, until_state
from tests.sandbox.workloads.image import ImageFiles
from tests.sandbox.workloads.registry import LoopbackRegistry

ALLOWED = {"pidfd_getfd": "", "user_namespace": "", "child": ""}
MAY: dict[Confinement, dict[str, str]] = {
    "unconfined": ALLOWED,
    "runtime-default": ALLOWED
    | {"pidfd_getfd": "operation not permitted", "user_namespace": "operation not permitted"},
    "no-user-namespaces": ALLOWED | {"user_namespace": "no space left on device"},
}
NUMBERS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "MKNOD": 27,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
"""capability.h"""
KUBERNETES_DEFAULT = sum(1 << NUMBERS[name] for name in KEPT)


def test_every_confinement_is_tried() -> None:
    assert set(MAY) == set(get_args(Confinement))


@pytest.fixture(params=["root", "the image's own"])
def user(request: pytest.FixtureRequest) -> str:
    """Whom the program runs as."""
    return str(request.param)


@pytest.fixture
def reference(
    user: str, bench: Bench, registry: LoopbackRegistry, tiny_as_server: ImageFiles
) -> str:
    """The image whose program runs as this user."""
    return bench.image if user == "root" else registry.add(tiny_as_server)


@pytest.mark.parametrize("confinement", MAY)
async def test_a_process_may_do_what_the_machine_allows(
    bench: Bench, reference: str, oci: RuntimeName, confinement: Confinement, user: str
) -> None:
    supervisor = await bench.supervisor(oci)
    await supervisor.deploy(bench.ask(image=reference, confinement=confinement))
    external = await running(supervisor)
    assert await get(external, "/may") == MAY[confinement]
    status = await get(external, "/status")
    assert status["Seccomp"] == ("0" if confinement == "unconfined" else "2")
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapBnd"], 16) == KUBERNETES_DEFAULT
    assert int(status["CapEff"], 16) == (KUBERNETES_DEFAULT if user == "root" else 0)
    assert status["Uid"].split()[0] == ("0" if user == "root" else "1001")


async def test_nothing_runs_less_confined_than_asked_for(
    bench: Bench, usable: frozenset[str]
) -> None:
    name = next(each for each in ("unshare", "process") if each in usable)
    supervisor = await bench.supervisor(name)
    await supervisor.deploy(bench.ask(confinement="runtime-default"))
    state = await until_state(supervisor, "tenant-1", lambda state: state.restarts > 0)
    assert not state.running
    assert "confinement runtime-default needs runc or crun" in state.message
    assert "set the provider's confinement to unconfined" in state.message


async def test_no_runtime_gives_new_privileges(bench: Bench, runtime: RuntimeName) -> None:
    if runtime == "process":
        pytest.skip("plain processes keep what this process has, and say so")
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    assert (await get(external, "/status"))["NoNewPrivs"] == "1"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
def test_profiles_are_plain_data_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    for confinement in ("runtime-default", "no-user-namespaces"):
        made = profile(confinement)
        assert made == json.loads(json.dumps(made))
        assert made is not None
        assert ("SCMP_ARCH_X86_64" in made["architectures"]) is (machine == "x86_64")
