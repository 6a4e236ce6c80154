"""Random views of the inside of a container, and records of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from garrison.api.egress import Allow, EgressPolicySpec
from garrison.api.lease import IntegrityStatus, LeaseEgress, SentinelStatus
from garrison.api.workload import Integrity
from garrison.core.egress import WantedEgress, digest
from garrison.core.integrity import Finding, Stage, Standing, patterns_digest
from garrison.core.rotation import WantedSecret
from garrison.ports.sentinel import (
    EgressView,
    Injection,
    Launch,
    SentinelPorts,
    SentinelState,
    View,
)
from tests.builders import NOW, at
from tests.unit.core.dice import Dice

DIGEST = "d" * 64
IMAGE_DIGEST = "sha256:" + "a" * 64
HUB = WantedEgress(
    name="hub", generation=2, spec=EgressPolicySpec(allow=(Allow(host="hub.example"),))
)
ASKED = Integrity(paths=("/app/**",))
INJECTION = Injection(command=("python3",), env=(), ports=SentinelPorts(data=18443, control=18444))
LAUNCH = Launch(argv=("serve",), port=8000)


class Inside(Dice):
    """Draws what the agent says."""

    def inside(self, *, verified: bool) -> dict[str, Any]:
        """Return what is known of the container: nothing of one without an agent."""
        return {
            "injection": INJECTION if verified and self.mostly() else None,
            "launch": LAUNCH if self.mostly() else replace(LAUNCH, argv=()),
            "egress": self.one((HUB,) * 7 + (WantedEgress(),)),
            "views": self.views() if verified else (),
            "secrets": self.secrets() if verified else (),
            "integrity": self.standing() if verified else Standing(),
            "unrevoked": ("hub",) if verified and self.rarely() else (),
            "sentinel_error": "refused" if verified and self.rarely() else "",
            "sentinel_refused": verified and self.seldom(),
            "sentinel_down_since": NOW if verified and self.seldom() else None,
        }

    def views(self) -> tuple[View, ...]:
        """Return what answers at the control port: nothing, the enrolled instance, or another."""
        if self.rarely():
            return ()
        found = self.view("two" if self.rarely() else "one")
        return (self.view("copy"), found) if self.seldom() else (found,)

    def view(self, instance: str) -> View:
        """Return an instance in any state, under any policy."""
        weak = self.rarely()
        return View(
            instance=instance,
            state=self.one((*SentinelState, SentinelState.ENROLLED, SentinelState.RUNNING)),
            digest="e" * 64 if self.seldom() else DIGEST,
            key=None if self.seldom() else f"key-{instance}",
            egress=EgressView(
                version=self.one((0, 1, 1, 1, 1, 1, 1, 2)),
                level="BestEffort" if weak else "Enforced",
                rung="addfd" if weak else "strict",
                leaks=("udp",) if weak else (),
                denied_total=self.one((0, 7)),
            ),
            secrets={"hub": self.one((0, 0, 1, 1))},
            sealed_because="SecondSession" if self.seldom() else "",
        )

    def standing(self) -> Standing:
        """Return what is known of the inside: often nothing is asked."""
        if self.one((True, False)):
            return Standing()
        failing = self.seldom()
        return Standing(
            asked=self.one((ASKED, ASKED, replace(ASKED, on_drift="Replace"), Integrity())),
            image=IMAGE_DIGEST if self.mostly() else "",
            image_error="too large" if self.rarely() else "",
            hopeless=self.rarely(),
            finding=self.finding() if self.one((True, True, False)) else None,
            looking=self.rarely(),
            error="no answer" if failing else "",
            tried_at=NOW,
            failing_since=NOW if failing else None,
        )

    def finding(self) -> Finding:
        """Return what a look has found: mostly that all is well."""
        stage: Stage = self.one(("Sealed", "Running"))
        drifted = () if self.mostly() else ("/app/main.py",)
        return Finding(
            instance=self.one(("one", "one", "one", "two")),
            stage=stage,
            patterns=patterns_digest(self.one((ASKED, ASKED, Integrity())).paths),
            at=NOW,
            state="Drifted" if drifted else "Verified",
            digest="f" * 64,
            drifted=drifted,
        )

    def integrity(self) -> IntegrityStatus:
        """Return the record of an earlier verdict."""
        return IntegrityStatus(
            reference=self.one(("Image", "FirstStart")),
            reference_digest=self.one(("", IMAGE_DIGEST)),
            patterns=patterns_digest(self.one((ASKED, ASKED, ASKED, Integrity())).paths),
            state=self.one(("Verified", "Verified", "Verified", "Drifted", "Unknown")),
            stage=self.one(("Sealed", "Running")),
            instance=self.one(("one", "one", "one", "two")),
        )

    def egress(self) -> LeaseEgress:
        """Return a record of the policy, asked for or in force."""
        wanted = self.one((HUB,) * 7 + (WantedEgress(),))
        return LeaseEgress(
            policy=wanted.name,
            generation=wanted.generation,
            digest=digest(wanted.spec),
            version=self.one((1, 1, 1, 1, 1, 2)),
            in_force=self.one((0, 1)),
        )

    def secrets(self) -> tuple[WantedSecret, ...]:
        """Return what the replica should have: often nothing."""
        wanted = WantedSecret(name="hub", version=self.one((None, 1, 1, 1, 1, 2)))
        return self.one(((), (), (wanted,)))

    def sentinel(self) -> SentinelStatus:
        """Return the record of an enrolled instance."""
        return SentinelStatus(
            instance="one",
            key="key-one",
            certificate_until=at(self.one((3600.0, 43_200.0, 43_200.0, 43_200.0))),
            enrolled_at=NOW,
        )
