"""The graph of one claimed run: work on every ready step at once, commit once per step.

No transaction is open while an agent works. Each commit begins by locking the run under
the claim's fence, so a worker whose lease has passed on can no longer change anything.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import structlog

from application.billing.price_book import PriceBook
from application.failpoints import Failpoint, reach
from application.ports.clock import Clock, IdMaker
from application.ports.language_model import LanguageModel
from application.ports.live import LivePublisher, Nudge
from application.ports.model_calls import BorneBy, CallState, ModelCall
from application.ports.object_store import ObjectStoreUnavailable
from application.ports.persistence import DatabaseUnavailable, Transaction, UnitOfWork
from application.ports.provider_gate import ProviderGate
from application.ports.sandbox import Sandbox
from application.runs.artifact_store import ArtifactStore, canonical_json
from application.runs.ask_agent import ask_agent
from application.runs.call_pacing import CallPacing
from application.runs.cancellation import stop
from application.runs.circuit_policy import PROVIDER_CIRCUIT, Pace
from application.runs.failures import RetryLater, StepFailed
from application.runs.headroom import Headroom
from application.runs.local_gate import LocalProviderGate
from application.runs.mending_budget import MendingBudget
from application.runs.model_calls import StepCalls
from application.runs.publishing import Published, Publisher
from application.runs.settlement import record_calls, settle_step
from application.runs.step_work import StepResult, StepWork
from application.runs.tell_of_run import tell_of_run
from application.runs.verify_codebase import verify_codebase
from application.runs.write_codebase import write_codebase
from domain.agents.artifacts import Artifact
from domain.agents.pipelines import DocumentType, Method, Pipeline, Step, pipeline_for
from domain.billing.ledger import CapReached, InsufficientCredits
from domain.billing.usage import NO_USAGE
from domain.keys.api_key import KeyCapReached
from domain.projects.agent_task import AgentTask, AgentTaskStatus, ArtifactRef
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Claim, Run, RunStatus
from domain.shared.errors import DomainError
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import AgentTaskId
from domain.shared.money import ExchangeRate

log = structlog.get_logger(__name__)

METHODS: Mapping[Method, Callable[[StepWork], Awaitable[StepResult]]] = MappingProxyType(
    {
        Method.ASK: ask_agent,
        Method.WRITE_CODEBASE: write_codebase,
        Method.VERIFY: verify_codebase,
    }
)

OUTAGE_PARK_SECONDS = 5.0
"""How long a run waits when the object store or the database is away."""

_PROJECT_STATUS: Mapping[RunStatus, ProjectStatus] = MappingProxyType(
    {
        RunStatus.SUCCEEDED: ProjectStatus.COMPLETED,
        RunStatus.FAILED: ProjectStatus.FAILED,
        RunStatus.DEAD: ProjectStatus.FAILED,
        RunStatus.CANCELLED: ProjectStatus.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class RunTools:
    """What every run works with; made once per worker.

    ``rules`` stand in for the model in test runs.
    """

    uow: UnitOfWork
    artifacts: ArtifactStore
    publisher: Publisher
    model: LanguageModel
    sandbox: Sandbox
    live: LivePublisher
    clock: Clock
    ids: IdMaker
    book: PriceBook
    gate: ProviderGate
    mending: MendingBudget
    rules: LanguageModel

    def of(self, run: Run) -> "RunTools":
        """The tools of this run: a test run asks rules, behind no provider's gate."""
        if not run.test:
            return self
        gate = LocalProviderGate(PROVIDER_CIRCUIT, Pace())
        return replace(self, model=self.rules, gate=gate)


