"""The query of a call."""

from __future__ import annotations

from urllib.parse import parse_qsl

from sentinel.agent.errors import bad

_MOST = 64


def parameters(query: str) -> dict[str, str]:
    """Return the parameters of a query, the last of each name. Raises Refusal."""
    try:
        return dict(parse_qsl(query, max_num_fields=_MOST))
    except ValueError as error:
        raise bad(f"the query has more than {_MOST} parameters") from error
