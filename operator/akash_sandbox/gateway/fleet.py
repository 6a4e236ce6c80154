"""All gateways: which of them listen depends on which providers live."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from akash_sandbox.gateway.clients import Doorkeeper
from akash_sandbox.gateway.server import Gateway
from akash_sandbox.market.provider import Provider
from akash_sandbox.tls import Authority, is_web_name
from akash_sandbox.venue import Venue

_HOST = "127.0.0.1"


class Fleet:
    """Starts and stops the providers' gateways."""

    def __init__(self, venue: Venue, authority: Authority) -> None:
        self._venue = venue
        self._authority = authority
        self._runners: dict[str, web.AppRunner] = {}
        self._doorkeeper = Doorkeeper(venue.book.records, authority.ca_file.parent)
        self._contexts = {p.name: self._context(p) for p in venue.book.providers.values()}
        self._lock = asyncio.Lock()

    async def sync(self) -> None:
        """Let every living provider's gateway listen, and no dead one's."""
        async with self._lock:
            for provider in self._venue.book.providers.values():
                dead = self._venue.faults.provider(provider.name).dead
                if dead:
                    await self._stop(provider.name)
                elif provider.name not in self._runners:
                    await self._start(provider)

    async def close(self) -> None:
        """Stop every gateway."""
        async with self._lock:
            for name in list(self._runners):
                await self._stop(name)

    async def _start(self, provider: Provider) -> None:
        app = Gateway(self._venue, provider, self._doorkeeper).app()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._runners[provider.name] = runner
        site = web.TCPSite(
            runner,
            self._venue.host_of(provider),
            self._venue.gateway_port(provider),
            ssl_context=self._contexts[provider.name],
            reuse_address=True,
        )
        await site.start()

    async def _stop(self, name: str) -> None:
        runner = self._runners.pop(name, None)
        if runner is not None:
            await runner.cleanup()

    def _context(self, provider: Provider) -> ssl.SSLContext:
        """Return a gateway's TLS, and publish the certificate that is the provider's own.

        Who asks for the host's name is shown the web's certificate, everybody else the chain's. The
        library asks for a client certificate either way; a real gateway does so only with the latter.
        """
        name, host = f"gateway-{provider.name}", self._venue.host_of(provider)
        hosts = {"localhost", _HOST, host}
        own = self._authority.chain_identity(name, provider.id, hosts)
        self._venue.book.records.put_certificate(own.record(provider.id))
        web = self._authority.server_identity(name, hosts) if provider.web_certificate else None

        def choose(
            tls: ssl.SSLObject | ssl.SSLSocket, asked: str | None, _: ssl.SSLContext
        ) -> None:
            shown = web if web is not None and is_web_name(asked, host) else own.file
            tls.context = self._doorkeeper.context(shown)

        context = self._doorkeeper.context(own.file)
        context.sni_callback = choose
        return context
