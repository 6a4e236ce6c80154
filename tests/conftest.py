"""What every test shares."""

from __future__ import annotations

import asyncio
import signal

from hypothesis import HealthCheck, settings

# The plugin for virtual time asks for the current event loop in synchronous tests, and would make
# one that nobody closes; warnings are errors here.
asyncio.set_event_loop(None)

# A shell starts what it runs in the background deaf to Ctrl-C, and children inherit that; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Timings gate no test: a busy machine draws slowly.
settings.register_profile("garrison", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("garrison")
