"""What only the operator can refuse: the spec, the reason on ``Ready``, and the words that help.

The API server takes each of these; that is why they are not among the schema's refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from devenv.stage import NAMESPACE as OPERATOR_NAMESPACE
from devenv.stage import SECRET
from tests.e2e.bodies import Body

ZEROS = "0" * 64
MISSING_DIGEST = f"sha256:{ZEROS}"
CREATE_SECRET = (
    f"kubectl create secret generic {{}} -n {OPERATOR_NAMESPACE} --from-literal=key=API-KEY"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A workload that is not served, and what its ``Ready`` says: ``reason``, and all of ``says``.

    ``needs_a_person`` False: it passes by itself, so the workload is Reconciling, not Stalled.
    ``{namespace}`` and ``{registry}`` stand for those of the test.
    """

    name: str
    reason: str
    says: tuple[str, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)
    needs_a_person: bool = True


def _paid_by(account: str) -> dict[str, Any]:
    return {"accountRef": {"name": account}}


def _pulled_with(secret: str) -> dict[str, Any]:
    return {"imagePullSecrets": [{"name": secret}]}


REFUSALS = (
    Refusal(
        name="no-such-account",
        spec=_paid_by("nobody"),
        reason="AccountNotFound",
        says=("spec.accountRef", "AkashAccount 'nobody'", "create it or change the reference"),
    ),
    Refusal(
        name="not-ours-to-spend",
        spec=_paid_by("elsewhere"),
        reason="NamespaceNotAllowed",
        says=("'elsewhere'", "namespace '{namespace}'", "spec.allowedNamespaces.names"),
    ),
    Refusal(
        name="no-such-policy",
        spec={"providerPolicyRef": {"name": "nobody"}},
        reason="PolicyNotFound",
        says=("ProviderPolicy 'nobody'", "namespace '{namespace}'", "create it or change"),
    ),
    Refusal(
        name="dear",
        spec={"budget": {"maxPricePerHour": "20.01"}},
        reason="BudgetAboveAccountLimit",
        says=("20.01", "limits.maxPricePerHour 20.00", "'treasury'", "lower the one or raise"),
    ),
    Refusal(
        name="account-without-secret",
        spec=_paid_by("without-secret"),
        reason="AccountNotReady",
        says=("'without-secret'", "does not exist", CREATE_SECRET.format("no-such-secret")),
    ),
    Refusal(
        name="account-without-key",
        spec=_paid_by("without-key"),
        reason="AccountNotReady",
        says=("'without-key'", "key 'other'", "is missing or empty", "kubectl create secret"),
    ),
    Refusal(
        name="account-garbled",
        spec=_paid_by("garbled"),
        reason="AccountNotReady",
        says=("'garbled'", "is not an API key", CREATE_SECRET.format("garbled-key")),
    ),
    Refusal(
        name="account-refused",
        spec=_paid_by("refused"),
        reason="AccountNotReady",
        says=("'refused'",),
    ),
    Refusal(
        name="account-unreachable",
        spec=_paid_by("unreachable"),
        reason="MarketUnavailable",
        says=("'unreachable'", "127.0.0.1:1"),
        needs_a_person=False,
    ),
    Refusal(
        name="no-lease-allowed",
        spec=_paid_by("no-lease"),
        reason="TooManyLeases",
        says=("'no-lease'", "limits.maxLeases is 0", "raise it on the AkashAccount"),
        needs_a_person=False,
    ),
    Refusal(
        name="no-new-lease-allowed",
        spec=_paid_by("no-new-lease"),
        reason="TooManyNewLeases",
        says=("'no-new-lease'", "limits.maxNewLeasesPer10Minutes is 0", "raise it"),
        needs_a_person=False,
    ),
    Refusal(
        name="ceiling-too-low",
        spec={**_paid_by("low"), "budget": {"maxPricePerHour": "1"}, "replicas": 2},
        reason="TooExpensive",
        says=("'low'", "limits.maxPricePerHour is 1.00", "lower spec.budget.maxPricePerHour"),
        needs_a_person=False,
    ),
    Refusal(
        name="cheapskate",
        spec={"budget": {"maxPricePerHour": "0.01"}},
        reason="NoBids",
        says=("nobody bid up to 0.01 $/h", "raise the price ceiling"),
        needs_a_person=False,
    ),
    Refusal(
        name="below-the-unit",
        spec={"budget": {"maxPricePerHour": "0.000001"}},
        reason="InvalidSpec",
        says=("smallest unit", "raise the ceiling"),
        needs_a_person=False,
    ),
    Refusal(
        name="image-missing",
        spec={"image": f"{{registry}}/demo/synthetic@{MISSING_DIGEST}"},
        reason="ImageUnavailable",
        says=(MISSING_DIGEST,),
    ),
    Refusal(
        name="image-of-nobody",
        spec={"image": f"{{registry}}/no/such/repository@{MISSING_DIGEST}"},
        reason="ImageUnavailable",
        says=("no/such/repository",),
    ),
    Refusal(
        name="image-for-arm",
        spec={"image": "{arm64}"},
        reason="ImageUnavailable",
        says=("linux/arm64", "build it for linux/amd64"),
    ),
    Refusal(
        name="registry-private",
        spec={"image": f"127.0.0.1:1/nothing@{MISSING_DIGEST}"},
        reason="ImageUnavailable",
        says=("127.0.0.1",),
    ),
    Refusal(
        name="pull-secret-missing",
        spec=_pulled_with("no-such-login"),
        reason="ImageUnavailable",
        says=("{namespace}/no-such-login", "kubectl create secret docker-registry no-such-login"),
    ),
    Refusal(
        name="pull-secret-opaque",
        spec=_pulled_with("opaque"),
        reason="ImageUnavailable",
        says=("{namespace}/opaque", "not a kubernetes.io/dockerconfigjson Secret"),
    ),
)

