"""Serves the image's GGUF model with llama.cpp's own server. Runs inside the image.

Settings by environment: HOST (0.0.0.0), PORT (8080), THREADS (1: steady beside busy neighbours),
CONTEXT_TOKENS (2048), PARALLEL (1), MODEL_NAME (smollm2-135m-instruct), VERBOSITY (1).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import xllamacpp

_QUIET = 1


def parameters() -> xllamacpp.CommonParams:
    """Return llama.cpp's parameters as the environment sets them."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(Path(__file__).with_name("model.gguf"))
    settings.model_alias = {os.environ.get("MODEL_NAME", "smollm2-135m-instruct")}
    settings.hostnames = [os.environ.get("HOST", "0.0.0.0")]  # noqa: S104 -- the container's own
    settings.port = int(os.environ.get("PORT", "8080"))
    settings.n_parallel = int(os.environ.get("PARALLEL", "1"))
    settings.n_ctx = int(os.environ.get("CONTEXT_TOKENS", "2048")) * settings.n_parallel
    threads = int(os.environ.get("THREADS", "1"))
    settings.cpuparams.n_threads = threads
    settings.cpuparams_batch.n_threads = threads
    settings.cache_ram_mib = 0  # prompts are short; the default takes up to 8 GiB
    settings.endpoint_metrics = True
    settings.offline = True
    settings.ui = False
    settings.verbosity = int(os.environ.get("VERBOSITY", str(_QUIET)))
    return settings


def main() -> None:
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server makes its threads, so that only sigwait takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server = xllamacpp.Server(parameters())
    print(f"serving on {server.listening_address}", flush=True)
    signal.sigwait(stops)
    # The server has no stop of its own, and its threads hold the interpreter's end up.
    os._exit(0)


if __name__ == "__main__":
    main()
