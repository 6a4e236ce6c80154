"""Tokens for gateways: one lease's does not wait for another's, and each is asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from garrison.adapters.akash.tokens import LeaseTokens
from garrison.adapters.system import SystemClock
from garrison.ports.market import LeaseTarget


def target(deployment: str) -> LeaseTarget:
    return LeaseTarget(
        deployment=deployment, gseq=1, oseq=1, provider="akash1p", host_uri="https://p.example"
    )


class SlowFor:
    """Signs at once, but for one deployment only when ``answered`` is set."""

    def __init__(self, deployment: str) -> None:
        self._slow = int(deployment)
        self.answered = asyncio.Event()
        self.asked: list[int] = []

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        assert lifetime > timedelta()
        number = leases["permissions"][0]["deployments"][0]["dseq"]
        self.asked.append(number)
        if number == self._slow:
            await self.answered.wait()
        return f"token {number}"


async def test_a_slow_answer_holds_up_its_own_lease_only() -> None:
    issuer = SlowFor("1")
    tokens = LeaseTokens(issuer=issuer, clock=SystemClock())
    slow = [asyncio.create_task(tokens.of(target("1"))) for _ in range(2)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(tokens.of(target("2")), 30) == "token 2"
    issuer.answered.set()
    assert await asyncio.gather(*slow) == ["token 1", "token 1"]
    assert sorted(issuer.asked) == [1, 2]
