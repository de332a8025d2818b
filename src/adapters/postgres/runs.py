"""Runs with their event logs, and the steps of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import case, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import agent_tasks, run_events, runs
from application.ports.paging import Page
from application.ports.persistence import LeaseLost
from domain.agents.artifacts import Mode
from domain.agents.review import Finding
from domain.billing.usage import TokenUsage
from domain.projects.agent_task import AgentTask, AgentTaskStatus, ArtifactRef
from domain.projects.run import LIVE, TERMINAL, Run, RunInProgress, RunNotLive, RunStatus
from domain.shared.errors import NotFound
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import AgentTaskId, ApiKeyId, ProjectId, RunId, UserId

_LIVE = tuple(sorted(LIVE))


class PostgresRuns:
    """The ``RunRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = runs.c.user_id == user_id

    async def add(self, run: Run) -> None:
        # A savepoint, so that the transaction can still read which run is in the way.
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(runs).values(
                        id=run.id,
                        project_id=run.project_id,
                        user_id=run.user_id,
                        mode=run.mode,
                        pipeline_version=run.pipeline_version,
                        status=run.status,
                        progress=run.progress,
                        reuse=run.reuse,
                        retry_of=run.retry_of,
                        cap_credits=run.cap_credits,
                        created_at=run.created_at,
                        api_key_id=run.api_key_id,
                        test=run.test,
                    )
                )
        except IntegrityError as error:
            if violated(error) != "runs_one_live":
                raise
            standing = await self.live(run.project_id)
            raise RunInProgress(
                "This project is being executed. Follow that run, or cancel it first.",
                run_id=str(standing.id) if standing else "",
            ) from error

    async def get(self, run_id: RunId) -> Run | None:
        rows = await self._connection.execute(select(runs).where(runs.c.id == run_id, self._mine))
        row = rows.one_or_none()
        return None if row is None else run_of(row)

    async def live(self, project_id: ProjectId) -> Run | None:
        rows = await self._connection.execute(
            select(runs).where(
                runs.c.project_id == project_id, runs.c.status.in_(_LIVE), self._mine
            )
        )
        row = rows.one_or_none()
        return None if row is None else run_of(row)

    async def live_ids(self) -> Sequence[RunId]:
        rows = await self._connection.execute(
            select(runs.c.id).where(runs.c.status.in_(_LIVE), self._mine).order_by(runs.c.id)
        )
        return [RunId(row.id) for row in rows]

    async def live_count(self) -> int:
        rows = await self._connection.execute(
            select(func.count()).where(runs.c.status.in_(_LIVE), self._mine)
        )
        return int(rows.scalar_one())

    async def of_project(self, project_id: ProjectId, page: Page) -> Sequence[Run]:
        query = select(runs).where(runs.c.project_id == project_id, self._mine)
        if page.after is not None:
            query = query.where(runs.c.id < page.after)
        rows = await self._connection.execute(query.order_by(runs.c.id.desc()).limit(page.limit))
        return [run_of(row) for row in rows]

    async def lock(self, run_id: RunId, fence: int) -> Run:
        # An update, not a select: it takes the row lock and checks the fence in one.
        rows = await self._connection.execute(
            update(runs)
            .where(
                runs.c.id == run_id,
                runs.c.fence == fence,
                runs.c.status == RunStatus.RUNNING,
                self._mine,
            )
            .values(fence=runs.c.fence)
            .returning(*runs.c)
        )
        row = rows.one_or_none()
        if row is None:
            raise LeaseLost(f"run {run_id} is not held with fence {fence}")
        return run_of(row)

    async def set_progress(self, run_id: RunId, progress: int) -> None:
        await self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, self._mine)
            .values(progress=progress, attempts=0, stalls=0)
        )

    async def finish(
        self, run_id: RunId, status: RunStatus, *, error_code: str = "", error: str = ""
    ) -> None:
        if status not in TERMINAL:
            raise ValueError(f"a run does not end as {status}")
        rows = await self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(_LIVE), self._mine)
            .values(
                status=status,
                error_code=error_code,
                error=error,
                lease_until=None,
                finished_at=func.now(),
            )
            .returning(runs.c.id)
        )
        if rows.one_or_none() is None:
            raise LeaseLost(f"run {run_id} has ended")

    async def request_cancel(self, run_id: RunId) -> Run:
        rows = await self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_(_LIVE), self._mine)
            .values(
                cancel_requested=True,
                # Nobody holds one that waits: let a worker have it now, and end it.
                due_at=case((runs.c.lease_until.is_(None), func.now()), else_=runs.c.due_at),
                not_before=func.least(runs.c.not_before, func.now()),
            )
            .returning(*runs.c)
        )
        row = rows.one_or_none()
        if row is not None:
            return run_of(row)
        ended = await self.get(run_id)
        if ended is None:
            raise NotFound("run", run_id)
        raise RunNotLive("The run has ended already.", run_id=str(run_id), run_status=ended.status)

    async def append_event(
        self, run_id: RunId, type_: EventType, data: Mapping[str, object]
    ) -> RunEvent:
        # One statement: the number is taken from the run's row, whose lock keeps the
        # log free of gaps and repeats until the commit.
        numbered = (
            update(runs)
            .where(runs.c.id == run_id, self._mine)
            .values(event_seq=runs.c.event_seq + 1)
            .returning(runs.c.id, runs.c.event_seq, runs.c.user_id)
            .cte("numbered")
        )
        rows = await self._connection.execute(
            insert(run_events)
            .from_select(
                ["run_id", "seq", "user_id", "type", "data"],
                select(
                    numbered.c.id,
                    numbered.c.event_seq,
                    numbered.c.user_id,
                    literal(type_.value),
                    literal(dict(data), run_events.c.data.type),
                ),
            )
            .returning(run_events.c.seq, run_events.c.at)
        )
        appended = rows.one_or_none()
        if appended is None:
            raise NotFound("run", run_id)
        return RunEvent(
            run_id=run_id, seq=appended.seq, type=type_, data=dict(data), at=appended.at
        )

    async def events(self, run_id: RunId, after: int, limit: int) -> Sequence[RunEvent]:
        rows = await self._connection.execute(
            select(run_events)
            .where(
                run_events.c.run_id == run_id,
                run_events.c.seq > after,
                run_events.c.user_id == self._user_id,
            )
            .order_by(run_events.c.seq)
            .limit(limit)
        )
        return [
            RunEvent(
                run_id=RunId(row.run_id),
                seq=row.seq,
                type=EventType(row.type),
                data=row.data,
                at=row.at,
            )
            for row in rows
        ]


