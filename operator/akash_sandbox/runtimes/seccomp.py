"""What a provider's machine forbids its containers: seccomp profiles as an OCI runtime takes them."""

from __future__ import annotations

import errno
import json
import platform
from pathlib import Path
from typing import Any, Literal, TypeAlias, assert_never

Confinement: TypeAlias = Literal["unconfined", "runtime-default", "no-user-namespaces"]
"""``unconfined`` is what Kubernetes gives by default, and so what an Akash provider gives;
``runtime-default`` is containerd's own profile, on nodes whose kubelet has ``seccompDefault``;
``no-user-namespaces`` forbids only these, as nodes do whose ``user.max_user_namespaces`` is 0."""

_RUNTIME_DEFAULT = Path(__file__).with_name("containerd-2.4.2-seccomp.json")
_CLONE_NEWUSER = 0x10000000
_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}


def profile(confinement: Confinement) -> dict[str, Any] | None:
    """Return ``linux.seccomp`` of the OCI runtime specification, None for no profile."""
    match confinement:
        case "unconfined":
            return None
        case "runtime-default":
            found: dict[str, Any] = json.loads(_RUNTIME_DEFAULT.read_text())
            return found | _architectures()
        case "no-user-namespaces":
            return _without_user_namespaces() | _architectures()
        case _:
            assert_never(confinement)


def _architectures() -> dict[str, Any]:
    return {"architectures": _ARCHITECTURES.get(platform.machine(), [])}


def _without_user_namespaces() -> dict[str, Any]:
    flag = {
        "index": 0,
        "value": _CLONE_NEWUSER,
        "valueTwo": _CLONE_NEWUSER,
        "op": "SCMP_CMP_MASKED_EQ",
    }
    # The flags of clone3 are in memory, where no filter sees them: libraries fall back to clone.
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            _refused(["unshare", "clone"], errno.ENOSPC, args=[flag]),
            _refused(["clone3"], errno.ENOSYS),
        ],
    }


def _refused(names: list[str], code: int, **more: Any) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": code, **more}
