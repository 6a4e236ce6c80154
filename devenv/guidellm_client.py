"""GuideLLM's own client and statistics, one request at a time. Runs in an environment of its own.

::

    python guidellm_client.py JSON    {"target", "model", "prompts", "max_tokens"}

Prints a JSON list with a request's figures for each prompt. What is left out of GuideLLM is its
scheduler and its data loader: prompts are given, and one request follows the other.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

from guidellm.backends.openai.http import OpenAIHTTPBackend
from guidellm.schemas import (
    GenerationRequest,
    GenerationRequestArguments,
    GenerativeRequestStats,
    RequestInfo,
    UsageMetrics,
)
from guidellm.schemas.backends import OpenAIHTTPBackendArgs

FIGURES = ("time_to_first_token_ms", "inter_token_latency_ms", "output_tokens_per_second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """``max_tokens`` is also the least: GuideLLM sends ``ignore_eos`` with it."""

    target: str
    model: str
    prompts: list[str]
    max_tokens: int


async def measured(task: Task) -> list[dict[str, Any]]:
    """Return GuideLLM's figures for each prompt, in order."""
    backend = OpenAIHTTPBackend(
        OpenAIHTTPBackendArgs(
            target=task.target,
            model=task.model,
            http2=False,
            extras=GenerationRequestArguments(body={"temperature": 0}),
        )
    )
    await backend.process_startup()
    try:
        stats = [await _request(backend, prompt, task.max_tokens) for prompt in task.prompts]
    finally:
        await backend.process_shutdown()
    return [{name: getattr(each, name) for name in FIGURES} for each in stats]


async def _request(
    backend: OpenAIHTTPBackend, prompt: str, max_tokens: int
) -> GenerativeRequestStats:
    request = GenerationRequest(
        columns={"text_column": [prompt]}, output_metrics=UsageMetrics(text_tokens=max_tokens)
    )
    info = RequestInfo(request_id=request.request_id, status="completed")
    answer = None
    async for response, _ in backend.resolve(request, info):
        answer = response or answer
    if answer is None:
        raise SystemExit(f"no answer to {prompt!r}")
    return answer.compile_stats(request, info)


def main() -> None:
    print(json.dumps(asyncio.run(measured(Task(**json.loads(sys.argv[1]))))))


if __name__ == "__main__":
    main()
