"""Short-lived programs: run to the end, with a limit, their output kept for the error message."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devenv.errors import DevenvError

_TAIL = 4000


async def output_of(
    argv: Sequence[str],
    *,
    limit_seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Return the standard output; ``on_line`` gets each line of standard error as it comes.

    ``env`` is added to this process's own. Raises DevenvError when the program is missing, fails
    or takes longer than the limit.
    """
    process = await _start(argv, env, cwd)
    errors: list[str] = []
    try:
        async with asyncio.timeout(limit_seconds):
            output, _, code = await asyncio.gather(
                _read(process.stdout), _follow(process.stderr, errors, on_line), process.wait()
            )
    except TimeoutError:
        raise DevenvError(
            f"{_shown(argv)} took longer than {limit_seconds:.0f} s{_tail(errors)}"
        ) from None
    finally:
        await _end(process)
    if code != 0:
        raise DevenvError(f"{_shown(argv)} failed with exit code {code}{_tail(errors)}")
    return output


async def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise DevenvError(f"{argv[0]} is not installed or {cwd or 'its folder'} is gone") from error


async def _read(stream: asyncio.StreamReader | None) -> str:
    return (await stream.read()).decode(errors="replace") if stream else ""


async def _follow(
    stream: asyncio.StreamReader | None,
    lines: list[str],
    on_line: Callable[[str], None] | None,
) -> None:
    while stream and (raw := await stream.readline()):
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if on_line:
            on_line(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _shown(argv: Sequence[str]) -> str:
    return " ".join(argv)


def _tail(lines: Sequence[str]) -> str:
    text = "\n".join(lines)[-_TAIL:]
    return f":\n{text}" if text else ""
