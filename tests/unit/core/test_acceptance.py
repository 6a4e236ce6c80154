"""What only the operator can see: the reason, the object at fault, and the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from garrison.api.account import Account, AllowedNamespaces
from garrison.api.container import Metrics, SecretUse
from garrison.api.meta import LocalRef
from garrison.api.policy import Policy
from garrison.api.workload import Budget, Integrity
from garrison.core.acceptance import problem
from tests.builders import account, limits, policy, workload

TOKEN = SecretUse(rotating_secret_ref=LocalRef(name="token"), env="TOKEN")


def leaving(of: Account) -> Account:
    return replace(of, meta=replace(of.meta, deleting=True))


CASES: list[tuple[str, dict[str, Any], Account | None, Policy | None, str, tuple[str, ...]]] = [
    (
        "the account named does not exist",
        {"account_ref": LocalRef(name="nobody")},
        None,
        None,
        "AccountNotFound",
        ("spec.accountRef", "'nobody'", "known: other", "create it or change"),
    ),
    (
        "no account is the default",
        {},
        None,
        None,
        "AccountNotFound",
        ("spec.accountRef is not set", "spec.default: true", "known: other"),
    ),
    (
        "the account does not pay for the namespace",
        {},
        account(allowed_namespaces=AllowedNamespaces(names=("dev",))),
        None,
        "NamespaceNotAllowed",
        ("'treasury'", "'prod'", "add it to spec.allowedNamespaces.names"),
    ),
    (
        "the account is being deleted",
        {},
        leaving(account()),
        None,
        "AccountDeleting",
        ("'treasury'", "use another one"),
    ),
    (
        "the policy named does not exist",
        {"provider_policy_ref": LocalRef(name="eu")},
        account(),
        None,
        "PolicyNotFound",
        ("spec.providerPolicyRef", "'eu'", "namespace 'prod'", "create it or change"),
    ),
    (
        "an egress policy without the agent that enforces it",
        {"egress_policy_ref": LocalRef(name="closed"), "trust": "Unverified"},
        account(),
        None,
        "EgressNeedsSentinel",
        ("spec.egressPolicyRef", "spec.trust: Unverified", "remove one of the two"),
    ),
    (
        "the egress policy named does not exist",
        {"egress_policy_ref": LocalRef(name="closed"), "trust": "Verified"},
        account(),
        None,
        "EgressPolicyNotFound",
        ("spec.egressPolicyRef", "'closed'", "namespace 'prod'", "create it or change"),
    ),
    (
        "secrets without the agent that takes them",
        {"secrets": (TOKEN,), "trust": "Unverified"},
        account(),
        None,
        "SecretsNeedSentinel",
        ("spec.secrets", "spec.trust: Unverified", "remove one of the two"),
    ),
    (
        "looks inside without the agent that looks",
        {"integrity": Integrity(), "trust": "Unverified"},
        account(),
        None,
        "IntegrityNeedsSentinel",
        ("spec.integrity", "spec.trust: Unverified", "remove one of the two"),
    ),
    (
        "metrics without the agent that asks for them",
        {"metrics": Metrics(), "trust": "Unverified"},
        account(),
        None,
        "MetricsNeedSentinel",
        ("spec.metrics", "spec.trust: Unverified", "remove one of the two"),
    ),
    (
        "the secret named does not exist",
        {"secrets": (TOKEN,), "trust": "Verified"},
        account(),
        None,
        "SecretNotFound",
        ("spec.secrets", "'token'", "namespace 'prod'", "create it or change"),
    ),
    (
        "the budget is above the account's ceiling",
        {"budget": Budget(max_price_per_hour="10.000001")},
        account(),
        None,
        "BudgetAboveAccountLimit",
        ("spec.budget.maxPricePerHour 10.000001", "limits.maxPricePerHour 10.00", "'treasury'"),
    ),
]


@pytest.mark.parametrize(("case", "spec", "payer", "chosen", "reason", "said"), CASES)
def test_problems(
    *,
    case: str,
    spec: dict[str, Any],
    payer: Account | None,
    chosen: Policy | None,
    reason: str,
    said: tuple[str, ...],
) -> None:
    found = problem(workload(**spec), payer, chosen, ["other"])
    assert found is not None, case
    assert found.reason == reason
    assert [each for each in said if each not in found.message] == []


def test_what_can_be_served_has_no_problem() -> None:
    at_the_ceiling = workload(
        budget=Budget(max_price_per_hour="10"), provider_policy_ref=LocalRef(name="eu")
    )
    assert problem(at_the_ceiling, account(limits=limits(price="10")), policy(), []) is None
    allowed = account(allowed_namespaces=AllowedNamespaces(names=("prod",)))
    assert problem(workload(), allowed, None, []) is None


def test_without_any_account_the_message_says_so() -> None:
    found = problem(workload(), None, None, [])
    assert found is not None
    assert "none exists yet" in found.message
