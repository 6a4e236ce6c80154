"""A make-believe model behind the OpenAI API, for fast tests. Runs inside an image; Python alone.

Settings by environment: HOST (0.0.0.0), PORT (8080), MODEL_NAME (synthetic), SYNTHETIC_TOKENS_PER_SECOND (50),
SYNTHETIC_TTFT_MS (50), SYNTHETIC_START_SECONDS (0: time before the port opens),
SYNTHETIC_LOAD_MS (0: time for which /health says 503), SYNTHETIC_CRASH (1: end at once, status 1).

GET /metrics counts answers. GET /secrets shows which secret files it has read, by their SHA-256, at the
start and at SIGHUP, and its process id.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_WORDS = ("the", "river", "keeps", "its", "own", "slow", "time", "and", "carries", "light")
_DEFAULT_TOKENS = 16
_GREATEST_TOKENS = 8192
_GREATEST_BODY = 8 * 1024**2
_MODEL = os.environ.get("MODEL_NAME", "synthetic")
_TOKENS_PER_SECOND = float(os.environ.get("SYNTHETIC_TOKENS_PER_SECOND", "50"))
_FIRST_TOKEN_SECONDS = float(os.environ.get("SYNTHETIC_TTFT_MS", "50")) / 1000
_START_SECONDS = float(os.environ.get("SYNTHETIC_START_SECONDS", "0"))
_LOAD_SECONDS = float(os.environ.get("SYNTHETIC_LOAD_MS", "0")) / 1000

Json = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Answers as a model server does."""

    protocol_version = "HTTP/1.1"
    ready_at = 0.0
    secrets: Json = {}  # noqa: RUF012 -- replaced whole
    asked = 0

    def do_GET(self) -> None:
        loaded = time.monotonic() >= self.ready_at
        if self.path == "/health":
            state = {"status": "ok"} if loaded else {"error": {"message": "Loading model"}}
            self._reply(200 if loaded else 503, state)
        elif self.path == "/v1/models":
            self._reply(200, {"object": "list", "data": [{"id": _MODEL, "object": "model"}]})
        elif self.path == "/metrics":
            self._metrics()
        elif self.path == "/secrets":
            self._reply(200, {"pid": os.getpid(), "read": self.secrets})
        else:
            self._reply(404, _error(f"no such path: {self.path}"))

    def do_POST(self) -> None:
        body = self._body()
        if self.path not in ("/v1/chat/completions", "/v1/completions"):
            self._reply(404, _error(f"no such path: {self.path}"))
        elif body is None:
            self._reply(400, _error("the body must be a JSON object with a Content-Length"))
        else:
            self._complete(body, chat=self.path == "/v1/chat/completions")

    def log_message(self, *args: Any) -> None:
        sys.stderr.write(f"{self.command} {self.path} {args[2:]}\n")

    def _body(self) -> Json | None:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= _GREATEST_BODY:
            return None
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _complete(self, body: Json, *, chat: bool) -> None:
        count = _token_count(body)
        type(self).asked += 1
        if body.get("stream"):
            self._stream(body, count, chat=chat)
            return
        text = "".join(_tokens(count))
        message = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choice = {"index": 0, "finish_reason": "length", **message}
        self._reply(200, {**_head(chat=chat), "choices": [choice], "usage": _usage(body, count)})

    def _stream(self, body: Json, count: int, *, chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = _head(chat=chat, chunk=True)
        for token in _tokens(count):
            part: Json = {"delta": {"content": token}} if chat else {"text": token}
            self._event({**head, "choices": [{"index": 0, "finish_reason": None, **part}]})
        last: Json = {"delta": {}} if chat else {"text": ""}
        self._event({**head, "choices": [{"index": 0, "finish_reason": "length", **last}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event({**head, "choices": [], "usage": _usage(body, count)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, value: Json) -> None:
        self._chunk(f"data: {json.dumps(value)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _metrics(self) -> None:
        counted = f'synthetic_requests_total{{model="{_MODEL}"}} {self.asked}\n'
        text = f"# TYPE synthetic_requests_total counter\n{counted}"
        self._answer(200, "text/plain; version=0.0.4", text.encode())

    def _reply(self, status: int, value: Json) -> None:
        self._answer(status, "application/json", json.dumps(value).encode())

    def _answer(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _tokens(count: int) -> Iterator[str]:
    """Yield each token when its time has come."""
    start = time.monotonic() + _FIRST_TOKEN_SECONDS
    for index in range(count):
        time.sleep(max(0.0, start + index / _TOKENS_PER_SECOND - time.monotonic()))
        yield ("" if index == 0 else " ") + _WORDS[index % len(_WORDS)]


def _token_count(body: Json) -> int:
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or _DEFAULT_TOKENS
    return max(1, min(int(asked), _GREATEST_TOKENS))


def _head(*, chat: bool, chunk: bool = False) -> Json:
    kind = "text_completion" if not chat else "chat.completion"
    return {
        "id": f"synthetic-{time.monotonic_ns()}",
        "object": f"{kind}.chunk" if chat and chunk else kind,
        "created": int(time.time()),
        "model": _MODEL,
    }


def _usage(body: Json, count: int) -> Json:
    prompt = max(1, len(str(body.get("messages") or body.get("prompt") or "").split()))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": count,
        "total_tokens": prompt + count,
    }


def _error(message: str) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error"}}


def _stop(_number: int, _frame: object) -> None:
    sys.exit(0)


def _read_secrets(*_signal: object) -> None:
    """Read every file of the folder that the sentinel names; dotted ones are its own."""
    folder = os.environ.get("GARRISON_SECRETS")
    files = [each for each in Path(folder).iterdir() if each.name[0] != "."] if folder else []
    Handler.secrets = {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(files)
    }


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _read_secrets)
    _read_secrets()
    if os.environ.get("SYNTHETIC_CRASH") == "1":
        sys.exit("crashing, as SYNTHETIC_CRASH asks")
    time.sleep(_START_SECONDS)
    Handler.ready_at = time.monotonic() + _LOAD_SECONDS
    port = int(os.environ.get("PORT", "8080"))
    host = os.environ.get("HOST", "0.0.0.0")  # noqa: S104 -- the container's own
    server = ThreadingHTTPServer((host, port), Handler)
    print(f"serving on port {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
