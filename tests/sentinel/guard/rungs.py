"""Every rung of the ladder, and how to make this machine use it."""

from __future__ import annotations

from sentinel.guard.ladder import RUNGS

ENFORCED = [rung for rung in RUNGS if not rung.leaks]
NOTIFYING = [rung for rung in ENFORCED if rung.connect in ("copy", "own")]


def options(name: str) -> tuple[str, ...]:
    """Return guard options that leave the rung ``name`` as the only one.

    A rung named like a stronger machine's also loses what it does not need, so that what it does
    without is really not used.
    """
    rung = next(each for each in RUNGS if each.name == name)
    lost = {"copyDescriptors", "landlock", "userNamespaces", "userNotification"} - rung.needs
    if name in ("addfd", "addfd-tcp"):
        lost -= {"landlock"}
    return ("--rung", name, *(word for fact in sorted(lost) for word in ("--without", fact)))


WEAKER = [
    ("addfd without landlock", ("--rung", "addfd", "--without", "landlock")),
    ("addfd-tcp without landlock", ("--rung", "addfd-tcp", "--without", "landlock")),
    ("strict on an old kernel", ("--rung", "strict", "--without", "modernKernel")),
    (
        "emulated-tcp on an old kernel",
        ("--rung", "emulated-tcp", "--without", "modernKernel", "--without", "landlock"),
    ),
]
VARIANTS = [(rung.name, options(rung.name)) for rung in ENFORCED] + WEAKER
