"""The waits and bounds that the documents tell are those of the code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from akash_sandbox.settings import Settings
from garrison.adapters.akash.chain.composing import TIMEOUT as LIFETIME
from garrison.adapters.akash.chain.health import MAX_AGE, MAX_LAG
from garrison.adapters.akash.chain.market import OUTCOME_HORIZON
from garrison.adapters.akash.client import TIMEOUT
from garrison.adapters.akash.exchanges import RECHECK
from garrison.adapters.akash.pricing import FASTEST_BLOCK_SECONDS
from garrison.api.account import ChainBackend, ConsoleBackend
from garrison.api.meta import SecretKeyRef
from garrison.api.workload import Health
from garrison.controllers.images import RETRY
from garrison.controllers.routes import RESOLVE
from garrison.core.blame import EXCLUSION, MAX_ATTEMPTS, PAUSE_BASE, PAUSE_CAP
from garrison.core.budget import GRANT_VALID, RATE_WINDOW
from garrison.core.ledger import UNKNOWN_AFTER
from garrison.core.lifecycle import TOKEN_LIFE, Timing
from garrison.core.order import MIN_DEPOSIT
from garrison.core.reputation import BASE_QUARANTINE, FAULT_MEMORY, MAX_QUARANTINE
from garrison.runtime.canary import LIMIT_SECONDS
from tests.docs.document import document

MINUTE = timedelta(minutes=1)
WORDS = {0.5: "half a", 1: "a", 6: "six", 10: "ten", 30: "30"}
"""Small numbers are written as words."""

_HEALTH = Health()
_TIMING = Timing()
_CHAIN = ChainBackend(key_secret_ref=SecretKeyRef(name="k"))
_HORIZON = ConsoleBackend(api_key_secret_ref=SecretKeyRef(name="k")).outcome_horizon_seconds

TOLD = (
    ("architecture", f"lives for {TOKEN_LIFE.seconds} s only"),
    ("architecture", f"must be used within {GRANT_VALID.seconds} s"),
    ("architecture", f"counts each grant for {WORDS[RATE_WINDOW / MINUTE]} minutes"),
    ("architecture", f"unknown for more than {UNKNOWN_AFTER.seconds} s"),
    ("architecture", f"for at most {_TIMING.record_wait:.0f} s"),
    ("architecture", f"when one is {LIMIT_SECONDS:.0f} s late"),
    ("architecture", f"resolved again every {RESOLVE.seconds} s"),
    ("console-api", f"checked again every {RECHECK.seconds} s"),
    ("console-api", f"({_HORIZON} unless set)"),
    ("console-api", f"plausible block time, {FASTEST_BLOCK_SECONDS} s"),
    ("own-wallet", f"less than {MAX_AGE.seconds} s old"),
    ("own-wallet", f"at most {MAX_LAG} blocks behind"),
    ("own-wallet", f"a timeout of {LIFETIME.seconds} s"),
    ("own-wallet", f"({OUTCOME_HORIZON.seconds} unless"),
    ("own-wallet", f"({_CHAIN.outcome_horizon_seconds} unless"),
    ("console-api", f"time limit of {TIMEOUT.total:.0f} s"),
    ("failover", f"no answer for {WORDS[_TIMING.gateway_grace / 60]} minute"),
    ("failover", f"no forwarded port in {_TIMING.deploy_timeout / 60:.0f} minutes"),
    (
        "failover",
        f"the defaults are {_HEALTH.period_seconds} and {_HEALTH.failure_threshold}",
    ),
    ("failover", f"left alone for {WORDS[EXCLUSION / timedelta(hours=1)]}n hour"),
    ("failover", f"grow from {PAUSE_BASE:.0f} s to {PAUSE_CAP / 60:.0f} minutes"),
    ("failover", f"after {WORDS[MAX_ATTEMPTS]} failures"),
    ("failover", f"{WORDS[BASE_QUARANTINE / MINUTE]} minutes, doubled"),
    ("failover", f"at most {WORDS[MAX_QUARANTINE / timedelta(days=1)]} day"),
    ("failover", f"older than {WORDS[FAULT_MEMORY / timedelta(weeks=1)]} week"),
    ("limits-and-spend", f"at least {WORDS[MIN_DEPOSIT / 1_000_000]} dollar"),
    ("troubleshooting", f"Asked again every {RETRY.seconds} s"),
    ("troubleshooting", f"given {WORDS[_TIMING.bid_timeout / 60]} minute"),
    ("local-market", f"| `balance` | {Settings().balance:.0f} |"),
    ("local-market", f"| `bid_timeout_seconds` | {Settings().bid_timeout_seconds:.0f} |"),
    ("local-market", f"| `block_seconds` | {Settings().block_seconds:.0f} |"),
    ("local-market", f"| `settle_seconds` | {Settings().settle_seconds:.0f} |"),
)


@pytest.mark.parametrize(("name", "told"), TOLD)
def test_the_document_tells_what_the_code_does(name: str, told: str) -> None:
    text = " ".join(document(f"docs/{name}.md").text.split())
    assert told in text
