"""Where generated code is run: isolated, bounded, and never on the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SandboxOutcome(StrEnum):
    """How a command in the sandbox ended."""

    EXITED = "exited"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_CPU = "out_of_cpu"
    OUT_OF_PROCESSES = "out_of_processes"
    OUTPUT_LIMIT = "output_limit"


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Hard limits of one command, over its whole process tree."""

    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    memory_bytes: int = 512 * 1024 * 1024
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 32 * 1024 * 1024
    disk_bytes: int = 64 * 1024 * 1024
    output_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class SandboxAvailability:
    """Whether this host can isolate, by what means, and if not, why not."""

    available: bool
    isolation: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What one command did. ``stdout`` and ``stderr`` are cut at the output limit."""

    outcome: SandboxOutcome
    exit_code: int | None
    stdout: str
    stderr: str
    duration_ms: int
    peak_memory_bytes: int

    @property
    def succeeded(self) -> bool:
        """True when the command ended by itself with status 0."""
        return self.outcome is SandboxOutcome.EXITED and self.exit_code == 0


class SandboxUnavailable(Exception):
    """This host cannot isolate a command. Nothing was run."""


class Sandbox(Protocol):
    """Runs one command over a set of files, with no network and no secrets in reach."""

    async def availability(self) -> SandboxAvailability:
        """Say whether a command can be isolated here. Probes once, then remembers."""
        ...

    async def run(
        self, files: Mapping[str, bytes], command: Sequence[str], limits: SandboxLimits
    ) -> SandboxResult:
        """Run ``command`` in a fresh writable workspace that holds ``files``.

        Paths in ``files`` are relative and already checked by the path policy. The
        interpreter ``python3`` is on the PATH inside. The workspace is thrown away.

        Raises:
            SandboxUnavailable: the host cannot isolate; nothing was run.
        """
        ...
