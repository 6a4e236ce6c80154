"""Inside a real gVisor container, where the kernel has no user notification: the rung ``relay``."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.errors import DevenvError
from devenv.gvisor import ensure_runsc
from tests.sentinel.guard.conftest import NOBODY
from tests.sentinel.guard.netns import ALLOWED, FORBIDDEN, Wire, unavailable, wire

pytestmark = [pytest.mark.long, pytest.mark.timeout(1900)]
POLICY = {
    "allow": [
        {"host": "allowed.example", "ports": [80]},
        {"cidr": f"{ALLOWED}/32", "ports": [80]},
    ]
}
TRY = f"""
import socket, urllib.request
def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError as error:
        return str(getattr(error, "reason", error))
for url in ("http://allowed.example/", "http://{ALLOWED}/", "http://evil.example/",
            "http://{FORBIDDEN}/"):
    print(fetch(url))
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    try:
        protocol = 0 if kind == socket.SOCK_DGRAM else 1
        socket.socket(socket.AF_INET, kind, protocol).sendto(b"x" * 8, ("{FORBIDDEN}", 53))
        print("sent")
    except OSError as error:
        print(error)
"""


@pytest.fixture
def own_wire(folder: Path) -> Iterator[Wire]:
    """gVisor takes the addresses of the namespace for itself, so it is used once."""
    if why := unavailable():
        pytest.skip(why)
    with wire(folder, tag="v") as made:
        yield made


SYSTEM = ("/usr", "/bin", "/lib", "/lib64")


def mount(source: Path, target: str, access: str) -> dict[str, Any]:
    options = ["rbind", access]
    return {"destination": target, "type": "bind", "source": str(source), "options": options}


def bundle(folder: Path, argv: list[str], made: Wire, user: int) -> Path:
    """Write an OCI bundle that runs a command on this machine's own programs, read-only."""
    root = folder / "root"
    root.mkdir()
    kinds: list[dict[str, str]] = [{"type": each} for each in ("pid", "mount", "ipc", "uts")]
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": user},
            "args": argv,
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            mount(folder / "shared", "/mnt", "rw"),
            *(mount(Path(each), each, "ro") for each in SYSTEM if Path(each).exists()),
            mount(made.folder / "resolv.conf", "/etc/resolv.conf", "ro"),
        ],
        "linux": {"namespaces": [*kinds, {"type": "network", "path": f"/run/netns/{made.near}"}]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
def test_it_enforces_by_relaying(
    user: int, own_wire: Wire, zipapp: Path, folder: Path, python: str
) -> None:
    try:
        runsc = asyncio.run(ensure_runsc())
    except DevenvError as error:
        pytest.skip(str(error))
    place = folder / f"bundle-{user}"
    shared = place / "shared"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    (shared / "sentinel.pyz").write_bytes(zipapp.read_bytes())
    (shared / "policy.json").write_text(json.dumps(POLICY))
    guard = [python, "-I", "-S", "/mnt/sentinel.pyz", "guard", "--policy", "/mnt/policy.json"]
    argv = [*guard, "--report", "/mnt/report", "--", python, "-c", TRY]
    bundle(place, argv, own_wire, user)
    own_wire.seen.clear()
    state = place / "state"
    command = [str(runsc), "--root", str(state), "--ignore-cgroups", "run", "-bundle", str(place)]
    try:
        done = subprocess.run(
            [*command, f"{own_wire.near}-{user}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    finally:
        subprocess.run(["umount", str(state / "null-netns")], check=False, capture_output=True)
    report = shared / "report"
    assert report.exists(), done.stderr
    start = json.loads(report.read_text().splitlines()[0])
    assert (start["level"], start["rung"]) == ("Enforced", "relay"), json.dumps(start)
    by_name, by_address, *refused = done.stdout.splitlines()
    assert (by_name, by_address) == ("ok", "ok"), done.stdout
    assert len(refused) == 4
    assert not {"ok", "sent"} & set(refused)
    assert own_wire.forbidden() == []
