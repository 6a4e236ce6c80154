"""Logins out of docker configurations: the right one for the registry, or an error that says what to do."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.registry.pull_secrets import NULL_USER, KubePullSecrets
from garrison.api.meta import SECRET, Kind
from garrison.errors import AuthError
from garrison.ports.registry import Credentials
from kube_light.store import Store

NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
DIGEST = "sha256:" + "a" * 64
ROBOT = Credentials(username="robot", password="pull-only-7f3")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def secrets(content: Any) -> KubePullSecrets:
    """Secrets of a namespace with one, ``hub``."""
    kube = MemoryKube(Store())
    await kube.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}
    )
    text = content if isinstance(content, str) else json.dumps(content)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hub", "namespace": "prod"},
        "data": {".dockerconfigjson": encoded(text)},
    }
    await kube.create(SECRET, body)
    return KubePullSecrets(kube)


@pytest.mark.parametrize(
    ("server", "entry", "image", "login"),
    [
        ("ghcr.io", {"username": "robot", "password": "pull-only-7f3"}, "ghcr.io/a/b", ROBOT),
        ("https://ghcr.io", {"auth": encoded("robot:pull-only-7f3")}, "ghcr.io/a/b", ROBOT),
        (
            "https://index.docker.io/v1/",
            {"auth": encoded("robot:pull-only-7f3")},
            "docker.io/a/b",
            ROBOT,
        ),
        ("quay.io", {"auth": encoded("robot:pull-only-7f3")}, "ghcr.io/a/b", None),
        (
            "acme.azurecr.io",
            {"auth": encoded(f"{NULL_USER}:"), "identitytoken": "ey.token"},
            "acme.azurecr.io/b",
            Credentials(username=NULL_USER, password="ey.token"),
        ),
    ],
)
async def test_the_login_of_the_image_s_registry_is_found(
    server: str, entry: Any, image: str, login: Credentials | None
) -> None:
    found = await secrets({"auths": {server: entry}})
    assert await found.credentials("prod", ["hub"], f"{image}@{DIGEST}") == login


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        {"auths": {"ghcr.io": {"username": "robot"}}},
        {"auths": {"ghcr.io": {"auth": encoded("robot:"), "identitytoken": "ey.token"}}},
        {"auths": {"ghcr.io": {"auth": "%"}}},
    ],
)
async def test_what_is_no_login_is_refused_and_not_shown(content: Any) -> None:
    found = await secrets(content)
    with pytest.raises(AuthError, match="create it with: kubectl create secret") as refused:
        await found.credentials("prod", ["hub"], f"ghcr.io/a/b@{DIGEST}")
    assert "ey.token" not in str(refused.value)


async def test_a_secret_that_does_not_exist_is_named() -> None:
    found = await secrets({"auths": {}})
    with pytest.raises(AuthError, match="Secret prod/other of imagePullSecrets does not exist"):
        await found.credentials("prod", ["other"], f"ghcr.io/a/b@{DIGEST}")
