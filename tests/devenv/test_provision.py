"""What the tests of the local market run containers with, on machines of every sort."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv import provision
from devenv.errors import DevenvError
from devenv.steps import Say

Here = set[str]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """The programs of the machine; apt adds to them, and has no crun."""
    programs = {"runc", "apt-get"}

    async def apt_install(package: str, why: str, say: Say) -> None:
        del why, say
        if package == "crun":
            raise DevenvError("apt-get install crun: no such package\nand much more")
        programs.add({"bubblewrap": "bwrap"}[package])

    monkeypatch.setattr(provision, "_apt_install", apt_install)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name in programs else None)
    return programs


async def test_what_is_missing_is_installed_and_what_cannot_be_is_named(here: Here) -> None:
    assert await provision.ensure_every_runtime(say=print) == [
        "crun is not here: apt-get install crun: no such package"
    ]
    assert "bwrap" in here


async def test_where_apt_is_not_all_that_is_missing_is_named(here: Here) -> None:
    here.discard("apt-get")
    found = await provision.ensure_every_runtime(say=print)
    assert [each.partition(" ")[0] for each in found] == ["crun", "bubblewrap"]


async def test_where_everything_is_here_nothing_is_installed(here: Here) -> None:
    here |= {"crun", "bwrap"}
    here.discard("apt-get")
    assert await provision.ensure_every_runtime(say=print) == []


@pytest.fixture
def no_newest_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without it, and a Go client that cannot fetch it."""

    async def ensure_newest(*, say: Say) -> Path:
        del say
        raise DevenvError("Go cannot fetch it: set GOPROXY\ndial tcp: connection refused")

    monkeypatch.setattr(provision, "installed", lambda _version: None)
    monkeypatch.setattr(provision, "ensure_newest", ensure_newest)


@pytest.mark.usefixtures("no_newest_python")
async def test_a_python_that_cannot_be_fetched_is_named_in_a_line() -> None:
    (line,) = await provision.ensure_newest_python(say=print)
    assert line == "Python 3.14 is not here: Go cannot fetch it: set GOPROXY"


@pytest.mark.usefixtures("no_newest_python")
async def test_a_python_of_the_machines_own_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "installed", lambda version: Path(f"/bin/python{version}"))
    assert await provision.ensure_newest_python(say=print) == []
