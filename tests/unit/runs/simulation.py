"""Workers, clients and a dispatcher on one simulated machine whose time is ours.

Time on the event loop passes only when nothing is left to do, and then jumps to the next
timer: a second's heartbeat costs no second, and the same script gives the same schedule.
The database's clock runs with it and can be set ahead of it, which is what a worker sees
that was stopped for a while. Faults happen on the way to the database, where a worker that
is killed is cut off as well: nothing that its tasks do afterwards has an effect.
"""

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from application.ports.language_model import (
    CallProgress,
    ModelCallFailed,
    ModelRequest,
    RawReply,
)
from application.ports.persistence import DatabaseUnavailable
from domain.billing.usage import TokenUsage
from domain.shared.ids import RunId, UserId
from tests.fakes.clock import MovableClock
from tests.fakes.language_model import PRICE, USAGE, ScriptedLanguageModel
from tests.fakes.persistence import InMemoryDatabase, InMemoryRunClaims, InMemoryUnitOfWork
from tests.fakes.persistence.database import Session
from tests.unit.runs.world import World

INSTANT = 1e-6
"""Waiting for so long lets everything happen that needs no time."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait: its clock jumps to the next timer."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(_Hurried(self))

    def time(self) -> float:
        return self.seconds


class _Hurried(selectors.SelectSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will ever happen again")
        # A timer counts as due within the clock's resolution; without the nudge, rounding
        # could leave it a hair in the future for ever.
        self._loop.seconds += max(0.0, timeout)
        return super().select(0)


class SimulatedClock(MovableClock):
    """The loop's time, ahead by what it was moved."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._loop.seconds)


class Fault(StrEnum):
    """What may go wrong with a transaction."""

    BEGIN = "it does not open"
    COMMIT = "it breaks before its commit"
    ANSWER = "it is committed, and nobody hears of it"


@dataclass
class Faults:
    """What will go wrong next, for whoever comes next."""

    coming: list[Fault] = field(default_factory=list)

    def strike(self, fault: Fault) -> bool:
        if fault not in self.coming:
            return False
        self.coming.remove(fault)
        return True


class Connection(InMemoryDatabase):
    """One process's way to the shared database."""

    def __init__(self, shared: InMemoryDatabase, faults: Faults) -> None:
        self._shared = shared
        self._faults = faults
        self.cut = False

    @asynccontextmanager
    async def session(self, tenant: UserId | None) -> AsyncIterator[Session]:
        await asyncio.sleep(0)
        if self.cut or self._faults.strike(Fault.BEGIN):
            raise DatabaseUnavailable("The database does not answer.")
        async with self._shared.session(tenant) as session:
            yield session
            if self.cut or self._faults.strike(Fault.COMMIT):
                raise DatabaseUnavailable("The connection broke before the commit.")
        if self._faults.strike(Fault.ANSWER):
            raise DatabaseUnavailable("The connection broke at the commit.")


class HeldModel(ScriptedLanguageModel):
    """A model whose calls are answered when the test says so, and begin to be at once: one
    that is cut off has cost something.

    ``failing`` are failures of the next calls that are let go; ``free`` answers at once.
    """

    def __init__(self, scripted: ScriptedLanguageModel) -> None:
        super().__init__()
        self._parts = scripted._parts
        self.held: list[asyncio.Event] = []
        self.failing: list[ModelCallFailed] = []
        self.free = False

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        begun = TokenUsage(input=USAGE.input, output=1)
        on_progress(CallProgress(model=PRICE.model, usage=begun, cost_nano_usd=PRICE.cost(begun)))
        if not self.free:
            gate = asyncio.Event()
            self.held.append(gate)
            try:
                await gate.wait()
            finally:
                self.held.remove(gate)
        if self.failing:
            raise self.failing.pop(0)
        return await super().reply(request, so_far, on_progress)


@dataclass
class Worker:
    """One worker process at one run."""

    run_id: RunId
    connection: Connection
    task: "asyncio.Task[None]"

    async def kill(self) -> None:
        """End it as SIGKILL does."""
        self.connection.cut = True
        await self.shut_down()

    async def shut_down(self) -> None:
        """End it as SIGTERM does."""
        self.task.cancel()
        await asyncio.wait({self.task})


def connected(world: World, faults: Faults) -> tuple[World, Connection]:
    """The same platform, seen from a process of its own."""
    connection = Connection(world.database, faults)
    seen = replace(world, uow=InMemoryUnitOfWork(connection), claims=InMemoryRunClaims(connection))
    return seen, connection
