"""What every test shares."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings

# The plugin for virtual time asks for the current event loop in synchronous tests, and would make
# one that nobody closes; warnings are errors here.
asyncio.set_event_loop(None)

# Timings gate no test: a busy machine draws slowly.
settings.register_profile("garrison", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("garrison")
