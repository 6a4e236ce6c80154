"""What every test shares."""

from __future__ import annotations

import asyncio

# The plugin for virtual time asks for the current event loop in synchronous tests, and would make
# one that nobody closes; warnings are errors here.
asyncio.set_event_loop(None)
