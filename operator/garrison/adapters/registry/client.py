"""Reads images from OCI registries (``ports.registry.Registry``).

Distribution specification v1.1 and the Docker token protocol, over aiohttp: there is no maintained
asyncio client for it. Nothing is believed that does not match its digest. Manifests are not redirected;
blobs may be, as registries keep them at storage services.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from yarl import URL

from garrison.adapters.registry.challenge import Challenge, parse_challenges
from garrison.adapters.registry.document import (
    ACCEPT,
    ARCHITECTURE,
    OS,
    Config,
    Descriptor,
    Manifest,
    check_digest,
    parse_config,
    parse_manifest,
    runnable,
)
from garrison.adapters.registry.inflate import PIECE
from garrison.adapters.registry.layers import Bounds, Walk, check_size
from garrison.adapters.registry.reference import Reference, parse_reference
from garrison.adapters.registry.transport import Answer, Transport
from garrison.api.glob import matcher
from garrison.errors import (
    AuthError,
    GarrisonError,
    ImageError,
    RateLimitedError,
    UnavailableError,
)
from garrison.ports.probe import Screen
from garrison.ports.registry import Contents, Credentials, Image

MAX_MANIFEST = 4 << 20
MAX_CONFIG = 8 << 20
MAX_TOKEN = 1 << 17
MAX_RETRY_AFTER = 3600.0
WALKS = 3
"""Images whose layers are read at the same time: with ``Bounds``, what that takes in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """One look at one image: where, as whom, and with which header after the registry asked."""

    text: str
    reference: Reference
    base: URL
    authorization: str = ""
    renewed: bool = False
    """whether it was asked for again, for this layer"""