UNREADABLE_SECRET = Refusal(
    name="pull-secret-forbidden",
    spec=_pulled_with("login"),
    reason="ImageUnavailable",
    says=("may not read Secret {namespace}/login", "imagePullSecrets.namespaces: [{namespace}]"),
)
"""As long as the chart's values do not let Garrison read Secrets there."""

ELSEWHERE = {
    "AdoptionIsUnverified": "needs what runs already: tests/e2e/chain/test_adopting.py",
    "EgressNeedsSentinel": "tests/unit/core/test_acceptance.py",
    "EgressPolicyNotFound": "tests/unit/core/test_acceptance.py",
    "IntegrityNeedsSentinel": "tests/unit/core/test_acceptance.py",
    "MetricsNeedSentinel": "tests/unit/core/test_acceptance.py",
    "NoPython": "needs an image without it: tests/unit/controllers/test_integrity.py",
    "SecretsNeedSentinel": "tests/unit/core/test_acceptance.py",
    "SecretNotFound": "tests/unit/core/test_acceptance.py",
    "AccountDeleting": "needs an account with a lease: tests/unit/controllers/test_account.py",
    "CheckingImage": "passes within a moment: tests/unit/core/test_summary.py",
    "RegistryUnavailable": "needs a registry that is down: tests/unit/controllers/test_workload.py",
    "RevisionFailed": "needs two providers to fail: tests/unit/controllers/test_workload.py",
}
"""Reasons on a workload's ``Ready`` that other tests drive."""

Account: TypeAlias = Callable[..., Body]


def accounts(make: Account) -> list[Body]:
    """Return the accounts that the refusals name; ``make`` is the stage's."""
    spec = make()["spec"]
    console, limits = spec["backend"]["console"], spec["limits"]

    def keyed(name: str, secret: str, key: str = "key") -> Body:
        changed = {**console, "apiKeySecretRef": {"name": secret, "key": key}}
        return make(name, default=False, backend={"type": "Console", "console": changed})

    def limited(name: str, **changed: Any) -> Body:
        return make(name, default=False, limits={**limits, **changed})

    nowhere = {**console, "endpoint": "https://127.0.0.1:1"}
    return [
        make("elsewhere", default=False, allowedNamespaces={"names": ["elsewhere"]}),
        keyed("without-secret", "no-such-secret"),
        keyed("without-key", SECRET, "other"),
        keyed("garbled", "garbled-key"),
        keyed("refused", "refused-key"),
        make("unreachable", default=False, backend={"type": "Console", "console": nowhere}),
        limited("no-lease", maxLeases=0),
        limited("no-new-lease", maxNewLeasesPer10Minutes=0),
        limited("low", maxPricePerHour="1"),
    ]


def secrets(namespace: str) -> list[Body]:
    """Return the unusable Secrets that the refusals name."""
    return [
        _secret(OPERATOR_NAMESPACE, "garbled-key", key="two\nlines"),
        _secret(OPERATOR_NAMESPACE, "refused-key", key="not-the-key"),
        _secret(namespace, "opaque", key="value"),
    ]


def _secret(namespace: str, name: str, **data: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": data,
    }


def readable(namespace: str, release: str) -> list[Body]:
    """Return what the chart makes of imagePullSecrets.namespaces."""
    meta = {"name": "garrison-pull-secrets", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    subject = {"kind": "ServiceAccount", "name": release, "namespace": OPERATOR_NAMESPACE}
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": meta["name"]},
            "subjects": [subject],
        },
    ]
