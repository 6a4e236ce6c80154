"""Compiles the chain's ``.proto`` files to Python modules and their types."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from grpc_tools import protoc

from devenv.checkout import ROOT
from devenv.errors import DevenvError

SOURCE_ROOT = Path("operator")
SCHEMA = Path("akash_proto/schema")
GENERATED = ("*_pb2.py", "*_pb2.pyi")


def compiled() -> dict[Path, str]:
    """Return the text of every generated module by its path below the repository's root.

    Raises DevenvError when a ``.proto`` file has a mistake; the compiler has then said which.
    """
    source = ROOT / SOURCE_ROOT
    files = [str(each.relative_to(source)) for each in sorted((source / SCHEMA).glob("*.proto"))]
    with tempfile.TemporaryDirectory(prefix="garrison-protos-") as folder:
        _compile(source, Path(folder), files)
        return {
            SOURCE_ROOT / each.relative_to(folder): each.read_text(encoding="utf-8")
            for pattern in GENERATED
            for each in sorted((Path(folder) / SCHEMA).glob(pattern))
        }


def present(root: Path) -> list[Path]:
    """Return the paths of the generated modules that are there."""
    folder = root / SOURCE_ROOT / SCHEMA
    return [each.relative_to(root) for pattern in GENERATED for each in folder.glob(pattern)]


def _compile(source: Path, target: Path, files: Sequence[str]) -> None:
    arguments = ["protoc", f"-I{source}", f"-I{_well_known()}"]
    arguments += [f"--python_out={target}", f"--pyi_out={target}", *files]
    if protoc.main(arguments) != 0:
        raise DevenvError(f"protoc refuses a file in {SOURCE_ROOT / SCHEMA}")


def _well_known() -> Path:
    return Path(protoc.__file__).parent / "_proto"
