"""The wallet's key and the tokens it signs are in no log, object, process list or core dump."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.bench import workload
from devenv.stage import SECRET, Stage
from tests.e2e.waiting import eventually

CANARY = "c0ffee5eedfacade" * 4
TOKEN = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
CRASHING = f"import os; held = bytes.fromhex('{CANARY}') * 9; os.abort()"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def core_dumps() -> Iterator[None]:
    """Let processes that are started now dump as much as they like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def spellings(key: str) -> tuple[bytes, ...]:
    """Return the usual ways of writing a key down."""
    raw = bytes.fromhex(key)
    return (
        raw,
        key.encode(),
        key.upper().encode(),
        str(int(key, 16)).encode(),
        base64.b64encode(raw),
        base64.b64encode(key.encode()),
    )


def shown(where: bytes, key: str) -> list[str]:
    """Return the spellings of the key that a text shows, and the tokens."""
    found = [each.decode("latin-1") for each in spellings(key) if each in where]
    return found + [each.decode() for each in TOKEN.findall(where)]


def processes() -> bytes:
    """Return the command lines and variables of every process that may be looked at."""
    found = []
    for entry in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            if entry.name.isdigit():
                try:
                    found.append((entry / name).read_bytes())
                except OSError:
                    continue
    return b"\n".join(found)


async def objects(stage: Stage) -> bytes:
    """Return every object that the operator writes or could write, but for the wallet's own Secret."""
    kinds = "iw,al,aa,ap,events,secrets,services"
    found = json.loads(await stage.kubectl("get", kinds, "-A", "-o", "json"))["items"]
    others = [each for each in found if each["metadata"]["name"] != SECRET]
    assert len(others) < len(found)
    return json.dumps(others).encode()


async def served(stage: Stage) -> None:
    """Have one workload served on the chain."""
    limits = {"maxPricePerHour": "20", "maxLeases": 5, "maxNewLeasesPer10Minutes": 50}
    backend = await stage.backend(horizon_seconds=30)
    body = workload("chat", stage.images["synthetic"])
    namespace = body["metadata"]["namespace"]
    await stage.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        stage.account(backend=backend, limits=limits),
        body,
    )
    await eventually(
        "a lease on the chain is Ready",
        lambda: stage.get("al", "-n", namespace),
        lambda found: any(
            (each.get("status") or {}).get("phase") == "Ready" for each in found["items"]
        ),
    )


def dumped(folder: Path) -> list[Path]:
    """Return the core dumps in a folder."""
    return [each for each in folder.iterdir() if each.name.startswith("core")]


def test_the_search_finds_what_is_there() -> None:
    token = b"eyJhbGciOiJFUzI1NksifQ.eyJpc3MiOiJha2FzaDEifQ.c2lnbmF0dXJl"
    for each in (*spellings(CANARY), token):
        assert shown(b"before " + each + b" after", CANARY)
    assert shown(b"nothing of the kind", CANARY) == []


async def test_a_key_that_signed_and_its_tokens_are_nowhere_to_be_seen(
    stage: Stage, core_dumps: None
) -> None:
    key = stage.market.key_file.read_text().strip()
    operator = await stage.start_operator()
    await served(stage)
    log = operator.log.read_bytes()
    assert b"CreateDeployment" in log
    assert b"SendManifest" in log
    assert shown(log, key) == []
    assert shown(await objects(stage), key) == []
    assert shown(processes(), key) == []
    os.kill(operator.pid, signal.SIGABRT)
    assert await operator.wait() == -signal.SIGABRT
    assert dumped(Path.cwd()) == []


def test_without_the_precaution_a_core_dump_shows_the_key(core_dumps: None, tmp_path: Path) -> None:
    """Shows that the machine dumps where the test above looks."""
    child = subprocess.run(
        [sys.executable, "-c", CRASHING], cwd=tmp_path, capture_output=True, check=False
    )
    assert child.returncode == -signal.SIGABRT
    found = dumped(tmp_path)
    if not found:
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
        pytest.skip(f"core dumps go elsewhere here, or nowhere: core_pattern is {pattern}")
    assert any(shown(each.read_bytes(), CANARY) for each in found)
