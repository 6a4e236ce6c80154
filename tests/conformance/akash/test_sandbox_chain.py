"""The sandbox's chain against a recorded one: the same life, call by call.

Statuses, shapes, codes, codespaces and texts have to be the same, failures included. What may differ
is in ``likeness.FREE`` and ``DEPENDS``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import partial

import pytest
import yaml

from tests.conformance.akash.chain_client import Node, named
from tests.conformance.akash.likeness import differences
from tests.conformance.akash.recordings import body, exchanges, names
from tests.conformance.akash.replay import NAMES, Answer, Replay
from tests.sandbox.sandbox_process import SandboxProcess

RICH = 10**12
ACCOUNTS = [{"address": named(n).address, "uakt": RICH, "uact": RICH} for n in NAMES[:-1]]
CONFIG = {
    "workloads": {"runtime": "synthetic"},
    "block_seconds": 0.1,
    "providers": [],
    "chain": {"tls": False, "akt_price": 0, "accounts": ACCOUNTS},
}
NOT_ANSWERS = {"INDEX", "NOTES"}

_FEES = "what fees took depends on the node's gas"
_BLOCKS = "rent depends on how many blocks went by"
_OPAQUE = "the key of a page means something to its node only"
_MINTED = "names the height"
DEPENDS: Mapping[str, tuple[str, str]] = {
    "q-node-info": (r"\.build_deps", "the sandbox is not built from Go modules"),
    "q-params-oracle": (r"\.sources", "another account feeds the price"),
    "q-bme-status": (r"\.collateral_ratio", "depends on all the coins there are"),
    "q-balances-before-close": (r"\.balances\[1\]\.amount", _FEES),
    "q-balances-after-close": (r"\.balances\[\d\]\.amount", _FEES),
    "q-deployment-overdrawn": (r"\.funds\[0\]\.amount", _BLOCKS),
    "q-lease-overdrawn": (r"\.unsettled\.amount", _BLOCKS),
    "q-deployment-overdrawn-after-deposit": (r"\.transferred\[0\]\.amount", _BLOCKS),
    "q-deployment-overdrawn-closed": (r"\.transferred\[0\]\.amount", _BLOCKS),
    "q-deployments-page-1": (r"\.next_key", _OPAQUE),
    "q-deployments-page-2": (r"\.next_key", _OPAQUE),
    "q-leases-all": (r"\.next_key", _OPAQUE),
    "mint-act.simulate": (r"\.result\.data", _MINTED),
    "mint-act.tx": (r"\.tx_response\.data", _MINTED),
    "mint-act-too-small.simulate": (r"\.result\.data", _MINTED),
    "mint-act-too-small.tx": (r"\.tx_response\.data", _MINTED),
}
"""Recordings with a value that is another one here, by name: where, and why."""
RENT = re.compile(r"\.(transferred|funds|deposits)\[\d\]|\.(balance|withdrawn|unsettled)\.amount")
"""What a lease of some blocks changes; every recorded query after the first lease may have it."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Answer]]:
    """What a sandbox answered to every recorded call."""
    process = SandboxProcess(tmp_path_factory.mktemp("chain") / "data", yaml.safe_dump(CONFIG))
    process.start()
    try:
        yield Replay(Node(process.chain_url), partial(_halt, process)).run()
    finally:
        assert process.stop() == 0


def _halt(process: SandboxProcess, halted: bool) -> None:
    async def done() -> None:
        async with process.admin() as admin:
            await admin.halt_chain(halted=halted)

    asyncio.run(done())


def test_every_recording_was_asked_for_again(answers: Mapping[str, Answer]) -> None:
    recorded = set(names("")) - NOT_ANSWERS
    assert set(answers) == recorded == set(exchanges())
    assert len(recorded) > 300
    assert set(DEPENDS) <= recorded


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", sorted(exchanges()))
def test_the_sandbox_answers_what_the_chain_did(answers: Mapping[str, Answer], name: str) -> None:
    answer = answers[name]
    assert answer.status == exchanges()[name].status
    place, _ = DEPENDS.get(name, ("$^", ""))
    found = [d for d in differences(body(name), answer.body) if not re.search(place, d)]
    assert not [d for d in found if not _is_rent(name, d)]


def _is_rent(name: str, difference: str) -> bool:
    """Return whether amounts differ that grow with every block, of an account that pays rent."""
    where, _, _ = difference.partition(": was")
    return name.startswith("q-") and bool(RENT.search(where))
