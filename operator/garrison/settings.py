"""How an operator process is set up: what the command line and the chart may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from garrison.controllers.assembly import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``namespace`` holds the accounts' Secrets; ``installation`` "" is derived from its uid."""

    namespace: str = "garrison-system"
    installation: str = ""
    kubeconfig: str | None = None
    context: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    insecure_registries: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    webhook_private_addresses: bool = False
    pull_token_hosts: tuple[str, ...] = ()
    mining_pools: Path | None = None
    """a file with names and addresses of mining pools, one a line"""
    pace: Pace = field(default_factory=Pace)
