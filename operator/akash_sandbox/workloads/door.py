"""The way into a container's network: a thread for root, a process of its own for anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import Protocol

from akash_sandbox import netns

_READY_SECONDS = 10.0
_GREATEST_MESSAGE = 500


class Door(Protocol):
    """Connects to ports of one container."""

    async def connect(self, port: int) -> socket.socket:
        """Return a connected socket; raises OSError."""

    async def close(self) -> None:
        """Give back what the door holds."""


async def opened(pid: int) -> Door:
    """Return a door into the network of this process, which is then configured.

    Raises OSError, FileNotFoundError when the process has ended.
    """
    if os.geteuid() == 0:
        await asyncio.to_thread(netns.prepare, pid)
        return _ThreadDoor(pid)
    return await _process_door(pid)


class _ThreadDoor:
    def __init__(self, pid: int) -> None:
        self._pid = pid

    async def connect(self, port: int) -> socket.socket:
        return await netns.connect(self._pid, port)

    async def close(self) -> None:
        """Nothing is held."""


class _ProcessDoor:
    """Asks a process inside for sockets; they keep the network in which they were made."""

    def __init__(self, channel: socket.socket, process: asyncio.subprocess.Process) -> None:
        self._channel = channel
        self._process = process
        self._asking = asyncio.Lock()

    async def connect(self, port: int) -> socket.socket:
        async with self._asking:
            await asyncio.get_running_loop().sock_sendall(self._channel, b"?")
            made = socket.socket(fileno=await self._received())
        made.setblocking(False)
        return await netns.connected(made, netns.POD_ADDRESS, port)

    async def ready(self) -> None:
        """Wait for the first word of the process; raises OSError with what it says."""
        async with asyncio.timeout(_READY_SECONDS):
            word = await asyncio.get_running_loop().sock_recv(self._channel, _GREATEST_MESSAGE)
        if word != b"ready":
            code, _, text = word.decode(errors="replace").partition(" ")
            raise OSError(int(code or "0"), text or "the helper in the container's network ended")

    async def close(self) -> None:
        self._channel.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _received(self) -> int:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_reader(self._channel, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_reader(self._channel)
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        if not descriptors:
            raise ConnectionRefusedError("the container's network is gone")
        return descriptors[0]


async def _process_door(pid: int) -> Door:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(pid), str(theirs.fileno())),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    door = _ProcessDoor(ours, process)
    try:
        await door.ready()
    except BaseException:
        await asyncio.shield(door.close())
        raise
    return door


def _serve(pid: int, channel: socket.socket) -> None:
    """Enter the network of a process and hand out sockets made there until nobody asks."""
    try:
        netns.enter(netns.of(pid), as_owner=True)
        netns.configure()
    except OSError as error:
        channel.send(f"{error.errno} {error.strerror}".encode())
        return
    channel.send(b"ready")
    while channel.recv(1):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            socket.send_fds(channel, [b"!"], [made.fileno()])


if __name__ == "__main__":
    _serve(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
