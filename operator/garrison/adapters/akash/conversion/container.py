"""Converts what a container is: image, command line, environment, port."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from garrison.adapters.akash.conversion.notes import Converted, Raw
from garrison.adapters.akash.sdl.model import Credentials, Expose, HttpOptions, Service
from garrison.api.container import CREDENTIAL, IMAGE

NO_DIGEST = "sha256:" + "0" * 64
MOST_TEXT = 4096
MOST_ENV = 128
REPLACE = "REPLACE-ME"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET_VALUE = re.compile(
    r"(?<![A-Za-z0-9])(sk-|hf_|gh[opsu]_|github_pat_|AKIA|xox[abp]-|eyJ|-----BEGIN )"
)
_SECRET_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_SECRETS = (
    "Keep it in a Kubernetes Secret: the provider can read everything in a container's "
    "environment and arguments"
)


def image_by_digest(converted: Converted, here: str, image: str) -> str:
    """Return an image by digest; where the SDL has a tag, a digest of zeros that pulls nothing."""
    registry, slash, _ = image.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        image = f"docker.io/{image}" if slash else f"docker.io/library/{image}"
    if "@" not in image:
        converted.note(
            f"{here}.image",
            f"needs a digest in place of the zeros; `docker buildx imagetools inspect {image}` "
            "prints it",
        )
        image = f"{image}@{NO_DIGEST}"
    if re.fullmatch(IMAGE, image) and len(image) <= 512:
        return image
    converted.note(f"{here}.image", f"{image} cannot be pulled by digest; put another in its place")
    return f"registry.example/replace-me@{NO_DIGEST}"


def pull_secret(
    converted: Converted, here: str, name: str, credentials: Credentials
) -> dict[str, str]:
    secret = f"{name}-registry"
    converted.note(
        f"{here}.credentials",
        f"left out; make the Secret with `kubectl create secret docker-registry {secret} "
        f"--docker-server={credentials.host} --docker-username={credentials.username} "
        "--docker-password=...`",
    )
    return {"name": secret}


def command_line(converted: Converted, here: str, service: Service) -> Raw:
    found: Raw = {}
    for name, texts, most in (("command", service.command, 64), ("args", service.args, 256)):
        if len(texts or ()) > most or any(len(text) > MOST_TEXT for text in texts or ()):
            converted.note(f"{here}.{name}", "too long here; put it into the image. Left out")
        elif texts:
            found[name] = list(_open(converted, f"{here}.{name}", texts))
    return found


def _open(converted: Converted, here: str, texts: Sequence[str]) -> Iterator[str]:
    """Return a command line without what looks like a credential, alone or after its option."""
    before = ""
    for index, text in enumerate(texts):
        option, equals, value = text.partition("=")
        named = _is_credential_option(option) and equals
        if named or _is_credential_option(before) or _is_secret("", text) or _is_secret("", value):
            converted.note(f"{here}[{index}]", f"looks like a credential; left out. {_SECRETS}")
            yield f"{option}={REPLACE}" if named else REPLACE
        else:
            yield text
        before = text


def _is_credential_option(text: str) -> bool:
    return text.startswith("-") and bool(re.search(CREDENTIAL, text.replace("-", "_")))


def environment(converted: Converted, here: str, service: Service) -> list[dict[str, str]]:
    found: dict[str, str] = {}
    for index, item in enumerate(service.env or ()):
        name, _, value = item.partition("=")
        where = f"{here}.env[{index}] ({name})"
        if _is_secret(name, value):
            converted.note(where, f"looks like a credential; left out. {_SECRETS}")
        elif not _ENV_NAME.fullmatch(name):
            converted.note(where, "no name of a variable here: letters, digits and _. Left out")
        elif len(value) > MOST_TEXT or len(found) >= MOST_ENV:
            converted.note(where, "too long a value, or too many variables. Left out")
        else:
            if name in found:
                converted.note(where, "set twice; the last one is kept")
            found[name] = value
    return [{"name": name, "value": value} for name, value in found.items()]


def _is_secret(name: str, value: str) -> bool:
    return bool(
        re.search(CREDENTIAL, name) or _SECRET_VALUE.search(value) or _SECRET_URL.search(value)
    )


def port(converted: Converted, here: str, service: Service) -> int:
    """Return the port that is served: the first that everybody reaches over TCP."""
    candidates = sorted(range(len(service.expose)), key=lambda at: _fitness(service.expose[at]))
    if not candidates:
        converted.note(f"{here}.expose", "no port in the SDL; 8000 is a guess")
        return 8000
    best = candidates[0]
    for index, expose in enumerate(service.expose):
        for what in _lost(expose, chosen=index == best):
            converted.note(f"{here}.expose[{index}]", what)
    return service.expose[best].port


def _fitness(expose: Expose) -> tuple[bool, bool]:
    return expose.protocol != "TCP", not any(target.everybody for target in expose.to)


def _lost(expose: Expose, *, chosen: bool) -> Iterator[str]:
    """What a port loses on the way."""
    if not chosen:
        yield f"no counterpart for port {expose.port}: one port is served"
        return
    if expose.protocol != "TCP":
        yield f"port {expose.port} speaks UDP; only HTTP over TCP is served"
    if expose.accept:
        yield f"no counterpart for the host names {', '.join(expose.accept)}: route to the Service"
    if expose.http != HttpOptions():
        yield "no counterpart for http_options: replicas are reached without the provider's proxy"
    if expose.external_port not in {0, expose.port}:
        yield f"`as: {expose.external_port}` has no counterpart: the Service serves port {expose.port}"
    if not any(target.everybody for target in expose.to):
        yield "not reachable from outside in the SDL; here the provider forwards it to everybody"
    for target in expose.to:
        if target.service:
            yield f"no counterpart for `service: {target.service}`: replicas have no private network"
        if target.ip:
            yield f"no counterpart for the leased IP {target.ip}"


def note_unsupported(converted: Converted, here: str, service: Service) -> None:
    for name in service.dependencies:
        converted.note(f"{here}.dependencies", f"{name}: no effect in the SDL either; left out")
    params = service.params
    if params is None:
        return
    for name, mount in params.storage.items():
        converted.note(
            f"{here}.params.storage.{name}", f"no counterpart for a disk at {mount.path}"
        )
    if params.permissions:
        converted.note(f"{here}.params.permissions", "no counterpart; left out")
    if params.tee is not None:
        converted.note(
            f"{here}.params.tee",
            f"no counterpart: {params.tee} is NOT asked for, so the provider can read memory",
        )