class OciRegistry:
    """Any registry that speaks the distribution API; see ``Transport`` for the other arguments.

    ``bounds`` is what is read of one image's layers.
    """

    def __init__(
        self,
        *,
        screen: Screen,
        insecure_hosts: Collection[str] = (),
        allow_private: bool = False,
        context: ssl.SSLContext | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._walks = asyncio.Semaphore(WALKS)
        self._transport = Transport(
            screen=screen,
            insecure_hosts=insecure_hosts,
            allow_private=allow_private,
            context=context,
        )

    async def image(self, reference: str, credentials: Credentials | None) -> Image:
        """Return the linux/amd64 image behind a reference; its digest is the reference's.

        Raises ImageError (missing, unreadable, wrong platform, digest mismatch), AuthError,
        UnsafeDestinationError, UnavailableError, RateLimitedError.
        """
        session, manifest = await self._opened(reference, credentials)
        config = await self._config(session, manifest.config)
        return _image(reference, session.reference.digest, manifest, config)

    async def contents(
        self, reference: str, credentials: Credentials | None, patterns: Sequence[str]
    ) -> Contents:
        """Return what the layers hold. Raises what ``image`` raises; ImageError beyond the bounds."""
        async with self._walks:
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    return await self._walked(reference, credentials, matcher(patterns))
            except TimeoutError:
                raise UnavailableError(
                    f"{reference}: its layers were not read within {self._bounds.seconds:g} s"
                ) from None

    async def _walked(
        self, reference: str, credentials: Credentials | None, is_named: Callable[[str], bool]
    ) -> Contents:
        session, manifest = await self._opened(reference, credentials)
        walk = Walk(self._bounds)
        try:
            check_size([each.size for each in manifest.layers], self._bounds)
            for layer in manifest.layers:
                if not await self._read(session, layer, walk):
                    session = await self._renewed(session, credentials)
                    await self._read(session, layer, walk)
                    session = replace(session, renewed=False)
            return await asyncio.to_thread(_contents, session.reference.digest, walk, is_named)
        except ImageError as error:
            raise ImageError(f"{reference}: {error}") from None

    async def _read(self, session: _Session, layer: Descriptor, walk: Walk) -> bool:
        """Read one layer; False when the login is over, which a long walk outlives."""
        url = session.base / f"v2/{session.reference.repository}/blobs/{layer.digest}"
        left = layer.size
        async with self._transport.stream(url, _authorized(session), piece=PIECE) as stream:
            if stream.status == 401 and not session.renewed:
                return False
            if stream.status != 200:
                raise _refused(session.text, url, stream.status, "")
            async for piece in stream.pieces:
                left -= len(piece)
                if left < 0:
                    raise ImageError(f"layer {layer.digest} is longer than its manifest says")
                await asyncio.to_thread(walk.feed, piece)
        await asyncio.to_thread(walk.end, layer.digest)
        return True

    async def _renewed(self, session: _Session, credentials: Credentials | None) -> _Session:
        fresh, _ = await self._first_manifest(replace(session, authorization=""), credentials)
        return replace(fresh, renewed=True)

    async def _opened(
        self, reference: str, credentials: Credentials | None
    ) -> tuple[_Session, Manifest]:
        parsed = parse_reference(reference)
        session = _Session(
            text=reference, reference=parsed, base=self._transport.base(parsed.authority)
        )
        session, raw = await self._first_manifest(session, credentials)
        return session, await self._resolved(session, parse_manifest(raw, reference))

    async def _first_manifest(
        self, session: _Session, credentials: Credentials | None
    ) -> tuple[_Session, bytes]:
        """Return the manifest, and the session as the registry wants it for what follows."""
        url = _manifest_url(session, session.reference.digest)
        answer = await self._transport.get(url, {"accept": ACCEPT}, limit=MAX_MANIFEST)
        if answer.status == 401:
            authorization = await self._authorization(session, answer, credentials)
            session = replace(session, authorization=authorization)
            return session, await self._manifest(session, session.reference.digest)
        return session, _content(session, answer, session.reference.digest)

    async def _manifest(self, session: _Session, digest: str) -> bytes:
        headers = {"accept": ACCEPT, **_authorized(session)}
        answer = await self._transport.get(
            _manifest_url(session, digest), headers, limit=MAX_MANIFEST
        )
        return _content(session, answer, digest)

    async def _resolved(self, session: _Session, manifest: Manifest) -> Manifest:
        if manifest.config is not None:
            return manifest
        chosen = runnable(manifest.manifests, session.text)
        return parse_manifest(await self._manifest(session, chosen.digest), session.text)

    async def _config(self, session: _Session, config: Descriptor | None) -> Config:
        if config is None or config.size > MAX_CONFIG:
            raise ImageError(f"{session.text} is not an image: its manifest has no usable config")
        url = session.base / f"v2/{session.reference.repository}/blobs/{config.digest}"
        answer = await self._transport.follow(url, _authorized(session), limit=MAX_CONFIG)
        return parse_config(_content(session, answer, config.digest), session.text)

    async def _authorization(
        self, session: _Session, answer: Answer, credentials: Credentials | None
    ) -> str:
        """Return the header that satisfies a challenge. Raises AuthError when none can."""
        challenges = {each.scheme: each for each in parse_challenges(answer.challenges)}
        if "bearer" in challenges:
            return await self._bearer(session, challenges["bearer"], credentials)
        if "basic" in challenges and credentials is not None:
            return _basic(credentials)
        raise _unauthorized(session.text, "asks for a login")

    async def _bearer(
        self, session: _Session, challenge: Challenge, credentials: Credentials | None
    ) -> str:
        try:
            realm = URL(challenge.realm)
        except ValueError as error:
            raise UnavailableError(f"{session.text}: the token service has no URL") from error
        query = {"scope": f"repository:{session.reference.repository}:pull"}
        if challenge.service:
            query["service"] = challenge.service
        headers = {} if credentials is None else {"authorization": _basic(credentials)}
        answer = await self._transport.get(realm.update_query(query), headers, limit=MAX_TOKEN)
        if answer.status != 200:
            raise _failure(session.text, answer)
        return f"Bearer {_token(session.text, answer.body)}"


def _contents(digest: str, walk: Walk, is_named: Callable[[str], bool]) -> Contents:
    files = walk.files(is_named)
    named = frozenset(path for path in files if is_named(path))
    return Contents(digest=digest, files=files, named=named, python=walk.python())


def _image(reference: str, digest: str, manifest: Manifest, config: Config) -> Image:
    if (config.os, config.architecture) != (OS, ARCHITECTURE):
        raise ImageError(
            f"{reference} is for {config.os}/{config.architecture}; build it for {OS}/{ARCHITECTURE}"
        )
    process = config.config
    return Image(
        reference=reference,
        digest=digest,
        size=sum(layer.size for layer in manifest.layers),
        architecture=config.architecture,
        os=config.os,
        entrypoint=(process.entrypoint if process else None) or (),
        command=(process.command if process else None) or (),
        env=(process.env if process else None) or (),
        user=(process.user if process else None) or "",
        working_dir=(process.working_dir if process else None) or "/",
    )


def _manifest_url(session: _Session, digest: str) -> URL:
    return session.base / f"v2/{session.reference.repository}/manifests/{digest}"


def _authorized(session: _Session) -> Mapping[str, str]:
    return {"authorization": session.authorization} if session.authorization else {}


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _content(session: _Session, answer: Answer, digest: str) -> bytes:
    """Return an answer's body once it is known to be what was asked for."""
    if answer.status != 200:
        raise _failure(session.text, answer)
    check_digest(answer.body, digest, session.text)
    return answer.body


def _failure(text: str, answer: Answer) -> GarrisonError:
    return _refused(text, answer.url, answer.status, answer.retry_after)


def _refused(text: str, url: URL, code: int, retry_after: str) -> GarrisonError:
    where = f"{text}: {url.host} answered {code}"
    match code:
        case 401 | 403:
            return _unauthorized(text, f"answered {code}")
        case 404:
            return ImageError(f"{where}; the image is not there: push it, or correct the reference")
        case 429:
            return RateLimitedError(
                f"{where}; it asks for fewer calls", retry_after=_seconds(retry_after)
            )
        case status if 300 <= status < 500:
            return ImageError(f"{where}; correct the reference")
        case _:
            return UnavailableError(f"{where}; it is asked again later")


def _unauthorized(text: str, what: str) -> AuthError:
    return AuthError(
        f"{text}: the registry {what}; name a Secret with a login that may pull it in imagePullSecrets"
    )


def _token(text: str, raw: bytes) -> str:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    found = body.get("token") or body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise UnavailableError(f"{text}: the token service sent no token")
    return found


def _seconds(text: str) -> float | None:
    return min(float(text), MAX_RETRY_AFTER) if text.isdecimal() and len(text) < 10 else None