@dataclass(slots=True)
class RunGraph:
    """One claim's work on one run."""

    claim: Claim
    tools: RunTools
    _project: Project | None = None
    _tasks: dict[str, AgentTask] = field(default_factory=dict)
    _versions: dict[DocumentType, int] = field(default_factory=dict)
    _made: dict[str, Artifact] = field(default_factory=dict)
    _cut: list[ModelCall] = field(default_factory=list)
    _headroom: Headroom = field(default_factory=Headroom)
    _pacing: CallPacing = field(init=False)

    def __post_init__(self) -> None:
        self._pacing = CallPacing(self.tools.gate)

    @property
    def run(self) -> Run:
        """The run as it was claimed."""
        return self.claim.run

    @property
    def pipeline(self) -> Pipeline:
        """The graph of the run's mode."""
        return pipeline_for(self.run.mode)

    async def work(self) -> RetryLater | None:
        """Work until every step is finished, one failed, or nothing can go on for now.

        Returns None when the run has ended, else why and for how long it is parked.

        Raises:
            LeaseLost: another worker has the run.
            DatabaseUnavailable: the database went away; the lease runs out by itself.
        """
        await self._open()
        finished = {name for name, task in self._tasks.items() if task.finished}
        started = set(finished)
        under_way: dict[asyncio.Task[AgentTask], Step] = {}
        # A worker may have died between a step's failure and the run's end.
        failed = next(
            (task for task in self._tasks.values() if task.status is AgentTaskStatus.FAILED), None
        )
        parked: RetryLater | None = None
        try:
            while True:
                if failed is None and parked is None:
                    for step in self.pipeline.ready(finished, started):
                        started.add(step.name)
                        under_way[asyncio.ensure_future(self._step(step))] = step
                if not under_way:
                    break
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for ended in done:
                    step = under_way.pop(ended)
                    try:
                        task = ended.result()
                    except RetryLater as later:
                        if parked is None or later.seconds > parked.seconds:
                            parked = later
                        continue
                    self._tasks[step.name] = task
                    if task.finished:
                        finished.add(step.name)
                    else:
                        failed = failed or task
        finally:
            await stop(*under_way)
        if parked is not None and failed is None:
            return parked
        if failed is None:
            await self.end(RunStatus.SUCCEEDED)
        else:
            await self.end(RunStatus.FAILED, error_code=failed.error_code, error=failed.error)
        return None

    async def end(self, status: RunStatus, *, error_code: str = "", error: str = "") -> None:
        """Bring the run to a terminal state: holds released, project and log brought up.

        Cancelled, the person pays for what their calls came to, those cut off included.

        Raises:
            LeaseLost: another worker has the run, or it has ended.
        """
        charged = status is RunStatus.CANCELLED
        rate = await self._rate()
        async with self.tools.uow.begin(self.run.user_id) as tx:
            run = await tx.runs.lock(self.run.id, self.claim.fence)
            tasks = {task.step: task for task in await tx.tasks.of_run(run.id)}
            await record_calls(tx, self._cut, rate)
            begun = {name for name, task in tasks.items() if task.status is AgentTaskStatus.RUNNING}
            for step in sorted(begun | set(await tx.ledger.held_steps(run.id))):
                task = tasks.get(step)
                task_id = task.id if task else AgentTaskId(self.tools.ids.new())
                account, credits = await settle_step(tx, run, step, task_id, rate, charged=charged)
                if task is not None and not task.finished:
                    tasks[step] = replace(
                        task,
                        usage=account.usage,
                        model=account.model,
                        cost_nano_usd=account.user_nano_usd,
                        house_nano_usd=account.house_nano_usd,
                        credits=credits,
                    )
            for task in tasks.values():
                if task.status is AgentTaskStatus.RUNNING:
                    await tx.tasks.put(
                        replace(
                            task,
                            status=AgentTaskStatus.CANCELLED,
                            finished_at=self.tools.clock.now(),
                        )
                    )
            progress = 100 if status is RunStatus.SUCCEEDED else run.progress
            await tx.runs.set_progress(run.id, progress)
            entry = await tx.runs.append_event(
                run.id,
                EventType.RUN_FINISHED,
                {
                    "status": status.value,
                    "progress": progress,
                    "credits": sum(task.credits for task in tasks.values()),
                    "cap_credits": run.cap_credits,
                    "tokens": sum(task.usage.total for task in tasks.values()),
                    "cost_nano_usd": sum(task.cost_nano_usd for task in tasks.values()),
                    "error_code": error_code,
                    "error": error,
                },
            )
            await tx.runs.finish(run.id, status, error_code=error_code, error=error)
            await tell_of_run(tx, run.project_id, entry)
            await self._save_project(tx, _PROJECT_STATUS[status], progress)
            reach(Failpoint.BEFORE_RUN_END)
        reach(Failpoint.AFTER_RUN_END)
        self._cut.clear()
        log.info("run ended", status=status.value, error_code=error_code)
        await self.tools.live.publish(self.run.id, Nudge.of(entry))

    async def give_up(self) -> None:
        """Journal the calls that were cut off, at the house's cost: nobody asked for that.

        A reply that had come is kept as it is, for whoever goes on with the run.
        """
        if not self._cut:
            return
        cut, self._cut = self._cut, []
        try:
            rate = await self._rate()
            for call in cut:
                if call.state is CallState.FAILED:
                    call = replace(call, borne_by=BorneBy.HOUSE)
                # One at a time: not holding the run, this may meet its next worker, who locks
                # several calls, in whatever order.
                async with self.tools.uow.begin(self.run.user_id) as tx:
                    await record_calls(tx, [call], rate)
        except DatabaseUnavailable as reason:
            # They stay intents, which the next claim gives up for lost.
            log.warning("cut calls not recorded", calls=len(cut), reason=str(reason))

    async def _open(self) -> None:
        """Read what is there already, and log that work begins or goes on."""
        async with self.tools.uow.begin(self.run.user_id) as tx:
            run = await tx.runs.lock(self.run.id, self.claim.fence)
            self._project = await tx.projects.get(run.project_id)
            self._tasks = {task.step: task for task in await tx.tasks.of_run(run.id)}
            for document in await tx.documents.latest(run.project_id):
                self._note_version(document)
            first = not self._tasks and run.event_seq <= 1
            entry = await tx.runs.append_event(
                run.id,
                EventType.RUN_STARTED if first else EventType.RUN_RESUMED,
                {"attempt": run.attempts},
            )
        reach(Failpoint.AFTER_OPEN)
        await self.tools.live.publish(self.run.id, Nudge.of(entry))

    @property
    def project(self) -> Project:
        """The run's project, which no one can edit or delete meanwhile."""
        if self._project is None:
            raise LookupError(f"run {self.run.id} has no project")
        return self._project

    async def _step(self, step: Step) -> AgentTask:
        """One step, from the decision whether it must be made to its commit."""
        refs = {
            type_: self._output(self.pipeline.source_of(step.name, type_).name)
            for type_ in step.agent.reads
        }
        input_hash = await self._input_hash(step, refs)
        task = await self._begin(step, input_hash)
        if task.finished:
            return task
        with self._headroom.step(step.name):
            return await self._worked(step, task, refs)

    async def _worked(
        self, step: Step, task: AgentTask, refs: Mapping[type[Artifact], ArtifactRef]
    ) -> AgentTask:
        """A step that was begun, up to its commit."""
        try:
            rate = await self._rate()
            calls = StepCalls(
                run=self.run,
                step=step.name,
                uow=self.tools.uow,
                model=self.tools.model,
                live=self.tools.live,
                ids=self.tools.ids,
                rate=rate,
                cut=self._cut,
                pacing=self._pacing,
                headroom=self._headroom,
                mending=self.tools.mending,
            )
            work = StepWork(
                agent=step.agent,
                idea=self.project.as_input,
                upstream={type_: await self._artifact(ref) for type_, ref in refs.items()},
                calls=calls,
                sandbox=self.tools.sandbox,
            )
            began = time.perf_counter()
            result = await METHODS[step.agent.method](work)
            made = time.perf_counter()
            published = await self.tools.publisher.publish(
                self.run,
                self.project,
                step,
                result,
                self._versions,
                self.tools.model.provider.notice,
            )
            reach(Failpoint.AFTER_OBJECTS)
        except StepFailed as failure:
            return await self._fail(step, task, failure.code, failure.message)
        except (InsufficientCredits, CapReached, KeyCapReached) as failure:
            # The person's own limit, as with cancelling: what was used is paid.
            return await self._fail(step, task, failure.code, failure.message, charged=True)
        except (ObjectStoreUnavailable, DatabaseUnavailable) as outage:
            raise RetryLater(OUTAGE_PARK_SECONDS, type(outage).__name__) from outage
        except DomainError as failure:
            return await self._fail(step, task, failure.code, failure.message)
        log.info(
            "step made",
            step=step.name,
            work_ms=round(1000 * (made - began)),
            publish_ms=round(1000 * (time.perf_counter() - made)),
        )
        return await self._commit(step, task, result, published)

    async def _input_hash(self, step: Step, refs: Mapping[type[Artifact], ArtifactRef]) -> str:
        """What the step's artifact depends on, and nothing else."""
        agent = step.agent
        sandbox = (
            (await self.tools.sandbox.availability()).isolation
            if agent.method is Method.VERIFY
            else ""
        )
        return hashlib.sha256(
            canonical_json(
                {
                    "agent": agent.type,
                    "method": agent.method,
                    "makes": agent.makes.__name__,
                    "depth": agent.depth,
                    "instructions": self.tools.model.version(agent.instructions, agent.tier),
                    "idea": self.project.as_input,
                    "reads": {type_.__name__: ref.sha256 for type_, ref in refs.items()},
                    "sandbox": sandbox,
                }
            )
        ).hexdigest()

    async def _begin(self, step: Step, input_hash: str) -> AgentTask:
        """Open the step's task, or close it at once with what an earlier run made."""
        before = self._tasks.get(step.name)
        now = self.tools.clock.now()
        task = AgentTask(
            id=before.id if before else AgentTaskId(self.tools.ids.new()),
            run_id=self.run.id,
            project_id=self.run.project_id,
            user_id=self.run.user_id,
            step=step.name,
            agent_type=step.agent.type,
            status=AgentTaskStatus.RUNNING,
            attempt=before.attempt + 1 if before else 1,
            input_hash=input_hash,
            output=None,
            findings=(),
            usage=NO_USAGE,
            model="",
            cost_nano_usd=0,
            house_nano_usd=0,
            credits=0,
            error_code="",
            error="",
            started_at=now,
            finished_at=None,
        )
        async with self.tools.uow.begin(self.run.user_id) as tx:
            run = await tx.runs.lock(self.run.id, self.claim.fence)
            if run.reuse:
                kept = await tx.tasks.checkpoint(run.project_id, input_hash)
                if kept is not None:
                    task = replace(
                        task,
                        status=AgentTaskStatus.REUSED,
                        output=kept.output,
                        findings=kept.findings,
                        summary=kept.summary,
                        finished_at=now,
                    )
                    latest = await tx.documents.latest(run.project_id)
                    documents = self.tools.publisher.republish(
                        run, step, await tx.documents.of_step(kept.run_id, step.name), latest
                    )
                    entry = await self._conclude(tx, step, task, documents)
            if not task.finished:
                await tx.tasks.put(task)
                entry = await tx.runs.append_event(
                    run.id,
                    EventType.STEP_STARTED,
                    {
                        "step": step.name,
                        "agent": step.agent.type,
                        "title": step.agent.title,
                        "attempt": task.attempt,
                    },
                )
        reach(Failpoint.AFTER_STEP_BEGUN)
        log.info("step begun", step=step.name, reused=task.finished)
        await self.tools.live.publish(self.run.id, Nudge.of(entry))
        return task

    async def _commit(
        self, step: Step, task: AgentTask, result: StepResult, published: Published
    ) -> AgentTask:
        """The step's checkpoint, account, documents, progress and event, together."""
        rate = await self._rate()
        async with self.tools.uow.begin(self.run.user_id) as tx:
            run = await tx.runs.lock(self.run.id, self.claim.fence)
            account, credits = await settle_step(tx, run, step.name, task.id, rate, charged=True)
            task = replace(
                task,
                status=AgentTaskStatus.SUCCEEDED,
                output=published.output,
                findings=result.findings,
                summary=result.summary,
                usage=account.usage,
                model=account.model,
                cost_nano_usd=account.user_nano_usd,
                house_nano_usd=account.house_nano_usd,
                credits=credits,
                finished_at=self.tools.clock.now(),
            )
            entry = await self._conclude(tx, step, task, published.documents)
            reach(Failpoint.BEFORE_STEP_COMMIT)
        reach(Failpoint.AFTER_STEP_COMMIT)
        if task.output is not None:
            self._made[task.output.sha256] = result.artifact
        log.info("step finished", step=step.name, summary=task.summary, credits=task.credits)
        await self.tools.live.publish(self.run.id, Nudge.of(entry))
        return task

    async def _fail(
        self, step: Step, task: AgentTask, code: str, message: str, *, charged: bool = False
    ) -> AgentTask:
        """The step's end without an artifact: everything is said, and nothing ``charged``
        but what went into it until a limit of the person's own stopped it."""
        rate = await self._rate()
        async with self.tools.uow.begin(self.run.user_id) as tx:
            run = await tx.runs.lock(self.run.id, self.claim.fence)
            account, credits = await settle_step(tx, run, step.name, task.id, rate, charged=charged)
            task = replace(
                task,
                status=AgentTaskStatus.FAILED,
                usage=account.usage,
                model=account.model,
                cost_nano_usd=account.user_nano_usd,
                house_nano_usd=account.house_nano_usd,
                credits=credits,
                error_code=code,
                error=message,
                finished_at=self.tools.clock.now(),
            )
            entry = await self._conclude(tx, step, task, ())
        log.warning("step failed", step=step.name, code=code, error=message)
        await self.tools.live.publish(self.run.id, Nudge.of(entry))
        return task

    async def _conclude(
        self, tx: Transaction, step: Step, task: AgentTask, documents: Sequence[Document]
    ) -> RunEvent:
        await tx.tasks.put(task)
        await tx.documents.add(documents)
        for document in documents:
            self._note_version(document)
        finished = {other.step for other in await tx.tasks.of_run(self.run.id) if other.finished}
        progress = self.pipeline.progress(finished)
        if task.finished:
            await tx.runs.set_progress(self.run.id, progress)
            await self._save_project(tx, ProjectStatus.RUNNING, progress)
        return await tx.runs.append_event(
            self.run.id, EventType.STEP_FINISHED, _report(step, task, documents, progress)
        )

    async def _save_project(self, tx: Transaction, status: ProjectStatus, progress: int) -> None:
        project = await tx.projects.get(self.run.project_id)
        if project is not None:
            await tx.projects.save(
                replace(
                    project, status=status, progress=progress, updated_at=self.tools.clock.now()
                )
            )

    def _output(self, step: str) -> ArtifactRef:
        output = self._tasks[step].output
        if output is None:
            raise LookupError(f"step {step} of run {self.run.id} is finished without an artifact")
        return output

    async def _rate(self) -> ExchangeRate:
        """The rate of the moment the run was accepted: it was quoted at it."""
        return await self.tools.book.rate(self.run.created_at)

    async def _artifact(self, ref: ArtifactRef) -> Artifact:
        """An artifact, from this worker's memory where it was made or read here."""
        made = self._made.get(ref.sha256)
        if made is None:
            made = await self.tools.artifacts.load(self.run.user_id, ref)
            self._made[ref.sha256] = made
        return made

    def _note_version(self, document: Document) -> None:
        self._versions[document.type] = max(self._versions.get(document.type, 0), document.version)


def _report(
    step: Step, task: AgentTask, documents: Sequence[Document], progress: int
) -> dict[str, object]:
    """A finished step as its watchers see it."""
    return {
        "step": step.name,
        "status": task.status.value,
        "summary": task.summary,
        "findings": len(task.findings),
        "tokens": task.usage.total,
        "cost_nano_usd": task.cost_nano_usd,
        "credits": task.credits,
        "progress": progress,
        "error_code": task.error_code,
        "error": task.error,
        "documents": [
            {
                "id": str(document.id),
                "type": document.type.value,
                "format": document.format,
                "version": document.version,
                "title": document.title,
            }
            for document in documents
        ],
    }
