"""Execute a run: claim it, keep the lease, do the work, and leave it in a true state."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from application.failpoints import Failpoint, reach
from application.ports.persistence import DatabaseUnavailable, LeaseLost, RunClaims
from application.runs.cancellation import stop
from application.runs.failures import RetryLater
from application.runs.run_graph import RunGraph, RunTools
from domain.projects.run import MAX_CLAIMS, Claim, RunStatus
from domain.shared.ids import RunId

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15.0
"""How long a claim holds without renewal: a dead worker's run waits at most this long.
Fifteen beats may be missed before that, so a garbage pause or a slow commit costs nothing."""

HEARTBEAT_SECONDS = 1.0
"""Between renewals; also how soon a wish to cancel is seen."""


class _Interruption(Enum):
    CANCELLED = auto()
    LEASE_LOST = auto()


@dataclass(frozen=True, slots=True)
class ExecuteRun:
    """Works on one run, if it is to be had. Safe to call for any run at any time."""

    claims: RunClaims
    tools: RunTools
    lease_seconds: float = LEASE_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS

    async def __call__(self, run_id: RunId) -> None:
        """Claim the run and work on it until it ends, is parked, or the lease is lost.

        Cancelling this (a worker that shuts down) hands the run back for another.
        """
        asked_at = asyncio.get_running_loop().time()
        claim = await self.claims.claim(run_id, self.lease_seconds)
        if claim is None:
            log.debug("run not to be had", run_id=str(run_id))
            return
        with structlog.contextvars.bound_contextvars(
            run_id=str(run_id), user_id=str(claim.run.user_id), fence=claim.fence
        ):
            log.info("run claimed", attempt=claim.run.attempts)
            reach(Failpoint.AFTER_CLAIM)
            graph = RunGraph(claim, self.tools)
            try:
                if claim.run.attempts > MAX_CLAIMS:
                    await self._bury(graph)
                elif claim.run.cancel_requested:
                    await graph.end(RunStatus.CANCELLED)
                else:
                    await self._work(claim, graph, asked_at + self.lease_seconds)
            except LeaseLost as reason:
                log.warning("lease lost", reason=str(reason))
            except DatabaseUnavailable as reason:
                # The lease runs out by itself and the dispatcher finds the run again.
                log.error("database away; leaving the run to its lease", reason=str(reason))

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
            if interruption is _Interruption.CANCELLED:
                await graph.end(RunStatus.CANCELLED)
            else:
                log.warning("lease lost while working")
        except asyncio.CancelledError:
            await stop(working)
            await asyncio.shield(self._hand_back(claim))
            raise
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception:
            # A fault of ours. The claim counted an attempt and keeps it, so that a run
            # that always ends here is set aside instead of going round forever.
            log.exception("run broke its worker")
            await self.claims.hand_back(
                claim.run.id,
                claim.fence,
                delay_seconds=2.0 ** min(claim.run.attempts, 6),
                refund=False,
            )
        finally:
            await stop(working, beating)

    async def _beat(self, claim: Claim, deadline: float) -> _Interruption:
        """Renew until the person wants an end, or the lease's own deadline has passed."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            asked_at = loop.time()
            try:
                async with asyncio.timeout_at(deadline):
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

    async def _hand_back(self, claim: Claim) -> None:
        log.info("run handed back")
        await self.claims.hand_back(claim.run.id, claim.fence, delay_seconds=0, refund=True)

    async def _bury(self, graph: RunGraph) -> None:
        log.error("run is dead", attempts=graph.run.attempts)
        await graph.end(
            RunStatus.DEAD,
            error_code="worker_lost",
            error=f"The run's worker was lost {MAX_CLAIMS} times in the same place; "
            "nothing more is tried. What was finished is kept, and nothing unfinished charged.",
        )
