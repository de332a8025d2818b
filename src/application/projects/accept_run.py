"""A new run of a project, in the transaction that accepts it."""

from dataclasses import replace

from application.ports.clock import Clock, IdMaker
from application.ports.persistence import Transaction
from application.runs.tell_of_run import tell_of_run
from domain.agents.pipelines import pipeline_for
from domain.billing.ledger import CreditsOwed
from domain.keys.api_key import ActingKey, KeyCapReached
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run, RunStatus, check_cap
from domain.shared.events import EventType
from domain.shared.ids import RunId


async def accept_run(
    tx: Transaction,
    project: Project,
    clock: Clock,
    ids: IdMaker,
    *,
    reuse: bool,
    cap_credits: int,
    retry_of: RunId | None = None,
    key: ActingKey | None = None,
    test: bool = False,
) -> tuple[Run, bool]:
    """Keep a queued run of the locked project. Also says whether to send its hint at once.

    A person's further runs wait for the dispatcher's hint, which is fair among people; their
    own hints would stand before everybody else's. ``key`` is what it is asked for with; a
    test key makes a test run of it, and ``test`` does without one.

    Raises:
        InvalidValue: no run can have that cap.
        CreditsOwed: the person owes credits, and begins nothing new before they are paid.
        PlanForbidsMode: the person's plan does not include the project's mode.
        RunInProgress: the project is being executed already; ``run_id`` says by which run.
        ModeNotAllowed: the key is not for projects of this mode.
        KeyCapReached: what the key's runs used and hold has reached its cap.
    """
    owed = await tx.ledger.owed()
    if owed:
        raise CreditsOwed(
            f"Top up at least {owed} credits first: they are owed since a payment was refunded.",
            owed=owed,
        )
    (await tx.entitlements.effective(clock.now())).check_mode(project.mode)
    if key is not None:
        await _check_key(tx, key, project)
    pipeline = pipeline_for(project.mode)
    run = Run(
        id=RunId(ids.new()),
        project_id=project.id,
        user_id=project.user_id,
        mode=project.mode,
        pipeline_version=pipeline.version,
        status=RunStatus.QUEUED,
        progress=0,
        reuse=reuse,
        retry_of=retry_of,
        attempts=0,
        fence=0,
        cancel_requested=False,
        event_seq=0,
        error_code="",
        error="",
        created_at=clock.now(),
        started_at=None,
        finished_at=None,
        cap_credits=check_cap(cap_credits),
        api_key_id=key.id if key else None,
        test=test or (key is not None and key.test),
    )
    await tx.runs.add(run)
    alone = await tx.runs.live_count() == 1
    steps = [
        {"name": step.name, "title": step.agent.title, "after": list(step.after)}
        for step in pipeline.steps
    ]
    queued = await tx.runs.append_event(
        run.id,
        EventType.RUN_QUEUED,
        {
            "project_id": str(project.id),
            "mode": project.mode.value,
            "steps": steps,
            "cap_credits": run.cap_credits,
        },
    )
    await tell_of_run(tx, project.id, queued)
    await tx.projects.save(
        replace(project, status=ProjectStatus.RUNNING, progress=0, updated_at=clock.now())
    )
    return replace(run, event_seq=queued.seq), alone


async def _check_key(tx: Transaction, key: ActingKey, project: Project) -> None:
    key.check_mode(project.mode)
    if key.test:
        return
    kept = await tx.keys.get(key.id)
    if kept is not None and kept.exhausted:
        raise KeyCapReached
