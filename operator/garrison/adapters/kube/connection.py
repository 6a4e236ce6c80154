"""Where the API server is and who we are: a kubeconfig, or the pod's service account."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

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


class Connection:
    """One pool of connections. The pod's token is read again as it is renewed."""

    def __init__(self, configuration: Any, timeout: float = TIMEOUT_SECONDS) -> None:
        self._configuration = configuration
        self._api = kubernetes_client.ApiClient(configuration)
        self._timeout = timeout

    async def credentials(self) -> Credentials:
        """Return what this connection logs in with, for the source of watch events."""
        return await credentials_of(self._configuration)

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
    configuration = kubernetes_client.Configuration(connection_pool_maxsize=CONNECTIONS)
    try:
        if kubeconfig is None and context is None and IN_CLUSTER in os.environ:
            kubernetes_config.load_incluster_config(configuration)
        else:
            await kubernetes_config.load_kube_config(
                kubeconfig, context, configuration, persist_config=False
            )
    except (kubernetes_config.ConfigException, OSError, ValueError) as error:
        source = kubeconfig or "the default kubeconfig"
        message = f"{source}: {error}; name a kubeconfig and a context that exist"
        raise RejectedError(message, reason="KubeconfigInvalid") from error
    return Connection(configuration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How the API server is reached, for another client; paths of PEM files, empty where not used."""

    server: str
    ca_path: str = ""
    token: str = field(default="", repr=False)
    certificate_path: str = ""
    key_path: str = ""
    insecure: bool = False


async def credentials_of(configuration: Any) -> Credentials:
    """Return the credentials that a configuration holds now; a pod's token is read again."""
    bearer = await configuration.get_api_key_with_prefix("BearerToken") or ""
    return Credentials(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert or "",
        token=str(bearer).removeprefix("Bearer ").removeprefix("bearer "),
        certificate_path=configuration.cert_file or "",
        key_path=configuration.key_file or "",
        insecure=not configuration.verify_ssl,
    )
