"""Execute a run: claim it, keep the lease, do the work, and leave it in a true state."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import structlog

from application.failpoints import Failpoint, reach
from application.ports.claims import RunClaims, RunUnreadable
from application.ports.metrics import RunMetrics
from application.ports.persistence import DatabaseUnavailable, LeaseLost
from application.runs.cancellation import stop
from application.runs.failures import RetryLater
from application.runs.run_graph import RunGraph, RunTools
from application.runs.set_aside import set_aside
from domain.projects.run import MAX_CLAIMS, Claim, RunStatus
from domain.shared.ids import ProjectId, RunId, UserId

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15.0
"""How long a claim holds without renewal: a dead worker's run waits at most this long.
Fifteen beats may be missed before that, so a garbage pause or a slow commit costs nothing."""

HEARTBEAT_SECONDS = 1.0
"""Between renewals; also how soon a wish to cancel is seen."""

LATE_SECONDS = 2.0
"""How long a worker that stood still past its lease waits to hear whether it still has it."""

_SENTENCE_LENGTH = 300


class _Interruption(Enum):
    CANCELLED = auto()
    LEASE_LOST = auto()


@dataclass(frozen=True, slots=True)
class ExecuteRun:
    """Works on one run, if it is to be had. Safe to call for any run at any time."""

    claims: RunClaims
    tools: RunTools
    metrics: RunMetrics
    lease_seconds: float = LEASE_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _beating: set[RunId] = field(default_factory=set)
    """The runs whose leases this process renews."""

    async def __call__(self, run_id: RunId) -> None:
        """Claim the run and work on it until it ends, is parked, or the lease is lost.

        Cancelling this (a worker that shuts down) hands the run back for another.
        """
        if run_id in self._beating:
            # Its lease is over, for this process had no time to renew it: taking the run from
            # oneself would throw away what is under way. The next beat asks for the lease.
            log.debug("run is under way here", run_id=str(run_id))
            return
        asked_at = asyncio.get_running_loop().time()
        try:
            claim = await self.claims.claim(run_id, self.lease_seconds)
        except RunUnreadable as unreadable:
            with structlog.contextvars.bound_contextvars(
                run_id=str(run_id), user_id=str(unreadable.user_id), fence=unreadable.fence
            ):
                work = self._put_off(unreadable, None, unreadable)
                await self._guarded(unreadable.run_id, unreadable.fence, work)
            return
        if claim is None:
            log.debug("run not to be had", run_id=str(run_id))
            return
        with structlog.contextvars.bound_contextvars(
            run_id=str(run_id), user_id=str(claim.run.user_id), fence=claim.fence
        ):
            log.info("run claimed", attempt=claim.run.attempts)
            reach(Failpoint.AFTER_CLAIM)
            graph = RunGraph(claim, self.tools.of(claim.run))
            work = self._claimed(claim, graph, asked_at + self.lease_seconds)
            await self._guarded(run_id, claim.fence, work)
            # What is left was cut off by a lost lease.
            await graph.give_up()

    async def _guarded(self, run_id: RunId, fence: int, work: Coroutine[Any, Any, None]) -> None:
        """Do what may find that the run is another's, or the database away.

        Attempts are for runs that kill their worker. This one lives, so its own is taken back.
        """
        try:
            await work
        except LeaseLost as reason:
            log.warning("lease lost", reason=str(reason))
        except DatabaseUnavailable as reason:
            # The lease runs out by itself and the dispatcher finds the run again.
            log.error("database away; leaving the run to its lease", reason=str(reason))
        else:
            return
        try:
            await self.claims.outlived(run_id, fence)
        except DatabaseUnavailable as reason:
            log.warning("attempt not taken back", reason=str(reason))

    async def _claimed(self, claim: Claim, graph: RunGraph, deadline: float) -> None:
        try:
            if claim.run.attempts > MAX_CLAIMS:
                await self._bury(_Hold.of(claim), graph, "worker_lost", _WORKER_LOST)
            elif claim.run.cancel_requested:
                await graph.end(RunStatus.CANCELLED)
            else:
                await self._work(claim, graph, deadline)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the run must not come for ever)
            await self._put_off(_Hold.of(claim), graph, error)

    async def _work(self, claim: Claim, graph: RunGraph, deadline: float) -> None:
        working = asyncio.ensure_future(graph.work())
        beating = asyncio.ensure_future(self._beat(claim, deadline))
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                parked = working.result()
                if parked is not None:
                    await self._park(claim, parked)
                return
            interruption = beating.result()
            await stop(working)
            if interruption is _Interruption.LEASE_LOST:
                raise LeaseLost(f"the lease on run {claim.run.id} is over")
            await graph.end(RunStatus.CANCELLED)
        except asyncio.CancelledError:
            await stop(working)
            await asyncio.shield(self._hand_back(claim, graph))
            raise
        finally:
            await stop(working, beating)

    async def _beat(self, claim: Claim, deadline: float) -> _Interruption:
        """Renew until the person wants an end, or the lease's own deadline has passed.

        Who wakes up only after that stood still, and nobody may have taken the run all the
        same: the lease is asked for once more before all is given up.
        """
        self._beating.add(claim.run.id)
        try:
            return await self._renewed(claim, deadline)
        finally:
            self._beating.discard(claim.run.id)

    async def _renewed(self, claim: Claim, deadline: float) -> _Interruption:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            asked_at = loop.time()
            late = asked_at >= deadline
            try:
                async with asyncio.timeout_at(asked_at + LATE_SECONDS if late else deadline):
                    beat = await self.claims.renew(claim.run.id, claim.fence, self.lease_seconds)
            except (DatabaseUnavailable, TimeoutError):
                if loop.time() >= deadline:
                    return _Interruption.LEASE_LOST
                continue
            if beat is None:
                return _Interruption.LEASE_LOST
            deadline = asked_at + self.lease_seconds
            if beat.cancel_requested:
                return _Interruption.CANCELLED

    async def _park(self, claim: Claim, parked: RetryLater) -> None:
        log.info("run parked", seconds=parked.seconds, reason=parked.reason)
        await self.claims.hand_back(
            claim.run.id, claim.fence, delay_seconds=parked.seconds, refund=True
        )

    async def _hand_back(self, claim: Claim, graph: RunGraph) -> None:
        log.info("run handed back")
        await graph.give_up()
        await self.claims.hand_back(claim.run.id, claim.fence, delay_seconds=0, refund=True)

    async def _put_off(
        self, hold: "_Hold | RunUnreadable", graph: RunGraph | None, error: Exception
    ) -> None:
        """Deal with a fault of ours, outside of what a step may fail at.

        The claim counted an attempt and keeps it, so that a run that always ends here is
        set aside, with the fault as its evidence, instead of going round forever.
        """
        log.error("run broke its worker", attempt=hold.attempts, exc_info=error)
        if graph is not None:
            await graph.give_up()
        if hold.attempts < MAX_CLAIMS:
            delay = 2.0 ** min(hold.attempts, 6)
            await self.claims.hand_back(hold.run_id, hold.fence, delay_seconds=delay, refund=False)
            return
        await self._bury(hold, graph, "worker_error", _sentence(error))

    async def _bury(
        self, hold: "_Hold | RunUnreadable", graph: RunGraph | None, code: str, sentence: str
    ) -> None:
        log.error("run is dead", attempts=hold.attempts, error_code=code, error=sentence)
        if graph is None or not await self._ended_in_order(graph, code, sentence):
            if await self.claims.renew(hold.run_id, hold.fence, self.lease_seconds) is None:
                raise LeaseLost(f"run {hold.run_id} is another's by now")
            await set_aside(
                self.tools.uow,
                hold.user_id,
                hold.project_id,
                hold.run_id,
                error_code=code,
                error=sentence,
            )
        self.metrics.run_died(code)

    async def _ended_in_order(self, graph: RunGraph, code: str, sentence: str) -> bool:
        try:
            await graph.end(RunStatus.DEAD, error_code=code, error=sentence)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception:  # what broke the run may break its end too
            log.exception("a dead run could not be ended in order")
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """What is needed of a claim to let its run go."""

    run_id: RunId
    project_id: ProjectId
    user_id: UserId
    fence: int
    attempts: int

    @classmethod
    def of(cls, claim: Claim) -> "_Hold":
        run = claim.run
        return cls(
            run_id=run.id,
            project_id=run.project_id,
            user_id=run.user_id,
            fence=claim.fence,
            attempts=run.attempts,
        )


_WORKER_LOST = (
    f"The run's worker was lost {MAX_CLAIMS} times in the same place; "
    "nothing more is tried. What was finished is kept, and nothing unfinished charged."
)


def _sentence(error: Exception) -> str:
    """The fault's class and its first line: what follows may quote whole statements."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'without a word'}"[:_SENTENCE_LENGTH]
