"""Files and standard input on the command line, with errors that name file and line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from garrison.adapters.akash.sdl import Problem, Sdl, SdlError, parse

STDIN = "-"


def read(path: str) -> bytes:
    """Return a file's bytes, standard input's for ``-``. Raises ClickException."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read()
        return Path(path).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error


def read_sdl(path: str) -> Sdl:
    """Return a file's SDL; one that is wrong ends the program with every error, one to a line.

    What is taken though it may not be what was meant is told as a warning.
    """
    name = "<stdin>" if path == STDIN else path

    def warn(doubt: Problem) -> None:
        click.echo(f"{name}:{doubt.line}:{doubt.column}: warning: {doubt.what}", err=True)

    try:
        return parse(read(path), warn)
    except SdlError as error:
        for problem in error.problems:
            click.echo(f"{name}:{problem}", err=True)
        raise SystemExit(1) from None
