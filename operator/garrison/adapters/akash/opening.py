"""Opens one account: its market and its way to the providers' gateways, by its backend."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from garrison.adapters.akash.chain.broadcast import Broadcaster
from garrison.adapters.akash.chain.certificates import ChainCertificates
from garrison.adapters.akash.chain.directory import ProviderDirectory
from garrison.adapters.akash.chain.identity import ChainIdentity
from garrison.adapters.akash.chain.market import ChainMarket
from garrison.adapters.akash.chain.minter import ChainMinter
from garrison.adapters.akash.chain.networks import endpoints_of
from garrison.adapters.akash.chain.node import Node
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.pace import Pace
from garrison.adapters.akash.chain.purse import Purse
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.akash.chain.watch import Watch
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.connections import Certificates, ProviderConnections
from garrison.adapters.akash.console import ConsoleMarket
from garrison.adapters.akash.gateway import ProviderGateway
from garrison.adapters.akash.secrets import Credential
from garrison.adapters.akash.streams import GatewayConsole
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import ConsoleIssuer, Issuer, LeaseTokens
from garrison.adapters.akash.wallet.jwt import WalletIssuer
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner, Signer
from garrison.api.account import Account, ChainBackend, ConsoleBackend
from garrison.api.meta import SecretKeyRef
from garrison.ports.clock import Clock
from garrison.ports.market import Exchange, LeaseTarget
from garrison.ports.probe import Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An exchange, ways to look into its leases, and what must be closed with it."""

    exchange: Exchange
    console: Callable[[LeaseTarget], GatewayConsole]
    closers: tuple[Callable[[], Awaitable[None]], ...]

    async def close(self) -> None:
        """Close every connection."""
        for close in self.closers:
            await close()


def credential_of(account: Account, namespace: str) -> Credential:
    """Return where the account's credential is."""
    reference: SecretKeyRef | None
    match account.spec.backend.settings:
        case ConsoleBackend(api_key_secret_ref=reference):
            what, placeholder = "an API key", "API-KEY"
        case ChainBackend(mnemonic_secret_ref=words, key_secret_ref=key):
            reference = words or key
            what = "a mnemonic" if words else "a private key"
            placeholder = '"WORD WORD ..."' if words else "HEX"
    if reference is None:
        raise AssertionError("a chain backend has words or a key")
    return Credential(reference=reference, namespace=namespace, what=what, placeholder=placeholder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens accounts with their credential at hand."""

    screen: Screen
    clock: Clock

    def open(self, account: Account, credential: str) -> Opened:
        """Return the account's exchange. Raises InvalidSpecError when something is unusable."""
        match account.spec.backend.settings:
            case ConsoleBackend() as console:
                return self._console(account, console, credential)
            case ChainBackend() as chain:
                return self._chain(account, chain, _signer(chain, credential))

    def _console(self, account: Account, console: ConsoleBackend, key: str) -> Opened:
        context = client_context(console.ca_bundle)
        client = ConsoleClient(endpoint=console.endpoint, key=key, context=context)
        market = ConsoleMarket(
            client=client,
            clock=self.clock,
            outcome_horizon=timedelta(seconds=console.outcome_horizon_seconds),
        )
        gateway = self._gateway(account, market, ConsoleIssuer(client), context)
        return Opened(
            exchange=Exchange(market=market, gateway=gateway),
            console=self._console_of(account, ConsoleIssuer(client), context),
            closers=(client.close, gateway.close),
        )

    def _chain(self, account: Account, chain: ChainBackend, signer: Signer) -> Opened:
        context = client_context(chain.ca_bundle)
        nodes = self._nodes(chain, context)
        terms = TermsReader(nodes=nodes, address=signer.address)
        pace = Pace(nodes, nominal=chain.block_time == "Nominal")
        granter = chain.granter or ""
        outbox = Outbox(
            nodes=nodes,
            signer=signer,
            terms=terms,
            carrier=Broadcaster(nodes=nodes, signer=signer, clock=self.clock),
            clock=self.clock,
            fee_granter=granter,
        )
        purse = Purse(nodes=nodes, clock=self.clock, address=signer.address, granter=granter)
        market = ChainMarket(
            nodes=nodes,
            pace=pace,
            watch=Watch(nodes=nodes, pace=pace, owner=signer.address),
            outbox=outbox,
            terms=terms,
            purse=purse,
            directory=ProviderDirectory(nodes),
            clock=self.clock,
            address=signer.address,
            granter=granter,
            outcome_horizon=timedelta(seconds=chain.outcome_horizon_seconds),
        )
        minter = ChainMinter(nodes=nodes, purse=purse, outbox=outbox, address=signer.address)
        issuer = WalletIssuer(signer=signer, clock=self.clock)
        certificates = ChainCertificates(nodes=nodes, clock=self.clock)
        proof: Issuer | ChainIdentity = issuer
        if chain.gateway_auth == "Certificate":
            proof = ChainIdentity(nodes=nodes, signer=signer, outbox=outbox, clock=self.clock)
        gateway = self._gateway(account, market, proof, context, certificates)
        return Opened(
            exchange=Exchange(market=market, gateway=gateway, minter=minter),
            console=self._console_of(account, proof, context, certificates),
            closers=(outbox.close, nodes.close, gateway.close),
        )

    def _nodes(self, chain: ChainBackend, context: ssl.SSLContext) -> Nodes:
        urls, chain_id = endpoints_of(chain)
        nodes = [Node(url=each, screen=self.screen, context=context) for each in urls]
        return Nodes(nodes=nodes, chain_id=chain_id, clock=self.clock)

    def _console_of(
        self,
        account: Account,
        proof: Issuer | ChainIdentity,
        context: ssl.SSLContext,
        certificates: Certificates | None = None,
    ) -> Callable[[LeaseTarget], GatewayConsole]:
        def console(target: LeaseTarget) -> GatewayConsole:
            connections = ProviderConnections(
                screen=self.screen,
                context=context,
                allow_private=account.spec.allow_private_addresses,
                certificates=certificates,
                identity=proof if isinstance(proof, ChainIdentity) else None,
            )
            issuer = None if isinstance(proof, ChainIdentity) else proof
            return GatewayConsole(issuer=issuer, connections=connections, target=target)

        return console

    def _gateway(
        self,
        account: Account,
        market: ConsoleMarket | ChainMarket,
        proof: Issuer | ChainIdentity,
        context: ssl.SSLContext,
        certificates: Certificates | None = None,
    ) -> ProviderGateway:
        identity = proof if isinstance(proof, ChainIdentity) else None
        issuer = None if isinstance(proof, ChainIdentity) else proof
        return ProviderGateway(
            tokens=LeaseTokens(issuer=issuer, clock=self.clock) if issuer is not None else None,
            screen=self.screen,
            context=context,
            manifest=market.manifest,
            allow_private=account.spec.allow_private_addresses,
            certificates=certificates,
            identity=identity,
        )


def _signer(chain: ChainBackend, credential: str) -> Signer:
    if chain.mnemonic_secret_ref is not None:
        return LocalSigner(PrivateKey.from_words(credential, chain.derivation_path))
    return LocalSigner(PrivateKey.from_hex(credential))
