"""The one exception of this package."""

from __future__ import annotations


class DevenvError(Exception):
    """A part could not be built, started or installed; the message says what to do."""
