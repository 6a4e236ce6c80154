"""What the operator sees: policy and denials, connectivity, integrity, metrics, logs."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from garrison.adapters.sentinel.page import samples_of
from sentinel.agent import integrity, metrics, processes, program
from sentinel.agent.connections import address, outbound, port
from sentinel.agent.metrics import Page, is_busy_while_idle
from sentinel.agent.outsiders import Outsiders
from tests.sentinel.agent.agent_process import LEASE, PYTHON, AgentProcess, Refused, until, verified

AWAY = "203.0.113.9"  # TEST-NET-3: nothing is there
DIAL = f"import socket, time; print(socket.socket().connect_ex(('{AWAY}', 3333)), flush=True); time.sleep(600)"
ALLOWED = {"allow": [{"cidr": f"{AWAY}/32", "ports": [3333]}]}


def _logs(agent: AgentProcess) -> list[str]:
    with agent.lines("/v1/logs") as lines:
        return [line["line"] for line in lines]


def test_denials_are_shown(enrolled: AgentProcess) -> None:
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=[PYTHON, "-c", DIAL]))
    until(lambda: _logs(enrolled) == ["13"])
    until(lambda: enrolled.status()["deniedTotal"] == 1)
    status = enrolled.status()
    (denied,) = status["denied"]
    assert (denied["destination"], denied["port"], denied["count"]) == (AWAY, 3333, 1)
    assert denied["process"].startswith("/")
    assert denied["mining"] == "pool-port"
    assert status["observed"] == []
    text = enrolled.raw("GET", "/v1/metrics")[1].decode()
    assert f'egress_denied_destination_total{{destination="{AWAY}",port="3333"' in text
    assert "garrison_sentinel_egress_mining_total 1" in text


def test_a_new_policy_is_in_force_when_the_answer_comes(enrolled: AgentProcess) -> None:
    target = {"targets": [{"host": AWAY, "port": 3333}]}
    (before,) = enrolled.call("POST", "/v1/connectivity", target)["results"]
    assert (before["allowed"], before["error"]) == (False, "refused by the guard")
    answer = enrolled.call("PUT", "/v1/egress", {"version": 7, "spec": ALLOWED})
    assert answer["version"] == 7
    assert answer["level"]["mode"] == "Enforce"
    (after,) = enrolled.call("POST", "/v1/connectivity", {})["results"]
    assert (after["host"], after["allowed"]) == (AWAY, True)
    assert after["error"] != "refused by the guard"
    with pytest.raises(Refused) as refused:
        enrolled.call("PUT", "/v1/egress", {"version": 6, "spec": {}})
    assert refused.value.reason == "StaleVersion"
    same = enrolled.call("PUT", "/v1/egress", {"version": 7, "spec": {}})
    assert same == answer


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"allow": [{"host": "*.*"}]}, "InvalidPolicy"),
        (None, "InvalidPolicy"),
    ],
)
def test_a_policy_that_cannot_be_held_changes_nothing(
    enrolled: AgentProcess, spec: object, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        enrolled.call("PUT", "/v1/egress", {"version": 2, "spec": spec})
    assert refused.value.reason == reason
    assert enrolled.status()["egress"]["version"] == 1


def test_a_weaker_machine_starts_nothing(tmp_path: Path) -> None:
    """A policy that demands enforcement, on a rung that this machine is said not to have."""
    egress = {**ALLOWED, "requireEnforced": True}
    with AgentProcess(tmp_path, egress=egress, options=("--rung", "none-such")) as agent:
        agent.enrol()
        assert agent.status()["egress"]["level"]["level"] == "Refused"
        with pytest.raises(Refused) as refused:
            agent.call("POST", "/v1/start", agent.launch())
        assert refused.value.reason == "EgressNotEnforced"
        assert agent.status()["state"] == "Enrolled"


def test_audit_lets_through_and_tells(tmp_path: Path) -> None:
    with AgentProcess(tmp_path, egress={"mode": "Audit"}) as agent:
        agent.enrol()
        agent.start()
        level = agent.status()["egress"]["level"]
        assert (level["level"], level["mode"]) == ("DeclaredOnly", "Audit")
        agent.raw("GET", f"/v1/shell?cmd={PYTHON}%20-c%20%22{DIAL.replace(' ', '%20')}%22")
        agent.call("POST", "/v1/connectivity", {"targets": [{"host": AWAY, "port": 9}]})
        assert agent.status()["denied"] == []
        until(lambda: any(each["destination"] == AWAY for each in agent.status()["observed"]))


def test_the_relay_rung_serves_from_another_network(tmp_path: Path) -> None:
    with AgentProcess(tmp_path, egress=ALLOWED, options=("--rung", "relay")) as agent:
        level = agent.status()["egress"]["level"]
        if level["rung"] != "relay":
            pytest.skip(f"no user namespaces here: {level['selfTest']}")
        agent.enrol()
        agent.start(metricsPath="/metrics")
        assert agent.get().startswith("pid ")
        assert agent.raw("GET", "/v1/workload-metrics") == (200, b"up 1\n")


# -- integrity


def test_integrity_is_proved(running: AgentProcess, tmp_path: Path) -> None:
    folder = tmp_path / "app" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("a")
    (tmp_path / "app" / "b.txt").write_text("b")
    nonce = secrets.token_hex(32)
    globs = [f"{tmp_path}/app/**", f"{tmp_path}/nothing*", "relative"]
    answer = running.call("POST", "/v1/integrity", {"nonce": nonce, "paths": globs})
    assert answer["nonce"] == nonce
    assert answer["files"] == {
        str(folder / "a.py"): hashlib.sha256(b"a").hexdigest(),
        str(tmp_path / "app" / "b.txt"): hashlib.sha256(b"b").hexdigest(),
    }
    assert answer["missing"] == globs[1:]
    assert answer["sentinel"] == running.digest
    assert answer["truncated"] is False
    python = str(Path(PYTHON).resolve())
    assert answer["executables"][python] == _sha256(Path(python))
    libraries = [path for path in answer["libraries"] if "/libc.so" in path]
    assert libraries
    assert answer["libraries"][libraries[0]] == _sha256(Path(libraries[0]))
    workload = running.status()["workload"]["pid"]
    assert any(each["pid"] == workload for each in answer["processes"])
    rest = {name: value for name, value in answer.items() if name != "proof"}
    digest = hashlib.sha256(integrity.canonical(rest)).hexdigest()
    instance = running.status()["instance"]
    text = f"garrison-integrity-v1\n{LEASE}\n{instance}\n{nonce}\n{digest}"
    verified(running.presented(), answer["proof"], text)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/a.py", ["a.py"]),
        ("/*.py", ["a.py"]),
        ("/?.py", ["a.py"]),
        ("/*", [".hidden", "a.py", "b+c.txt"]),
        ("/**", [".hidden", "a.py", "b+c.txt", "d/e.py", "d/f/g.py"]),
        ("/**/*.py", ["a.py", "d/e.py", "d/f/g.py"]),
        ("/d/**/g.py", ["d/f/g.py"]),
        ("/*/e.py", ["d/e.py"]),
        ("/b+c.txt", ["b+c.txt"]),
        ("/d", []),
        ("/nothing/**", []),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("a.py", "b+c.txt", ".hidden", "d/e.py", "d/f/g.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "loop").symlink_to(tmp_path)
    matches = [
        path.removeprefix(f"{tmp_path}/") for path in integrity.expand(f"{tmp_path}{pattern}")
    ]
    assert sorted(matches) == sorted(found)


def test_bounds_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "MAX_FILES", 3)
    for number in range(5):
        (tmp_path / str(number)).write_text("x")
    answer = integrity.Survey().take([f"{tmp_path}/*"])
    assert answer["truncated"] is True
    assert len(answer["files"]) == 3


def test_a_named_pipe_does_not_hold_it_up(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)
    (tmp_path / "file").write_text("x")
    assert list(integrity.Survey().take([f"{tmp_path}/*"])["files"]) == [str(tmp_path / "file")]


# -- metrics


@pytest.mark.parametrize(
    ("facts", "busy"),
    [
        ({}, False),
        ({"cores": 0.9}, True),
        ({"gpu": 0.5}, True),
        ({"cores": 0.9, "quiet": 5.0}, False),
        ({"cores": 0.9, "served": False, "lived": 60.0}, False),
        ({"cores": 0.9, "served": False, "quiet": float("inf")}, True),
        ({"cores": 0.1, "gpu": 0.1}, False),
    ],
)
def test_busy_while_idle(facts: dict[str, Any], busy: bool) -> None:
    given: dict[str, Any] = {"cores": 0.0, "gpu": 0.0, "quiet": 60.0, "lived": 1e4, "served": True}
    assert is_busy_while_idle(**{**given, **facts}) is busy


def test_labels_are_escaped() -> None:
    page = Page()
    page.add("x", "gauge", ((("name", 'a"b\\c\nd'),), 1))
    assert page.text().decode().splitlines()[1] == ('garrison_sentinel_x{name="a\\"b\\\\c\\nd"} 1')


def test_metrics_of_a_running_workload(running: AgentProcess) -> None:
    until(lambda: running.status()["relay"]["bytesOut"] > 0)  # the relay counts a little later
    text = running.raw("GET", "/v1/metrics")[1].decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["garrison_sentinel_workload_memory_bytes"]) > 1e6
    assert float(lines["garrison_sentinel_workload_processes"]) == 1
    assert float(lines["garrison_sentinel_relay_requests_total"]) >= 1
    assert float(lines['garrison_sentinel_relay_bytes_total{direction="out"}']) > 0
    assert (
        lines["garrison_sentinel_relay_request_seconds_count"]
        == lines['garrison_sentinel_relay_request_seconds_bucket{le="+Inf"}']
    )
    assert "gpu" not in text


def test_outbound_connections_are_counted() -> None:
    assert str(address("0100007F:1F90")) == "127.0.0.1"
    assert port("0100007F:1F90") == 8080
    assert str(address("0000000000000000FFFF00000100007F:0016")) == "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert not [key for key in outbound() if key[0].startswith("127.")]


STUB = """
#include <string.h>
typedef struct { unsigned gpu, memory; } use_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { void *device; unsigned long long kind, data; unsigned a, b; } event_t;
static int left = 1;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(long)(i + 100); return 0; }
int nvmlDeviceGetUUID(void *d, char *s, unsigned n) { strncpy(s, "GPU-1", n); return 0; }
int nvmlDeviceGetUtilizationRates(void *d, use_t *u) { u->gpu = 75; u->memory = 25; return 0; }
int nvmlDeviceGetMemoryInfo(void *d, memory_t *m) { m->total = 8ULL << 30; m->used = 5ULL << 30; return 0; }
int nvmlDeviceGetPowerUsage(void *d, unsigned *p) { *p = 250000; return 0; }
int nvmlDeviceGetTemperature(void *d, int k, unsigned *t) { *t = 61; return 0; }
int nvmlDeviceGetClockInfo(void *d, int k, unsigned *c) { *c = k == 1 ? 1400 : 5001; return 0; }
int nvmlDeviceGetTotalEccErrors(void *d, int a, int b, unsigned long long *n) {
  if ((long)d != 100) return 3;
  *n = 2; return 0;
}
int nvmlEventSetCreate(void **s) { *s = (void *)7; return 0; }
int nvmlDeviceRegisterEvents(void *d, unsigned long long k, void *s) { return 0; }
int nvmlEventSetWait_v2(void *s, event_t *e, unsigned ms) {
  if (left-- <= 0) return 10;
  e->device = (void *)101; e->kind = 8; e->data = 79; return 0;
}
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """What stands in for NVIDIA's library: two GPUs, one of which has just had an error."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler to build a stub of NVIDIA's library with")
    source, made = tmp_path / "stub.c", tmp_path / "libnvidia-ml.so.1"
    source.write_text(STUB)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True)
    return made


def test_gpus_are_read_through_nvidias_library(library: Path) -> None:
    text = (Path(integrity.__file__).parent / "nvml.py").read_text()
    ran = subprocess.run(
        [PYTHON, "-I", "-S", "-c", text],
        input="\n\n",
        env={"NVML_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, _ = (json.loads(line) for line in ran.stdout.splitlines())
    assert first[0] == {
        "gpu": 0,
        "xid": 0,
        "uuid": "GPU-1",
        "utilization": 0.75,
        "memory_utilization": 0.25,
        "memory_used_bytes": 5 << 30,
        "memory_total_bytes": 8 << 30,
        "power_milliwatts": 250_000,
        "celsius": 61,
        "sm_megahertz": 1400,
        "memory_megahertz": 5001,
        "ecc_errors": 2,
    }
    assert first[1]["xid"] == 79
    assert "ecc_errors" not in first[1]


def gpus(agent: AgentProcess) -> dict[str, float]:
    """The figures of the first GPU, as the operator takes them from the page."""
    page = samples_of(agent.raw("GET", "/v1/metrics")[1].decode())
    return {each.name: each.value for each in page.samples if dict(each.labels).get("gpu") == "0"}


def helper(agent: AgentProcess) -> int:
    """The program that reads GPUs beside the agent."""
    found = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and b"nvmlInit_v2" in _command(entry) and _is_below(entry, agent)
    ]
    return found[0]


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def _is_below(entry: Path, agent: AgentProcess) -> bool:
    try:
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    return parent in (agent.process.pid, 0) or (
        parent > 1 and _is_below(Path(f"/proc/{parent}"), agent)
    )


def test_gpus_are_measured_beside_a_guarded_workload(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is found as images say where; the operator takes every figure."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    with AgentProcess(tmp_path, environment=("LD_LIBRARY_PATH",)) as agent:
        agent.enrol()
        agent.start()
        assert gpus(agent) == {
            "gpu_utilization_ratio": 0.75,
            "gpu_memory_utilization_ratio": 0.25,
            "gpu_memory_used_bytes": 5 << 30,
            "gpu_memory_total_bytes": 8 << 30,
            "gpu_power_watts": 250,
            "gpu_temperature_celsius": 61,
            "gpu_sm_clock_hertz": 1400e6,
            "gpu_memory_clock_hertz": 5001e6,
            "gpu_ecc_errors": 2,
            "gpu_xid": 0,
        }
        os.kill(helper(agent), signal.SIGKILL)
        until(lambda: not gpus(agent))
        assert agent.get() != ""


def test_a_reader_of_gpus_that_ended_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends it, or a driver that hangs once, does not blind the rule about busy GPUs."""
    lines = [b"", b'[{"gpu": 0, "utilization": 1.0}]\n']
    monkeypatch.setattr(program, "source", lambda _: "")
    monkeypatch.setattr(program, "Program", lambda *_: Mock(pid=2, line=lambda _: lines.pop(0)))
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    sampler = metrics.Sampler(Mock(), Mock(), Mock(), set, lambda: 1.0)
    assert sampler._read_gpus() == []
    assert sampler._read_gpus() == []
    now[0] += metrics.GPU_RETRY_SECONDS
    assert sampler._read_gpus() == [{"gpu": 0, "utilization": 1.0}]


