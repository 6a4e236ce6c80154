"""``make demo``, ``make up`` and ``make down`` as a person runs them, and what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devenv.cache import cache_home
from devenv.checkout import ROOT

LIMIT_SECONDS = 200
OWN = frozenset({"KUBECONFIG", "GARRISON_USE_CLUSTER", "CONTROL_PLANE", "MAKEFLAGS", "MAKELEVEL"})
"""Variables of the person who runs the tests, which these commands must not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """``output`` holds both streams."""

    code: int
    output: str


class Home:
    """A folder in which commands keep their stage and temporary files; built parts are shared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        own = folder / "cache" / "garrison"
        own.mkdir(parents=True)
        for each in cache_home().iterdir():
            if each.name != "up":
                (own / each.name).symlink_to(each)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a command."""
        kept = {name: value for name, value in os.environ.items() if name not in OWN}
        places = {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return {**kept, **places, **more}

    async def start(self, *argv: str, **env: str) -> Command:
        """Start a command in a process group of its own, as a terminal does."""
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environment(env),
            cwd=ROOT,
            start_new_session=True,
        )
        return Command(child)

    async def run(self, *argv: str, **env: str) -> Ended:
        """Run a command to its end."""
        return await (await self.start(*argv, **env)).ended()

    def left(self) -> list[str]:
        """Return what is still there: processes, mounts, temporary files."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return [
            *self._processes(),
            *(line for line in mounts if f" {self.folder}/" in line),
            *(str(each) for each in self.temporary.iterdir()),
        ]

    def was_up(self) -> bool:
        """Return whether a stage has ever been started here."""
        return (self.folder / "cache" / "garrison" / "up").exists()

    def kill(self, what: str) -> None:
        """Kill the processes of this home whose command line holds these words."""
        for pid, words in self._running():
            if what in words:
                os.kill(pid, signal.SIGKILL)

    def market_folder(self) -> Path:
        """Return the folder of the market that runs now."""
        for words in self._processes():
            if found := re.search(r"akash_sandbox serve --data-dir (\S+)", words):
                return Path(found[1])
        raise AssertionError("no local market is running")

    def _processes(self) -> list[str]:
        return [words for _, words in self._running()]

    def _running(self) -> list[tuple[int, str]]:
        """Return the processes that have this folder in their command line or variables."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    words = (entry / "cmdline").read_bytes()
                    if os.fsencode(self.folder) in words + (entry / "environ").read_bytes():
                        text = words.replace(b"\0", b" ").decode(errors="replace")
                        found.append((int(entry.name), text))
        return found


class Command:
    """A running command."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._lines: list[str] = []

    async def says(self, pattern: str) -> None:
        """Wait for a line in which the pattern is found."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while line := await self._line():
                if re.search(pattern, line):
                    return
        raise AssertionError(f"it never said {pattern!r}:\n{''.join(self._lines)}")

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to the whole group."""
        os.killpg(self._child.pid, signal.SIGINT)

    async def ended(self) -> Ended:
        """Return the exit status and all output; whatever is late is killed."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while await self._line():
                    pass
                code = await self._child.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        return Ended(code=code, output="".join(self._lines))

    async def _line(self) -> str:
        stream = self._child.stdout
        line = (await stream.readline()).decode(errors="replace") if stream else ""
        self._lines.append(line)
        return line


def control_groups(market: Path) -> list[Path]:
    """Return the control groups of a market's containers, in every hierarchy."""
    scope = hashlib.sha256(os.fsencode(market / "workloads")).hexdigest()[:12]
    return list(Path("/sys/fs/cgroup").glob(f"**/akash-sandbox/{scope}"))
