"""A registry login: the Console and the provider receive it, and it shows nowhere else."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from akash_sandbox.client import CONSOLE, HostilityChange
from devenv.stage import NAMESPACE, RELEASE
from tests.e2e.scene import Scene

CANARY = "canary-pull-5e0b77"


def bodies(namespace: str, registry: str) -> list[dict[str, Any]]:
    """A docker login, and the right to read it that the chart gives for imagePullSecrets.namespaces."""
    meta = {"name": "hub", "namespace": namespace}
    rights = "rbac.authorization.k8s.io"
    login = {"auths": {registry: {"username": "robot", "password": CANARY}}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(login)},
        },
        {
            "apiVersion": f"{rights}/v1",
            "kind": "Role",
            "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        },
        {
            "apiVersion": f"{rights}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rights, "kind": "Role", "name": "hub"},
            "subjects": [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}],
        },
    ]


def shows(data: bytes) -> bool:
    """Whether the login can be read in it, as it is or in base64."""
    forms = (CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"="))
    return any(form in data for form in forms)


async def test_the_login_reaches_whoever_pulls_and_shows_nowhere_else(scene: Scene) -> None:
    stage = scene.stage
    await scene.admin.be_hostile(CONSOLE, HostilityChange(reads=True))
    await stage.apply(*bodies(scene.namespace, stage.images["synthetic"].partition("/")[0]))
    await scene.serve("chat", imagePullSecrets=[{"name": "hub"}])
    found = [Path(each.path) for each in await scene.admin.seen(CONSOLE)]
    sent = b"".join([await asyncio.to_thread(path.read_bytes) for path in found])
    assert shows(sent), "the order is sent with the login"
    told = await scene.kubectl("describe", "iw", "chat")
    assert told.count("ProviderSeesThem") >= 2, "a condition and an Event"
    kinds = (await stage.kubectl("api-resources", "--verbs=list", "-o", "name")).split()
    wanted = ",".join(each for each in kinds if each != "secrets")
    objects = await stage.kubectl("get", wanted, "--all-namespaces", "-o", "json")
    assert "PullSecretsShared" in objects
    assert not shows(objects.encode())
    logs = [path for path in stage.folder.glob("*.log") if shows(path.read_bytes())]
    assert logs == []
