"""Work that another thread does for the caller."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def done_by(put: Callable[[Callable[[], None]], None], job: Callable[[], _T]) -> _T:
    """Return what ``job`` returns in the thread that ``put`` hands it to; raises what it raises."""
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((job(), None))
        except BaseException as error:  # noqa: BLE001 -- handed to the caller
            outcome.put((None, error))

    put(work)
    result, failed = outcome.get()
    if failed is not None:
        raise failed
    given: _T = result
    return given
