"""Keeps processes running: starts them together, restarts what ends, gives up in the open.

The same supervisor serves the stack's servers and our own processes (HTTP, worker, dispatcher);
it knows them only as :class:`Supervised`.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import structlog

from entrypoints.local_stack.child_process import ChildProcess, Command
from entrypoints.local_stack.errors import ProcessFailed

__all__ = ["ChildProcess", "Command", "ProcessSupervisor", "RestartPolicy", "Supervised"]

log: structlog.stdlib.BoundLogger = structlog.get_logger("local_stack")


class Supervised(Protocol):
    """A process, or a server made of one, that can be started again after it has ended."""

    @property
    def name(self) -> str:
        """What logs call it."""

    @property
    def pid(self) -> int | None:
        """The running process's id."""

    @property
    def alive(self) -> bool:
        """True while the process runs."""

    async def start(self) -> None:
        """Start it; return when it is ready. On an error nothing is left running."""

    async def wait(self) -> int:
        """Wait until it ends; the exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it within a bounded time. Harmless when it does not run."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How soon an ended process is started again, and when that is given up.

    The delay doubles from ``first_delay_seconds`` to ``longest_delay_seconds`` with each failure
    within the last ``window_seconds``; the ``most_failures``-th of them is the last.
    """

    first_delay_seconds: float = 0.1
    longest_delay_seconds: float = 5.0
    most_failures: int = 5
    window_seconds: float = 60.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after the given number of failures within the window."""
        return min(self.longest_delay_seconds, self.first_delay_seconds * 2.0 ** (failures - 1))


class ProcessSupervisor:
    """Runs processes until told to stop; any end before that is a failure, whatever its status."""

    def __init__(
        self, processes: Iterable[Supervised], policy: RestartPolicy | None = None
    ) -> None:
        self.processes = tuple(processes)
        self._policy = policy or RestartPolicy()
        self._watches: list[asyncio.Task[None]] = []
        self._gave_up = asyncio.Event()
        self._failure: ProcessFailed | None = None

    async def start(self) -> None:
        """Start all together and watch them. If one cannot start, none is left running.

        Raises:
            Exception: the first process's reason; further ones are attached as notes.
        """
        try:
            outcomes = await asyncio.gather(
                *(process.start() for process in self.processes), return_exceptions=True
            )
            errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            if errors:
                for further in errors[1:]:
                    errors[0].add_note(f"also: {further}")
                raise errors[0]
        except BaseException:
            await self.stop()
            raise
        self._watches = [
            asyncio.create_task(self._watch(process), name=f"watch {process.name}")
            for process in self.processes
        ]

    async def stop(self) -> None:
        """Stop watching, then stop all together. Harmless when nothing runs."""
        for watch in self._watches:
            watch.cancel()
        # A watch may be in the middle of a restart: it has to be out of the way first.
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches = []
        await asyncio.gather(*(process.stop() for process in self.processes))

    async def failed(self) -> ProcessFailed:
        """Wait until a process has failed for good; the others go on until :meth:`stop`."""
        await self._gave_up.wait()
        if self._failure is None:
            raise RuntimeError("the supervisor gave up without a reason")
        return self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _watch(self, process: Supervised) -> None:
        policy, loop = self._policy, asyncio.get_running_loop()
        failures: deque[float] = deque()
        while True:
            status = await process.wait()
            reason = f"ended with status {status}"
            while True:
                failures.append(loop.time())
                while failures[0] < loop.time() - policy.window_seconds:
                    failures.popleft()
                if len(failures) >= policy.most_failures:
                    self._give_up(process, len(failures), reason)
                    return
                delay = policy.delay(len(failures))
                log.warning(
                    "process_restarts", process=process.name, reason=reason, delay_seconds=delay
                )
                await asyncio.sleep(delay)
                try:
                    await process.start()
                except Exception as error:  # noqa: BLE001  # one more failure, whatever it is
                    reason = f"did not start: {error}"
                    continue
                log.info("process_restarted", process=process.name, pid=process.pid)
                break

    def _give_up(self, process: Supervised, failures: int, reason: str) -> None:
        if self._failure is None:
            self._failure = ProcessFailed(
                process.name, failures, self._policy.window_seconds, reason
            )
        log.error("process_failed", process=process.name, failures=failures, reason=reason)
        self._gave_up.set()
