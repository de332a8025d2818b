"""The system calls that generated code does not get, as a classic BPF program.

A list of refusals, not of permissions: namespaces and the missing capabilities already hold
most doors. What is refused here is what they leave open: kernel services that are not divided
by namespaces (keyrings, vsock, BPF, perf), memory that belongs to no process's resident size
(memfd, System V IPC, message queues, large buffers of sockets), ways into a neighbour's memory,
and the calls that kernel exploits have used most often (io_uring, userfaultfd, netlink, new
namespaces).

Numbers: Linux ``asm/unistd_64.h`` and ``asm-generic/unistd.h``. Encoding: ``linux/filter.h``,
``linux/seccomp.h``.
"""

import errno
import struct


def filter_program(machine: str) -> bytes | None:
    """The filter for a ``platform.machine()``, or None where there is none for it."""
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        return None
    audit_number, calls = architecture

    program = [
        _statement(_LOAD, _ARCHITECTURE_OFFSET),
        _jump(_EQUAL, audit_number, 1, 0),
        _statement(_RETURN, _KILL_PROCESS),
        _statement(_LOAD, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        # The x32 interface is a second set of numbers for the same calls.
        program += [_jump(_AT_LEAST, 0x40000000, 0, 1), _refuse(errno.ENOSYS)]
    for name in _REFUSED:
        program += [_jump(_EQUAL, calls[name], 0, 1), _refuse(errno.EPERM)]
    # Its flags are behind a pointer, out of a filter's sight; libc falls back to clone.
    program += [_jump(_EQUAL, calls["clone3"], 0, 1), _refuse(errno.ENOSYS)]
    program += [
        _jump(_EQUAL, calls["clone"], 0, 3),
        _statement(_LOAD, _FIRST_ARGUMENT_OFFSET),
        _jump(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _refuse(errno.EPERM),
        # The argument has replaced the number, so it is loaded again.
        _statement(_LOAD, _NUMBER_OFFSET),
    ]
    program += [
        _jump(_EQUAL, calls["socket"], 0, 6),
        _statement(_LOAD, _FIRST_ARGUMENT_OFFSET),
        *(_jump(_EQUAL, family, 3 - i, 0) for i, family in enumerate(_SOCKET_FAMILIES)),
        _refuse(errno.EAFNOSUPPORT),
        _statement(_RETURN, _ALLOW),
    ]
    program += [
        # The size of a socket's buffers is a wish to the kernel. Granted, it would hide memory.
        _jump(_EQUAL, calls["setsockopt"], 0, 9),
        _statement(_LOAD, _SECOND_ARGUMENT_OFFSET),
        _jump(_EQUAL, _SOL_SOCKET, 0, 7),
        _statement(_LOAD, _THIRD_ARGUMENT_OFFSET),
        *(_jump(_EQUAL, option, 4 - i, 0) for i, option in enumerate(_BUFFER_OPTIONS)),
        _statement(_RETURN, _ALLOW),
        _refuse(_WITHOUT_ERROR),
    ]
    program.append(_statement(_RETURN, _ALLOW))
    return b"".join(program)


_REFUSED = (
    "add_key",
    "bpf",
    "chroot",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_setup",
    "kcmp",
    "kexec_load",
    "keyctl",
    "memfd_create",
    "memfd_secret",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "mq_open",
    "msgget",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "request_key",
    "semget",
    "setns",
    "shmget",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vmsplice",
)
# AF_UNIX, AF_INET, AF_INET6
_SOCKET_FAMILIES = (1, 2, 10)
_SOL_SOCKET = 1
# SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE
_BUFFER_OPTIONS = (7, 8, 32, 33)
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
_NEW_NAMESPACES = 0x00000080 | 0x00020000 | 0x02000000 | 0x7C000000

_SINCE_5_1 = {
    "clone3": 435,
    "fsconfig": 431,
    "fsmount": 432,
    "fsopen": 430,
    "fspick": 433,
    "io_uring_setup": 425,
    "memfd_secret": 447,
    "mount_setattr": 442,
    "move_mount": 429,
    "open_tree": 428,
    "pidfd_getfd": 438,
}
_X86_64 = _SINCE_5_1 | {
    "add_key": 248,
    "bpf": 321,
    "chroot": 161,
    "clone": 56,
    "fanotify_init": 300,
    "finit_module": 313,
    "init_module": 175,
    "kcmp": 312,
    "kexec_load": 246,
    "keyctl": 250,
    "memfd_create": 319,
    "mount": 165,
    "move_pages": 279,
    "mq_open": 240,
    "msgget": 68,
    "open_by_handle_at": 304,
    "perf_event_open": 298,
    "pivot_root": 155,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "ptrace": 101,
    "request_key": 249,
    "semget": 64,
    "setns": 308,
    "setsockopt": 54,
    "shmget": 29,
    "socket": 41,
    "syslog": 103,
    "umount2": 166,
    "unshare": 272,
    "userfaultfd": 323,
    "vmsplice": 278,
}
_AARCH64 = _SINCE_5_1 | {
    "add_key": 217,
    "bpf": 280,
    "chroot": 51,
    "clone": 220,
    "fanotify_init": 262,
    "finit_module": 273,
    "init_module": 105,
    "kcmp": 272,
    "kexec_load": 104,
    "keyctl": 219,
    "memfd_create": 279,
    "mount": 40,
    "move_pages": 239,
    "mq_open": 180,
    "msgget": 186,
    "open_by_handle_at": 265,
    "perf_event_open": 241,
    "pivot_root": 41,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "ptrace": 117,
    "request_key": 218,
    "semget": 190,
    "setns": 268,
    "setsockopt": 208,
    "shmget": 194,
    "socket": 198,
    "syslog": 116,
    "umount2": 39,
    "unshare": 97,
    "userfaultfd": 282,
    "vmsplice": 75,
}
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

_LOAD = 0x20
_EQUAL = 0x15
_AT_LEAST = 0x35
_ANY_BIT = 0x45
_RETURN = 0x06
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
# A call refused without an error is one that seems to have worked.
_WITHOUT_ERROR = 0
_NUMBER_OFFSET = 0
_ARCHITECTURE_OFFSET = 4
# The low word: both machines are little-endian.
_FIRST_ARGUMENT_OFFSET = 16
_SECOND_ARGUMENT_OFFSET = 24
_THIRD_ARGUMENT_OFFSET = 32


def _statement(code: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, operand)


def _jump(code: int, operand: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _refuse(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)
