"""What a sentinel answers and how its connection fails, as errors of the tree; bounded."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
from yarl import URL

from garrison.errors import AuthError, ConflictError, GarrisonError, RejectedError, UnavailableError
from garrison.ports.probe import Destination

MAX_ANSWER = 4 << 20
MAX_PAGE = 1 << 20
"""Of metrics: what the agent itself takes of a workload at most."""


def url_of(destination: Destination, path: str) -> URL:
    """Return the URL of a path (encoded already) at the screened address."""
    host = f"[{destination.address}]" if ":" in destination.address else destination.address
    return URL(f"https://{host}:{destination.port}{path}", encoded=True)


def where_of(destination: Destination) -> str:
    """Return how errors name a sentinel."""
    return f"sentinel at {destination.host}:{destination.port}"


async def bounded(response: aiohttp.ClientResponse, limit: int = MAX_ANSWER) -> bytes:
    """Return an answer's body. Raises UnavailableError when it is too long."""
    kept = bytearray()
    async for chunk in response.content.iter_any():
        kept += chunk
        if len(kept) > limit:
            raise UnavailableError(f"the sentinel's answer is longer than {limit} bytes")
    return bytes(kept)


def refusal(status: int, path: str, answer: Mapping[str, Any]) -> GarrisonError:
    """Return the error that a refusal stands for."""
    reason = str(answer.get("reason") or "Refused")[:64]
    message = line_of(f"{path}: {answer.get('message') or status}")
    if reason == "WrongState":
        return ConflictError(message)
    if status >= 500:
        return UnavailableError(message)
    return RejectedError(message, reason=reason if reason.isalnum() else "Refused")


@contextlib.contextmanager
def translated(where: str, seconds: float) -> Iterator[None]:
    """Translate what a connection raises, a TimeoutError after ``seconds`` among it."""
    try:
        yield
    except TimeoutError:
        raise UnavailableError(f"{where}: no answer within {seconds:g} s") from None
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise AuthError(f"{where}: {line_of(error)}", reason="IdentityRefused") from None
    except asyncio.IncompleteReadError:
        raise UnavailableError(f"{where}: the connection ended") from None
    except RecursionError:
        raise UnavailableError(f"{where}: the answer is JSON that is nested too deep") from None
    except (aiohttp.ClientError, OSError, ValueError, asyncio.LimitOverrunError) as error:
        raise UnavailableError(f"{where}: {line_of(error)}") from None


def line_of(said: BaseException | str) -> str:
    """Return what somebody else said as one bounded, printable line."""
    text = str(said) or type(said).__name__
    return "".join(each if each.isprintable() else " " for each in text)[:512]
