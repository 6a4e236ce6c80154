"""Secrets: in memory only, for the workload only, in effect when the answer comes."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from sentinel.agent import secrets
from tests.sentinel.agent.agent_process import AgentProcess, Refused, until

CANARY = "canary-5f0c9a"


def _body(version: int, value: str, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(value.encode()).decode()
    target = {} if "env" in more else {"file": "token.txt"}
    return {"version": version, "value": encoded, "onRotate": "None", **target, **more}


def _folder(agent: AgentProcess) -> Path:
    pid = agent.status()["workload"]["pid"]
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (found,) = [each for each in environment if each.startswith(b"GARRISON_SECRETS=")]
    return Path(found.decode().partition("=")[2])


def test_a_file_for_the_workload_only(enrolled: AgentProcess) -> None:
    put = enrolled.call("PUT", "/v1/secrets/hf-token", _body(1, CANARY))
    assert put == {"name": "hf-token", "version": 1}
    enrolled.start()
    assert enrolled.get("/file") == CANARY
    folder = _folder(enrolled)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "token.txt").stat().st_mode & 0o777 == 0o400
    assert sorted(each.name for each in folder.iterdir()) == ["token.txt"]
    enrolled.call("POST", "/v1/seal", {})
    assert not folder.exists()


def test_another_users_file(enrolled: AgentProcess) -> None:
    if os.geteuid():
        pytest.skip("only root can start a workload as another user")
    enrolled.call("PUT", "/v1/secrets/hf-token", _body(1, CANARY))
    argv = ["/bin/sh", "-c", 'cat "$GARRISON_SECRETS/token.txt"; id -u; sleep 600']
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=argv, uid=65534, gid=65534))
    until(lambda: _logs(enrolled) == [f"{CANARY}65534"])


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> secrets.Secrets:
    """Secrets whose folder is below ``tmp_path`` and belongs to another user, where that can be."""
    monkeypatch.setattr(secrets, "memory_place", lambda: str(tmp_path))
    held = secrets.Secrets()
    held.put(secrets.parse("hf-token", _body(1, CANARY)))
    held.settle(*((65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())))
    return held


def test_a_link_in_place_of_the_file_gives_nothing_away(
    held: secrets.Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workload owns the folder, and may be quicker than the next step of the agent."""
    (folder,) = tmp_path.iterdir()
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    owner = victim.stat().st_uid
    write = secrets._write_all

    def slow(fd: int, data: bytes) -> None:
        write(fd, data)
        (temporary,) = folder.glob("..*")
        temporary.unlink()
        temporary.symlink_to(victim)

    monkeypatch.setattr(secrets, "_write_all", slow)
    held.put(secrets.parse("hf-token", _body(2, "new")))
    assert victim.read_text() == "untouched"
    assert victim.stat().st_uid == owner
    held.forget()
    assert victim.exists()


def test_a_link_in_place_of_the_folder_leads_nowhere(held: secrets.Secrets, tmp_path: Path) -> None:
    (folder,) = tmp_path.iterdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = folder.rename(tmp_path / "moved")
    folder.symlink_to(elsewhere)
    held.put(secrets.parse("hf-token", _body(2, "new")))
    assert list(elsewhere.iterdir()) == []
    assert (moved / "token.txt").read_text() == "new"
    held.forget()
    assert elsewhere.exists()


def _logs(agent: AgentProcess) -> list[str]:
    with agent.lines("/v1/logs") as lines:
        return [line["line"] for line in lines]


