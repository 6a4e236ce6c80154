"""Where the API server is and who we are: a kubeconfig, or the pod's service account."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import aiohttp
import kubernetes.aio.client
import kubernetes.aio.config

from garrison.adapters.kube.answer import Answer
from garrison.errors import RejectedError, UnavailableError

kubernetes_client: Any = kubernetes.aio.client
kubernetes_config: Any = kubernetes.aio.config
"""Typed only in part, so not at all."""

IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
TIMEOUT_SECONDS = 10.0
CONNECTIONS = 64
BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


class Connection:
    """One pool of connections. The pod's token is read again as it is renewed."""

    def __init__(
        self, configuration: Any, timeout: float = TIMEOUT_SECONDS, *, pem: Pem | None = None
    ) -> None:
        self._configuration = configuration
        self._pem = pem
        self._api = kubernetes_client.ApiClient(configuration)
        self._timeout = timeout

    async def credentials(self) -> Credentials:
        """Return what this connection logs in with, for the source of watch events.

        A pod's token, and files that a kubeconfig names, are read again. Raises OSError.
        """
        pem = self._pem
        if pem is None:
            pem = await asyncio.to_thread(pem_of, self._configuration)
        bearer = await self._configuration.get_api_key_with_prefix("BearerToken") or ""
        return Credentials(
            server=self._configuration.host,
            pem=pem,
            token=str(bearer).removeprefix("Bearer ").removeprefix("bearer "),
            insecure=not self._configuration.verify_ssl,
        )

    async def close(self) -> None:
        await self._api.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Return the answer, whatever its code; UnavailableError when none comes in time."""
        request = f"{method} {path}"
        try:
            async with asyncio.timeout(self._timeout):
                return await self._call(method, path, query or {}, body, content_type)
        except TimeoutError as error:
            message = f"{request}: no answer within {self._timeout:g} s"
            raise UnavailableError(message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"{request}: {type(error).__name__}: {error}") from error

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any,
        content_type: str,
    ) -> Answer:
        request = f"{method} {path}"
        method, url, headers, body, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        response = await self._api.call_api(
            method, url, headers, body=body, _request_timeout=timeout
        )
        data = await response.read()
        return Answer(request=request, code=response.status, headers=response.headers, data=data)


async def open_connection(kubeconfig: str | None, context: str | None) -> Connection:
    """Return a connection; in a pod without a kubeconfig, as the pod's service account.

    Raises RejectedError when there is no usable configuration.
    """
    configuration = kubernetes_client.Configuration(
        connection_pool_maxsize=CONNECTIONS,
        # With it every call looks for a proxy and a .netrc in a thread, twice.
        client_session_kwargs={"trust_env": bool(getproxies())},
    )
    try:
        if kubeconfig is None and context is None and IN_CLUSTER in os.environ:
            kubernetes_config.load_incluster_config(configuration)
            return Connection(configuration)
        return await _of_kubeconfig(configuration, kubeconfig, context)
    except (kubernetes_config.ConfigException, OSError, ValueError) as error:
        source = kubeconfig or "the default kubeconfig"
        message = f"{source}: {error}; name a kubeconfig and a context that exist"
        raise RejectedError(message, reason="KubeconfigInvalid") from error


async def _of_kubeconfig(
    configuration: Any, kubeconfig: str | None, context: str | None
) -> Connection:
    """The client writes keys that stand in a kubeconfig to files and deletes them at its exit.

    A process that is killed has no such exit, so here the files go once they have been read.
    """
    with tempfile.TemporaryDirectory(prefix="garrison-kubeconfig-") as folder:
        try:
            await kubernetes_config.load_kube_config(
                kubeconfig, context, configuration, persist_config=False, temp_file_path=folder
            )
            used = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
            is_inline = any(path is not None and Path(path).is_relative_to(folder) for path in used)
            return Connection(configuration, pem=pem_of(configuration) if is_inline else None)
        finally:
            # It would hand the same paths to the next connection of this process.
            kubernetes_config.kube_config._cleanup_temp_files()  # noqa: SLF001 - no other way


@dataclass(frozen=True, slots=True, kw_only=True)
class Pem:
    """What TLS needs, as PEM text; empty where not used."""

    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How the API server is reached, for another client."""

    server: str
    pem: Pem = Pem()
    token: str = field(default="", repr=False)
    insecure: bool = False


def pem_of(configuration: Any) -> Pem:
    """Return the contents of the files that a configuration names. Raises OSError."""
    return Pem(
        authority=_text(configuration.ssl_ca_cert),
        certificate=_text(configuration.cert_file),
        key=_text(configuration.key_file),
    )


def _text(path: str | None) -> str:
    """Without the comments that bundles of authorities have between their blocks."""
    return "\n".join(BLOCK.findall(Path(path).read_text(errors="replace"))) if path else ""
