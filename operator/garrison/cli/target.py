"""How a workload is named on the command line."""

from __future__ import annotations

import click


class TargetType(click.ParamType[str]):
    """``iw/chat`` or ``chat``."""

    name = "iw/NAME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, _, name = value.rpartition("/")
        if kind not in {"", "iw", "inferenceworkload", "inferenceworkloads"} or not name:
            self.fail(f"{value!r} is not a workload; write iw/chat", param, ctx)
        return name
