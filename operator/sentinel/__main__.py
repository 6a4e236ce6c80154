"""``python3 sentinel.pyz COMMAND``: nothing is imported before it is needed, to start fast."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence

USAGE = """usage: sentinel.pyz COMMAND [options]

  guard   run a command so that it reaches only what an egress policy allows
  probe   print what this machine can enforce, as JSON
  run     hold a rented container: the agent that Garrison talks to

'sentinel.pyz COMMAND --help' tells more.
"""
EX_USAGE = 64


def main(argv: Sequence[str]) -> int:
    """Run one subcommand and return its exit code."""
    name, rest = (argv[0], list(argv[1:])) if argv else ("", [])
    gc.disable()  # modules are no garbage: looking for some would cost a tenth of the start
    command = _command(name)
    gc.freeze()
    gc.enable()
    if command:
        return command(rest)
    if name in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0
    sys.stderr.write(f"sentinel: no command {name!r}\n\n{USAGE}" if name else USAGE)
    return EX_USAGE


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    if name == "guard":
        from sentinel.guard.command import guard  # noqa: PLC0415 -- see above

        return guard
    if name == "probe":
        from sentinel.guard.command import probe  # noqa: PLC0415

        return probe
    if name == "run":
        from sentinel.agent.command import run  # noqa: PLC0415

        return run
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
