"""A plain process group: for machines that allow no namespaces at all."""

from __future__ import annotations

from pathlib import Path

from akash_sandbox.images.unpack import resolve
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.container import ContainerSpec, RuntimeFailure, limits_in_words
from akash_sandbox.runtimes.launch import LaunchedContainer, clean_environment, launch
from akash_sandbox.runtimes.rootfs import prepare

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessRuntime:
    """The image's program run where this process runs."""

    name = "process"
    own_network = False
    joins_network = False
    seccomp = False

    def __init__(self, cgroups: Cgroups | None) -> None:
        self._cgroups = cgroups
        self.isolation = (
            "plain processes: a folder of their own, but this machine's files, network and user; "
            f"{limits_in_words(limited=cgroups is not None)}"
        )

    async def usable(self) -> bool:
        """Return True: there is always this."""
        return True

    async def start(self, spec: ContainerSpec) -> LaunchedContainer:
        """Start a container; raises RuntimeFailure when the image has no such program."""
        root = await prepare(spec.rootfs, spec.folder, spec.hostname)
        program = _program(root, spec)
        cwd = resolve(root, spec.cwd.split("/"))
        argv = [*clean_environment(spec.env, f"--chdir={cwd}"), str(program), *spec.argv[1:]]
        return await launch(spec, argv, self._cgroups, None)


def _program(root: Path, spec: ContainerSpec) -> Path:
    name = spec.argv[0]
    folders = [""] if "/" in name else dict(spec.env).get("PATH", _PATH).split(":")
    for folder in folders:
        parts = [part for part in f"{folder}/{name}".split("/") if part]
        found = resolve(root, parts)
        if found.is_file():
            return found
    raise RuntimeFailure(f"the image has no program {name!r}; looked in its {', '.join(folders)}")
