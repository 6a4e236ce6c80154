"""The workload's life: started late, restarted, drained, stopped, sealed; and process 1's duties."""

from __future__ import annotations

import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from tests.sentinel.agent.agent_process import (
    PYTHON,
    WORKLOAD_CLIENT,
    AgentProcess,
    Refused,
    until,
)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_start_once(running: AgentProcess) -> None:
    pid = running.get()
    assert running.call("POST", "/v1/start", running.launch()) == {"state": "Running"}
    assert running.get() == pid
    with pytest.raises(Refused) as refused:
        running.call("POST", "/v1/start", running.launch(drainSeconds=6))
    assert refused.value.reason == "WrongState"
    status = running.status()
    assert status["workload"]["running"]
    assert f"pid {status['workload']['pid']}" == pid
    until(lambda: running.status()["relay"]["bytesOut"] > 0)  # workers count a moment later


def test_the_environment_is_the_workloads_own(running: AgentProcess) -> None:
    names = set(running.get("/environ").split("\n"))
    assert "PATH" in names
    assert not [name for name in names if name.startswith("GARRISON")]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"argv": ["/nowhere/program"]}, 422),
        ({"argv": []}, 400),
        ({"argv": "sh"}, 400),
        ({"cwd": "/nowhere"}, 422),
        ({"port": 0}, 400),
        ({"env": {"A=B": "c"}}, 400),
        ({"env": {"A": 1}}, 400),
        ({"stopSignal": "SIGNOTHING"}, 400),
        ({"metricsPath": "metrics"}, 400),
    ],
)
def test_a_start_that_fails_can_be_repeated(
    enrolled: AgentProcess, changes: dict[str, object], status: int
) -> None:
    with pytest.raises(Refused) as refused:
        enrolled.call("POST", "/v1/start", enrolled.launch(**changes))
    assert refused.value.status == status
    assert enrolled.status()["state"] == "Enrolled"
    enrolled.start()


def test_the_agents_own_port_is_no_workloads(enrolled: AgentProcess) -> None:
    with pytest.raises(Refused):
        enrolled.call("POST", "/v1/start", enrolled.launch(port=enrolled.control))


def test_it_is_restarted_and_counted(running: AgentProcess) -> None:
    first = running.status()["workload"]["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: running.status()["workload"]["restarts"] == 1)
    until(lambda: running.status()["workload"]["running"])
    view = running.status()["workload"]
    assert view["exitCode"] == 128 + signal.SIGKILL
    assert view["pid"] != first
    assert view["lastExit"]
    until(lambda: running.get() == f"pid {view['pid']}")


def test_pauses_grow(enrolled: AgentProcess) -> None:
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=["/bin/sh", "-c", "exit 7"]))
    until(lambda: bool(enrolled.status()["workload"]["restarts"] == 2))  # after 0 and 1 s
    began = time.monotonic()
    until(lambda: bool(enrolled.status()["workload"]["restarts"] == 3))
    assert time.monotonic() - began > 1.5
    assert enrolled.status()["workload"]["exitCode"] == 7


def test_stop_takes_everything_along(enrolled: AgentProcess) -> None:
    daemon = "import os, time; os.fork() or (os.setsid(), time.sleep(600)); time.sleep(600)"
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=[PYTHON, "-c", daemon]))
    until(lambda: b"workload_processes 2" in enrolled.raw("GET", "/v1/metrics")[1])
    assert enrolled.call("POST", "/v1/stop", {}) == {"state": "Stopped"}
    assert b"workload_processes 0" in enrolled.raw("GET", "/v1/metrics")[1]
    with pytest.raises(Refused):
        enrolled.call("POST", "/v1/start", enrolled.launch())


