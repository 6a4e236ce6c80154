"""Into an unmodified image: environment only, read-only root, an ordinary user."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentinel.agent import loader
from tests.sentinel.agent.agent_process import PYTHON, AgentProcess, archive, until

READ_ONLY = """
set -e
mount --make-rprivate /
mount -o bind,remount,ro /
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all "$@"
"""
NOBODY = 65534


class LoadedProcess(AgentProcess):
    """The agent as a manifest starts it: LOADER and variables, nothing else."""

    before: tuple[str, ...] = ()
    change: Callable[[dict[str, str]], None] | None = None

    def __enter__(self) -> LoadedProcess:
        encoded = base64.b64encode(json.dumps(self.bootstrap).encode()).decode()
        env = {"PATH": os.environ["PATH"], "GARRISON_BOOTSTRAP": encoded}
        env.update(loader.environment(archive(), self.digest))
        if self.change:
            self.change(env)
        python = shutil.which("python3", path="/usr/bin") or PYTHON
        command = [*self.before, python, *loader.COMMAND[1:]]
        with self.stderr.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=env, stderr=log, stdin=subprocess.DEVNULL, cwd="/"
            )
        try:
            until(self._answers)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self


def test_the_loader_is_short() -> None:
    assert len(loader.LOADER) < 1100
    assert all(len(part) < 128 * 1024 for part in loader.environment(b"x" * 300_000, "").values())


def _loaded(folder: Path, **attributes: Any) -> LoadedProcess:
    process = LoadedProcess(folder)
    for name, value in attributes.items():
        setattr(process, name, value)
    return process


def test_from_the_environment(tmp_path: Path) -> None:
    with _loaded(tmp_path) as agent:
        assert agent.call("POST", "/v1/hello", {"nonce": "a" * 32})["sentinel"] == agent.digest
        agent.enrol()
        agent.start()
        names = agent.get("/environ").split("\n")
        assert not [name for name in names if name.startswith("GARRISON")]


def test_on_a_read_only_root_as_an_ordinary_user(tmp_path: Path) -> None:
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs root, unshare and setpriv to make a read-only root")
    before = ("unshare", "--mount", "--", "/bin/sh", "-c", READ_ONLY, "sh")
    with _loaded(tmp_path, before=before) as agent:
        status = Path(f"/proc/{agent.process.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}" in status
        assert "CapBnd:\t0000000000000000" in status
        agent.enrol()
        body = {"version": 1, "value": "c2VjcmV0", "file": "token.txt"}
        agent.call("PUT", "/v1/secrets/token", body)
        agent.call("POST", "/v1/start", agent.launch(argv=_serve(agent)))
        until(lambda: agent.get("/file") == "secret")
        assert agent.status()["egress"]["level"]["level"] == "Enforced"
        agent.call("PUT", "/v1/secrets/token", {**body, "version": 2, "value": "bmV3"})
        assert agent.get("/file") == "new"
        agent.call("POST", "/v1/seal", {})


def _serve(agent: AgentProcess) -> list[str]:
    argv = agent.launch()["argv"]
    return [shutil.which("python3", path="/usr/bin") or PYTHON, *argv[1:]]


@pytest.mark.parametrize("wrong", ["part", "digest", "missing part", "no digest"])
def test_another_program_does_not_run(tmp_path: Path, wrong: str) -> None:
    def change(env: dict[str, str]) -> None:
        if wrong == "part":
            env["GARRISON_SENTINEL_0"] = "AAAA" + env["GARRISON_SENTINEL_0"][4:]
        elif wrong == "digest":
            env[loader.DIGEST] = "0" * 64
        elif wrong == "missing part":
            del env["GARRISON_SENTINEL_0"]
        else:
            del env[loader.DIGEST]

    process = _loaded(tmp_path, change=change)
    with pytest.raises(AssertionError, match="not the one it should be"), process:
        pass
    assert process.process.returncode == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is missing"),
        ("!", "not base64"),
        (base64.b64encode(b"[]").decode(), "not a JSON object"),
        (base64.b64encode(b"{}").decode(), "version 1"),
    ],
)
def test_a_broken_bootstrap_is_named(tmp_path: Path, text: str, said: str) -> None:
    process = _loaded(tmp_path, change=lambda env: env.update(GARRISON_BOOTSTRAP=text))
    with pytest.raises(AssertionError, match=said), process:
        pass
    assert process.process.returncode == 78


def test_without_memfd(tmp_path: Path) -> None:
    """A Python built against an old C library has none: an unnamed file in memory serves."""
    text = f"import os\nvars(os).pop('memfd_create', None)\n{loader.LOADER}"
    env = {
        "PATH": os.environ["PATH"],
        **loader.environment(archive(), AgentProcess(tmp_path).digest),
    }
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", text],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "GARRISON_BOOTSTRAP is missing" in ran.stderr
    assert ran.returncode == 78
