"""The operator's side of the control channel (``ports.sentinel.Sentinel``)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.adapters.sentinel.answers import egress_view, evidence_of, view_of
from garrison.adapters.sentinel.authority import AuthorityStore
from garrison.adapters.sentinel.bootstrap import Pins
from garrison.adapters.sentinel.certificates import (
    Subject,
    fingerprint,
    is_signed,
    server_certificate,
)
from garrison.adapters.sentinel.channel import Channel
from garrison.adapters.sentinel.page import samples_of
from garrison.adapters.sentinel.relayed import relayed_of
from garrison.adapters.sentinel.request import request_digest, request_of, requested_key
from garrison.api.egress import SPEC_ADAPTER, EgressPolicySpec
from garrison.api.parsing import dump
from garrison.errors import AuthError, GarrisonError, UnavailableError
from garrison.ports.clock import Clock
from garrison.ports.identity import ClientIdentity, lease_dns, lease_id
from garrison.ports.samples import Samples
from garrison.ports.sentinel import (
    Delivery,
    Door,
    EgressView,
    Enrolment,
    Evidence,
    Launch,
    View,
)

SEAL_TRIES, SEAL_SECONDS = 8, 30.0
CERTIFICATE_LIFE = timedelta(hours=12)
LOOK_SECONDS = 660.0
"""The agent itself stops hashing after ten minutes."""


class SentinelClient:
    """Speaks to every sentinel. One connection per lease is kept, as the witness of its instance."""

    def __init__(
        self,
        *,
        pins: Callable[[str], Pins],
        operator: AuthorityStore,
        leases: AuthorityStore,
        clock: Clock,
        domain: str,
        nonce: Callable[[], str] = lambda: secrets.token_hex(32),
    ) -> None:
        self._pins = pins
        self._operator = operator
        self._leases = leases
        self._clock = clock
        self._domain = domain
        self._nonce = nonce
        self._held: dict[str, tuple[str, Channel]] = {}

    async def close(self) -> None:
        """Close every connection."""
        for _, channel in self._held.values():
            await channel.close()
        self._held.clear()

    async def look(self, door: Door) -> tuple[View, ...]:
        """Return every instance that answers: a fresh connection, and the kept one if it differs."""
        channel = await self._opened(door)
        try:
            view = await self._seen(door, channel)
        except BaseException:
            await channel.close()
            raise
        held = self._held.get(door.lease.uid)
        older = await self._witness(held, view) if held is not None else ()
        if held is not None and not older:
            await held[1].close()
        if not older:
            self._held[door.lease.uid] = (view.instance, channel)
        else:
            await channel.close()
        return (view, *older)

    async def _witness(self, held: tuple[str, Channel], fresh: View) -> tuple[View, ...]:
        """The instance of the kept connection, when it is another one and still answers."""
        instance, channel = held
        if instance == fresh.instance:
            return ()
        with contextlib.suppress(GarrisonError):
            answer = await channel.call("GET", "/v1/status")
            view = view_of(answer, digest=fresh.digest, key=_key(channel))
            # A broken connection is made anew by itself, and then leads to the fresh instance.
            return (view,) if view.instance == instance else ()
        return ()

    async def _opened(self, door: Door) -> Channel:
        """Open the way as whom the container's bootstrap names, to whoever has that bootstrap or more."""
        pins = self._pins(door.bootstrap)
        leases = await self._leases.current()
        identity = ClientIdentity(
            certificate=pins.certificate,
            key=pins.key,
            lease_authorities=leases.bundle + pins.bootstrap,
        )
        return Channel(door, identity, self._domain)

    async def _seen(self, door: Door, channel: Channel) -> View:
        hello = await self._greeted(door, channel)
        status = await channel.call("GET", "/v1/status")
        view = view_of(status, digest=_hex(hello, "sentinel"), key=_key(channel))
        if view.instance != hello["instance"]:
            raise UnavailableError("the sentinel was restarted between two answers; looking again")
        return view

    async def _greeted(self, door: Door, channel: Channel) -> dict[str, Any]:
        """Say hello and check the proof: fresh nonces of both sides, by the connection's own key."""
        nonce = self._nonce()
        answer = await channel.call("POST", "/v1/hello", {"nonce": nonce})
        theirs = _hex(answer, "nonce")
        text = f"garrison-hello-v1\n{door.lease.uid}\n{_hex(answer, 'instance')}\n{nonce}\n{theirs}"
        key = channel.peer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not is_signed(
            key, _bytes(answer, "proof"), text
        ):
            raise AuthError("the sentinel's proof is wrong", reason="IdentityRefused")
        if answer.get("lease") != door.lease.uid or answer.get("protocol") != 1:
            raise AuthError(
                "the sentinel is of another lease or protocol", reason="IdentityRefused"
            )
        return answer

    async def enrol(self, door: Door) -> Enrolment:
        """Check the proofs, sign the request, install the certificate; repeated, it renews.

        The connection is kept: should the next look meet another instance, there are two.
        """
        channel = await self._opened(door)
        try:
            done = await self._enrolment(door, channel)
        except BaseException:
            await channel.close()
            raise
        await self._keep(door, done.instance, channel)
        return done

    async def _enrolment(self, door: Door, channel: Channel) -> Enrolment:
        hello = await self._greeted(door, channel)
        instance = _hex(hello, "instance")
        csr = await self._request(door, channel, instance)
        certificate, chain = await self._signed(door, csr)
        own = self._pins(door.bootstrap).certificate
        operator = await self._operator.current()
        body = {"certificate": chain, "operatorCAs": [own, *operator.trusted]}
        await channel.call("PUT", "/v1/certificate", body)
        return Enrolment(
            instance=instance,
            key=fingerprint(requested_key(csr)),
            certificate_until=certificate.not_valid_after_utc,
        )

    async def _keep(self, door: Door, instance: str, channel: Channel) -> None:
        """Make a connection the lease's witness."""
        before = self._held.get(door.lease.uid)
        self._held[door.lease.uid] = (instance, channel)
        if before is not None:
            await before[1].close()

    async def _request(
        self, door: Door, channel: Channel, instance: str
    ) -> x509.CertificateSigningRequest:
        nonce = self._nonce()
        answer = await channel.call("POST", "/v1/enrol", {"nonce": nonce})
        csr = request_of(str(answer.get("csr", "")))
        text = f"garrison-enrol-v1\n{door.lease.uid}\n{instance}\n{nonce}\n{request_digest(csr)}"
        key = await self._bootstrap_key(door, channel)
        if key is not None and not is_signed(key, _bytes(answer, "proof"), text):
            raise AuthError("the enrolment's proof is wrong", reason="IdentityRefused")
        if key is None and fingerprint(requested_key(csr)) != channel.key:
            raise AuthError("a renewal asks for another key", reason="IdentityRefused")
        return csr

    async def _bootstrap_key(
        self, door: Door, channel: Channel
    ) -> ec.EllipticCurvePublicKey | None:
        """The bootstrap's key while the channel shows it; a renewal is proved by the lease's own."""
        del door
        key = channel.peer.public_key()
        if channel.is_enrolled or not isinstance(key, ec.EllipticCurvePublicKey):
            return None
        return key

    async def _signed(
        self, door: Door, csr: x509.CertificateSigningRequest
    ) -> tuple[x509.Certificate, str]:
        """Return the certificate, and the chain to present. The names are ours: of the request only the key is taken."""
        now = self._clock.now()
        authority = await self._leases.current()
        subject = Subject(
            uri=lease_id(self._domain, door.lease),
            dns=(lease_dns(door.lease),),
            until=now + CERTIFICATE_LIFE,
        )
        certificate = server_certificate(authority.signer, requested_key(csr), subject, now)
        return certificate, authority.presented(certificate)

    async def set_egress(self, door: Door, version: int, policy: EgressPolicySpec) -> EgressView:
        """Put a version of the policy in force."""
        body = {"version": version, "spec": dump(SPEC_ADAPTER, policy)}
        answer = await self._enrolled_call(door, "PUT", "/v1/egress", body)
        return egress_view(answer)

    async def deliver(self, door: Door, delivery: Delivery) -> None:
        """Put a version of a secret in force; the sentinel answers once it is."""
        body = {
            "version": delivery.version,
            "value": base64.b64encode(delivery.value).decode(),
            "env": delivery.env,
            "file": delivery.file,
            "onRotate": delivery.on_rotate,
            "signal": "SIGHUP",
        }
        path = f"/v1/secrets/{quote(delivery.name, safe='')}"
        await self._enrolled_call(door, "PUT", path, body)

    async def attest(self, door: Door, paths: Sequence[str], nonce: str | None = None) -> Evidence:
        """Return what the enrolled instance says is inside, signed by its key under our nonce."""
        fresh = nonce or self._nonce()
        instance = door.instance or ""
        async with await self._enrolled(door) as channel:
            body = {"nonce": fresh, "paths": list(paths)}
            answer = await channel.call("POST", "/v1/integrity", body, seconds=LOOK_SECONDS)
            key = channel.peer.public_key()
        proof = _bytes(answer, "proof")
        rest = {name: value for name, value in answer.items() if name != "proof"}
        digest = hashlib.sha256(_canonical(rest)).hexdigest()
        text = f"garrison-integrity-v1\n{door.lease.uid}\n{instance}\n{fresh}\n{digest}"
        if answer.get("nonce") != fresh:
            raise AuthError("it is under another nonce than ours", reason="EvidenceRefused")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not is_signed(key, proof, text):
            raise AuthError("its proof is wrong", reason="EvidenceRefused")
        return evidence_of(answer, instance=instance)

    async def start(self, door: Door, launch: Launch) -> None:
        """Start the workload under the guard."""
        body = {
            "argv": list(launch.argv),
            "env": dict(launch.env),
            "cwd": launch.working_dir,
            "port": launch.port,
            "drainSeconds": launch.drain_seconds,
            "metricsPath": launch.metrics_path,
        }
        await self._enrolled_call(door, "POST", "/v1/start", body)

    async def metrics(self, door: Door) -> Samples:
        """Return figures from inside the enrolled instance."""
        async with await self._enrolled(door) as channel:
            text = await channel.text("/v1/metrics")
        return await asyncio.to_thread(samples_of, text)

    async def workload_metrics(self, door: Door) -> Samples:
        """Return what the workload of the enrolled instance says of itself."""
        async with await self._enrolled(door) as channel:
            text = await channel.text("/v1/workload-metrics")
        return await asyncio.to_thread(relayed_of, text)

    async def seal(self, door: Door, reason: str) -> None:
        """Seal every instance that answers, also the one behind the kept connection.

        Which one answers a new connection is the provider's choice, so several are made. Raises what
        the last one met when none was sealed.
        """
        sealed: set[str] = set()
        failure: GarrisonError = UnavailableError("no sentinel answered in time to be sealed")
        held = self._held.pop(door.lease.uid, None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEAL_SECONDS):
                for turn in range(SEAL_TRIES):
                    try:
                        known = held[1] if held is not None and turn == 0 else None
                        async with known or await self._opened(door) as channel:
                            await _sealed(channel, reason, sealed)
                    except GarrisonError as error:
                        failure = error
        if not sealed:
            raise failure

    async def _enrolled_call(
        self, door: Door, method: str, path: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        async with await self._enrolled(door) as channel:
            return await channel.call(method, path, body)

    async def _enrolled(self, door: Door) -> Channel:
        """Reach the enrolled instance and no other: the pinned key, checked on this connection.

        A connection that meets another one is kept: should the next look find the enrolled one, there
        are two.
        """
        channel = await self._opened(door)
        try:
            hello = await self._greeted(door, channel)
            if channel.is_enrolled and channel.key == door.key:
                return channel
            await self._keep(door, _hex(hello, "instance"), channel)
        except BaseException:
            await channel.close()
            raise
        raise UnavailableError("another instance answers now; it has to be enrolled first")


async def _sealed(channel: Channel, reason: str, sealed: set[str]) -> None:
    """Seal the instance at the other end unless that is done; both calls take one connection."""
    instance = _hex(await channel.call("GET", "/v1/status"), "instance")
    if instance not in sealed:
        await channel.call("POST", "/v1/seal", {"reason": reason})
        sealed.add(instance)


def _key(channel: Channel) -> str | None:
    return channel.key if channel.is_enrolled else None


def _canonical(value: Mapping[str, Any]) -> bytes:
    """The JSON text that is signed: keys sorted, no spaces, other characters escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _hex(answer: Mapping[str, Any], field: str) -> str:
    text = answer.get(field)
    if not isinstance(text, str) or not 32 <= len(text) <= 64 or not text.isalnum():
        raise UnavailableError(f"the sentinel's answer has no usable {field}")
    return text


def _bytes(answer: Mapping[str, Any], field: str) -> bytes:
    try:
        return base64.b64decode(str(answer.get(field, "")), validate=True)
    except ValueError:
        return b""
