"""The gateways of providers at a real node, where a program for them is given."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from akash_proto.schema.akash_cert_v1_pb2 import MsgCreateCertificate
from akash_sandbox.tls import Authority
from tests.akash_node.gateway_process import BIN, GatewayProcess
from tests.akash_node.ground import Ground
from tests.akash_node.parties import Party


class Gateways:
    """One gateway per provider. Each is put on the chain once, and started whenever it is down.

    ``authority`` signs for all of them; without one they have only certificates on the chain.
    """

    def __init__(
        self, folder: Path, rpc: str, names: Sequence[str], authority: Authority | None
    ) -> None:
        self._processes = {
            name: GatewayProcess(folder / name, rpc, name, authority) for name in names
        }
        self._published: set[str] = set()
        self.ca_bundle = None if authority is None else authority.ca_file.read_text()

    @property
    def uris(self) -> Mapping[str, str]:
        """Where each provider says that its gateway is, by the provider's name."""
        return {name: f"https://{each.host}:{each.port}" for name, each in self._processes.items()}

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        """Return where a gateway's name leads (``garrison.adapters.net.screen.Lookup``)."""
        if host in {each.host for each in self._processes.values()}:
            return ["127.0.0.1"]
        raise OSError(f"{host}:{port}: not a gateway of these tests")

    async def serve(self, providers: Sequence[Party]) -> None:
        """Bring up the gateways of providers, which are on the chain."""
        await asyncio.gather(*map(self._serve, providers))

    def kill(self, name: str) -> None:
        """A provider's machine disappears; its gateway comes back with the next ``serve``."""
        self._processes[name].kill()

    def stop(self) -> None:
        """End all of them."""
        with ExitStack() as ending:
            for each in self._processes.values():
                ending.callback(each.stop)

    async def _serve(self, provider: Party) -> None:
        process = self._processes[provider.name]
        if provider.name not in self._published:
            printed = await asyncio.to_thread(process.certificate)
            await provider.send(_publication(provider.address, printed))
            self._published.add(provider.name)
        if not process.is_running:
            await asyncio.to_thread(process.start)


@contextmanager
def gateways_in(
    folder: Path, ground: Ground, names: Sequence[str], authority: Authority | None = None
) -> Iterator[Gateways | None]:
    """Have gateways for some tests: None without a program for them, or without a real node."""
    if BIN not in os.environ or not ground.is_real:
        yield None
        return
    found = Gateways(folder, ground.rpc, names, authority)
    try:
        yield found
    finally:
        found.stop()


def _publication(owner: str, printed: bytes) -> MsgCreateCertificate:
    """Return the message that puts a certificate on the chain; its key's label there is the chain's."""
    certificate = x509.load_pem_x509_certificate(printed)
    key = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return MsgCreateCertificate(
        owner=owner,
        cert=certificate.public_bytes(Encoding.PEM),
        pubkey=key.replace(b"PUBLIC KEY", b"EC PUBLIC KEY"),
    )
