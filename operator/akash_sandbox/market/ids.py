"""Names of things as the chain's events write them."""

from __future__ import annotations

from typing import Any

from akash_sandbox.market.deployment import Deployment

Json = dict[str, Any]

DEPLOYMENT = "akash.deployment.v1."
MARKET = "akash.market.v1."


def deployment(found: Deployment) -> Json:
    return {"owner": found.owner, "dseq": found.dseq}


def group(found: Deployment, gseq: int) -> Json:
    return {**deployment(found), "gseq": gseq}


def order(found: Deployment, gseq: int, oseq: int) -> Json:
    return {**group(found, gseq), "oseq": oseq}


def bid(found: Deployment, gseq: int, oseq: int, provider: str) -> Json:
    """Return a bid's name, which is its lease's as well."""
    return {**order(found, gseq, oseq), "provider": provider, "bseq": 0}
