"""The local market's configuration: one YAML file, every field with a default."""

from __future__ import annotations

from dataclasses import field, replace
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from akash_sandbox.bech32 import address
from akash_sandbox.market.provider import Dollars, Provider
from akash_sandbox.providers import PROVIDERS

_STRICT = ConfigDict(extra="forbid")

Seconds = Annotated[float, Field(ge=0, le=86_400)]
RuntimeName = Literal["auto", "runc", "crun", "bubblewrap", "unshare", "process", "synthetic"]


Hostname = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Registry:
    """``insecure``: registry hosts (``host``, ``host:port`` or networks) spoken to in plain HTTP."""

    insecure: tuple[str, ...] = ("127.0.0.0/8", "::1/128", "localhost")
    timeout_seconds: Seconds = 60
    greatest_layer_bytes: int = 16 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Workloads:
    """How containers run; ``synthetic`` runs none, but answers like a small model in their place."""

    runtime: RuntimeName = "auto"
    restart_first_seconds: Seconds = 1
    restart_greatest_seconds: Seconds = 30
    stop_grace_seconds: Seconds = 2
    cache: str = ""


TEST_ACCOUNT = "akash19rl4cm2hmr8afy4kldpxz3fka4jguq0a3mq6x0"
"""The first account of BIP 39's test mnemonic, "abandon" eleven times and "about"."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ChainAccount:
    """An account with what it starts with, in millionths."""

    address: str
    uakt: Annotated[int, Field(ge=0)] = 1_000_000_000
    uact: Annotated[int, Field(ge=0)] = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Chain:
    """``akt_price`` in USD feeds the oracle, 0 leaves it silent; ``nodes`` all see one chain."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][-a-z0-9]{0,47}$")] = "local"
    nodes: Annotated[int, Field(ge=1, le=9)] = 1
    tls: bool = True
    index_lag_seconds: Seconds = 0.0
    akt_price: Annotated[float, Field(ge=0, le=10_000)] = 1.25
    accounts: tuple[ChainAccount, ...] = (ChainAccount(address=TEST_ACCOUNT),)


def default_names() -> dict[str, tuple[IPv4Address | IPv6Address, ...]]:
    """Return two names of the test network."""
    return {
        "api.example.test": (IPv4Address("203.0.113.10"), IPv6Address("2001:db8::10")),
        "other.example.test": (IPv4Address("198.51.100.20"),),
    }


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Egress:
    """``auto``: a test network where one can be made, see ``egress.network``; ``names`` are known to its
    resolver."""

    network: Literal["auto", "off"] = "auto"
    names: dict[Hostname, tuple[IPv4Address | IPv6Address, ...]] = field(
        default_factory=default_names
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Settings:
    """Everything that can be set; see docs/local-market.md.

    ``public_host`` is the address where everything listens and that everybody dials, by default
    127.0.0.1; providers may have addresses of their own.
    """

    balance: Dollars = 100.0
    bid_delay_seconds: Seconds = 0.0
    bid_timeout_seconds: Seconds = 300
    block_seconds: Annotated[float, Field(ge=0.001, le=600)] = 6.0
    settle_seconds: Annotated[float, Field(ge=0.05, le=3600)] = 5.0
    index_lag_seconds: Seconds = 0.0
    requests_per_second: Annotated[float, Field(ge=0)] = 0.0
    api_key: str = ""
    public_host: str = ""
    registry: Registry = field(default_factory=Registry)
    workloads: Workloads = field(default_factory=Workloads)
    chain: Chain = field(default_factory=Chain)
    egress: Egress = field(default_factory=Egress)
    providers: tuple[Provider, ...] = PROVIDERS


class SettingsError(ValueError):
    """The configuration cannot be used; the message names file, field and remedy."""


def load_settings(path: Path | None) -> Settings:
    """Return the settings of a YAML file, or the defaults; raises SettingsError."""
    raw = {} if path is None else _read(path)
    try:
        settings = TypeAdapter(Settings).validate_python(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()
        )
        raise SettingsError(f"{path}: {problems}") from error
    return _completed(settings, path)


def provider_id(name: str) -> str:
    """Return the address that a provider of this name gets when none is configured."""
    return address(sha256(f"local market provider {name}".encode()).digest()[:20])


def _read(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}; give a readable file to --config"
        ) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error


def _completed(settings: Settings, path: Path | None) -> Settings:
    providers = tuple(
        replace(
            provider,
            id=provider.id or provider_id(provider.name),
            bid_delay_seconds=provider.bid_delay_seconds or settings.bid_delay_seconds,
        )
        for provider in settings.providers
    )
    for attribute in ("name", "id"):
        values = [getattr(provider, attribute) for provider in providers]
        if len(set(values)) != len(values):
            raise SettingsError(f"{path}: providers: two providers share the same {attribute}")
    return replace(settings, providers=providers)
