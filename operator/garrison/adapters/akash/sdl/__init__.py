"""The stack definition language of Akash, versions 2.0 and 2.1: what a tenant writes.

``parse`` reads YAML into a typed ``Sdl``, with every error's line and field; ``compile_sdl`` makes of
it what goes to the chain (groups) and to the provider (manifest, and its hash, the version);
``render_text`` writes it as YAML again. The results are those of the reference library
(pkg.akt.dev/go), byte for byte. What that library accepts in error is refused.

The package stands on its own: it imports nothing of the operator.
"""

from garrison.adapters.akash.sdl.compilation import Compiled, compile_sdl
from garrison.adapters.akash.sdl.errors import Problem, SdlError
from garrison.adapters.akash.sdl.model import Sdl
from garrison.adapters.akash.sdl.parsing import parse
from garrison.adapters.akash.sdl.rendering import render, render_text

__all__ = [
    "Compiled",
    "Problem",
    "Sdl",
    "SdlError",
    "compile_sdl",
    "parse",
    "render",
    "render_text",
]
