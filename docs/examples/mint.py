"""A webhook for RotatingSecrets, to start from: mints API keys, keeps them in a file, revokes them.

    python3 docs/examples/mint.py --certificate tls.crt --key tls.key --store keys.json --port 8443

The bearer token that callers must send is read from the environment variable MINT_TOKEN. Replace
``Keys`` by whatever your service offers to make and withdraw a key; the rest is the contract:

- both actions carry ``key``, the same in every try. Minting a key that exists gives the same value.
- Revoking is answered with success also when there is nothing to revoke, and also when it comes for a
  key whose minting has never arrived: such a key must not be minted any more.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import secrets
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

MAX_BODY = 64 * 1024


class Keys:
    """The keys that are valid, by the caller's key, and those that are revoked."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = Lock()
        known = json.loads(store.read_text()) if store.exists() else {}
        self._valid: dict[str, str] = known.get("valid", {})
        self._revoked: list[str] = known.get("revoked", [])

    def mint(self, key: str) -> str | None:
        """Return the value of a key, None when it was revoked already."""
        with self._lock:
            if key in self._revoked:
                return None
            if key not in self._valid:
                self._valid[key] = f"sk-{secrets.token_urlsafe(32)}"
                self._save()
            return self._valid[key]

    def revoke(self, key: str) -> None:
        """Make a key useless, now and for good."""
        with self._lock:
            self._valid.pop(key, None)
            if key not in self._revoked:
                self._revoked.append(key)
            self._save()

    def is_valid(self, value: str) -> bool:
        """Return whether a value opens anything."""
        with self._lock:
            return any(hmac.compare_digest(value, each) for each in self._valid.values())

    def _save(self) -> None:
        fresh = self._store.with_suffix(".new")
        fresh.write_text(json.dumps({"valid": self._valid, "revoked": self._revoked}))
        fresh.replace(self._store)


class Handler(BaseHTTPRequestHandler):
    """POST / mints or revokes; GET / with a minted value as bearer says whether it is valid."""

    keys: Keys
    token: str

    def do_POST(self) -> None:
        if not self._bears(self.token):
            self._answer(401, {"error": "a bearer token is missing or wrong"})
            return
        ask = self._ask()
        match ask:
            case {"action": "Mint", "key": str(key)}:
                value = self.keys.mint(key)
                found = {"value": value} if value else {"error": "this key was revoked"}
                self._answer(200 if value else 410, found)
            case {"action": "Revoke", "key": str(key)}:
                self.keys.revoke(key)
                self._answer(200, {})
            case _:
                self._answer(400, {"error": "send action (Mint or Revoke) and key"})

    def do_GET(self) -> None:
        value = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        self._answer(200 if self.keys.is_valid(value) else 401, {})

    def _bears(self, token: str) -> bool:
        sent = self.headers.get("authorization") or ""
        return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())

    def _ask(self) -> Any:
        length = int(self.headers.get("content-length") or 0)
        try:
            return json.loads(self.rfile.read(min(length, MAX_BODY)))
        except ValueError:
            return None

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base names it so
        """Log nothing: a proxy's log is enough, and this one would hold what nobody should read."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A webhook for RotatingSecrets, to start from.")
    parser.add_argument("--certificate", required=True, help="PEM, for the name that clients use")
    parser.add_argument("--key", required=True, help="PEM")
    parser.add_argument("--store", required=True, type=Path, help="file that keeps the keys")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8443, help="0: any free one")
    options = parser.parse_args()
    token = os.environ.get("MINT_TOKEN", "")
    if not token:
        sys.exit("MINT_TOKEN is not set: set it to the token that callers must send")
    Handler.keys, Handler.token = Keys(options.store), token
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write(f"ready https://{options.host}:{server.server_address[1]}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main()
