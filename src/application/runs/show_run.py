"""Show a run with its steps, and read a run's log."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.billing.price_book import PriceBook
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.reads import HotReads
from domain.projects.agent_task import AgentTask
from domain.projects.run import Run
from domain.shared.errors import NotFound
from domain.shared.events import RunEvent
from domain.shared.ids import RunId, UserId
from domain.shared.money import ExchangeRate


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAccount:
    """A run, the tasks begun in it so far, and the rate their costs are converted at."""

    run: Run
    tasks: Sequence[AgentTask]
    rate: ExchangeRate


@dataclass(frozen=True, slots=True)
class ShowRun:
    """Reads a run and the tasks begun in it so far."""

    reads: HotReads
    book: PriceBook

    async def __call__(self, user_id: UserId, run_id: RunId) -> RunAccount:
        """The run and its tasks.

        Raises:
            NotFound: no such run, or another person's.
        """
        run = await self.reads.run(user_id, run_id)
        if run is None:
            raise NotFound("run", run_id)
        tasks = await self.reads.tasks_of_run(user_id, run_id)
        return RunAccount(run=run, tasks=tasks, rate=await self.book.rate(run.created_at))


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Reads a run's log from a number on."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, run_id: RunId, *, after: int, limit: int
    ) -> tuple[Run, Sequence[RunEvent]]:
        """The run and the entries numbered above ``after``, at most ``limit``.

        Raises:
            NotFound: no such run, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            run = await owned_run(tx, run_id)
            return run, await tx.runs.events(run_id, after, limit)


async def owned_run(tx: Transaction, run_id: RunId) -> Run:
    """The transaction's person's run.

    Raises:
        NotFound: no such run, or another person's: the two look the same.
    """
    run = await tx.runs.get(run_id)
    if run is None:
        raise NotFound("run", run_id)
    return run
