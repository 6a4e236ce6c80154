"""What a container runs: the image's configuration under the order's wishes."""

from __future__ import annotations

from pathlib import Path

from akash_sandbox.egress.network import RESOLVER
from akash_sandbox.images.reference import ImageError
from akash_sandbox.images.store import Image
from akash_sandbox.images.user import resolve_user
from akash_sandbox.runtimes.container import ContainerSpec
from akash_sandbox.workload import WorkloadAsk

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GREATEST_HOSTNAME = 63


def container_spec(
    ask: WorkloadAsk, image: Image, folder: Path, network: Path | None
) -> ContainerSpec:
    """Return the container of a workload; raises ImageError when the image does not say enough."""
    argv = _argv(ask, image)
    if not argv:
        raise ImageError(f"image {ask.image}: names no program; give the service a command")
    user = resolve_user(str(image.config.get("User") or ""), image.rootfs)
    hostname = ask.id[:_GREATEST_HOSTNAME].strip("-.") or "workload"
    return ContainerSpec(
        id=ask.id,
        rootfs=image.rootfs,
        folder=folder,
        argv=argv,
        env=_environment(ask, image, home=user.home, hostname=hostname),
        cwd=str(image.config.get("WorkingDir") or "/"),
        uid=user.uid,
        gid=user.gid,
        cpu=ask.cpu_millis,
        memory=ask.memory_bytes,
        hostname=hostname,
        log=folder / "log",
        confinement=ask.confinement,
        network=network,
        nameserver=str(RESOLVER) if network is not None else "",
    )


def _argv(ask: WorkloadAsk, image: Image) -> tuple[str, ...]:
    """Combine as Kubernetes does: a command of one's own leaves the image's arguments out too."""
    if ask.command:
        return (*ask.command, *ask.args)
    entrypoint = tuple(image.config.get("Entrypoint") or ())
    return (*entrypoint, *(ask.args or tuple(image.config.get("Cmd") or ())))


def _environment(
    ask: WorkloadAsk, image: Image, *, home: str, hostname: str
) -> tuple[tuple[str, str], ...]:
    merged = {"PATH": _PATH, "HOME": home, "HOSTNAME": hostname}
    for entry in image.config.get("Env") or ():
        name, _, value = str(entry).partition("=")
        merged[name] = value
    return tuple((merged | dict(ask.env)).items())