class PostgresAgentTasks:
    """The ``AgentTaskRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = agent_tasks.c.user_id == user_id

    async def put(self, task: AgentTask) -> None:
        columns = _task_columns(task)
        kept = {"id", "run_id", "step", "project_id", "user_id"}
        await self._connection.execute(
            upsert(agent_tasks)
            .values(**columns)
            .on_conflict_do_update(
                constraint="agent_tasks_run_id_step_key",
                set_={name: value for name, value in columns.items() if name not in kept},
            )
        )

    async def of_run(self, run_id: RunId) -> Sequence[AgentTask]:
        rows = await self._connection.execute(
            select(agent_tasks)
            .where(agent_tasks.c.run_id == run_id, self._mine)
            .order_by(agent_tasks.c.id)
        )
        return [task_of(row) for row in rows]

    async def checkpoint(self, project_id: ProjectId, input_hash: str) -> AgentTask | None:
        rows = await self._connection.execute(
            select(agent_tasks)
            .where(
                agent_tasks.c.project_id == project_id,
                agent_tasks.c.input_hash == input_hash,
                agent_tasks.c.status == AgentTaskStatus.SUCCEEDED,
                self._mine,
            )
            .order_by(agent_tasks.c.id.desc())
            .limit(1)
        )
        row = rows.one_or_none()
        return None if row is None else task_of(row)


def run_of(row: Any) -> Run:
    """A run from its row."""
    return Run(
        id=RunId(row.id),
        project_id=ProjectId(row.project_id),
        user_id=UserId(row.user_id),
        mode=Mode(row.mode),
        pipeline_version=row.pipeline_version,
        status=RunStatus(row.status),
        progress=row.progress,
        reuse=row.reuse,
        retry_of=None if row.retry_of is None else RunId(row.retry_of),
        attempts=row.attempts,
        fence=row.fence,
        cancel_requested=row.cancel_requested,
        event_seq=row.event_seq,
        error_code=row.error_code,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cap_credits=row.cap_credits,
        charged_credits=row.charged_credits,
        api_key_id=None if row.api_key_id is None else ApiKeyId(row.api_key_id),
        test=row.test,
    )


def _task_columns(task: AgentTask) -> dict[str, Any]:
    return {
        "id": task.id,
        "run_id": task.run_id,
        "project_id": task.project_id,
        "user_id": task.user_id,
        "step": task.step,
        "agent_type": task.agent_type,
        "status": task.status,
        "attempt": task.attempt,
        "input_hash": task.input_hash,
        "output": None if task.output is None else msgspec.to_builtins(task.output),
        "findings": msgspec.to_builtins(task.findings),
        "tokens_used": task.usage.total,
        "input_tokens": task.usage.input,
        "output_tokens": task.usage.output,
        "cache_write_tokens": task.usage.cache_write,
        "cache_read_tokens": task.usage.cache_read,
        "cache_write_1h_tokens": task.usage.cache_write_1h,
        "model": task.model,
        "summary": task.summary,
        "cost_nano_usd": task.cost_nano_usd,
        "house_nano_usd": task.house_nano_usd,
        "credits": task.credits,
        "error_code": task.error_code,
        "error": task.error,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
    }


def task_of(row: Any) -> AgentTask:
    """A task from its row."""
    return AgentTask(
        id=AgentTaskId(row.id),
        run_id=RunId(row.run_id),
        project_id=ProjectId(row.project_id),
        user_id=UserId(row.user_id),
        step=row.step,
        agent_type=row.agent_type,
        status=AgentTaskStatus(row.status),
        attempt=row.attempt,
        input_hash=row.input_hash,
        output=None if row.output is None else msgspec.convert(row.output, ArtifactRef),
        findings=msgspec.convert(row.findings, tuple[Finding, ...]),
        usage=TokenUsage(
            input=row.input_tokens,
            output=row.output_tokens,
            cache_write=row.cache_write_tokens,
            cache_read=row.cache_read_tokens,
            cache_write_1h=row.cache_write_1h_tokens,
        ),
        model=row.model,
        summary=row.summary,
        cost_nano_usd=row.cost_nano_usd,
        house_nano_usd=row.house_nano_usd,
        credits=row.credits,
        error_code=row.error_code,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
