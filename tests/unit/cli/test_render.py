"""``garrison sdl render`` against an API server: the same as from the same resources in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from devenv.checkout import ROOT
from garrison.adapters.kube.client import connect
from garrison.api.meta import ACCOUNT, POLICY, WORKLOAD
from garrison.api.schema import crds
from garrison.cli.main import main
from kube_light.server import kubeconfig, serve
from kube_light.store import Store
from tests.contract.kube.berth import CRD, NAMESPACE

EXAMPLES = ROOT / "docs" / "examples"
FILES = ((ACCOUNT, "00-account"), (POLICY, "10-policy"), (WORKLOAD, "30-gpu-workload"))


async def rendered(*words: str) -> Result:
    """Run the program in a thread: it starts an event loop of its own."""
    words = ("sdl", "render", *words, "-n", "prod")
    return await asyncio.to_thread(CliRunner().invoke, main, words)


async def test_the_cluster_gives_what_a_file_gives(tmp_path: Path) -> None:
    texts = [(kind, (EXAMPLES / f"{name}.yaml").read_text()) for kind, name in FILES]
    file, config = tmp_path / "all.yaml", tmp_path / "kubeconfig"
    file.write_text("\n---\n".join(text for _, text in texts))
    async with serve(Store()) as url:
        config.write_text(yaml.safe_dump(kubeconfig(url)))
        kube = await connect(str(config))
        try:
            for crd in crds():
                await kube.create(CRD, crd)
            await kube.create(NAMESPACE, {"metadata": {"name": "prod"}})
            for kind, text in texts:
                await kube.create(kind, yaml.safe_load(text))
        finally:
            await kube.close()
        result = await rendered("iw/llama", "--kubeconfig", str(config))
        missing = await rendered("iw/ghost", "--kubeconfig", str(config))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (await rendered("iw/llama", "-f", str(file))).stdout
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "kubectl get iw -A" in missing.stderr
