"""System calls that Python has no function for, through ctypes. Linux on x86_64 and aarch64.

Sources: seccomp(2), seccomp_unotify(2), landlock(7), pidfd_getfd(2), and the kernel's
``include/uapi/linux/seccomp.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import Any

from sentinel.guard.errors import CannotEnforce

MACHINE = os.uname().machine
_AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X86_64 = {
    "sendto": 44,
    "sendmsg": 46,
    "connect": 42,
    "socket": 41,
    "socketpair": 53,
    "sendmmsg": 307,
    "listen": 50,
    "setsockopt": 54,
    "prctl": 157,
    "seccomp": 317,
    "process_vm_readv": 310,
    "request_key": 249,
    "bpf": 321,
    "setresuid": 117,
    "setresgid": 119,
    "setfsuid": 122,
    "setfsgid": 123,
    "kill": 62,
    "tkill": 200,
    "tgkill": 234,
    "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297,
    "capset": 126,
    "capget": 125,
}
_AARCH64 = {
    "sendto": 206,
    "sendmsg": 211,
    "connect": 203,
    "socket": 198,
    "socketpair": 199,
    "sendmmsg": 269,
    "listen": 201,
    "setsockopt": 208,
    "prctl": 167,
    "seccomp": 277,
    "process_vm_readv": 270,
    "request_key": 218,
    "bpf": 280,
    "setresuid": 147,
    "setresgid": 149,
    "setfsuid": 151,
    "setfsgid": 152,
    "kill": 129,
    "tkill": 130,
    "tgkill": 131,
    "rt_sigqueueinfo": 138,
    "rt_tgsigqueueinfo": 240,
    "capset": 91,
    "capget": 90,
}
_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
}
AUDIT_ARCHITECTURE = _AUDIT_ARCHITECTURES.get(MACHINE, 0)
NUMBERS = {**(_X86_64 if MACHINE == "x86_64" else _AARCH64), **_EVERYWHERE}
NAMES = {number: name for name, number in NUMBERS.items()}

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NEW_LISTENER, WAIT_KILLABLE = 8, 32
_SET_MODE_FILTER = 1
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_PIDFD_THREAD = os.O_EXCL
_SO_SNDTIMEO, _SO_PROTOCOL = 21, 38

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_long = ctypes.c_long


def call(name: str, *arguments: object) -> int:
    """Make one system call; raises OSError with its errno."""
    result = int(_syscall(_long(NUMBERS[name]), *arguments))
    if result < 0:
        raise failure(name)
    return result


def failure(what: str) -> OSError:
    """Return the OSError of the last failed call of this thread."""
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def require_known_machine() -> None:
    """Raise CannotEnforce on a processor whose system calls are not listed here."""
    if MACHINE not in _AUDIT_ARCHITECTURES:
        raise CannotEnforce(f"processor {MACHINE}: only x86_64 and aarch64 are known")


def _prctl(option: int, *values: int) -> int:
    padded = [*values, 0, 0, 0, 0][:4]
    return int(_libc.prctl(option, *(_long(value) for value in padded)))


def no_new_privileges() -> None:
    """Give up set-uid programs for this thread and its children; a filter needs it."""
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1) != 0:
        raise failure("no_new_privs")


def set_dumpable(value: int) -> None:
    """Let (1) or forbid (0) processes of the same user to look into this one."""
    _prctl(_PR_SET_DUMPABLE, value)


def become_subreaper() -> None:
    """Adopt orphans among the descendants."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> None:
    """Get a signal when the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def return_memory() -> None:
    """Give what has been freed back to the kernel, where the C library can (glibc; musl does by itself)."""
    if trim := getattr(_libc, "malloc_trim", None):
        trim(ctypes.c_size_t(0))


def unshare(flags: int) -> None:
    """Move this process into new namespaces; raises OSError."""
    if _libc.unshare(flags) != 0:
        raise failure("unshare")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install_filter(program: bytes, flags: int) -> int:
    """Install a seccomp program for this thread; returns the listener with NEW_LISTENER."""
    buffer = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(buffer))
    return call("seccomp", _long(_SET_MODE_FILTER), _long(flags), ctypes.byref(described))


# -- other processes

_BUFFER_BYTES = 4096
_vectors = (ctypes.c_size_t * 4)()
_buffer: Any = ctypes.create_string_buffer(_BUFFER_BYTES)
_buffer_address = ctypes.addressof(_buffer)
_vectors[0] = _buffer_address
_local_length, _remote_address, _remote_length = (
    ctypes.c_size_t.from_buffer(_vectors, number * ctypes.sizeof(ctypes.c_size_t))
    for number in (1, 2, 3)
)
_local_vector, _remote_vector = ctypes.byref(_vectors), ctypes.byref(_remote_address)
_READV, _GETFD = _long(NUMBERS["process_vm_readv"]), _long(NUMBERS["pidfd_getfd"])
_one_vector, _no_flags = ctypes.c_ulong(1), ctypes.c_ulong(0)
# Every connect makes these calls: with objects made once, and ints where the kernel takes an int,
# they cost a third less than with declared types.


def read_memory(thread: int, address: int, length: int) -> bytes:
    """Return memory of another process, at most 4096 bytes; raises OSError.

    One buffer serves all calls: only the guard's thread reads.
    """
    _remote_address.value, _local_length.value, _remote_length.value = address, length, length
    got = _syscall(
        _READV, thread, _local_vector, _one_vector, _remote_vector, _one_vector, _no_flags
    )
    if got == length:
        content: bytes = _buffer[:length]
        return content
    if got < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
        return _read_procfs(thread, address, length)  # an outer filter may forbid the call only
    raise OSError(ctypes.get_errno() if got < 0 else errno.EFAULT, "process_vm_readv")


def _read_procfs(thread: int, address: int, length: int) -> bytes:
    descriptor = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.pread(descriptor, length, address)
    except OSError as error:
        number = errno.EFAULT if error.errno == errno.EIO else error.errno
        raise OSError(number, "mem") from None
    finally:
        os.close(descriptor)
    if len(content) != length:
        raise OSError(errno.EFAULT, "mem")
    return content


def status_of(thread: int) -> dict[bytes, bytes]:
    """Return the fields of /proc/THREAD/status; raises OSError."""
    with open(f"/proc/{thread}/status", "rb", buffering=0) as file:
        lines = file.read(8192).split(b"\n")
    return dict(line.split(b":\t", 1) for line in lines if b":\t" in line)


def signal_waits(thread: int) -> bool:
    """Return whether a signal that has a handler waits for the thread."""
    try:
        status = status_of(thread)
        pending, shared, blocked, caught = (
            int(status[key], 16) for key in (b"SigPnd", b"ShdPnd", b"SigBlk", b"SigCgt")
        )
    except (OSError, KeyError, ValueError):
        return False
    return bool((pending | shared) & ~blocked & caught)


class PidDescriptors:
    """Opens descriptors of threads; older kernels know processes only (before 6.9)."""

    def __init__(self, *, threads: bool = True) -> None:
        self._threads = threads

    def open(self, thread: int) -> int:
        """Return a descriptor of the thread, or of its process; raises OSError."""
        if self._threads:
            try:
                return call("pidfd_open", _long(thread), _long(_PIDFD_THREAD))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            self._threads = False
        try:
            return call("pidfd_open", _long(thread), _long(0))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
        return call("pidfd_open", _long(int(status_of(thread)[b"Tgid"])), _long(0))


def copy_descriptor(process: int, number: int) -> int:
    """Return a duplicate of another process's descriptor, by pidfd; raises OSError."""
    copy: int = _syscall(_GETFD, process, number, 0)
    if copy < 0:
        raise failure("pidfd_getfd")
    return copy


