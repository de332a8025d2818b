"""A sandbox that runs nothing and answers from a script."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from application.ports.sandbox import (
    SandboxAvailability,
    SandboxLimits,
    SandboxOutcome,
    SandboxResult,
    SandboxUnavailable,
)

Match = Callable[[Mapping[str, bytes], Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """What was asked of the sandbox once."""

    files: Mapping[str, bytes]
    command: tuple[str, ...]
    limits: SandboxLimits


class ScriptedSandbox:
    """Answers each run with the first scripted result that matches its files and command.

    ``available=False`` makes a host that cannot isolate. ``runs`` keeps what was asked for.
    """

    def __init__(self, *, available: bool = True) -> None:
        self.available = available
        self.runs: list[SandboxRun] = []
        self._script: list[tuple[Match, list[SandboxResult]]] = []

    def on(self, match: Match | Sequence[str], *results: SandboxResult) -> None:
        """Answer runs that match, in turn, the last for good.

        ``match`` is a function of files and command, or the beginning of a command.
        """
        if callable(match):
            self._script.append((match, list(results)))
            return
        beginning = tuple(match)
        self._script.append(
            (lambda _, command: tuple(command[: len(beginning)]) == beginning, list(results))
        )

    async def availability(self) -> SandboxAvailability:
        """As scripted."""
        if self.available:
            return SandboxAvailability(True, "script")
        return SandboxAvailability(False, "none", "the script says so")

    async def run(
        self, files: Mapping[str, bytes], command: Sequence[str], limits: SandboxLimits
    ) -> SandboxResult:
        """The scripted result.

        Raises:
            SandboxUnavailable: the script says so.
            LookupError: nothing in the script matches.
        """
        if not self.available:
            raise SandboxUnavailable("the script says so")
        self.runs.append(SandboxRun(dict(files), tuple(command), limits))
        for match, results in self._script:
            if match(files, command):
                return results.pop(0) if len(results) > 1 else results[0]
        raise LookupError(f"the script has nothing for {list(command)}")


def sandbox_result(
    exit_code: int | None = 0,
    stdout: str = "",
    stderr: str = "",
    outcome: SandboxOutcome = SandboxOutcome.EXITED,
) -> SandboxResult:
    """A result of which only the telling parts are given."""
    return SandboxResult(
        outcome=outcome,
        exit_code=exit_code if outcome is SandboxOutcome.EXITED else None,
        stdout=stdout,
        stderr=stderr,
        duration_ms=5,
        peak_memory_bytes=8 * 1024 * 1024,
    )