def test_a_file_changes_in_one_step(enrolled: AgentProcess) -> None:
    enrolled.call("PUT", "/v1/secrets/hf-token", _body(1, "1" * 60_000))
    enrolled.start()
    path, seen, done = _folder(enrolled) / "token.txt", set(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    watching = threading.Thread(target=watch)
    watching.start()
    for version in range(2, 20):
        enrolled.call("PUT", "/v1/secrets/hf-token", _body(version, str(version % 10) * 60_000))
        assert path.read_text() == str(version % 10) * 60_000
    done.set()
    watching.join()
    assert all(len(text) == 60_000 and len(set(text)) == 1 for text in seen)


def test_a_variable_takes_effect_by_restart(enrolled: AgentProcess) -> None:
    enrolled.call("PUT", "/v1/secrets/hf-token", _body(1, "one", env="TOKEN"))
    enrolled.start()
    assert enrolled.get("/env") == "one"
    first = enrolled.get()
    enrolled.call("PUT", "/v1/secrets/hf-token", _body(2, "two", env="TOKEN", onRotate="Restart"))
    until(lambda: enrolled.get("/env") == "two")
    assert enrolled.get() != first
    assert enrolled.status()["workload"]["restarts"] == 0  # it did not end by itself


def test_a_signal_tells_of_a_new_file(running: AgentProcess) -> None:
    running.call("PUT", "/v1/secrets/hf-token", _body(1, CANARY, onRotate="Signal"))
    until(lambda: "hangup" in _logs(running))


def test_versions_only_rise(enrolled: AgentProcess) -> None:
    enrolled.call("PUT", "/v1/secrets/hf-token", _body(5, "five", env="TOKEN"))
    with pytest.raises(Refused) as refused:
        enrolled.call("PUT", "/v1/secrets/hf-token", _body(4, "four", env="TOKEN"))
    assert refused.value.reason == "StaleVersion"
    same = enrolled.call("PUT", "/v1/secrets/hf-token", _body(5, "other", env="TOKEN"))
    assert same == {"name": "hf-token", "version": 5}
    assert enrolled.status()["secrets"] == {"hf-token": 5}
    enrolled.start()
    assert enrolled.get("/env") == "five"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("UPPER", _body(1, CANARY)),
        ("..", _body(1, CANARY)),
        ("token", _body(1, CANARY, file="../passwd")),
        ("token", _body(1, CANARY, file=".hidden")),
        ("token", _body(1, CANARY, file="a/b")),
        ("token", _body(1, CANARY, file="a", env="A")),
        ("token", _body(1, CANARY, file=None)),
        ("token", _body(1, CANARY, env="1A")),
        ("token", _body(1, CANARY, env="GARRISON_X")),
        ("token", _body(1, f"{CANARY}\0", env="A")),
        ("token", _body(1, CANARY, env="A", onRotate="Signal")),
        ("token", _body(1, CANARY, onRotate="Sometimes")),
        ("token", _body(1, CANARY, signal="HUP")),
        ("token", {**_body(1, CANARY), "value": f"!{CANARY}"}),
        ("token", _body(1, CANARY * 6000)),
        ("token", {**_body(1, CANARY), "version": "1"}),
    ],
)
def test_what_is_wrong_is_refused_and_not_repeated(
    shared: AgentProcess, name: str, body: dict[str, Any]
) -> None:
    status, answer = shared.raw("PUT", f"/v1/secrets/{name}", body)
    assert status in (400, 413)
    assert CANARY.encode() not in answer
    assert base64.b64encode(CANARY.encode())[:16] not in answer
    assert shared.status()["secrets"] == {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with AgentProcess(tmp_path_factory.mktemp("agent")) as agent:
        agent.enrol()
        yield agent


def test_two_secrets_cannot_share_a_place(enrolled: AgentProcess) -> None:
    enrolled.call("PUT", "/v1/secrets/one", _body(1, "1"))
    with pytest.raises(Refused) as refused:
        enrolled.call("PUT", "/v1/secrets/two", _body(1, "2"))
    assert refused.value.reason == "Taken"


def test_no_answer_and_no_log_of_ours_shows_one(enrolled: AgentProcess) -> None:
    enrolled.call("PUT", "/v1/secrets/one", _body(1, CANARY))
    enrolled.call("PUT", "/v1/secrets/two", _body(1, CANARY, env="TOKEN"))
    enrolled.start()
    shown = [
        json.dumps(enrolled.status()).encode(),
        enrolled.raw("GET", "/v1/metrics")[1],
        enrolled.raw("GET", "/v1/logs")[1],
        enrolled.raw("POST", "/v1/integrity", {"nonce": "a" * 32, "paths": []})[1],
        enrolled.stderr.read_bytes(),
        *(path.read_bytes() for path in enrolled.folder.rglob("*") if path.is_file()),
    ]
    for each in shown:
        assert CANARY.encode() not in each
        assert base64.b64encode(CANARY.encode()) not in each
        assert enrolled.born.key.encode()[40:80] not in each


def test_two_agents_on_one_machine_keep_their_files(enrolled: AgentProcess, tmp_path: Path) -> None:
    """As in containers that share a /dev/shm, and as tests that run side by side."""
    enrolled.call("PUT", "/v1/secrets/token", _body(1, "first"))
    enrolled.start()
    folder = tmp_path / "second"
    folder.mkdir()
    with AgentProcess(folder) as second:
        second.enrol()
        second.call("PUT", "/v1/secrets/token", _body(1, "second"))
        second.start()
        assert (enrolled.get("/file"), second.get("/file")) == ("first", "second")
        second.call("POST", "/v1/seal", {})
        assert enrolled.get("/file") == "first"


def test_files_of_a_former_life_are_removed(enrolled: AgentProcess, tmp_path: Path) -> None:
    """A container that is killed and restarted may keep its /dev/shm; links in it lead nowhere."""
    left = Path(tempfile.mkdtemp(prefix="garrison-secrets-", dir=secrets.memory_place()))
    (left / "token.txt").write_text(CANARY)
    (left / "below" / "it").mkdir(parents=True)
    (left / "below" / "it" / "copy.txt").write_text(CANARY)
    outside = tmp_path / "outside.txt"
    outside.write_text("stays")
    (left / "below" / "folder").symlink_to(tmp_path)
    (left / "file").symlink_to(outside)
    enrolled.call("PUT", "/v1/secrets/token", _body(1, "new"))
    enrolled.start()
    assert not left.exists()
    assert outside.read_text() == "stays"


def test_the_folder_is_in_memory() -> None:
    assert secrets.memory_place() == "/dev/shm"
    assert "version=3" in repr(secrets.parse("a", _body(3, CANARY)))
    assert CANARY not in repr(secrets.parse("a", _body(3, CANARY)))
