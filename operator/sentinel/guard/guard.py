"""The guard: chooses a rung, holds processes to a policy, changes the policy under way."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sentinel import VERSION
from sentinel.guard import kernel, ladder
from sentinel.guard.addresses import packed
from sentinel.guard.annex import Annex, fork_annex
from sentinel.guard.asked import Asked
from sentinel.guard.audit import FLUSH_SECONDS, Audit, Destination, Record
from sentinel.guard.errors import CannotEnforce
from sentinel.guard.handover import done_by
from sentinel.guard.launch import ChildSpec, FilteredThread, launch
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener, listening
from sentinel.guard.outbound import Replaced
from sentinel.guard.policy import Policy
from sentinel.guard.probe import probe
from sentinel.guard.program import notify_program, plain_program
from sentinel.guard.resolver import Resolver, system_resolvers
from sentinel.guard.selftest import forked, self_test
from sentinel.guard.tracee import Tracees
from sentinel.guard.upstream import Upstream
from sentinel.guard.verdict import Decider

if TYPE_CHECKING:
    import subprocess

    from sentinel.guard.relay import Relay

_T = TypeVar("_T")


class Options(NamedTuple):
    """What callers and tests may set.

    ``resolvers`` replaces those of the machine. ``without`` takes facts away and ``rung`` allows
    one rung only, to see what a weaker machine would do.
    """

    resolvers: Sequence[tuple[str, int]] | None = None
    without: frozenset[str] = frozenset()
    rung: str = ""
    modern: bool = True
    """False leaves out what kernels before 5.19 lack."""


_NO_OPTIONS = Options()


class Guard:
    """Holds processes to a policy.

    ``start`` must run before any other thread exists; the other methods may be called from any
    thread. Records (see ``audit``) go to ``on_record``, in one of the guard's own threads.
    """

    def __init__(
        self,
        policy: Policy,
        on_record: Callable[[Record], None],
        options: Options = _NO_OPTIONS,
        annex: Annex | None = None,
    ) -> None:
        """``annex``: a helper that was forked already, and does not live longer than the guard."""
        if socket.getdefaulttimeout() is not None:
            raise ValueError(
                "socket.setdefaulttimeout changes the workload's sockets too: unset it"
            )
        self._options = options
        given = options.resolvers
        self.resolvers = list(system_resolvers() if given is None else given)
        """What allowed names are asked of: read once, before anything could have changed it."""
        self._audit = Audit(on_record)
        self._audit.enforces = policy.enforces
        self._decider = Decider(policy, time.monotonic)
        self._loop = Loop(self._audit.fault)
        self._thread = threading.Thread(target=self._loop.run, name="guard", daemon=True)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._facts: dict[str, Any] = {}
        self._rung: ladder.Rung | None = None
        self._waiting = annex
        self._annex: Annex | None = None
        self._filtered: FilteredThread | None = None
        self._resolver: Resolver | None = None
        self._relay: Relay | None = None
        self._asked: Asked | None = None
        self._tracees = Tracees(threads=options.modern)

    # -- start and end

    def start(self) -> Record:
        """Take the strongest rung, test it, and return the start record, which is also written.

        Raises CannotEnforce when the policy demands more than this machine carries; a record with
        level Refused is written then. Nothing runs under the filter yet: see ``spawn``.
        """
        policy = self._decider.policy
        try:
            self._facts = probe(self._options.without)
            self._rung = ladder.climb(self._facts, policy, only=self._options.rung)
            if self._rung is None and policy.enforces and policy.require_enforced:
                raise CannotEnforce(f"missing here: {ladder.missing(self._facts)}")
            if self._rung is not None:
                self._establish(self._rung)
            else:
                self._filtered = FilteredThread(kernel.give_up_looking)
                self._filtered.start()
        except (CannotEnforce, OSError) as error:
            self.close()
            self._audit.record("start", **self._described(ladder.REFUSED, None), error=str(error))
            raise CannotEnforce(str(error)) from error
        finally:
            kernel.set_dumpable(0)  # there are keys in here, whatever is enforced
        if self._waiting:  # this rung needs none
            self._waiting.close()
        record = self._described(ladder.level_of(self._rung, policy), self._rung)
        self._audit.record("start", **record)
        with self._loop.turn:
            self._loop.later(FLUSH_SECONDS, self._flush)
        return record

    def _described(self, level: str, rung: ladder.Rung | None) -> Record:
        leaks = list(rung.leaks) if rung else ["everything: nothing is enforced"]
        return {
            "level": level,
            "mode": self._decider.policy.mode,
            "rung": rung.name if rung else "none",
            "leaks": [] if level == ladder.REFUSED else leaks,
            "limits": list(rung.limits) if rung else [],
            "connect": rung.connect if rung else "",
            "udp": rung.udp if rung else "",
            "facts": self._facts,
            "version": VERSION,
            "pid": os.getpid(),
        }

    def _establish(self, rung: ladder.Rung) -> None:
        kernel.become_subreaper()
        if ladder.NAMESPACES in rung.needs:
            confined = rung.connect == ladder.RELAY
            self._annex, self._waiting = self._waiting or fork_annex(), None
            self._annex.enter(plain_program(rung) if confined else b"")
        kernel.set_dumpable(0)
        if rung.connect in (ladder.COPY, ladder.OWN):
            self._notify(rung)
        elif rung.connect == ladder.RELAY:
            self._relayed()
        else:
            self._thread.start()
            self._filter(lambda: kernel.install_filter(plain_program(rung), 0))

    def _resolve(self, sockets: Sequence[socket.socket]) -> Resolver:
        upstream = Upstream(self._loop, self.resolvers)
        resolver = Resolver(self._loop, self._decider, self._audit, upstream)
        resolver.serve(*sockets)
        return resolver

    def _bound_inside(self, kinds: Sequence[int]) -> list[socket.socket]:
        """Return sockets inside the namespace on the resolvers' addresses."""
        made = []
        for address, port in self.resolvers:
            if self._annex:
                if not address.startswith("127."):
                    self._annex.add_address(address, 128 if ":" in address else 32)
                made += [self._annex.bound(address, port, kind) for kind in kinds]
        return made

    def _notify(self, rung: ladder.Rung) -> None:
        inside = self._bound_inside([socket.SOCK_DGRAM]) if rung.udp == ladder.UDP_NETNS else []
        self._resolver = self._resolve(inside)
        kernel_unix = bool(self._facts[ladder.LANDLOCK])
        guard_pid = os.getpid() if os.getpid() > 1 else 0
        program = notify_program(rung, emulate_unix=not kernel_unix, guard_pid=guard_pid)
        made: list[Listener] = []
        self._filter(lambda: made.append(listening(program, modern=self._options.modern)))
        asked = Asked(
            self._loop,
            made[0],
            self._tracees,
            self._decider,
            self._audit,
            rung,
            self._annex,
            kernel_unix=kernel_unix,
        )
        asked.connects.resolver_port = self._resolver.port
        asked.connects.redirects |= {(packed(address), port) for address, port in self.resolvers}
        self._asked = asked
        self._thread.start()
        asked.start()
        _raise_descriptor_limit()
        if self._decider.policy.enforces:
            self._test()

    def _test(self) -> None:
        closed = self._decider.closed_loopback_ports
        before = set(closed)
        self._audit.muted = True
        try:
            self_test(lambda action: self._run_filtered(lambda: forked(action)), closed.add)
        finally:
            self._decider.closed_loopback_ports = before
            self._audit.muted = False

    def _relayed(self) -> None:
        from sentinel.guard.relay import Relay  # noqa: PLC0415 -- no other rung needs it

        if self._annex is None:
            raise CannotEnforce("no namespace")
        inside = self._bound_inside([socket.SOCK_DGRAM, socket.SOCK_STREAM])
        self._resolver = self._resolve(inside)
        self._relay = Relay(self._loop, self._annex, self._decider, self._audit)
        self._relay.admit(self._decider.policy)
        self._resolver.pinned = self._relay.pinned
        self._thread.start()

    def _filter(self, install: Callable[[], object]) -> None:
        """Start the thread that takes the filter, Landlock and the loss of rights on itself."""

        def prepare() -> None:
            kernel.no_new_privileges()
            kernel.drop_capabilities(kernel.NETWORK_CAPABILITIES)
            if self._facts[ladder.LANDLOCK] and self._decider.policy.enforces:
                kernel.forbid_tcp_connects(int(self._facts["landlockVersion"]))
            install()

        self._filtered = FilteredThread(prepare)
        self._filtered.start()

    def _run_filtered(self, job: Callable[[], _T]) -> _T:
        if self._filtered is None:
            return job()
        return self._filtered.run(job)

    def close(self) -> None:
        """Stop: from then on what is still under the filter reaches nothing new."""
        if self._asked and self._filtered:
            self._asked.end(self._filtered.begin)
        if self._thread.is_alive():
            self._on_loop(self._audit.flush)
            self._loop.stop()
            self._thread.join()
        if self._asked:
            self._asked.close()
            self._asked = None
        if self._filtered:
            self._filtered.end()
            self._filtered = None
        for part in (self._relay, self._resolver, self._annex, self._waiting):
            if part:
                part.close()
        self._relay = self._resolver = self._annex = None
        self._tracees.close()

    # -- processes

    def spawn(self, spec: ChildSpec) -> int:
        """Start a process under the guard and return its id; raises OSError when exec fails.

        It becomes a child of this process. Report its end with ``reaped``.
        """
        if self._relay and self._annex:
            annex = self._annex
            return self._on_loop(lambda: annex.spawn(spec))
        prepared = self._with_resolver(spec)
        process: subprocess.Popen[bytes] = self._run_filtered(lambda: launch(prepared))
        self._children[process.pid] = process
        return process.pid

    def _with_resolver(self, spec: ChildSpec) -> ChildSpec:
        """Ask the C library to resolve over TCP where UDP is not handed out or not seen."""
        if self._rung is None or self._rung.udp == ladder.UDP_NETNS:
            return spec
        options = f"{spec.env.get('RES_OPTIONS', '')} use-vc".strip()
        return spec._replace(env={**spec.env, "RES_OPTIONS": options})

    def own_children(self) -> frozenset[int]:
        """Return processes that belong to the guard itself, not to the workload."""
        return frozenset({self._annex.pid}) if self._annex else frozenset()

    def reaped(self, pid: int, status: int) -> None:
        """Tell that ``waitpid`` returned this status for a child; others are ignored."""
        process = self._children.pop(pid, None)
        if process:
            process.returncode = os.waitstatus_to_exitcode(status)

    def workload_socket(self, family: int = socket.AF_INET) -> socket.socket:
        """Return an unconnected TCP socket from which the workload's own loopback is reached."""
        if self._relay and self._annex:
            annex = self._annex
            made = self._on_loop(lambda: annex.make(family, socket.SOCK_STREAM))
            return socket.socket(fileno=made)
        return socket.socket(family, socket.SOCK_STREAM)

    # -- the policy

    def replace(self, policy: Policy) -> Replaced:
        """Hold to another policy from now on, and end connections that it denies.

        Sockets that lead out are known by inode. With copies of descriptors (rungs strict to
        emulated-tcp) each is shut down through a copy of its process's own, on the addfd rungs
        through the guard's; the relay resets its own. What has no copy is named, and tried again
        about every second (``remaining``). Raises CannotEnforce when the rung cannot hold the
        policy, and keeps the old one.
        """
        rung = self._rung
        if rung is None or policy.enforces != self._decider.policy.enforces:
            raise CannotEnforce("mode and level are chosen at start: start the guard again")
        if rung.connect == ladder.NONE and not policy.reaches_nothing:
            raise CannotEnforce("rung deny-all holds empty lists only: start the guard again")
        return self._on_loop(lambda: self._replace(policy))

    def _replace(self, policy: Policy) -> Replaced:
        self._decider.replace(policy)
        if self._resolver:
            self._resolver.forget_answers()
        done = Replaced()
        if self._relay:
            self._relay.admit(policy)
            done = self._relay.end_denied()
        elif self._asked and policy.enforces:
            done = self._asked.end_denied()
        self._audit.record("replaced", closed=done.closed, remaining=list(done.remaining))
        return done

    def remaining(self) -> tuple[str, ...]:
        """Return where connections lead that the policy in force denies and that live on."""
        return self._asked.remaining if self._asked else ()

    def close_loopback_ports(self, ports: Sequence[int]) -> None:
        """Deny ports on this machine's loopback to the workload, whatever the policy says."""
        self._on_loop(lambda: self._decider.closed_loopback_ports.update(ports))

    def destinations(self) -> list[Destination]:
        """Return what was denied, with counts."""
        return self._audit.destinations()

    def totals(self) -> dict[str, int]:
        """Return counts of connects allowed and denied, names denied, signs of mining."""
        return dict(self._audit.totals)

    # -- the guard's own thread

    def _on_loop(self, job: Callable[[], _T]) -> _T:
        inside = (self._thread, self._asked and self._asked.thread)
        if not self._thread.is_alive() or threading.current_thread() in inside:
            return job()
        return done_by(self._loop.call, job)

    def _flush(self) -> None:
        self._audit.flush()
        self._loop.later(FLUSH_SECONDS, self._flush)


def _raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as it may have; children keep the old limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return
