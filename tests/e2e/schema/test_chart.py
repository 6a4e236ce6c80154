"""The Helm chart: what it renders, and the rights that it really gives."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from devenv.checkout import ROOT
from devenv.errors import DevenvError
from devenv.provision import ensure_helm
from garrison.cli.run import run
from garrison.core.mining import parse_pools
from tests.e2e.schema.conftest import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("controlplane"), pytest.mark.timeout(300)]

CHART = str(ROOT / "charts" / "garrison")
NAMESPACE = "garrison-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:garrison"
Helm: TypeAlias = Callable[..., str]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Run helm and return what it prints; AssertionError when it fails."""
    try:
        binary: Path = asyncio.run(ensure_helm())
    except DevenvError as error:
        pytest.skip(f"no helm: {error}")

    def invoke(*arguments: str) -> str:
        done = subprocess.run(
            [str(binary), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return invoke


def rendered(helm: Helm, *settings: str) -> list[dict[str, Any]]:
    options = [part for each in settings for part in ("--set", each)]
    text = helm("template", "garrison", CHART, "--namespace", NAMESPACE, *options)
    return [each for each in yaml.safe_load_all(text) if each]


def the(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def operator_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = the("Deployment", objects)["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def test_lint_finds_nothing(helm: Helm) -> None:
    helm("lint", "--strict", CHART)


def test_the_command_line_understands_what_the_chart_says(helm: Helm) -> None:
    container = operator_of(
        rendered(
            helm,
            "installation=0123abcd",
            "insecureRegistries={registry.local:5000}",
            "logFormat=text",
        )
    )
    command, *arguments = container["args"]
    context = run.make_context(command, arguments)
    assert context.params["namespace"] == NAMESPACE
    assert context.params["installation"] == "0123abcd"
    assert context.params["insecure_registries"] == ("registry.local:5000",)
    assert context.params["port"] == container["ports"][0]["containerPort"]
    assert context.params["log_format"] == "text"


def test_a_list_of_mining_pools_reaches_the_operator(helm: Helm, tmp_path: Path) -> None:
    """It is mounted where the command line says; another list starts another pod."""
    pools = tmp_path / "pools.txt"
    pools.write_text("# ours\npool.example\n203.0.113.0/24\n")
    options = ("--namespace", NAMESPACE, "--set-file", f"miningPools={pools}")
    objects = [
        each
        for each in yaml.safe_load_all(helm("template", "garrison", CHART, *options))
        if each is not None
    ]
    held = the("ConfigMap", objects)
    assert parse_pools(held["data"]["pools"], "pools") == parse_pools(pools.read_text(), "pools")
    container = operator_of(objects)
    command, *arguments = container["args"]
    path = run.make_context(command, arguments).params["mining_pools"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    template = the("Deployment", objects)["spec"]["template"]
    (volume,) = [each for each in template["spec"]["volumes"] if "configMap" in each]
    assert volume["configMap"]["name"] == held["metadata"]["name"]
    assert path == Path(mounts[volume["name"]], *held["data"])
    digest = hashlib.sha256(pools.read_bytes()).hexdigest()
    assert template["metadata"]["annotations"] == {"garrison.dev/mining-pools": digest}
    assert "ConfigMap" not in {each["kind"] for each in rendered(helm)}


def test_probes_reach_the_operator_from_outside(helm: Helm) -> None:
    container = operator_of(rendered(helm))
    bind = next(each for each in run.params if each.name == "host")
    assert {each["name"]: each["value"] for each in container["env"]} == {bind.envvar: "0.0.0.0"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_pod_meets_the_restricted_standard(helm: Helm) -> None:
    objects = rendered(helm)
    pod = the("Deployment", objects)["spec"]["template"]["spec"]["securityContext"]
    container = operator_of(objects)["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_a_digest_wins_over_a_tag(helm: Helm) -> None:
    digest = "sha256:" + "a" * 64
    container = operator_of(rendered(helm, f"image.digest={digest}", "image.tag=v1"))
    assert container["image"] == f"ghcr.io/garrison/garrison@{digest}"


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("installation=prod", "/installation"),
        ("image.digest=latest", "/image/digest"),
        ("logFormat=xml", "/logFormat"),
        ("port=80", "/port"),
        ("replicas=2", "replicas"),
    ],
)
def test_bad_values_are_refused_by_name(helm: Helm, setting: str, field: str) -> None:
    with pytest.raises(AssertionError, match=field):
        rendered(helm, setting)


def reads_secrets(rule: dict[str, Any]) -> bool:
    return "secrets" in rule["resources"] and bool({"get", "list", "watch"} & set(rule["verbs"]))


def test_pull_secrets_are_readable_only_where_asked_for(helm: Helm) -> None:
    def readers(*settings: str) -> set[str]:
        return {
            each["metadata"].get("namespace", "everywhere")
            for each in rendered(helm, *settings)
            if any(reads_secrets(rule) for rule in each.get("rules", ()))
        }

    assert readers() == {NAMESPACE}
    assert readers("imagePullSecrets.namespaces={prod}") == {NAMESPACE, "prod"}
    assert readers("imagePullSecrets.allNamespaces=true") == {NAMESPACE, "everywhere"}


@pytest.fixture(scope="session")
def release(helm: Helm, kubectl: Kubectl, real_kubeconfig: str) -> None:
    """The chart in the cluster, without a pod."""
    where = ("--kubeconfig", real_kubeconfig, "--namespace", NAMESPACE, "--create-namespace")
    helm("install", "garrison", CHART, *where, "--set", "deployment.enabled=false")


ALLOWED = (
    ("list", "inferenceworkloads.garrison.dev", "prod"),
    ("patch", "inferenceworkloads.garrison.dev/status", "prod"),
    ("create", "akashleases.garrison.dev", "prod"),
    ("delete", "akashleases.garrison.dev", "prod"),
    ("watch", "akashaccounts.garrison.dev", ""),
    ("watch", "egresspolicies.garrison.dev", "prod"),
    ("patch", "egresspolicies.garrison.dev/status", "prod"),
    ("patch", "rotatingsecrets.garrison.dev", "prod"),
    ("patch", "rotatingsecrets.garrison.dev/status", "prod"),
    ("create", "secrets", "prod"),
    ("delete", "secrets", "prod"),
    ("patch", "secrets", NAMESPACE),
    ("list", "secrets", NAMESPACE),
    ("create", "akashproviders.garrison.dev", ""),
    ("watch", "providerpolicies.garrison.dev", "prod"),
    ("create", "controllerrevisions.apps", "prod"),
    ("get", "services", "prod"),
    ("patch", "services", "prod"),
    ("list", "endpointslices.discovery.k8s.io", "prod"),
    ("delete", "endpointslices.discovery.k8s.io", "prod"),
    ("create", "events.events.k8s.io", "prod"),
    ("get", "secrets/console-key", NAMESPACE),
    ("get", f"namespaces/{NAMESPACE}", ""),
)
DENIED = (
    ("get", "secrets/ghcr", "prod"),
    ("list", "secrets", "prod"),
    ("watch", "secrets", NAMESPACE),
    ("create", "inferenceworkloads.garrison.dev", "prod"),
    ("delete", "inferenceworkloads.garrison.dev", "prod"),
    ("create", "akashaccounts.garrison.dev", ""),
    ("delete", "services", "prod"),
    ("list", "services", "prod"),
    ("create", "pods", "prod"),
    ("get", "namespaces/prod", ""),
    ("list", "namespaces", ""),
    ("list", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", ""),
)


def answer(kubectl: Kubectl, right: tuple[str, str, str]) -> str:
    verb, resource, namespace = right
    status = ("--subresource=status",) if resource.endswith("/status") else ()
    resource = resource.removesuffix("/status")
    within = ("--namespace", namespace) if namespace else ("--all-namespaces",)
    arguments = ("auth", "can-i", verb, resource, *status, *within, f"--as={ACCOUNT}")
    return kubectl(*arguments, codes=(0, 1)).strip()


@pytest.mark.usefixtures("release")
@pytest.mark.parametrize("right", ALLOWED, ids=" ".join)
def test_what_the_operator_does_is_allowed(kubectl: Kubectl, right: tuple[str, str, str]) -> None:
    assert answer(kubectl, right) == "yes"


@pytest.mark.usefixtures("release")
@pytest.mark.parametrize("right", DENIED, ids=" ".join)
def test_nothing_else_is_allowed(kubectl: Kubectl, right: tuple[str, str, str]) -> None:
    assert answer(kubectl, right) == "no"
