"""Execute a project: accept a run, and tell the workers."""

from dataclasses import dataclass, replace

from application.failpoints import Failpoint, reach
from application.ports.clock import Clock, IdMaker
from application.ports.persistence import UnitOfWork
from application.ports.queue import JobQueue
from application.projects.show_project import owned_project
from domain.agents.pipelines import pipeline_for
from domain.projects.project import ProjectStatus
from domain.projects.run import Run, RunStatus
from domain.shared.events import EventType
from domain.shared.ids import ProjectId, RunId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Which project; ``reuse`` skips steps whose inputs did not change since."""

    user_id: UserId
    project_id: ProjectId
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class ExecuteProject:
    """Accepts a run. Once this returns, the run is in the database and will be done."""

    uow: UnitOfWork
    queue: JobQueue
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: Execution) -> Run:
        """Keep the new run, then send the hint.

        Raises:
            NotFound: no such project, or another person's.
            RunInProgress: it is being executed already; ``run_id`` says by which run.
        """
        async with self.uow.begin(command.user_id) as tx:
            project = await owned_project(tx, command.project_id, lock=True)
            pipeline = pipeline_for(project.mode)
            run = Run(
                id=RunId(self.ids.new()),
                project_id=project.id,
                user_id=project.user_id,
                mode=project.mode,
                pipeline_version=pipeline.version,
                status=RunStatus.QUEUED,
                progress=0,
                reuse=command.reuse,
                retry_of=None,
                attempts=0,
                fence=0,
                cancel_requested=False,
                event_seq=0,
                error_code="",
                error="",
                created_at=self.clock.now(),
                started_at=None,
                finished_at=None,
            )
            await tx.runs.add(run)
            await tx.runs.append_event(
                run.id,
                EventType.RUN_QUEUED,
                {
                    "project_id": str(project.id),
                    "mode": project.mode.value,
                    "steps": [
                        {
                            "name": step.name,
                            "title": step.agent.title,
                            "after": list(step.after),
                        }
                        for step in pipeline.steps
                    ],
                },
            )
            await tx.projects.save(
                replace(
                    project,
                    status=ProjectStatus.RUNNING,
                    progress=0,
                    updated_at=self.clock.now(),
                )
            )
            reach(Failpoint.EXECUTE_BEFORE_COMMIT)
        reach(Failpoint.EXECUTE_AFTER_COMMIT)
        await self.queue.announce_run(run.id)
        return replace(run, event_seq=1)
