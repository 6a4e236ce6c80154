"""Images out of a registry that behaves, and that does not."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from akash_sandbox.tls import Authority
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.registry.client import OciRegistry
from garrison.adapters.registry.layers import Bounds
from garrison.errors import (
    AuthError,
    GarrisonError,
    ImageError,
    RateLimitedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.registry import Credentials
from tests.unit.adapters.registry.registry_server import REPOSITORY, RegistryServer, digest_of
from tests.unit.adapters.serving import (
    Handler,
    answering,
    closed_port,
    flooding,
    resetting,
    serve,
    serve_handler,
)

LOGIN = Credentials(username="ada", password="s3cret")
NOWHERE = "sha256:" + "e" * 64


class Pull:
    """A registry client and where the server is."""

    def __init__(self, port: int, registry: OciRegistry) -> None:
        self.authority = f"127.0.0.1:{port}"
        self.registry = registry

    def reference(self, digest: str) -> str:
        return f"{self.authority}/{REPOSITORY}:v1@{digest}"


@asynccontextmanager
async def pulling(
    server: RegistryServer | Handler, *, bounds: Bounds | None = None
) -> AsyncIterator[Pull]:
    serving = serve(server.app()) if isinstance(server, RegistryServer) else serve_handler(server)
    async with serving as port:
        insecure = {f"127.0.0.1:{port}"}
        registry = OciRegistry(screen=NetScreen(), insecure_hosts=insecure, bounds=bounds)
        yield Pull(port, registry)


async def test_an_image() -> None:
    server = RegistryServer()
    digest = server.image(
        Entrypoint=["/serve"], Cmd=["--fast"], Env=["A=1"], User="1000", WorkingDir="/srv"
    )
    async with pulling(server) as pull:
        image = await pull.registry.image(pull.reference(digest), None)
        assert image.reference == pull.reference(digest)
    assert (image.digest, image.size) == (digest, 2000)
    assert (image.os, image.architecture) == ("linux", "amd64")
    assert (image.entrypoint, image.command) == (("/serve",), ("--fast",))
    assert (image.env, image.user, image.working_dir) == (("A=1",), "1000", "/srv")


async def test_an_image_that_says_nothing_about_its_process() -> None:
    server = RegistryServer()
    digest = server.image()
    async with pulling(server) as pull:
        image = await pull.registry.image(pull.reference(digest), None)
    assert (image.entrypoint, image.user, image.working_dir) == ((), "", "/")


async def test_an_index_leads_to_the_amd64_image() -> None:
    server = RegistryServer()
    arm = server.image(architecture="arm64")
    digest = server.index(arm64=arm, amd64=server.image(User="7"))
    async with pulling(server) as pull:
        image = await pull.registry.image(pull.reference(digest), None)
    assert (image.digest, image.user) == (digest, "7")


async def test_other_platforms_are_named() -> None:
    server = RegistryServer()
    arm = server.image(architecture="arm64")
    index = server.index(arm64=arm)
    async with pulling(server) as pull:
        with pytest.raises(ImageError, match="only linux/arm64, unknown/unknown"):
            await pull.registry.image(pull.reference(index), None)
        with pytest.raises(ImageError, match="is for linux/arm64"):
            await pull.registry.image(pull.reference(arm), None)


async def test_a_token_is_fetched_and_used_for_all() -> None:
    server = RegistryServer(token="t0k")
    digest = server.image()
    async with pulling(server) as pull:
        await pull.registry.image(pull.reference(digest), None)
    asked = [path for path, _ in server.seen]
    assert asked[1] == "/token?scope=repository:acme/model:pull&service=reg,+here"
    assert [given for _, given in server.seen] == [None, None, "Bearer t0k", "Bearer t0k"]


@pytest.mark.parametrize("server", [{"token": "t0k"}, {"basic": True}])
async def test_a_login(server: dict[str, object]) -> None:
    registry = RegistryServer(login=("ada", "s3cret"), **server)  # type: ignore[arg-type]
    digest = registry.image()
    async with pulling(registry) as pull:
        image = await pull.registry.image(pull.reference(digest), LOGIN)
        assert image.digest == digest
        for wrong in (None, Credentials(username="ada", password="guess")):
            with pytest.raises(AuthError, match="imagePullSecrets") as caught:
                await pull.registry.image(pull.reference(digest), wrong)
            assert "guess" not in str(caught.value)


async def test_a_redirected_config_gets_no_credentials() -> None:
    server = RegistryServer(token="t0k", blob_redirect="/storage/{digest}")
    digest = server.image()
    async with pulling(server) as pull:
        await pull.registry.image(pull.reference(digest), None)
    path, given = server.seen[-1]
    assert path.startswith("/storage/")
    assert given is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://169.254.169.254/latest", UnsafeDestinationError),
        ("http://localhost:1/x", UnsafeDestinationError),
        ("https://127.0.0.1:1/x", UnsafeDestinationError),
        ("file:///etc/passwd", UnsafeDestinationError),
        ("http://[/x", UnavailableError),
        ("", ImageError),
    ],
)
async def test_redirects_to_elsewhere_are_screened(
    target: str, expected: type[GarrisonError]
) -> None:
    server = RegistryServer(blob_redirect=target)
    digest = server.image()
    async with pulling(server) as pull:
        with pytest.raises(expected):
            await pull.registry.image(pull.reference(digest), None)


async def test_redirects_end() -> None:
    server = RegistryServer()
    digest = server.image()
    count = 0

    async def around(request: web.Request) -> web.Response:
        nonlocal count
        if "manifests" in request.path:
            return web.Response(body=server.blobs[digest])
        count += 1
        return web.Response(status=307, headers={"Location": f"/round/{count}"})

    async with pulling(around) as pull:
        with pytest.raises(GarrisonError):
            await pull.registry.image(pull.reference(digest), None)
    assert count == 4


async def test_bytes_that_do_not_match_their_digest() -> None:
    server = RegistryServer()
    digest = server.image()
    server.blobs[digest] += b" "
    async with pulling(server) as pull:
        with pytest.raises(ImageError, match=f"for {digest}"):
            await pull.registry.image(pull.reference(digest), None)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"config": {"digest": "md5:x", "size": 1}}',
        b'{"config": {"digest": "sha256:%s", "size": 99999999}}' % (b"a" * 64),
        b"[" * 100_000,
    ],
)
async def test_documents_that_are_no_image(raw: bytes) -> None:
    server = RegistryServer(blobs={digest_of(raw): raw})
    async with pulling(server) as pull:
        with pytest.raises(ImageError):
            await pull.registry.image(pull.reference(digest_of(raw)), None)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answering(404), ImageError),
        (answering(400), ImageError),
        (answering(403), AuthError),
        (answering(401), AuthError),
        (answering(401, headers={"WWW-Authenticate": "Negotiate"}), AuthError),
        (answering(401, headers={"WWW-Authenticate": "Bearer realm="}), UnsafeDestinationError),
        (
            answering(401, headers={"WWW-Authenticate": 'Bearer realm="http://10.0.0.1/t"'}),
            UnsafeDestinationError,
        ),
        (answering(500), UnavailableError),
        (answering(302, headers={"Location": "/x"}), ImageError),
        (flooding, UnavailableError),
        (resetting, UnavailableError),
    ],
)
async def test_broken_registries(handler: Handler, expected: type[GarrisonError]) -> None:
    async with pulling(handler) as pull:
        with pytest.raises(GarrisonError) as caught:
            await pull.registry.image(pull.reference(NOWHERE), LOGIN)
    assert type(caught.value) is expected


async def test_a_token_service_without_a_token() -> None:
    server = RegistryServer(token="expected")

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"token": ["x"]})
        return await server._manifest(request)

    async with pulling(handler) as pull:
        with pytest.raises(UnavailableError, match="no token"):
            await pull.registry.image(pull.reference(NOWHERE), None)


async def test_rate_limit_says_when() -> None:
    async with pulling(answering(429, headers={"Retry-After": "30"})) as pull:
        with pytest.raises(RateLimitedError) as caught:
            await pull.registry.image(pull.reference(NOWHERE), None)
    assert caught.value.retry_after == 30


async def test_nobody_listens() -> None:
    authority = f"127.0.0.1:{closed_port()}"
    registry = OciRegistry(screen=NetScreen(), insecure_hosts={authority})
    with pytest.raises(UnavailableError):
        await registry.image(f"{authority}/a/b@{NOWHERE}", None)


async def test_hosts_are_screened_and_spoken_to_over_tls() -> None:
    server = RegistryServer()
    digest = server.image()
    async with serve(server.app()) as port:
        reference = f"127.0.0.1:{port}/{REPOSITORY}@{digest}"
        with pytest.raises(UnsafeDestinationError):
            await OciRegistry(screen=NetScreen()).image(reference, None)
        with pytest.raises(UnavailableError):
            await OciRegistry(screen=NetScreen(), allow_private=True).image(reference, None)


async def test_tls_under_the_hosts_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    server = RegistryServer()
    digest = server.image()

    async def loopback(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    registry = OciRegistry(screen=NetScreen(lookup=loopback), allow_private=True, context=context)
    tls = authority.server_context("registry", ["registry.example"])
    async with serve(server.app(), tls) as port:
        found = await registry.image(f"registry.example:{port}/{REPOSITORY}@{digest}", None)
        with pytest.raises(UnavailableError, match="certificate"):
            await registry.image(f"other.example:{port}/{REPOSITORY}@{digest}", None)
    assert found.digest == digest
