"""External ports on disk: a workload gets the same ones after every restart."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from akash_sandbox.files import write_whole


class ExternalPorts:
    """Hands out free ports of one host, by name; one JSON file keeps them."""

    def __init__(self, path: Path, host: str) -> None:
        self._path = path
        self._host = host
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name: str) -> int:
        """Return the port of this name, chosen the first time."""
        port = self._ports.get(name)
        if port is None:
            port = self._ports[name] = self._free()
            self._save()
        return port

    def forget(self, prefix: str) -> None:
        """Give back the ports of every name that starts with ``prefix``."""
        kept = {name: port for name, port in self._ports.items() if not name.startswith(prefix)}
        if len(kept) != len(self._ports):
            self._ports = kept
            self._save()

    def _save(self) -> None:
        write_whole(self._path, json.dumps(self._ports, indent=1).encode())

    def _free(self) -> int:
        taken = set(self._ports.values())
        while True:
            with socket.socket() as probe:
                probe.bind((self._host, 0))
                port: int = probe.getsockname()[1]
            if port not in taken:
                return port
