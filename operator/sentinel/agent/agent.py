"""The state of one instance: sealed until the operator has verified it, and what may change when."""

from __future__ import annotations

import hashlib
import os
import ssl
import sys
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from sentinel.agent.bootstrap import Bootstrap
from sentinel.agent.children import Children
from sentinel.agent.errors import Refusal, bad
from sentinel.agent.guarding import RESTART_NEEDED, Guarding
from sentinel.relay.settings import Identity, Settings
from sentinel.relay.workers import Relay, RelayError
from sentinel.tls import certificate, der, p256
from sentinel.tls.context import server_context

if TYPE_CHECKING:
    from sentinel.agent.logs import Logs
    from sentinel.agent.secrets import Secret, Secrets
    from sentinel.agent.workload import Launch, Workload

SEALED, ENROLLED, RUNNING = "Sealed", "Enrolled", "Running"
DRAINING, STOPPED = "Draining", "Stopped"
_OPEN = (ENROLLED, RUNNING, DRAINING)


class Credential(NamedTuple):
    """A certificate with its key, as the control port presents it."""

    context: ssl.SSLContext
    key: p256.Key
    chain: str
    not_after: int

    def __repr__(self) -> str:
        """Show no key."""
        return "Credential()"


class Agent:
    """One instance. Calls come from many threads; changes are made one by one."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        guarding: Guarding,
        relay: Relay,
        children: Children,
        *,
        host: str,
        vendor: str,
    ) -> None:
        self.bootstrap, self.guarding, self.relay, self.children = (
            bootstrap,
            guarding,
            relay,
            children,
        )
        self._host, self._vendor = host, vendor
        self.instance = os.urandom(16).hex()
        self.workload: Optional[Workload] = None  # noqa: UP045
        self.state, self.sealed_because, self.gives_way = SEALED, "", False
        self.inhabited = False
        """Whether a workload has ever been started, and may have written to the disk."""
        self.start_afresh: Callable[[Any], None] = _nothing
        self.began = time.time()
        self.digest = own_digest()
        self._change = threading.Lock()
        self._authorities = bootstrap.authorities
        self._key: Optional[p256.Key] = None  # noqa: UP045
        self._born = self._credential(bootstrap.chain, bootstrap.key)
        self._enrolled: Optional[Credential] = None  # noqa: UP045
        self._serving = False

    @cached_property
    def secrets(self) -> Secrets:
        """The workload's secrets; ``Operations`` is the first to ask, before any other thread can."""
        from sentinel.agent.secrets import Secrets  # noqa: PLC0415 -- see ``operations``

        return Secrets()

    @cached_property
    def logs(self) -> Logs:
        """What the workload writes; ``Operations`` is the first to ask here, too."""
        from sentinel.agent.logs import Logs  # noqa: PLC0415 -- see ``operations``

        return Logs()

    # -- identity

    def presented(self) -> Credential:
        """Return what new connections to ``control`` are shown."""
        return self._enrolled or self._born

    def _credential(self, chain: str, key: p256.Key) -> Credential:
        context = server_context(chain, key.pem(), self._authorities)
        return Credential(context, key, chain, certificate.parse(chain).not_after)

    def request(self) -> bytes:
        """Return the certificate request of this instance's own key, DER."""
        with self._change:
            self._demand(SEALED, *_OPEN)
            self._not_sealed_for_good()
            key = self._key = self._key or p256.generate()
        bootstrap = self.bootstrap
        return certificate.request(
            key, bootstrap.lease, uri=bootstrap.lease_uri, dns=bootstrap.lease_dns
        )

    def install(self, chain: str, authorities: list[str]) -> Credential:
        """Take a certificate of this instance's key; live connections go on. Raises Refusal."""
        with self._change:
            self._demand(SEALED, *_OPEN)
            self._not_sealed_for_good()
            key = self._checked(chain)
            before, self._authorities = self._authorities, authorities
            try:
                fresh = self._credential(chain, key)
                if self._serving:
                    self.relay.renew(self._identity(fresh))
            except (ssl.SSLError, RelayError) as error:
                self._authorities = before
                raise bad("the certificate or an authority cannot be loaded") from error
            self._enrolled = fresh
            if self.state == SEALED:
                self.state = ENROLLED
            return fresh

    def _checked(self, chain: str) -> p256.Key:
        try:
            found = certificate.parse(chain)
        except der.DerError as error:
            raise bad(f"certificate: {error}") from error
        if self._key is None or found.spki != self._key.spki():
            raise bad("certificate: not of this instance's key; ask for a request by enrol")
        if list(found.uris) != [self.bootstrap.lease_uri]:
            raise bad("certificate: not of this lease")
        if found.not_after <= time.time():
            raise bad("certificate: has expired")
        return self._key

    def _identity(self, credential: Credential) -> Identity:
        return Identity(credential.chain, credential.key.pem(), self._authorities)

    def sign(self, text: str) -> bytes:
        """Return a signature by the instance's own key. Raises Refusal while it has none."""
        enrolled = self._enrolled
        if enrolled is None:
            raise self._wrong_state()
        return enrolled.key.sign(text.encode())

    # -- the workload

    def start(self, launch: Launch) -> None:
        """Start the workload and open ``data``. Raises Refusal."""
        from sentinel.agent.workload import Workload  # noqa: PLC0415 -- see ``operations``

        with self._change:
            if self.state == RUNNING and self.workload and self.workload.launch == launch:
                return
            self._demand(ENROLLED)
            enrolled = self._enrolled
            if enrolled is None:
                raise self._wrong_state()
            if launch.port in (self.bootstrap.data_port, self.bootstrap.control_port):
                raise bad("port: the sentinel's own")
            self.guarding.demand()
            uid = os.geteuid() if launch.uid is None else launch.uid
            self.secrets.settle(uid, os.getegid() if launch.gid is None else launch.gid)
            workload = Workload(launch, self._spawn, self.children, self.logs, self.keep)
            self._open(launch, enrolled)
            self.inhabited = True
            try:
                workload.start()
            except Refusal:
                self._close()
                raise
            self.workload, self.state = workload, self._after(RUNNING)
        if self.state == SEALED:  # sealed meanwhile
            self._end()
            raise self._wrong_state()

    def _after(self, state: str) -> str:
        return SEALED if self.sealed_because else state

    def _open(self, launch: Launch, enrolled: Credential) -> None:
        settings = Settings(
            self._host,
            self.bootstrap.data_port,
            launch.port,
            self.bootstrap.client_uri,
            self._identity(enrolled),
            vendor=self._vendor,
        )
        try:
            self.relay.open(settings)
        except RelayError as error:
            raise Refusal(409, "CannotListen", str(error)) from error
        self._serving = True

    def _close(self) -> None:
        if self._serving:
            self._serving = False
            self.relay.close()

    def _spawn(self, launch: Launch, streams: list[int]) -> int:
        env = {**launch.env, **self.secrets.environment()}
        return self.guarding.spawn(
            launch.argv, env, streams, cwd=launch.cwd, uid=launch.uid, gid=launch.gid
        )

    def shell(self, argv: list[str], streams: list[int], terminal: bool) -> int:
        """Start a command beside the workload: same user, same environment, under the guard."""
        workload = self.running()
        extra = {"TERM": "xterm-256color"} if terminal else {}
        launch = workload.launch
        return self._spawn(launch._replace(argv=argv, env={**launch.env, **extra}), streams)

    def running(self) -> Workload:
        """Return the workload. Raises Refusal unless the state is Running."""
        self._demand(RUNNING)
        if self.workload is None:
            raise self._wrong_state()
        return self.workload

    def keep(self) -> set[int]:
        """Return the agent's own processes: what an end of the workload leaves alive."""
        return {self.relay.pid, *self.guarding.own_children()}

    # -- secrets and policy

    def put_secret(self, secret: Secret) -> None:
        """Bring a version into effect. Raises Refusal."""
        with self._change:
            self._demand(*_OPEN)
            if not self.secrets.check(secret):
                return
            workload = self.workload
            if workload is None:
                self.secrets.put(secret)
                return
            self.secrets.late(secret)
            if secret.restarts:
                workload.restart()
            elif secret.signals:
                workload.signal(secret.signal)
        if self.sealed_because:
            self._end()
            raise self._wrong_state()

    def put_egress(self, version: int, spec: Any) -> dict[str, Any]:
        """Hold to another version of the policy.

        Raises Refusal: with reason RestartNeeded, this instance ends and a sealed one that can take
        the policy comes instead.
        """
        self.demand_enrolled()
        try:
            return self.guarding.replace(version, spec)
        except Refusal as error:
            if error.reason == RESTART_NEEDED:
                self.start_afresh(spec)
            raise

    def demand_enrolled(self) -> None:
        """Raise Refusal unless enrolled, or further."""
        self._demand(*_OPEN)

    # -- the end

    def drain(self, seconds: int) -> int:
        """Take no new connections, cut old ones after ``seconds``; returns how many are open."""
        with self._change:
            self._demand(RUNNING, DRAINING)
            self.relay.drain()
            self.state = self._after(DRAINING)
            cut = threading.Timer(seconds, self._cut)
            cut.daemon = True
            cut.start()
        return self.relay.totals().counts["connections"]

    def _cut(self) -> None:
        with self._change:
            if self.state == DRAINING:
                self._close()

    def stop(self) -> None:
        """Stop the workload as it wishes to be stopped; final unless sealed."""
        with self._change:
            workload = self.workload
            if workload:
                workload.stop(workload.launch.drain)
            self._close()
            if self.state != SEALED or not self.sealed_because:
                self.state = STOPPED

    def seal(self, reason: str) -> None:
        """Kill the workload, forget keys and secrets; this instance never enrols again."""
        self.sealed_because = self.sealed_because or reason or "sealed by the operator"
        self.state = SEALED
        self._enrolled = None
        if self.workload:  # a stop under way waits for just this
            self.workload.kill()
        self._end()

    def _end(self) -> None:
        from sentinel.agent import processes  # noqa: PLC0415 -- see ``operations``

        with self._change:
            if self.workload:
                self.workload.kill()
                self.workload = None
            processes.end_others(self.keep())
            self._close()
            self.secrets.forget()
            self.logs.forget()
            self._key = self._enrolled = None
            self.state = SEALED

    # -- states

    def _demand(self, *states: str) -> None:
        if self.state not in states:
            raise self._wrong_state()

    def _not_sealed_for_good(self) -> None:
        if self.sealed_because:
            raise self._wrong_state()

    def _wrong_state(self) -> Refusal:
        said = f"the state is {self.state}"
        if self.sealed_because:
            said += f" for good: {self.sealed_because}; restart the container"
        return Refusal(409, "WrongState", said)


def _nothing(_spec: Any) -> None:
    """Until the process says what starting afresh means."""


def own_digest() -> str:
    """Return the SHA-256 of the zipapp that runs; empty when it runs from a folder."""
    archive = getattr(sys.modules["sentinel"].__loader__, "archive", "")
    if not archive:
        return ""
    with open(archive, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
