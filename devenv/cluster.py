"""A person's own cluster: looked at before anything is made there, and given back as it was.

What runs there is the API only: the operator, the market and the models run on this machine, so a
cluster that cannot reach this machine will do.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

from devenv.command import output_of
from devenv.controlplane import write_private
from devenv.errors import DevenvError
from devenv.steps import Say, step
from garrison.api.meta import GROUP

ANSWER_SECONDS = 15
DELETE_SECONDS = 120
_MINE = "what an earlier run left, or a Garrison of your own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """``kubeconfig`` names one cluster and one user, whatever KUBECONFIG held.

    ``namespaces`` and ``release`` are what will be made there, beside the CRDs.
    """

    kubeconfig: Path
    kubectl: Path
    helm: Path
    release: str
    release_namespace: str
    namespaces: tuple[str, ...]

    async def _kubectl(self, *words: str, limit_seconds: float = ANSWER_SECONDS) -> str:
        argv = (str(self.kubectl), "--kubeconfig", str(self.kubeconfig), *words)
        return await output_of(argv, limit_seconds=limit_seconds)

    async def require_free(self) -> str:
        """Return the server's address. Raises DevenvError when it does not answer or is not free.

        Free: no CRD of Garrison's, and none of the namespaces; so all that is there later is ours.
        """
        view = json.loads(await self._kubectl("config", "view", "--output=json"))
        server = str(view["clusters"][0]["cluster"]["server"])
        try:
            await self._kubectl("get", "--raw=/version", f"--request-timeout={ANSWER_SECONDS - 5}s")
        except DevenvError as error:
            raise DevenvError(
                f"your cluster at {server} does not answer: {_last_line(error)}. Start it, or leave out "
                "GARRISON_USE_CLUSTER=1 to run on a control plane of this machine"
            ) from error
        found = [*await self._definitions(), *await self._present_namespaces()]
        if found:
            raise DevenvError(
                f"your cluster at {server} has {', '.join(found)}: {_MINE}. Nothing was changed. "
                "Remove them or use another cluster; to remove all of them:\n" + self.removal()
            )
        return server

    def removal(self) -> str:
        """Return the commands that remove everything that is made here."""
        return "\n".join(
            (
                f"  helm uninstall {self.release} --namespace {self.release_namespace}",
                f"  kubectl delete namespace {' '.join(self.namespaces)}",
                f"  kubectl delete crd $(kubectl get crd -o name | grep -F .{GROUP} | cut -d/ -f2)",
            )
        )

    async def give_back(self, say: Say) -> None:
        """Remove release, resources, CRDs and namespaces; says what stays when that fails."""
        try:
            with step("Your cluster", "remove everything that was made there", say):
                await self._remove()
        except DevenvError as error:
            say(
                f"this stays in your cluster: {_last_line(error)}. Remove it with:\n{self.removal()}"
            )

    async def _remove(self) -> None:
        helm = (str(self.helm), "--kubeconfig", str(self.kubeconfig))
        uninstall = ("uninstall", self.release, "--namespace", self.release_namespace)
        await output_of((*helm, *uninstall, "--ignore-not-found"), limit_seconds=DELETE_SECONDS)
        definitions = await self._definitions()
        for name in definitions:
            await self._release_all(name.removeprefix("crd/"))
        await self._delete(*definitions)
        await self._delete(*(f"namespace/{each}" for each in self.namespaces))

    async def _delete(self, *names: str) -> None:
        if names:
            await self._kubectl(
                "delete", *names, "--ignore-not-found", f"--timeout={DELETE_SECONDS}s",
                limit_seconds=DELETE_SECONDS + ANSWER_SECONDS,
            )  # fmt: skip

    async def _release_all(self, kind: str) -> None:
        """Take the finalizers off: the operator has ended, and so has the market that it owed."""
        listed = json.loads(await self._kubectl("get", kind, "-A", "--output=json"))
        for each in listed["items"]:
            if each["metadata"].get("finalizers"):
                space = each["metadata"].get("namespace")
                await self._kubectl(
                    "patch", kind, each["metadata"]["name"], "--type=merge",
                    "--patch", '{"metadata":{"finalizers":null}}',
                    *(("--namespace", space) if space else ()),
                )  # fmt: skip

    async def _definitions(self) -> list[str]:
        names = (await self._kubectl("get", "crd", "--output=name")).split()
        found = (each.partition("/")[2] for each in names)
        return [f"crd/{each}" for each in found if each.endswith(f".{GROUP}")]

    async def _present_namespaces(self) -> list[str]:
        said = await self._kubectl(
            "get", "namespace", *self.namespaces, "--ignore-not-found", "--output=name"
        )
        return said.split()


async def flattened(configured: str, kubectl: Path, out: Path) -> Path:
    """Return ``out``, a private file with the current context of ``configured``: KUBECONFIG's value.

    Raises DevenvError when no file is there or no context is chosen.
    """
    if not _any_file(configured):
        raise DevenvError(f"KUBECONFIG={configured}: there is no such file")
    view = (str(kubectl), "config", "view", "--raw", "--flatten", "--minify")
    try:
        text = await output_of(view, limit_seconds=ANSWER_SECONDS, env={"KUBECONFIG": configured})
    except DevenvError as error:
        raise DevenvError(
            f"KUBECONFIG={configured} cannot be used: {_last_line(error)}. "
            "Choose a context with: kubectl config use-context NAME"
        ) from error
    await asyncio.to_thread(write_private, out, text)
    return out


def _any_file(configured: str) -> bool:
    return any(Path(each).is_file() for each in configured.split(os.pathsep) if each)


def _last_line(error: DevenvError) -> str:
    return str(error).strip().splitlines()[-1].rstrip(".")
