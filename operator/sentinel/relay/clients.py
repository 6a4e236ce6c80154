"""Which client certificates are taken, by the name in them."""

from __future__ import annotations

import ssl

from sentinel.tls.context import is_named

_REMEMBERED = 64  # certificates: reading the name costs more than the rest of the check


class Clients:
    """Those whose certificate has ``uri`` as its one name."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._named: dict[bytes, bool] = {}

    def include(self, secured: ssl.SSLSocket) -> bool:
        """Tell whether the name is right; the handshake has checked everything else, each time."""
        presented = secured.getpeercert(binary_form=True) or b""
        if presented not in self._named:
            if len(self._named) >= _REMEMBERED:
                self._named.clear()
            self._named[presented] = is_named(secured, self._uri)
        return self._named[presented]
