"""What the Console makes of the chain's refusals: some are explained, of the others nothing is said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from akash_sandbox.console.problem import ProblemError

_POOR = (
    "Not enough balance to cover the deployment deposit. "
    "Add credits or turn on auto recharge to continue."
)
_CLUES = {
    "insufficient funds": (400, "Insufficient funds"),
    "Deposit too low": (400, "Deposit too low"),
    "Deployment closed": (400, "Deployment closed"),
    "account closed": (400, "Deployment closed"),
    "invalid: deployment hash": (400, "Invalid deployment hash"),
    "Deployment exists": (400, "Deployment with provided dseq and owner already exists"),
    "bid not open": (400, "Cannot create lease: The selected bid is no longer open."),
    "order not open": (400, "Cannot create lease: The order has already been matched or closed."),
    "insufficient balance": (402, _POOR),
}
_TITLES = {
    "/akash.deployment.v1beta4.MsgCreateDeployment": "Failed to create deployment: ",
    "/akash.market.v1beta5.MsgCreateLease": "Failed to create lease: ",
    "/akash.cert.v1.MsgCreateCertificate": "Failed to create certificate: ",
}
_INDEX = re.compile(r"message index: ([0-9]+)")


def refused(raw_log: str, type_urls: Sequence[str]) -> ProblemError:
    """Return the answer to a transaction of messages that the chain refused."""
    clue = next((each for each in _CLUES if each.lower() in raw_log.lower()), None)
    if clue is None:
        return ProblemError(500, "Internal server error")
    status, text = _CLUES[clue]
    found = _INDEX.search(raw_log)
    index = int(found[1]) if found else len(type_urls)
    title = _TITLES.get(type_urls[index], "") if index < len(type_urls) else ""
    return ProblemError(status, title + text)