def test_stop_waits_for_a_graceful_end_and_no_longer(enrolled: AgentProcess) -> None:
    stubborn = "import signal, time; signal.signal(15, lambda *a: print('no', flush=True))\n"
    stubborn += "print('up', flush=True)\nwhile True: time.sleep(1)"
    launch = enrolled.launch(argv=[PYTHON, "-c", stubborn], drainSeconds=1)
    enrolled.call("POST", "/v1/start", launch)
    until(lambda: "up" in _logs(enrolled))
    pid = enrolled.status()["workload"]["pid"]
    enrolled.call("POST", "/v1/stop", {})
    assert not _alive(pid)
    assert "no" in _logs(enrolled)
    assert enrolled.status()["workload"]["exitCode"] == 128 + signal.SIGKILL


def _logs(agent: AgentProcess) -> list[str]:
    with agent.lines("/v1/logs") as lines:
        return [line["line"] for line in lines]


def test_drain_finishes_what_was_begun(running: AgentProcess) -> None:
    kept = http.client.HTTPSConnection(
        "127.0.0.1", running.data, context=running.context(WORKLOAD_CLIENT), timeout=10
    )
    kept.request("GET", "/")
    kept.getresponse().read()
    assert running.call("POST", "/v1/drain", {"seconds": 60}) == {"connections": 1}
    assert running.status()["state"] == "Draining"
    assert running.get() == ""
    kept.request("GET", "/")
    assert kept.getresponse().status == 200
    kept.close()
    assert running.call("POST", "/v1/stop", {}) == {"state": "Stopped"}


def test_seal_is_final(running: AgentProcess) -> None:
    pid = running.status()["workload"]["pid"]
    assert running.call("POST", "/v1/seal", {"reason": "a second session"}) == {"state": "Sealed"}
    assert not _alive(pid)
    assert running.get() == ""
    status = running.status()
    assert status["state"] == "Sealed"
    assert status["sealedBecause"] == "a second session"
    assert status["certificate"] is None
    assert status["workload"] is None
    for method, path in (("POST", "/v1/enrol"), ("POST", "/v1/stop")):
        if path == "/v1/stop":
            running.call(method, path, {})
        else:
            with pytest.raises(Refused, match="for good: a second session"):
                running.call(method, path, {"nonce": "a" * 32})
    assert running.status()["state"] == "Sealed"


def test_seal_does_not_wait_for_a_stop(enrolled: AgentProcess) -> None:
    stubborn = [PYTHON, "-c", "import signal, time; signal.signal(15, print); time.sleep(600)"]
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=stubborn, drainSeconds=600))
    connection = enrolled.connection()
    connection.request("POST", "/v1/stop", "{}")
    time.sleep(0.3)
    enrolled.call("POST", "/v1/seal", {"reason": "now"})
    assert connection.getresponse().read()
    connection.close()
    assert enrolled.status()["state"] == "Sealed"


def test_sigterm_ends_the_workload_first(running: AgentProcess) -> None:
    pid = running.status()["workload"]["pid"]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert not _alive(pid)


def test_signals_are_forwarded(running: AgentProcess) -> None:
    running.process.send_signal(signal.SIGHUP)
    until(lambda: "hangup" in _logs(running))


def test_orphans_are_reaped(running: AgentProcess) -> None:
    orphan = "/bin/sh -c '/bin/sh -c \"exit 0\" & echo started'"
    running.raw("GET", f"/v1/shell?cmd={orphan.replace(' ', '%20')}")
    until(lambda: not _zombies(running.process.pid))


def _zombies(parent: int) -> list[str]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pid for pid in children if not _alive(int(pid))]


def test_the_workloads_metrics_are_relayed(enrolled: AgentProcess) -> None:
    enrolled.start(metricsPath="/metrics")
    assert enrolled.raw("GET", "/v1/workload-metrics") == (200, b"up 1\n")


def test_as_another_user(enrolled: AgentProcess) -> None:
    if os.geteuid():
        pytest.skip("only root can start a workload as another user")
    whoami = "import os; print(os.getuid(), os.getgid(), os.getgroups(), flush=True)"
    launch = enrolled.launch(argv=["/usr/bin/python3", "-c", whoami], uid=65534, gid=65534)
    enrolled.call("POST", "/v1/start", launch)
    until(lambda: "65534 65534 []" in _logs(enrolled))
