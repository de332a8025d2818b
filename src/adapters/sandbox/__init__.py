"""The sandbox of generated code: bubblewrap around it, a supervisor beside it.

What is inside. A root of its own on a read-only tmpfs: the host's ``/usr`` without
``/usr/local`` and ``/usr/src``, the interpreter's prefix without its third-party packages, a
minimal ``/dev`` and ``/etc``, ``/proc`` of its own processes, and one tmpfs of ``disk_bytes``
that holds the workspace, ``/tmp``, ``/dev/shm`` and the home. Its own user, process, network,
IPC, host-name and control-group namespaces; loopback works, nothing else is reachable. No
capability, no new privileges, no further user namespaces, and a system-call filter
(``seccomp``) over what namespaces do not divide.

What is not inside. The environment: bubblewrap itself starts with an empty one, as its own
would otherwise stand in ``/proc/1/environ``. Files of the host: the workspace arrives through
a pipe and lives in the tmpfs, so no path of the host is writable from within and nothing needs
to be cleaned up. Descriptors: all but the standard three are closed.

Started by root, the host first builds a root of toolchain alone, gives up root for an unused
user id and only then makes the sandbox. Otherwise the code would run as the kernel's uid 0,
which ``RLIMIT_NPROC`` does not bind and to which every root-owned file belongs.

Which limit is held by what:

==========  ===================================================================================
wall time   the supervisor, exact to its interval of 20 ms; it begins with the command
memory      the supervisor: resident size of all processes, shared pages counted once, plus 1 KiB
            for each file and 512 KiB for each socket; beside it ``RLIMIT_AS`` at twice the
            limit, for each process
CPU         the supervisor: time of all processes; ``RLIMIT_CPU`` a second above, for each
processes   the supervisor (threads count); ``RLIMIT_NPROC`` sixteen above
disk        the kernel: the size of the one tmpfs; writing past it is ENOSPC
open files  the kernel: ``RLIMIT_NOFILE``, for each process
file size   the kernel: ``RLIMIT_FSIZE``
output      the reader: both streams together; never more than the limit is kept
==========  ===================================================================================

What this does not do, without a control group. Between two looks of the supervisor the memory
may overshoot by what can be touched in 20 ms (measured on two cores: up to 65 MiB). The
kernel's memory for pipes, page tables and TCP's larger buffers is not counted, only bounded (64
MiB of pipes for each user; descriptors times processes; the kernel's own ``tcp_mem``; measured,
TCP made 512 MiB into 750); what is inside is the first victim of its out-of-memory killer. CPU
time of a child that lives for less than 20 ms and whose parent ignores it is not counted; wall
time bounds that. Files count against ``disk_bytes``, so memory and disk together are what one
run can take. And the kernel is shared with the host. So where the code is anyone's, run this as
a service in a container of its own, with a memory limit.

A host that is killed takes its sandboxes with it. Only in the milliseconds in which bubblewrap
sets up may one of its own processes be left waiting; generated code is not yet running then.

The process that is number 1 inside outlives bubblewrap by a moment and is then an orphan. It is
dead, and the host's own process 1 has to reap it: in a container, ask for an init (``docker run
--init``, ``init: true`` in compose).

Needs Linux 5.14 or newer, bubblewrap 0.8 or newer and, as root, ``setpriv`` (util-linux). The
namespaces are refused by Docker's default seccomp profile, by Fargate and by hosts that forbid
unprivileged user namespaces. There :meth:`BubblewrapSandbox.availability` says so and nothing
is ever run unconfined.
"""

from adapters.sandbox.bubblewrap import BubblewrapSandbox

__all__ = ["BubblewrapSandbox"]