def take_real_ids(user: int, group: int) -> None:
    """Set real and file system ids of this thread alone, as access checks compare them.

    The effective ids and with them the capabilities stay. The calls are raw because libc would
    change every thread of the process.
    """
    call("setresgid", _long(group), _long(-1), _long(-1))
    call("setresuid", _long(user), _long(-1), _long(-1))
    _syscall(_long(NUMBERS["setfsgid"]), _long(group))
    _syscall(_long(NUMBERS["setfsuid"]), _long(user))


# -- sockets by number

_connect, _getsockopt = _libc["connect"], _libc["getsockopt"]
_option, _option_size = ctypes.c_int(), ctypes.c_int(ctypes.sizeof(ctypes.c_int))
_into_option, _into_size = ctypes.byref(_option), ctypes.byref(_option_size)


def is_tcp(descriptor: int) -> bool:
    """Return whether it is a socket whose protocol is TCP's number.

    Netlink has one of that number too (XFRM), but takes no address of another family.
    """
    failed = _getsockopt(descriptor, socket.SOL_SOCKET, _SO_PROTOCOL, _into_option, _into_size)
    return not failed and _option.value == socket.IPPROTO_TCP


def socket_kind(descriptor: int) -> tuple[int, int]:
    """Return family and type of a socket; raises OSError, ENOTSOCK among others."""
    borrowed = socket.SocketType(-1, -1, 0, descriptor)  # asks the kernel for both
    borrowed.detach()
    return borrowed.family, borrowed.type


