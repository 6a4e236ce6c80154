"""What every command of ``garrison`` begins with."""

from __future__ import annotations

import subprocess
import sys

PEEKING = """
import ctypes, resource, sys
from garrison.cli import main

@main.main.command()
def peek():
    print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))

sys.argv = ["garrison", "peek"]
main.{entry}()
"""
"""Prints the limit of core dumps, and what PR_GET_DUMPABLE says."""


def peeked(entry: str) -> str:
    argv = [sys.executable, "-c", PEEKING.format(entry=entry)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_command_leaves_a_core_dump() -> None:
    assert peeked("start") == "(0, 0) 0"
    assert peeked("main").endswith("1"), "the entry point does it, not the import"
