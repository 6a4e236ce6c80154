"""Event loops."""

from __future__ import annotations

import asyncio

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""
