"""The command ``akash-sandbox``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import click

from akash_sandbox.process import running
from akash_sandbox.settings import Settings, SettingsError, load_settings
from akash_sandbox.store import StoreError


@click.group()
def main() -> None:
    """A local stand-in for the Akash market."""


@main.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The Console's port.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default=None)
def serve(data_dir: Path, port: int, config: Path | None) -> None:
    """Serve until SIGTERM; what is in the data folder starts again next time."""
    try:
        settings = load_settings(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        asyncio.run(_serve(data_dir, settings, port))
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{data_dir}: {error}; is another sandbox running?") from error


async def _serve(data_dir: Path, settings: Settings, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running(data_dir, settings, port))
        click.echo(f"isolation: {sandbox.isolation}", err=True)
        click.echo(f"chain {sandbox.chain_id}: {' '.join(sandbox.chain_urls)}", err=True)
        click.echo(sandbox.ready_line)
        await ended.wait()


if __name__ == "__main__":
    main()
