"""The sentinel's relay as the benchmark's one proxy among others, run by any Python.

Nothing but the standard library and the sentinel is imported, as in a container.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sentinel.relay.settings import Identity, Settings
from sentinel.relay.workers import Relay

_BEGIN = "-----BEGIN CERTIFICATE"


def serve(port: int, upstream: int, identity: str, authority: str, client: str) -> None:
    """Serve with one worker, as in a container of one core; ``identity`` is PEM, key first."""
    key, begin, rest = identity.partition(_BEGIN)
    relay = Relay(1)
    presented = Identity(begin + rest, key, [authority])
    relay.open(Settings("127.0.0.1", port, upstream, client, presented))
    os.waitpid(relay.pid, 0)


if __name__ == "__main__":
    _identity, _authority = (Path(each).read_text("ascii") for each in sys.argv[3:5])
    serve(int(sys.argv[1]), int(sys.argv[2]), _identity, _authority, sys.argv[5])
