"""Becomes a command whose life is tied to its parent's. Linux only; run as a script.

    python -I -S tether.py SIGNAL PARENT_PID IDENTITY COMMAND [ARGUMENT …]

``prctl(PR_SET_PDEATHSIG)`` has the kernel send SIGNAL as soon as the parent ends, however it
ends. It is set here, after the fork and before the exec, rather than by ``preexec_fn``, which is
not safe in a process with threads. It has to come last: a change of credentials clears it.
Strictly, the kernel watches the *thread* that forked, so a supervisor's event loop must live as
long as the process does.

IDENTITY is ``same``; ``namespace`` (a user namespace where root appears as uid 1000: the server
sees an ordinary user, the files stay the caller's); or ``nobody`` (uid and gid 65534).

The interpreter's own modules are all it may import: it runs isolated, without site-packages.
"""

import ctypes
import os
import sys
from pathlib import Path

NOBODY = 65534
_APPARENT_UID = 1000
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000


def main(arguments: list[str]) -> None:
    """Take the identity, tie the knot and exec. Returns only by raising OSError."""
    death_signal, parent, identity, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if identity == "namespace":
        _enter_user_namespace(libc)
    elif identity == "nobody":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _call(libc.prctl, _PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    # The parent may have died before the line above: then nobody would ever send the signal.
    if os.getppid() != int(parent):
        raise SystemExit("the supervisor is gone")
    os.execv(command[0], command)


def _enter_user_namespace(libc: ctypes.CDLL) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call(libc.unshare, _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_APPARENT_UID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_APPARENT_UID} {gid} 1")


def _call(function: "ctypes._NamedFuncPointer", *arguments: int) -> None:
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


if __name__ == "__main__":
    main(sys.argv[1:])
