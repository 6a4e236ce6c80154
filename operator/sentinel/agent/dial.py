"""Dials names from inside a guarded process. A program of its own: ``python3 -c`` runs this text.

Reads a JSON list of [host, port] from standard input; writes one JSON object a line.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 5.0
_DENIED = (errno.EACCES, errno.EPERM)


def dial(target: list[Any]) -> dict[str, Any]:
    """Return what happens when ``target`` is dialled as any program would."""
    host, port = target
    result: dict[str, Any] = {"host": host, "port": port, "resolved": [], "reachable": False}
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        result["resolved"] = sorted({str(each[4][0]) for each in found})
        _connect(found)
        result.update(reachable=True, error=None)
    except socket.gaierror as error:
        result["error"] = f"does not resolve: {error.strerror}"
    except OSError as error:
        refused = error.errno in _DENIED
        result["error"] = "refused by the guard" if refused else error.strerror or str(error)
    result["milliseconds"] = round((time.monotonic() - began) * 1000)
    return result


def _connect(found: list[Any]) -> None:
    failure: OSError | None = None
    for family, kind, protocol, _, address in found[:4]:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(SECONDS)
            try:
                sock.connect(address)
            except OSError as error:
                failure = failure or error
            else:
                return
    if failure:
        raise failure


def main() -> None:
    """Dial everything that standard input names, several at a time."""
    with ThreadPoolExecutor(16) as pool:
        for result in pool.map(dial, json.load(sys.stdin)):
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