# -- who is in the container


def test_who_came_from_outside_counts_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by process 1 of a container: what has no parent in there, and what that has started."""
    inside = {
        pid: processes.Process(pid, parent, "R", 1.0, 0, pid)
        for pid, parent in ((1, 0), (7, 1), (20, 0), (21, 20), (22, 1))
    }
    monkeypatch.setattr(processes, "snapshot", lambda: inside)
    assert processes.entered(inside) == set()
    assert Outsiders().look() == []
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert processes.entered(inside) == {20}
    assert {each.pid for each in processes.others({7})} == {20, 21, 22}
    outsiders = Outsiders()
    assert len(outsiders.look()) == 1
    del inside[20]
    assert len(outsiders.look()) == 1


# -- logs


def test_logs_are_followed(running: AgentProcess) -> None:
    with running.lines("/v1/logs?follow=1&tail=0") as lines:
        running.get("/followed")
        line = next(each for each in lines if each["line"] != "served /")  # start asked for that
        assert (line["stream"], line["line"]) == ("stdout", "served /followed")
        assert line["time"].endswith("Z")


def test_the_tail_of_the_logs(running: AgentProcess) -> None:
    running.get("/one")
    running.get("/two")
    until(lambda: _logs(running)[-1:] == ["served /two"])
    with running.lines("/v1/logs?tail=1") as lines:
        assert [line["line"] for line in lines] == ["served /two"]
