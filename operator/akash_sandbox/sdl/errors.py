"""Why an SDL is refused."""

from __future__ import annotations


class SdlError(ValueError):
    """The SDL is refused; the message is the reference library's where it has one."""
