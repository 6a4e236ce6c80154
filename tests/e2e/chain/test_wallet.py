"""An operator with a wallet: what its account tells, and that the key and its tokens show nowhere."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.bench_stage import NAMESPACE
from devenv.stage import SECRET, Stage
from tests.e2e.waiting import eventually

CANARY = "c0ffee5eedfacade" * 4
TOKEN = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
CRASHING = f"""
import os, resource
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
held = bytes.fromhex('{CANARY}') * 9
os.abort()
"""


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


def dumped(folder: Path) -> list[Path]:
    """Return the core dumps in a folder."""
    return [each for each in folder.iterdir() if each.name.startswith("core")]


def test_the_search_finds_what_is_there() -> None:
    token = b"eyJhbGciOiJFUzI1NksifQ.eyJpc3MiOiJha2FzaDEifQ.c2lnbmF0dXJl"
    for each in (*spellings(CANARY), token):
        assert shown(b"before " + each + b" after", CANARY)
    assert shown(b"nothing of the kind", CANARY) == []


async def test_an_account_on_the_chain_tells_everything_about_its_money(stage: Stage) -> None:
    await eventually(
        "the account has seen the lease's escrow, and who holds it",
        lambda: stage.get("aa", "treasury"),
        lambda found: any(
            each.get("provider") for each in (found.get("status") or {}).get("escrows") or ()
        ),
    )
    shown = await stage.kubectl("describe", "aa", "treasury")
    status = (await stage.get("aa", "treasury"))["status"]
    (held,) = status["escrows"]
    assert held["lease"].startswith(f"{NAMESPACE}/chat-")
    assert held["provider"].startswith("akash1")
    assert float(held["left"]) > 0
    (endpoint,) = status["endpoints"]
    assert (endpoint["usable"], endpoint["lag"]) == (True, 0)
    assert endpoint["height"] > 0
    assert float(status["feeBalance"]) > 99
    for label in (
        "Address:",
        "Balance:",
        "Fee Balance:",
        "Escrowed:",
        "Escrows:",
        "Burn Per Hour:",
        "Runway Hours:",
        "Endpoints:",
        "Height:",
        "Lag:",
    ):
        assert label in shown
    for figure in (status["address"], status["balance"], held["left"], held["lease"]):
        assert figure in shown


async def test_a_key_that_signed_and_its_tokens_are_nowhere_to_be_seen(stage: Stage) -> None:
    """The last test of this folder that needs the operator: it ends it."""
    key = stage.market.key_file.read_text().strip()
    operator = stage.processes["operator"]
    log = operator.log.read_bytes()
    assert b"CreateDeployment" in log
    assert b"SendManifest" in log
    assert shown(log, key) == []
    assert shown(await objects(stage), key) == []
    assert shown(processes(), key) == []
    os.kill(operator.pid, signal.SIGABRT)
    assert await operator.wait() == -signal.SIGABRT
    assert dumped(stage.folder.parent) == []


def test_without_the_precaution_a_core_dump_shows_the_key(tmp_path: Path) -> None:
    """Shows that the machine dumps where the test above looks."""
    child = subprocess.run(
        [sys.executable, "-c", CRASHING],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGABRT
    found = dumped(tmp_path)
    if not found:
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
        pytest.skip(f"core dumps go elsewhere here, or nowhere: core_pattern is {pattern}")
    assert any(shown(each.read_bytes(), CANARY) for each in found)
