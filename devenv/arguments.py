"""Command lines of tools that take no arguments: ``--help`` says what they do, and does not do it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def no_arguments(module: str, text: str | None, given: Sequence[str] | None = None) -> None:
    """Return when nothing is given; else show ``text`` or the usage, and end."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(sys.argv[1:] if given is None else given)
