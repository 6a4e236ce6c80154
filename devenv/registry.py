"""A real OCI registry with the referrers API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devenv.checkout import OCIREGISTRY
from devenv.gobuild import Report, build
from devenv.processes import Process

_START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """``url`` is plain HTTP; ``address`` is what image references begin with."""

    url: str
    process: Process

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    async def stop(self) -> None:
        await self.process.stop()


async def start_registry(
    data_dir: Path,
    *,
    port: int = 0,
    log: Path | None = None,
    detached: bool = False,
    report: Report | None = None,
) -> Registry:
    """Return the registry; blobs stay in ``data_dir``, manifests are pushed again after a restart.

    ``detached`` lets it outlive this process. Raises DevenvError when it cannot be built or does
    not get ready.
    """
    binary = await (build(OCIREGISTRY, report=report) if report else build(OCIREGISTRY))
    process = await Process.start(
        "registry",
        (str(binary), "-data-dir", str(data_dir), "-port", str(port)),
        log=log or data_dir.with_suffix(".log"),
        detached=detached,
    )
    try:
        (url,) = await process.ready(limit_seconds=_START_SECONDS)
    except BaseException:
        await process.kill()
        raise
    return Registry(url=url, process=process)
