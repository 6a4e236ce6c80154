"""What the Secret of a bootstrap holds, what of it reaches a provider, and what makes it useless."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography import x509

from garrison.adapters.sentinel.bootstrap import ENTRIES, KubeBootstraps
from garrison.adapters.sentinel.bundle import Bundle
from garrison.adapters.sentinel.certificates import NO_END
from garrison.api.egress import DENY_ALL
from garrison.api.meta import SECRET
from garrison.errors import UnavailableError
from garrison.ports.sentinel import SentinelPorts
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, SYSTEM, Trust, trust

NAME = "bootstrap-1"


async def prepared(found: Trust) -> KubeBootstraps:
    """Fresh bootstraps, as after a start of the operator, with one that exists."""
    bootstraps = KubeBootstraps(
        kube=found.kube,
        clock=found.clock,
        namespace=SYSTEM,
        domain=DOMAIN,
        operator=found.operator,
        bundle=lambda: Bundle(archive=b"zip", loader="pass"),
    )
    await bootstraps.prepare(NAME, LEASE, SentinelPorts(data=1, control=2), DENY_ALL)
    return bootstraps


async def test_the_operator_s_key_reaches_no_provider_and_its_certificate_does() -> None:
    bootstraps = await prepared(trust())
    pins = bootstraps.pins(await bootstraps.fingerprint(NAME) or "")
    injection = await bootstraps.injection(NAME)
    assert injection is not None
    given = base64.b64decode(dict(injection.env)["GARRISON_BOOTSTRAP"])
    assert json.loads(given)["operatorCAs"][0] == pins.certificate
    assert json.dumps(pins.key).encode()[1:-1] not in given
    assert pins.key not in repr(pins)


async def test_neither_side_s_certificate_ends_before_the_lease() -> None:
    bootstraps = await prepared(trust())
    pins = bootstraps.pins(await bootstraps.fingerprint(NAME) or "")
    for text in (pins.bootstrap, pins.certificate):
        certificate = x509.load_pem_x509_certificate(text.encode())
        assert certificate.not_valid_after_utc == NO_END


async def test_two_operators_know_one_lease_by_the_same_keys() -> None:
    found = trust()
    first, second = await prepared(found), await prepared(found)
    known = await first.fingerprint(NAME)
    assert known is not None
    assert await second.fingerprint(NAME) == known
    assert first.pins(known) == second.pins(known)


async def test_nobody_enrols_by_a_bootstrap_that_was_discarded() -> None:
    bootstraps = await prepared(trust())
    known = await bootstraps.fingerprint(NAME)
    assert known is not None
    await bootstraps.discard(NAME)
    with pytest.raises(UnavailableError, match="closed"):
        bootstraps.pins(known)


@pytest.mark.parametrize("missing", sorted(ENTRIES))
async def test_a_secret_that_lacks_something_is_no_bootstrap(missing: str) -> None:
    found = trust()
    await prepared(found)
    raw = await found.kube.get(SECRET, SYSTEM, NAME)
    assert raw is not None
    await found.kube.delete(SECRET, SYSTEM, NAME)
    data = {key: text for key, text in raw["data"].items() if key != missing}
    meta = {"name": NAME, "namespace": SYSTEM}
    await found.kube.create(SECRET, {"metadata": meta, "data": data})
    bootstraps = await prepared(found)
    assert await bootstraps.fingerprint(NAME) is None
    assert await bootstraps.injection(NAME) is None
