"""Running the system's commands without blocking."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from akash_sandbox.runtimes.container import RuntimeFailure


async def output(argv: Sequence[str], timeout_seconds: float = 30, *, given: str = "") -> str:
    """Return a command's standard output; raises RuntimeFailure naming command and error.

    ``given`` is its standard input.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if given else None,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise RuntimeFailure(f"{argv[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate(given.encode() or None)
    except TimeoutError:
        raise RuntimeFailure(f"{argv[0]}: no answer within {timeout_seconds} s") from None
    finally:
        await _end(process)
    if process.returncode:
        text = err.decode(errors="replace").strip()[-500:]
        raise RuntimeFailure(f"{' '.join(argv[:4])}: exit code {process.returncode}: {text}")
    return out.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no command behind, whatever ended the wait for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def attempt(argv: Sequence[str], timeout_seconds: float = 30) -> bool:
    """Return whether a command succeeds."""
    try:
        await output(argv, timeout_seconds)
    except RuntimeFailure:
        return False
    return True
