"""What operators see of everybody's runs, and may do about them."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from application.operations.oversee_runs import ExamineRun, OverseeRuns, RetryAnyRun
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.projects.run import RunStatus
from domain.shared.ids import RunId
from entrypoints.http.access import requires
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.routing import get, post
from entrypoints.http.schemas import EvidenceView, OverseenRunPageView, OverseenRunView, RunView


class AdminRunController(Controller):
    """Everybody's runs."""

    path = "/admin/runs"
    tags = ("Operation",)

    @get("", guards=[requires(Permission.RUNS_OPERATE)], summary="List everybody's runs")
    async def runs(
        self,
        oversee_runs: NamedDependency[OverseeRuns],
        status: Annotated[RunStatus, QueryParameter(description="Their state.")] = RunStatus.DEAD,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenRunPageView:
        """Runs of one state, newest first, whoever they are of."""
        runs = await oversee_runs(status, page_from(cursor, limit))
        return OverseenRunPageView(
            items=[OverseenRunView.of(run) for run in runs[:limit]],
            next_cursor=cursor_after([run.id for run in runs], limit),
        )

    @get(
        "/{run_id:str}",
        guards=[requires(Permission.RUNS_OPERATE)],
        summary="Show a run's evidence",
    )
    async def evidence(
        self, run_id: FromPath[UUID], examine_run: NamedDependency[ExamineRun]
    ) -> EvidenceView:
        """The run's row, its steps, the end of its log, and its last failed model calls."""
        return EvidenceView.of(await examine_run(RunId(run_id)))

    @post(
        "/{run_id:str}/retry",
        guards=[requires(Permission.RUNS_OPERATE)],
        status_code=HTTP_202_ACCEPTED,
        summary="Retry anybody's run",
    )
    async def retry_for_owner(
        self,
        run_id: FromPath[UUID],
        origin: NamedDependency[Origin],
        retry_any_run: NamedDependency[RetryAnyRun],
        once: NamedDependency[OncePerKey],
    ) -> Response[RunView]:
        """Accept a new run for its owner, which goes on from what is finished."""
        return await once(
            lambda completion: retry_any_run(RunId(run_id), origin=origin, once=completion),
            RunView.of,
            account=await retry_any_run.owner_of(RunId(run_id)),
        )
