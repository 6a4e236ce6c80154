"""Reads GPUs through NVIDIA's library. A program of its own: ``python3 -c`` runs this text.

Foreign code stays out of the agent, which holds keys. Answers each line of standard input with a
JSON list of GPUs; ends at once, with code 3, where there is no library or no driver.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from ctypes import byref, c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
EX_NO_LIBRARY = 3
_TEMPERATURE_GPU, _CLOCK_SM, _CLOCK_MEMORY = 0, 1, 2
_UNCORRECTED, _VOLATILE, _XID_EVENT = 1, 0, 8
_EVENTS_A_LOOK = 64


class _Utilisation(ctypes.Structure):
    _fields_ = (("gpu", c_uint), ("memory", c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class _Event(ctypes.Structure):
    _fields_ = (
        ("device", c_void_p),
        ("kind", c_ulonglong),
        ("data", c_ulonglong),
        ("gpu_instance", c_uint),
        ("compute_instance", c_uint),
    )


class Gpus:
    """All GPUs of this machine. Raises OSError where they cannot be read."""

    def __init__(self, library: str) -> None:
        self._lib = ctypes.CDLL(library)
        if self._lib.nvmlInit_v2():
            raise OSError("nvmlInit_v2 fails")
        count = c_uint()
        self._lib.nvmlDeviceGetCount_v2(byref(count))
        self._devices = [self._device(index) for index in range(count.value)]
        self._events = c_void_p()
        self._xids: dict[Any, int] = {device.value: 0 for device in self._devices}
        if not self._call("nvmlEventSetCreate", byref(self._events)):
            self._events = c_void_p()
        for device in self._devices if self._events else ():
            self._call("nvmlDeviceRegisterEvents", device, c_ulonglong(_XID_EVENT), self._events)

    def _device(self, index: int) -> c_void_p:
        device = c_void_p()
        self._lib.nvmlDeviceGetHandleByIndex_v2(c_uint(index), byref(device))
        return device

    def _call(self, name: str, *arguments: Any) -> bool:
        """Call a function; False when it fails or an older library lacks it."""
        function = getattr(self._lib, name, None)
        return function is not None and function(*arguments) == 0

    def _number(self, name: str, device: c_void_p, *more: Any) -> int | None:
        kind = c_ulonglong if name.endswith(("Errors", "Consumption")) else c_uint
        value = kind()
        return value.value if self._call(name, device, *more, byref(value)) else None

    def read(self) -> list[dict[str, Any]]:
        """Return one object for each GPU; what a driver does not tell is left out."""
        self._take_events()
        return [self._one(index, device) for index, device in enumerate(self._devices)]

    def _one(self, index: int, device: c_void_p) -> dict[str, Any]:
        uuid, use, memory = ctypes.create_string_buffer(96), _Utilisation(), _Memory()
        found: dict[str, Any] = {"gpu": index, "xid": self._xids[device.value]}
        if self._call("nvmlDeviceGetUUID", device, uuid, c_uint(96)):
            found["uuid"] = uuid.value.decode("ascii", "replace")
        if self._call("nvmlDeviceGetUtilizationRates", device, byref(use)):
            found["utilization"], found["memory_utilization"] = use.gpu / 100, use.memory / 100
        if self._call("nvmlDeviceGetMemoryInfo", device, byref(memory)):
            found["memory_used_bytes"], found["memory_total_bytes"] = memory.used, memory.total
        errors = c_int(_UNCORRECTED), c_int(_VOLATILE)
        numbers = {
            "power_milliwatts": self._number("nvmlDeviceGetPowerUsage", device),
            "celsius": self._number("nvmlDeviceGetTemperature", device, c_int(_TEMPERATURE_GPU)),
            "sm_megahertz": self._number("nvmlDeviceGetClockInfo", device, c_int(_CLOCK_SM)),
            "memory_megahertz": self._number(
                "nvmlDeviceGetClockInfo", device, c_int(_CLOCK_MEMORY)
            ),
            "ecc_errors": self._number("nvmlDeviceGetTotalEccErrors", device, *errors),
        }
        return {**found, **{name: value for name, value in numbers.items() if value is not None}}

    def _take_events(self) -> None:
        event = _Event()
        for _ in range(_EVENTS_A_LOOK):
            arguments = self._events, byref(event), c_uint(0)
            if not (self._events and self._call("nvmlEventSetWait_v2", *arguments)):
                return
            if event.device in self._xids:
                self._xids[event.device] = event.data


def main() -> int:
    """Answer every line of standard input."""
    try:
        gpus = Gpus(os.environ.get("NVML_LIBRARY", LIBRARY))
    except (OSError, AttributeError):
        return EX_NO_LIBRARY
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(gpus.read()) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
