"""Programs notice nothing: allowed calls do what they do without a guard, and servers are free."""

from __future__ import annotations

import pytest

from tests.sentinel.guard.conftest import NOBODY, PROGRAMS, Runner
from tests.sentinel.guard.netns import ALLOWED, CONTAINER_ROOT, NEAR, SILENT, Wire
from tests.sentinel.guard.rungs import NOTIFYING, WEAKER, options

POLICY = {"allow": [{"cidr": f"{each}/32", "ports": [9, 80]} for each in (ALLOWED, SILENT, NEAR)]}
VARIANTS = [(rung.name, options(rung.name)) for rung in NOTIFYING] + WEAKER
QUICK = [each for each in VARIANTS if each[0] in ("strict", "emulated-tcp", "addfd-tcp")]
KNOWN = {
    "addfd": ("again after non-blocking",),
    "old kernel": ("interrupted with timeout",),
}
"""Lines that differ: a socket that the guard made is given up once it is connected; kernels before
5.19 take a question back when a signal comes."""


@pytest.fixture(scope="module")
def native(between: Wire, python: str) -> list[str]:
    return lines(between.run(script(python)).stdout)


def script(python: str) -> list[str]:
    return [
        python,
        "-I",
        "-S",
        "-c",
        (PROGRAMS / "semantics.py").read_text(),
        ALLOWED,
        SILENT,
        NEAR,
    ]


def lines(output: str) -> list[str]:
    return output.splitlines()


def differences(native: list[str], got: list[str], name: str) -> list[tuple[str, str]]:
    """Return lines that differ, but for those that a variant is known to change."""
    known = tuple(line for word, lines in KNOWN.items() if word in name for line in lines)
    return [
        pair
        for pair in zip(native, got, strict=True)
        if pair[0] != pair[1] and not (known and pair[0].startswith(known))
    ]


@pytest.mark.parametrize(("name", "options"), QUICK, ids=[name for name, _ in QUICK])
def test_calls_do_what_they_do_without_a_guard(
    name: str, options: tuple[str, ...], native: list[str], clean: Wire, guarded: Runner
) -> None:
    assert len(native) > 40
    done = guarded(*script(guarded.python), policy=POLICY, options=options, on=clean)
    assert done.code == 0, done.errors
    assert differences(native, lines(done.output), name) == []


@pytest.mark.parametrize("name", ["strict", "addfd-tcp"])
def test_calls_of_a_program_that_became_another_user(
    name: str, native: list[str], clean: Wire, guarded: Runner
) -> None:
    dropped = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    command = (*dropped, *script(guarded.python))
    done = guarded(*command, policy=POLICY, options=options(name), on=clean, user=CONTAINER_ROOT)
    assert done.code == 0, done.errors
    assert differences(native, lines(done.output), name) == []


@pytest.mark.long
@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_calls_on_every_rung(
    name: str,
    options: tuple[str, ...],
    *,
    user: int,
    native: list[str],
    clean: Wire,
    guarded: Runner,
) -> None:
    done = guarded(*script(guarded.python), policy=POLICY, options=options, on=clean, user=user)
    assert done.code == 0, done.errors
    assert differences(native, lines(done.output), name) == []
