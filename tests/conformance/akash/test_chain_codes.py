"""Every refusal that was recorded from a real chain becomes the right error, with a remedy."""

from __future__ import annotations

import pytest

from garrison.adapters.akash.chain.codes import (
    IN_MEMPOOL,
    MEANINGS,
    Refusal,
    refusal,
    simulated_refusal,
)
from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    ConflictError,
    FundsError,
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from tests.conformance.akash.recordings import body, exchanges, names

OTHERS: dict[str, type[GarrisonError]] = {
    "account-number-wrong": AuthError,
    "bid-twice": AlreadyExistsError,
    "bid-unknown-order": NotFoundError,
    "bid-unknown-provider": NotFoundError,
    "batch-one-bad-rolls-back": AlreadyExistsError,
    "close-unknown": NotFoundError,
    "create-provider-again": AlreadyExistsError,
    "deposit-grant-missing": FundsError,
    "deposit-over-balance": FundsError,
    "deposit-to-unknown": NotFoundError,
    "duplicate-dseq": AlreadyExistsError,
    "fee-low": UnavailableError,
    "fee-zero": UnavailableError,
    "feegrant-none": FundsError,
    "grant-exceeded": FundsError,
    "not-my-owner": AuthError,
    "out-of-gas": UnavailableError,
    "out-of-gas-ante": UnavailableError,
    "recreate-closed-dseq": AlreadyExistsError,
    "sequence-ahead": ConflictError,
    "sequence-old": ConflictError,
    "sequence-zero-ordered": ConflictError,
    "timeout-height-past": UnavailableError,
    "unknown-account": FundsError,
    "unordered-expired": UnavailableError,
    "unordered-replay-committed": UnavailableError,
    "unordered-replay-mempool": UnavailableError,
    "unsigned": AuthError,
    "wrong-chain-id": AuthError,
}
"""What is not a RejectedError."""

CASES = sorted({name.split(".")[0].removeprefix("err-") for name in names("") if "err-" in name})
_MISLED = {"not-my-owner"}
"""Cases whose simulation stumbled over something else."""


def _refused(case: str) -> Refusal:
    for step in ("tx", "broadcast"):
        name = f"err-{case}.{step}"
        if name in exchanges():
            answer = body(name)["tx_response"]
            if answer["code"]:
                return refusal(answer["codespace"], answer["code"], answer["raw_log"])
    raise AssertionError(f"{case} was not refused")


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_refusal_is_the_right_error(case: str) -> None:
    error = _refused(case).error("a test")
    assert type(error) is OTHERS.get(case, RejectedError)
    assert str(error).startswith("a test: the chain says ")
    assert str(error).isprintable()


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_refusal_is_in_the_table(case: str) -> None:
    code = _refused(case).code
    assert code in MEANINGS or code == ("undefined", 1)


def _fails_in_simulation(case: str) -> bool:
    made = exchanges().get(f"err-{case}.simulate")
    return made is not None and made.status != 200 and case not in _MISLED


@pytest.mark.parametrize("case", [each for each in CASES if _fails_in_simulation(each)])
def test_a_simulation_that_fails_says_the_same(case: str) -> None:
    """The code is lost in a simulation; its text leads to the same error and the same message."""
    simulated = simulated_refusal(body(f"err-{case}.simulate")["message"])
    refused = _refused(case)
    assert type(simulated.error("a test")) is type(refused.error("a test"))
    assert simulated.index == refused.index
    assert ".go" not in simulated.text
    assert "gas used:" not in simulated.text


def test_the_message_at_fault_is_found() -> None:
    assert _refused("batch-one-bad-rolls-back").index == 1
    assert _refused("fee-low").index is None


def test_a_code_that_nobody_knows_is_a_refusal() -> None:
    error = refusal("swap", 7, "no\nluck\x00" + "x" * 900).error("a swap")
    assert type(error) is RejectedError
    assert "swap/7 no luck" in str(error)
    assert len(str(error)) < 600


def test_a_replay_is_recognised() -> None:
    assert _refused("unordered-replay-mempool").code == IN_MEMPOOL
