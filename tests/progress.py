"""How far a long test has come: shown by ``make test-long``, kept with a failure elsewhere."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def say(text: str) -> None:
    """Tell the person who waits."""
    log.info(text)
