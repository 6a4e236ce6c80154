"""What a container says is inside: signed, under our nonce, by the enrolled instance, or refused."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from garrison.adapters.memory.registry import PROGRAM
from garrison.adapters.sentinel.channel import Channel
from garrison.errors import AuthError, GarrisonError, UnavailableError
from tests.contract.sentinel.post import Post, RealPost, enrolled, opened


@pytest.fixture
async def real() -> AsyncIterator[Post]:
    async with opened(RealPost) as found:
        yield found


@pytest.fixture
def path(post: Post, tmp_path: Path) -> str:
    """A file in the container."""
    if not isinstance(post, RealPost):
        return PROGRAM
    found = tmp_path / "model"
    found.write_text("weights")
    return str(found)


async def test_hashes_of_what_is_named_and_of_what_runs(post: Post, path: str) -> None:
    door = await enrolled(post, await post.door())
    found = await post.sentinel.attest(door, [path, "/no/such/*"])
    assert found.instance == door.instance
    assert found.sentinel == post.bootstraps.digest
    assert list(found.files) == [path]
    if isinstance(post, RealPost):
        assert found.files[path] == hashlib.sha256(b"weights").hexdigest()
        assert found.missing == ("/no/such/*",)
    assert found.executables
    assert found.libraries
    assert {each.executable for each in found.processes} >= set(found.executables)


async def test_a_file_that_changes_has_another_hash(post: Post, path: str) -> None:
    door = await enrolled(post, await post.door())
    before = await post.sentinel.attest(door, [path])
    post.swap(path)
    after = await post.sentinel.attest(door, [path])
    assert before.files[path] != after.files[path]


async def test_what_is_not_enrolled_is_not_asked(post: Post, path: str) -> None:
    with pytest.raises(GarrisonError):
        await post.sentinel.attest(await post.door(), [path])


async def test_an_answer_of_yesterday_is_refused(
    real: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = await enrolled(real, await real.door())
    kept: list[dict[str, Any]] = []

    def repeated(answer: dict[str, Any]) -> dict[str, Any]:
        kept.append(answer)
        return kept[0]

    _rewriting(monkeypatch, repeated)
    await real.sentinel.attest(door, [])
    with pytest.raises(AuthError, match="another nonce") as caught:
        await real.sentinel.attest(door, [])
    assert caught.value.reason == "EvidenceRefused"


@pytest.mark.parametrize("field", ["files", "executables", "sentinel", "truncated", "proof"])
async def test_an_answer_that_was_changed_on_the_way_is_refused(
    real: Post, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    door = await enrolled(real, await real.door())
    other = {"files": {"/x": "0" * 64}, "executables": {}, "truncated": True}.get(field, "AA==")
    _rewriting(monkeypatch, lambda answer: {**answer, field: other})
    with pytest.raises(AuthError, match="proof is wrong") as caught:
        await real.sentinel.attest(door, [])
    assert caught.value.reason == "EvidenceRefused"


async def test_nonsense_that_is_signed_is_nonsense(
    real: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = await enrolled(real, await real.door())
    monkeypatch.setattr("garrison.adapters.sentinel.client.is_signed", lambda *_: True)
    _rewriting(monkeypatch, lambda answer: {**answer, "files": {"/x": "not a hash"}})
    with pytest.raises(UnavailableError, match="makes no sense at files"):
        await real.sentinel.attest(door, [])


def _rewriting(
    monkeypatch: pytest.MonkeyPatch, rewrite: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Answers about what is inside come through somebody who rewrites them."""
    call = Channel.call

    async def rewritten(self: Channel, method: str, path: str, *rest: Any, **more: Any) -> Any:
        answer = await call(self, method, path, *rest, **more)
        return rewrite(answer) if path == "/v1/integrity" else answer

    monkeypatch.setattr(Channel, "call", rewritten)
