"""Where a lease's container is managed."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.api.lease import DeploymentStatus
from garrison.core.target import target_of
from garrison.ports.market import LeaseTarget
from tests.builders import NOW, lease

HELD: dict[str, Any] = {
    "deployment": DeploymentStatus(id="100", marker="m", ordered_at=NOW),
    "provider": "p1",
    "gseq": 1,
    "oseq": 2,
    "provider_host": "https://then.example:8443",
}


@pytest.mark.parametrize(
    ("listed", "host"),
    [(None, "https://then.example:8443"), ("https://now.example:8443", "https://now.example:8443")],
)
def test_the_providers_record_is_newer_than_the_lease(listed: str | None, host: str) -> None:
    expected = LeaseTarget(deployment="100", gseq=1, oseq=2, provider="p1", host_uri=host)
    assert target_of(lease("Ready", **HELD).status, listed) == expected


@pytest.mark.parametrize("missing", HELD)
def test_what_is_not_known_has_no_target(missing: str) -> None:
    fields = {**HELD, missing: None}
    assert target_of(lease("Deploying", **fields).status, None) is None
