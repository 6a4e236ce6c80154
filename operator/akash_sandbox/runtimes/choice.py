"""Which runtime this machine gets: the tightest that works."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from akash_sandbox.runtimes.bubblewrap import BubblewrapRuntime
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.container import Runtime, RuntimeFailure
from akash_sandbox.runtimes.oci import OciRuntime
from akash_sandbox.runtimes.process import ProcessRuntime
from akash_sandbox.runtimes.unshare import UnshareRuntime
from akash_sandbox.settings import RuntimeName

_PROGRAMS = {"runc": "runc", "crun": "crun", "bubblewrap": "bwrap", "unshare": "unshare"}
_log = logging.getLogger(__name__)


async def choose(wanted: RuntimeName, folder: Path, cgroups: Cgroups | None) -> Runtime:
    """Return the runtime with this name, for ``auto`` the tightest that works on this machine.

    Raises RuntimeFailure when the named one does not work here.
    """
    makers = _makers(folder, cgroups)
    for name in makers if wanted == "auto" else [wanted]:
        runtime = makers[name]()
        if _installed(name) and await runtime.usable():
            return runtime
        _log.debug("runtime %s is not usable on this machine", name)
    raise RuntimeFailure(
        f"runtime {wanted} is not installed or does not work on this machine; "
        "install it or set workloads.runtime to auto"
    )


def _makers(folder: Path, cgroups: Cgroups | None) -> dict[str, Callable[[], Runtime]]:
    return {
        "runc": lambda: OciRuntime("runc", folder, cgroups),
        "crun": lambda: OciRuntime("crun", folder, cgroups),
        "bubblewrap": lambda: BubblewrapRuntime(cgroups),
        "unshare": lambda: UnshareRuntime(cgroups),
        "process": lambda: ProcessRuntime(cgroups),
    }


def _installed(name: str) -> bool:
    return name not in _PROGRAMS or shutil.which(_PROGRAMS[name]) is not None