def send_timeout(descriptor: int) -> float:
    """Return SO_SNDTIMEO in seconds, 0 for none."""
    borrowed = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        given = borrowed.getsockopt(socket.SOL_SOCKET, _SO_SNDTIMEO, 16)
    finally:
        borrowed.detach()
    seconds, micros = struct.unpack("=qq", given)
    return float(seconds + micros / 1e6)


def connect(descriptor: int, address: bytes) -> int:
    """Connect with a raw socket address; returns 0 or the errno."""
    if _connect(descriptor, address, len(address)) == 0:
        return 0
    return ctypes.get_errno()


# -- Landlock and capabilities

LANDLOCK_NET = 4
"""The first version that can forbid TCP connects (kernel 6.7)."""
_LANDLOCK_SCOPES = 6
_CONNECT_TCP, _SCOPE_SIGNAL = 2, 2


def landlock_version() -> int:
    """Return the kernel's Landlock version, 0 without."""
    found = int(_syscall(_long(NUMBERS["landlock_create_ruleset"]), None, _long(0), _long(1)))
    return max(found, 0)


def forbid_tcp_connects(version: int) -> None:
    """Let the kernel refuse every TCP connect of this thread and its children, by Landlock."""
    scoped = version >= _LANDLOCK_SCOPES
    rules = struct.pack("=QQQ", 0, _CONNECT_TCP, _SCOPE_SIGNAL if scoped else 0)
    rules = rules if scoped else rules[:16]
    ruleset = call("landlock_create_ruleset", rules, ctypes.c_size_t(len(rules)), _long(0))
    try:
        call("landlock_restrict_self", _long(ruleset), _long(0))
    finally:
        os.close(ruleset)


NETWORK_CAPABILITIES = (12, 13, 19, 21, 38, 39)
"""NET_ADMIN, NET_RAW, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF."""
_LOOKING = (19, 21, 38)


def give_up_looking() -> None:
    """Give up the rights of this thread to look into processes that forbid it."""
    drop_capabilities(_LOOKING)


def drop_capabilities(numbers: tuple[int, ...]) -> None:
    """Drop capabilities of this thread from all its sets, as far as it has them."""
    for number in numbers:
        _prctl(_PR_CAPBSET_DROP, number)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    call("capget", header, data)
    mask = sum(1 << number for number in numbers)
    halves = (mask & 0xFFFFFFFF,) * 3 + (mask >> 32,) * 3
    kept = [word & ~half for word, half in zip(struct.unpack("=6I", data.raw), halves)]
    call("capset", header, struct.pack("=6I", *kept))
