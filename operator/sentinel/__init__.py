"""The agent inside a rented container: standard library only, Python 3.9 to 3.14, one zipapp."""

from __future__ import annotations

VERSION = "0.1.0"
