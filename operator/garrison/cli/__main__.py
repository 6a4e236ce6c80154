"""``python -m garrison.cli``."""

from garrison.cli.main import start

start()
